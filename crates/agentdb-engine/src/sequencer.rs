//! The sequencer: decides each request in order, into the group that is open, and appends that group to the log. Who
//! syncs the log and answers is in [`commit`](crate::commit).

use std::sync::atomic::Ordering;

use agentdb_log::{LocalLog, Log, NewGroup, SyncPoint};
use agentdb_types::{Error, Lsn, Result, Timestamp, limits};

use crate::completion::{Outcome, Promise, Round};
use crate::engine::Core;
use crate::forks::Aside;
use crate::idempotency;
use crate::mutation::{Entry, put_entry};
use crate::operation::AnyResponse;
use crate::planted::{self, Bug};
use crate::request::{Ack, Origin, QueuedWrite};
use crate::rows::Position;
use crate::tx::{Decided, Tx};

/// The one writer of the log.
pub(crate) struct Sequencer {
    pub(crate) log: LocalLog,
    epoch: u64,
    open: OpenGroup,
    /// Decided requests whose groups are in the log, and that are not answered yet.
    appended: Vec<Pending>,
    /// The head up to which a later frame tells that everything is synced.
    stamped: Lsn,
}

/// A group that takes decided requests. Its rows are applied already, and not visible.
#[derive(Default)]
struct OpenGroup {
    /// Log time of the group, as of its first request.
    time: Option<Timestamp>,
    body: Vec<u8>,
    count: u32,
    pending: Vec<Pending>,
    /// Whether someone waits only for the append.
    early: bool,
}

/// A decided request that waits for its group.
pub(crate) struct Pending {
    pub(crate) completion: Promise,
    pub(crate) ack: Ack,
    pub(crate) round: Round,
    pub(crate) answer: Result<Outcome>,
}

impl Sequencer {
    pub(crate) fn new(log: LocalLog) -> Self {
        let (epoch, stamped) = (log.head().epoch + 1, log.head().lsn);
        Sequencer { log, epoch, open: OpenGroup::default(), appended: Vec::new(), stamped }
    }

    /// Decides what has queued; returns whether there was anything.
    pub(crate) fn decide_queued(&mut self, core: &Core) -> Result<bool> {
        let taken = core.queue.take();
        let worked = !taken.is_empty();
        for write in taken {
            let answer = self.decide(core, &write);
            self.open.early |= write.options.ack == Ack::Written && answer.is_ok();
            let (completion, ack, round) = (write.completion, write.options.ack, write.round);
            self.open.pending.push(Pending { completion, ack, round, answer });
            if self.open.body.len() >= limits::GROUP_BYTES {
                self.close(core)?;
            }
        }
        if self.open.early {
            self.close(core)?;
            self.answer_early(core);
        }
        Ok(worked)
    }

    /// Decides one request. If it changes anything, its entry is in the group and its rows are applied, unpublished.
    fn decide(&mut self, core: &Core, write: &QueuedWrite) -> Result<Outcome> {
        let time = match self.open.time {
            Some(time) => time,
            None => *self.open.time.insert(core.clock.advance()?),
        };
        if write.origin != Origin::Engine {
            core.check_alive(write.namespace, Lsn(u64::MAX))?;
        }
        let rows = if planted::is(Bug::StaleDecision) { core.rows.reader() } else { core.rows.latest() };
        let lsn = Lsn(self.log.head().lsn.0 + u64::from(self.open.count) + 1);
        let mut tx = Tx::new(&rows, core, write.namespace, lsn, time);
        if let Some(outcome) = idempotency::recall(&tx, write)? {
            return Ok(outcome);
        }
        let parts = write.writes.iter().enumerate();
        let decided: Result<Vec<AnyResponse>> = parts
            .map(|(position, w)| match w.decide(&mut tx) {
                Err(err) if write.origin == Origin::Batch => Err(err.in_batch(position, w.name())),
                decided => decided,
            })
            .collect();
        if decided.is_err() && planted::is(Bug::RefusalLeavesSomething) {
            for (key, body) in tx.finish(None, &core.keyring, Aside::unbounded(&core.forks))?.rows {
                core.apply(&key, lsn, body);
            }
            return decided.map(|responses| Outcome { lsn, responses });
        }
        let responses = decided?;
        idempotency::remember(&mut tx, write, &responses)?;
        let subject = write.options.subject.as_deref();
        let aside = match write.origin {
            Origin::Engine => Aside::unbounded(&core.forks),
            _ => Aside::bounded(&core.forks),
        };
        let Decided { names, mutations, rows: changed, ended, wrote } =
            tx.finish(subject, &core.keyring, aside)?;
        if mutations.is_empty() && !wrote {
            // Nothing changed: the answer holds as of the batch before.
            return Ok(Outcome { lsn: Lsn(lsn.0 - 1), responses });
        }
        core.count_mutations(&mutations);
        let operations: Vec<&str> = write.writes.iter().map(|w| w.name()).collect();
        let entry = Entry {
            operation: operations.join(","),
            principal: write.options.principal.clone(),
            subject: write.options.subject.clone(),
            names,
            mutations,
            unknown: Vec::new(),
        };
        put_entry(&mut self.open.body, &entry);
        self.open.count += 1;
        if self.open.count == 1 {
            core.note_moment(lsn, time);
        }
        for (row, before) in ended {
            core.rows.keep(&changed[row].0, lsn, &before);
        }
        for (key, body) in changed {
            core.apply(&key, lsn, body);
        }
        Ok(Outcome { lsn, responses })
    }

    /// Appends the open group to the log; another one is open then.
    pub(crate) fn close(&mut self, core: &Core) -> Result<()> {
        let OpenGroup { time, mut body, count, mut pending, .. } = std::mem::take(&mut self.open);
        // From here on a failure finds them among those to be told of it.
        self.appended.append(&mut pending);
        self.open.pending = pending;
        if let (Some(time), 1..) = (time, count) {
            core.check_lock()?;
            let (expected_head, used) = (self.log.head().lsn, self.log.quarters_used());
            self.log.append(NewGroup { epoch: self.epoch, expected_head, count, time, body: &body })?;
            if self.log.quarters_used() > used {
                core.maintenance.set();
            }
            core.counters.groups.fetch_add(1, Ordering::Relaxed);
        }
        body.clear();
        self.open.body = body;
        if core.rows.active_bytes() >= core.options.memtable_bytes {
            self.hand_over(core);
        }
        Ok(())
    }

    /// Answers those who asked for no more than that the operating system has their batch.
    fn answer_early(&mut self, core: &Core) {
        core.publish(self.log.head());
        let (early, rest) =
            std::mem::take(&mut self.appended).into_iter().partition(|p| p.ack == Ack::Written);
        self.appended = rest;
        core.answer(early);
    }

    /// Takes those whose groups are in the log, to be answered.
    pub(crate) fn take_appended(&mut self) -> Vec<Pending> {
        std::mem::take(&mut self.appended)
    }

    /// Takes note that the log was synced.
    pub(crate) fn note_synced(&mut self, core: &Core, point: &SyncPoint) {
        self.log.note_synced(point);
        core.synced.store(self.log.synced().0, Ordering::Release);
    }

    /// Appends an empty group that tells what is synced, unless one does or there is work to do; returns whether it did.
    pub(crate) fn stamp(&mut self) -> Result<bool> {
        let head = self.log.head();
        if self.stamped == head.lsn || self.log.sync_point().is_some() || !self.open.pending.is_empty() {
            return Ok(false);
        }
        let (epoch, expected_head) = (self.epoch, head.lsn);
        self.log.append(NewGroup { epoch, expected_head, count: 0, time: head.time, body: &[] })?;
        self.stamped = head.lsn;
        Ok(true)
    }

    /// Hands the active memory table over to the drain, however small.
    pub(crate) fn freeze(&mut self, core: &Core) -> Result<()> {
        self.close(core)?;
        self.hand_over(core);
        Ok(())
    }

    /// The open group must be empty: the table's end is the log's.
    fn hand_over(&self, core: &Core) {
        let head = self.log.head();
        core.rows.freeze(Position { lsn: head.lsn, chain: head.chain, time: head.time });
        core.signal_drain();
    }

    /// Answers everyone who waits, after a failure.
    pub(crate) fn abandon(&mut self, why: &Error) {
        let open = std::mem::take(&mut self.open);
        for p in self.take_appended().into_iter().chain(open.pending) {
            let p = p.unknown(why);
            p.completion.answer(p.answer);
        }
    }
}
