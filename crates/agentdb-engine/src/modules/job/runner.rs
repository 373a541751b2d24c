//! Doing the engine's own jobs: one at a time, step by step.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_types::{Code, Error, ErrorKind, Lsn, Result, Timestamp};
use serde_json::Value;

use super::begin::{End, Outcome, Report, Take};
use super::compact::Compaction;
use super::journal::REPORT_EVERY_US;
use super::row::Status;
use super::{Failure, Kind, Stored, find};
use crate::engine::Core;
use crate::key::{Key, NamespaceId};
use crate::modules::namespace::Forking;
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::{Table, row_json};

/// The engine's jobs, as this handle does them.
#[derive(Default)]
pub(crate) struct Jobs {
    /// The batch that changed a job last.
    changed: AtomicU64,
    /// One more than the LSN at which no job waited.
    looked: AtomicU64,
    working: AtomicBool,
    running: Mutex<Option<Running>>,
}

impl Jobs {
    /// Learns of a row that was put; tells whether it is a job's.
    pub(crate) fn note(&self, key: &[u8], lsn: Lsn) -> bool {
        let is_job = Key::table_of(key) == Some(Table::Job as u8);
        if is_job {
            self.changed.fetch_max(lsn.0, Ordering::AcqRel);
        }
        is_job
    }

    /// Whether a job may wait that nobody has looked at.
    fn may_wait(&self) -> bool {
        self.looked.load(Ordering::Acquire) <= self.changed.load(Ordering::Acquire)
    }

    /// Whether there is something to do soon.
    pub(crate) fn is_busy(&self) -> bool {
        self.working.load(Ordering::Acquire) || self.may_wait()
    }
}

/// The job under way.
struct Running {
    job: u64,
    epoch: Lsn,
    work: Work,
    reported: Timestamp,
}

/// What a job does, by its kind.
enum Work {
    Compaction(Compaction),
    Forking(Forking),
}

/// What a step of a job did.
pub(crate) enum Step {
    /// It waits for other threads, which do the work.
    Waiting,
    /// A piece of the work.
    Worked,
    /// The last piece; this came of it.
    Done(Value),
    /// It cannot be done.
    Failed(Error),
}

impl Work {
    fn begin(core: &Arc<Core>, job: u64, stored: &Stored) -> Result<Work> {
        match stored.kind {
            Kind::Compact => Compaction::begin(core, &stored.request).map(Work::Compaction),
            Kind::Fork => Forking::begin(core, job, &stored.request).map(Work::Forking),
            Kind::Backup | Kind::Export | Kind::Import | Kind::Load | Kind::Archive | Kind::Verify => {
                Err(Error::new(Code::RowsCorrupt).with("reason", "a caller's job as one of the engine's"))
            }
        }
    }

    fn step(&mut self, core: &Arc<Core>) -> Result<Step> {
        match self {
            Work::Compaction(work) => work.step(core),
            Work::Forking(work) => work.step(core),
        }
    }

    /// How much is done, and how much there is to do.
    fn progress(&self, core: &Core) -> (u64, u64) {
        match self {
            Work::Compaction(work) => work.progress(core),
            Work::Forking(work) => work.progress(),
        }
    }

    /// It was paused, cancelled, or lost.
    fn withdraw(self, core: &Core) {
        match self {
            Work::Compaction(_) => Compaction::withdraw(core),
            // What gave it up took its rows along.
            Work::Forking(_) => {}
        }
    }
}

/// Does a piece of a job; returns whether it did anything.
pub(crate) fn step(core: &Arc<Core>) -> Result<bool> {
    let mut running = core.jobs.running.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(current) = running.as_mut() else {
        if !core.jobs.may_wait() {
            return Ok(false);
        }
        *running = take(core)?;
        core.jobs.working.store(running.is_some(), Ordering::Release);
        return Ok(running.is_some());
    };
    let went = current.step(core);
    match went {
        Ok(Goes::On) => return Ok(true),
        Ok(Goes::Idle) => return Ok(false),
        Ok(Goes::Away) | Err(_) => {}
    }
    if let Some(last) = running.take() {
        core.jobs.working.store(false, Ordering::Release);
        last.work.withdraw(core);
    }
    went.map(|_| true)
}

/// What becomes of a job after a step.
enum Goes {
    /// There is more to do.
    On,
    /// There is more to do once other threads have done theirs.
    Idle,
    /// It has ended, or is somebody else's.
    Away,
}

impl Running {
    fn step(&mut self, core: &Arc<Core>) -> Result<Goes> {
        let stored = find(&core.snapshot(NamespaceId::SYSTEM)?, self.job)?;
        let goes_on = |status| status == Status::Active || planted::is(Bug::CancelledJobGoesOn);
        if !stored.is_some_and(|stored| goes_on(stored.status) && stored.is_held(self.epoch)) {
            return Ok(Goes::Away);
        }
        let goes = match self.work.step(core) {
            Ok(Step::Waiting) => Goes::Idle,
            Ok(Step::Worked) => Goes::On,
            Ok(Step::Done(result)) => {
                self.report(core)?;
                self.end(core, Outcome::Done(result))?;
                return Ok(Goes::Away);
            }
            Ok(Step::Failed(err)) => {
                self.end(core, Outcome::Failed(Failure::of(&err)))?;
                return Ok(Goes::Away);
            }
            // It is the handle that has stopped; the next one goes on.
            Err(err) if core.check_failed().is_err() || err.code().kind() == ErrorKind::Unavailable => {
                return Err(err);
            }
            Err(err) if err.code().kind() == ErrorKind::Busy => Goes::Idle,
            Err(err) => {
                self.end(core, Outcome::Failed(Failure::of(&err)))?;
                return Ok(Goes::Away);
            }
        };
        let now = core.clock.read();
        if now.micros() - self.reported.micros() >= REPORT_EVERY_US {
            self.reported = now;
            self.report(core)?;
        }
        Ok(goes)
    }

    fn report(&self, core: &Arc<Core>) -> Result<()> {
        let (done, total) = self.work.progress(core);
        let report = Report { job: self.job, epoch: self.epoch, done, total };
        core.decide_internal(NamespaceId::SYSTEM, report).map(drop)
    }

    fn end(&self, core: &Arc<Core>, outcome: Outcome) -> Result<()> {
        let end = End { job: self.job, epoch: self.epoch, done: 0, outcome };
        core.decide_internal(NamespaceId::SYSTEM, end)
    }
}

/// Takes the first job that waits. Whoever held one of the engine's jobs before is gone: the directory has one owner, and this
/// handle does one job at a time.
fn take(core: &Arc<Core>) -> Result<Option<Running>> {
    let system = core.snapshot(NamespaceId::SYSTEM)?;
    let mut waiting = Vec::new();
    system.scan_prefix(&system.key(Table::Job), Page::Forward, &mut |key, row| {
        let stored: Stored = row_json::decode(&row)?;
        let waits = stored.status == Status::Active
            || stored.status == Status::Paused && planted::is(Bug::RestingJobTaken);
        if stored.kind.is_engines() && waits {
            waiting.push((key.components().u64()?, stored));
        }
        Ok(waiting.is_empty())
    })?;
    let Some((job, stored)) = waiting.pop() else {
        core.jobs.looked.store(system.lsn().0 + 1, Ordering::Release);
        return Ok(None);
    };
    let taken = core.decide_internal(NamespaceId::SYSTEM, Take { job })?;
    let Some(epoch) = taken else { return Ok(None) };
    match Work::begin(core, job, &stored) {
        Ok(work) => Ok(Some(Running { job, epoch, work, reported: core.clock.read() })),
        Err(err) => {
            let outcome = Outcome::Failed(Failure::of(&err));
            core.decide_internal(NamespaceId::SYSTEM, End { job, epoch, done: 0, outcome })?;
            Ok(None)
        }
    }
}
