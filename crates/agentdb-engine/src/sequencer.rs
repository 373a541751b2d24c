//! The sequencer: takes what has queued, decides each request in order, appends one group, syncs once, publishes,
//! answers.

use std::sync::atomic::Ordering;

use agentdb_log::{LocalLog, Log, NewGroup};
use agentdb_types::{Code, Error, Lsn, Result, Timestamp, limits};

use crate::completion::{Outcome, Promise};
use crate::engine::Core;
use crate::idempotency;
use crate::mutation::{Entry, put_entry};
use crate::operation::AnyResponse;
use crate::planted::{self, Bug};
use crate::request::{Ack, QueuedWrite};
use crate::rows::{Position, Reader};
use crate::tx::{Decided, Tx};

/// The one writer of the log.
pub(crate) struct Sequencer {
    pub(crate) log: LocalLog,
    pub(crate) epoch: u64,
    body: Vec<u8>,
    /// The head up to which a later frame tells that everything is synced.
    stamped: Lsn,
}

/// A decided request that waits for its group.
struct Pending {
    completion: Promise,
    ack: Ack,
    answer: Result<Outcome>,
}

impl Sequencer {
    pub(crate) fn new(log: LocalLog) -> Self {
        let epoch = log.head().epoch + 1;
        let stamped = log.head().lsn;
        Sequencer { log, epoch, body: Vec::new(), stamped }
    }

    fn position(&self) -> Position {
        let head = self.log.head();
        Position { lsn: head.lsn, chain: head.chain, time: head.time }
    }

    /// Commits one group of what has queued; returns whether there was anything.
    pub(crate) fn step(&mut self, core: &Core) -> bool {
        let Some(first) = core.queue.pop() else { return false };
        let time = match core.clock.advance() {
            Ok(time) => time,
            Err(err) => {
                first.completion.answer(Err(err));
                return true;
            }
        };
        let (pending, count) = self.decide_group(core, first, time);
        match self.commit(core, pending, count, time) {
            Ok(()) => self.freeze_if_full(core),
            Err(err) => core.poison(&err),
        }
        true
    }

    fn decide_group(&mut self, core: &Core, first: QueuedWrite, time: Timestamp) -> (Vec<Pending>, u32) {
        self.body.clear();
        let rows = if planted::is(Bug::StaleDecision) { core.rows.reader() } else { core.rows.latest() };
        let mut pending = Vec::new();
        let mut count = 0;
        let mut next = Some(first);
        while let Some(write) = next {
            let lsn = Lsn(self.log.head().lsn.0 + u64::from(count) + 1);
            let answer = self.decide(core, &rows, &write, lsn, time);
            if answer.as_ref().is_ok_and(|outcome| outcome.lsn == lsn) {
                count += 1;
            }
            pending.push(Pending { completion: write.completion, ack: write.options.ack, answer });
            next = if self.body.len() < limits::GROUP_BYTES { core.queue.pop() } else { None };
        }
        (pending, count)
    }

    /// Decides one request. If it changes anything, its entry is in the group and its rows are applied, unpublished.
    fn decide(
        &mut self,
        core: &Core,
        rows: &Reader,
        write: &QueuedWrite,
        lsn: Lsn,
        time: Timestamp,
    ) -> Result<Outcome> {
        if !write.internal {
            core.check_alive(write.namespace)?;
        }
        let mut tx = Tx::new(rows, core, write.namespace, lsn, time);
        if let Some(outcome) = idempotency::recall(&tx, write)? {
            return Ok(outcome);
        }
        let decided: Result<Vec<AnyResponse>> = write.writes.iter().map(|w| w.decide(&mut tx)).collect();
        if decided.is_err() && planted::is(Bug::RefusalLeavesSomething) {
            for (key, body) in tx.finish(None, &core.keyring)?.rows {
                core.apply(&key, lsn, body);
            }
            return decided.map(|responses| Outcome { lsn, responses });
        }
        let responses = decided?;
        idempotency::remember(&mut tx, write, &responses)?;
        let subject = write.options.subject.as_deref();
        let Decided { mutations, rows: changed, wrote } = tx.finish(subject, &core.keyring)?;
        if mutations.is_empty() && !wrote {
            // Nothing changed: the answer holds as of the batch before.
            return Ok(Outcome { lsn: Lsn(lsn.0 - 1), responses });
        }
        core.count_mutations(&mutations);
        let names: Vec<&str> = write.writes.iter().map(|w| w.name()).collect();
        let entry = Entry {
            operation: names.join(","),
            principal: write.options.principal.clone(),
            subject: write.options.subject.clone(),
            mutations,
            unknown: Vec::new(),
        };
        put_entry(&mut self.body, &entry);
        for (key, body) in changed {
            core.apply(&key, lsn, body);
        }
        Ok(Outcome { lsn, responses })
    }

    /// Appends the decided group, syncs it if anyone waits for that, publishes it, and answers.
    fn commit(&mut self, core: &Core, pending: Vec<Pending>, count: u32, time: Timestamp) -> Result<()> {
        let durable = pending.iter().any(|p| p.ack == Ack::Durable) && !planted::is(Bug::AnswerBeforeSync);
        let early = pending.iter().any(|p| p.ack == Ack::Written);
        let mut pending = pending;
        let result = self.append(core, count, time).and_then(|()| {
            if early {
                core.rows.publish(self.log.head().lsn);
                let (written, rest): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut pending).into_iter().partition(|p| p.ack == Ack::Written);
                pending = rest;
                answer(written);
            }
            if durable { self.sync(core) } else { Ok(()) }
        });
        match &result {
            Ok(()) => {
                core.rows.publish(self.log.head().lsn);
                answer(pending);
            }
            Err(err) => {
                for p in pending {
                    // A refusal stays what it is: nothing of it was in the group.
                    p.completion.answer(
                        p.answer.and_then(|_| Err(Error::new(Code::OutcomeUnknown).with("reason", err))),
                    );
                }
            }
        }
        result
    }

    fn append(&mut self, core: &Core, count: u32, time: Timestamp) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let expected_head = self.log.head().lsn;
        self.log.append(NewGroup { epoch: self.epoch, expected_head, count, time, body: &self.body })?;
        core.counters.groups.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Syncs the log.
    pub(crate) fn sync(&mut self, core: &Core) -> Result<()> {
        let synced = self.log.sync()?;
        core.synced.store(synced.0, Ordering::Release);
        Ok(())
    }

    /// Whether something was answered as written that is not synced yet.
    pub(crate) fn is_dirty(&self) -> bool {
        self.log.synced() < self.log.head().lsn
    }

    /// Appends an empty group that tells what is synced, unless one does; returns whether it did.
    pub(crate) fn stamp(&mut self, core: &Core) -> Result<bool> {
        let head = self.log.head();
        if self.stamped == head.lsn || self.is_dirty() {
            return Ok(false);
        }
        let (epoch, expected_head) = (self.epoch, head.lsn);
        self.log.append(NewGroup { epoch, expected_head, count: 0, time: head.time, body: &[] })?;
        self.sync(core)?;
        self.stamped = head.lsn;
        Ok(true)
    }

    fn freeze_if_full(&self, core: &Core) {
        if core.rows.active_bytes() >= core.options.memtable_bytes {
            self.freeze(core);
        }
    }

    /// Hands the active memory table over to the drain.
    pub(crate) fn freeze(&self, core: &Core) {
        core.rows.freeze(self.position());
        core.signal_drain();
    }
}

fn answer(pending: Vec<Pending>) {
    for p in pending {
        p.completion.answer(p.answer);
    }
}
