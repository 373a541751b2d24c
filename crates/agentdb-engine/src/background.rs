//! The threads of an open database: they do nothing but drive the engine's steps.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentdb_env::Join;
use agentdb_types::{Code, Error, Result};

use crate::Task;
use crate::engine::Core;

/// How long what was acknowledged as written may stay unsynced, and how soon an idle log is stamped.
const SYNC_AFTER: Duration = Duration::from_millis(5);
const STAMP_AFTER: Duration = Duration::from_millis(200);
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// How soon a job that waits for other threads looks again.
const WORK_PAUSE: Duration = Duration::from_millis(5);
/// The pause between two pieces of the log's next segment, by how many quarters of the current one are used: it leaves the
/// disk to the log. A piece has 64 KiB.
const FILL_PAUSES: [Duration; 4] =
    [Duration::from_millis(4), Duration::from_millis(3), Duration::from_millis(1), Duration::ZERO];
const IDLE: Duration = Duration::from_secs(5);

pub(crate) struct Background {
    core: Arc<Core>,
    threads: Mutex<Vec<Join>>,
    /// The thread that commits: the others may wait for it.
    committer: Mutex<Option<Join>>,
}

impl Background {
    pub(crate) fn start(core: &Arc<Core>) -> Result<Self> {
        let background =
            Background { core: core.clone(), threads: Mutex::default(), committer: Mutex::default() };
        if core.options.background {
            let committer = background.spawn("agentdb-commit", commit)?;
            *background.committer.lock().unwrap_or_else(PoisonError::into_inner) = Some(committer);
            let others = [
                ("agentdb-drain", drain as fn(&Arc<Core>)),
                ("agentdb-merge", merge),
                ("agentdb-maintain", maintain),
                ("agentdb-work", work),
                ("agentdb-index", index),
            ];
            for (name, body) in others {
                let thread = background.spawn(name, body)?;
                background.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            }
        }
        Ok(background)
    }

    fn spawn(&self, name: &str, body: fn(&Arc<Core>)) -> Result<Join> {
        let core = self.core.clone();
        self.core.env.threads.spawn(name, Box::new(move || body(&core)))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.core.stop.store(true, Ordering::Release);
        self.core.drainer.set();
        self.core.merger.set();
        self.core.maintenance.set();
        self.core.worker.set();
        self.core.indexer.set();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            thread.join();
        }
        // Nobody waits for an answer any more.
        self.core.stop_committing.store(true, Ordering::Release);
        self.core.driver.set();
        if let Some(committer) = self.committer.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            committer.join();
        }
        // What was queued without waiting is committed if it can be; nothing comes after.
        if self.core.options.background {
            while matches!(self.core.step(Task::Sequence), Ok(true)) {}
            // A failure has poisoned the handle and answered whoever waits; there is nobody else to tell.
            let _ = self.core.step(Task::Sync).and_then(|_| self.core.step(Task::Stamp));
            if self.core.check_failed().and_then(|()| self.core.check_lock()).is_ok() {
                // What stays is removed at the next opening.
                let _ = self.core.preparer.discard();
            }
        }
        self.core.shut(&Error::new(Code::Closed));
        self.core.release_lock();
    }
}

fn stopped(core: &Core) -> bool {
    core.stop.load(Ordering::Acquire) || core.check_failed().is_err()
}

/// Commits what callers do not commit themselves, syncs what was only written, stamps an idle log.
fn commit(core: &Arc<Core>) {
    let stopped = |core: &Core| core.stop_committing.load(Ordering::Acquire) || core.check_failed().is_err();
    let mut pause = IDLE;
    while !stopped(core) {
        let woken = core.driver.wait(pause);
        let mut worked = false;
        while !stopped(core) && matches!(core.step(Task::Sequence), Ok(true)) {
            worked = true;
        }
        pause = if worked || (woken && pause == IDLE) {
            SYNC_AFTER
        } else if matches!(core.step(Task::Sync), Ok(true)) || pause == SYNC_AFTER {
            STAMP_AFTER
        } else {
            // Errors have poisoned the handle, which ends the loop.
            let _ = core.step(Task::Stamp);
            IDLE
        };
    }
}

fn drain(core: &Arc<Core>) {
    core.env.threads.yield_to_others();
    while !stopped(core) {
        if !matches!(core.step(Task::Drain), Ok(true)) {
            core.drainer.wait(SWEEP_EVERY);
        }
    }
}

fn merge(core: &Arc<Core>) {
    core.env.threads.yield_to_others();
    while !stopped(core) {
        if !matches!(core.step(Task::Merge), Ok(true)) {
            // Draining may have waited for room.
            core.drainer.set();
            core.merger.wait(IDLE);
        }
    }
}

fn maintain(core: &Arc<Core>) {
    while !stopped(core) {
        // Neither failure stops the database: the log makes its own segment, and the next round sweeps again.
        while !stopped(core) && matches!(core.step(Task::PrepareSegment), Ok(true)) {
            let used = usize::from(core.preparer.quarters_used()).min(FILL_PAUSES.len() - 1);
            core.maintenance.wait(FILL_PAUSES[used]);
        }
        core.pins.let_go(core);
        core.rows.free_unread();
        while !stopped(core) && matches!(core.step(Task::Sweep), Ok(true)) {}
        while !stopped(core) && matches!(core.step(Task::Retain), Ok(true)) {}
        while !stopped(core) && matches!(core.step(Task::Collect), Ok(true)) {}
        while !stopped(core) && matches!(core.step(Task::Compact), Ok(true)) {}
        while !stopped(core) && matches!(core.step(Task::Trim), Ok(true)) {}
        // The signal to stop may have been taken by a pause above.
        if !stopped(core) && !core.maintenance.wait(SWEEP_EVERY) {
            core.rows.shrink();
        }
    }
}

fn index(core: &Arc<Core>) {
    core.env.threads.yield_to_others();
    while !stopped(core) {
        // An error is told to whoever reads from the index.
        if !matches!(core.step(Task::Index), Ok(true)) {
            core.indexer.wait(IDLE);
        }
    }
    if core.check_failed().is_ok() {
        core.records.keep(core);
    }
}

fn work(core: &Arc<Core>) {
    while !stopped(core) {
        let pause = match core.step(Task::Work) {
            Ok(true) => continue,
            Ok(false) if core.jobs.is_busy() => WORK_PAUSE,
            // The next round takes the job again, where it stopped.
            Ok(false) | Err(_) => IDLE,
        };
        core.worker.wait(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use agentdb_env::Env;
    use serde_json::json;

    use crate::modules::job::Compact;
    use crate::modules::state::Put;
    use crate::{Engine, NamespaceId, Options, WriteOptions};

    /// A thread that helps may be about to write when the handle is closed: whoever commits for it must outlive it.
    #[test]
    fn closing_waits_for_nobody_who_waits_for_a_commit() {
        let (ended, end) = mpsc::channel();
        let body = move || {
            for _ in 0..40 {
                let dir = tempfile::tempdir().unwrap();
                let open = || Engine::open(&Env::real(), dir.path(), Options::default()).unwrap();
                let engine = open();
                for _ in 0..3 {
                    engine.begin_compaction(&Compact::default()).unwrap();
                }
                drop(engine);
                for n in 0..3 {
                    let engine = open();
                    let put = Put::new("agent", "key", json!(n));
                    engine.write(NamespaceId::DEFAULT, put, WriteOptions::default()).unwrap().wait().unwrap();
                }
            }
            ended.send(()).unwrap();
        };
        let thread = Env::real().threads.spawn("closing", Box::new(body)).unwrap();
        end.recv_timeout(Duration::from_secs(120)).expect("a handle does not close");
        thread.join();
    }
}
