//! Committing: one thread leads, and while it waits for the disk, others decide the next group.
//!
//! A thread that waits for an answer leads if nobody does: a single caller pays no thread switch. Otherwise it decides what
//! has queued, its own request included, into the open group, and waits for the leader to commit that. Two locks: the
//! leader holds `committing` from the append to the answers, the sequencer's lock only while it decides and appends. A task
//! that awaits its answer decides as such a thread does, but never leads: that would block its executor.

use std::sync::{MutexGuard, PoisonError, TryLockError};

use agentdb_log::Log;
use agentdb_types::{Code, Error, Result};

use crate::completion::Outcome;
use crate::engine::Core;
use crate::planted::{self, Bug};
use crate::request::{Ack, Queued};
use crate::sequencer::Pending;

/// Bytes of queued requests up to which a thread that must not be held up, such as an executor's, decides them.
const LIGHT_BYTES: usize = 64 << 10;

impl Core {
    /// Waits for an answer; while nobody else commits, this thread does.
    pub(crate) fn drive_until(&self, queued: &Queued) -> Result<Outcome> {
        match self.committing.try_lock() {
            Ok(leading) => self.lead(leading),
            Err(TryLockError::Poisoned(leading)) => self.lead(leading.into_inner()),
            Err(TryLockError::WouldBlock) => self.decide_beside(),
        }
        self.waiting.wait(queued.round, &queued.completion)
    }

    /// Sees to it that an answer comes, without waiting for it: while the leader waits for the disk this thread decides what
    /// has queued if that is little, otherwise the thread in the background leads.
    pub(crate) fn begin_driving(&self) {
        match self.committing.try_lock() {
            // Whatever stays undecided, the leader sees to.
            Err(TryLockError::WouldBlock) if self.queue.bytes() <= LIGHT_BYTES => self.decide_beside(),
            Err(TryLockError::WouldBlock) => {}
            Ok(_) | Err(TryLockError::Poisoned(_)) => self.signal_driver(),
        }
    }

    /// Decides what has queued, if nobody else is at it.
    fn decide_beside(&self) {
        if let Ok(mut sequencer) = self.sequencer.try_lock() {
            // A failure has answered whoever waits.
            let _ = self.guard(|| {
                let decided = sequencer.decide_queued(self);
                drop(sequencer);
                decided
            });
        }
    }

    /// Commits once, as the leader.
    fn lead(&self, leading: MutexGuard<'_, ()>) {
        // A failure has answered whoever waits.
        let _ = self.guard(|| self.commit_leading());
        self.end_leading(leading);
        if self.is_unsynced() {
            self.signal_driver();
        }
    }

    fn begin_leading(&self) -> MutexGuard<'_, ()> {
        self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever led, for whatever purpose, ends so: a caller who found a leader relies on it that someone goes on.
    fn end_leading(&self, leading: MutexGuard<'_, ()>) {
        drop(leading);
        if self.queue.is_anything_unanswered() {
            self.signal_driver();
        }
    }

    /// Commits what has queued; returns whether there was anything.
    pub(crate) fn commit(&self) -> Result<bool> {
        let leading = self.begin_leading();
        let committed = self.commit_leading();
        self.end_leading(leading);
        committed
    }

    fn commit_leading(&self) -> Result<bool> {
        let (pending, point, head) = {
            let mut sequencer = self.lock_sequencer();
            sequencer.decide_queued(self)?;
            sequencer.close(self)?;
            let pending = sequencer.take_appended();
            let durable =
                pending.iter().any(|p| p.ack == Ack::Durable) && !planted::is(Bug::AnswerBeforeSync);
            let point = if durable { sequencer.log.sync_point() } else { None };
            (pending, point, sequencer.log.head())
        };
        if pending.is_empty() {
            return Ok(false);
        }
        if let Some(point) = point {
            if let Err(err) = point.sync() {
                self.lock_sequencer().log.fail(&err);
                self.answer(pending.into_iter().map(|p| p.unknown(&err)).collect());
                return Err(err);
            }
            self.lock_sequencer().note_synced(self, &point);
        }
        self.publish(head);
        self.answer(pending);
        self.watchers.call();
        self.make_room()?;
        Ok(true)
    }

    /// Gives answers, and wakes those who wait for them.
    pub(crate) fn answer(&self, pending: Vec<Pending>) {
        self.queue.answered(pending.len());
        let mut rounds: Vec<_> = pending.iter().map(|p| p.round).collect();
        rounds.dedup();
        for p in pending {
            p.completion.answer(p.answer);
        }
        rounds.into_iter().for_each(|round| self.waiting.call(round));
    }

    fn is_unsynced(&self) -> bool {
        self.synced_lsn() < self.rows.visible()
    }

    /// Syncs what was acknowledged as written; returns whether there was anything.
    pub(crate) fn sync(&self) -> Result<bool> {
        let leading = self.begin_leading();
        let synced = self.sync_leading();
        self.end_leading(leading);
        synced
    }

    fn sync_leading(&self) -> Result<bool> {
        let point = self.lock_sequencer().log.sync_point().filter(|_| !planted::is(Bug::WrittenNeverSynced));
        let Some(point) = point else { return Ok(false) };
        let synced = point.sync();
        let mut sequencer = self.lock_sequencer();
        match synced {
            Ok(()) => sequencer.note_synced(self, &point),
            Err(err) => {
                sequencer.log.fail(&err);
                return Err(err);
            }
        }
        drop(sequencer);
        self.watchers.call();
        Ok(true)
    }

    /// Tells in the log what is synced, if it is idle; returns whether it did.
    pub(crate) fn stamp(&self) -> Result<bool> {
        self.check_lock()?;
        let stamped = self.lock_sequencer().stamp()?;
        if stamped {
            self.sync()?;
        }
        Ok(stamped)
    }
}

impl Pending {
    /// The same request when its group may or may not be in the log. A refusal stays what it is: nothing of it was in
    /// the group.
    pub(crate) fn unknown(self, why: &Error) -> Pending {
        let answer = self.answer.and_then(|_| Err(Error::new(Code::OutcomeUnknown).with("reason", why)));
        Pending { answer, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use agentdb_env::Env;
    use serde_json::json;

    use agentdb_types::Code;

    use crate::modules::state::{Count, Put};
    use crate::{Engine, NamespaceId, Options, Task, WriteOptions};

    /// A caller that finds the log being stamped must not wait for the next thing that happens to commit.
    #[test]
    fn nobody_waits_for_a_leader_that_has_gone() {
        const PUTS: usize = 300;
        let (env, dir) = (Env::real(), tempfile::tempdir().unwrap());
        let engine = Arc::new(Engine::open(&env, dir.path(), Options::default()).unwrap());
        let ended = Arc::new(AtomicBool::new(false));
        let stamper = {
            let (engine, ended) = (engine.clone(), ended.clone());
            let stamp = move || {
                while !ended.load(Ordering::Relaxed) {
                    engine.step(Task::Stamp).unwrap();
                }
            };
            env.threads.spawn("stamper", Box::new(stamp)).unwrap()
        };
        let mut longest_us = 0;
        for n in 0..PUTS {
            let began = env.clock.monotonic_us();
            let put = Put::new("session", format!("k{n}"), json!(n));
            engine.write(NamespaceId::DEFAULT, put, WriteOptions::default()).unwrap().wait().unwrap();
            longest_us = longest_us.max(env.clock.monotonic_us() - began);
        }
        ended.store(true, Ordering::Relaxed);
        stamper.join();
        assert!(longest_us < 1_000_000, "a put took {longest_us} us");
    }

    /// Whoever removes LOCK, or moves the directory, opens the door for another writer: this one must not write any more.
    #[test]
    fn a_handle_that_lost_its_directory_writes_nothing_more() {
        let (env, dir) = (Env::real(), tempfile::tempdir().unwrap());
        let put = |engine: &Engine, key: &str| {
            let put = Put::new("ann", key, json!(key));
            engine.write(NamespaceId::DEFAULT, put, WriteOptions::default())?.wait()
        };
        let count = |engine: &Engine| {
            let snapshot = engine.snapshot(NamespaceId::DEFAULT).unwrap();
            engine.read(&snapshot, Count { owner: "ann".into(), prefix: String::new() }).unwrap().count
        };
        for moved in [false, true] {
            let (path, aside) = (dir.path().join(format!("db-{moved}")), dir.path().join("aside"));
            let first = Engine::open(&env, &path, Options::default()).unwrap();
            put(&first, "a").unwrap();
            if moved {
                env.files.rename(&path, &aside).unwrap();
            } else {
                env.files.remove(&path.join("LOCK")).unwrap();
            }
            let second = Engine::open(&env, &path, Options::default()).unwrap();
            put(&second, "b").unwrap();
            assert!(put(&first, "c").is_err());
            assert_eq!(put(&first, "d").unwrap_err().code(), Code::Poisoned);
            drop(first);
            put(&second, "e").unwrap();
            drop(second);
            let held = if moved { vec![(&path, 2), (&aside, 1)] } else { vec![(&path, 3)] };
            for (path, expected) in held {
                let engine = Engine::open(&env, path, Options::default()).unwrap();
                assert_eq!(count(&engine), expected, "{}", path.display());
                assert!(engine.verify(&mut |_| {}).unwrap().problems.is_empty());
            }
        }
    }

    #[test]
    fn a_handle_does_not_follow_the_working_directory() {
        let (env, dir) = (Env::real(), tempfile::tempdir().unwrap());
        let here = std::env::current_dir().unwrap();
        let up = "../".repeat(here.components().count());
        let relative = std::path::Path::new(&up).join(dir.path().strip_prefix("/").unwrap());
        let engine = Engine::open(&env, &relative, Options::default()).unwrap();
        assert!(engine.dir().is_absolute() && env.files.exists(&dir.path().join("FORMAT")).unwrap());
    }
}
