//! A caller's job, from the side of whoever does it.

use std::sync::Arc;

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use serde_json::Value;

use super::begin::{Begun, End, Outcome, Report};
use super::row::Status;
use super::{Begin, Failure, Kind, find};
use crate::engine::Core;
use crate::key::NamespaceId;

/// How often it is written down how far a job is.
pub(super) const REPORT_EVERY_US: i64 = 1_000_000;

/// What is wanted of whoever does a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    GoOn,
    /// To rest, and to ask again.
    Rest,
}

/// The row of a job that a caller does. Dropping it leaves the job interrupted.
pub(crate) struct Journal {
    core: Arc<Core>,
    job: u64,
    epoch: Lsn,
    reported: Timestamp,
    ended: bool,
}

impl Journal {
    pub(crate) fn begin(
        core: &Arc<Core>,
        kind: Kind,
        namespace: Option<&str>,
        request: Value,
    ) -> Result<Journal> {
        let begin = Begin { kind, namespace: namespace.map(str::to_owned), request };
        let Begun { job } = core.decide_internal(NamespaceId::SYSTEM, begin)?;
        Ok(Journal { core: core.clone(), job: job.0, epoch: job, reported: core.clock.read(), ended: false })
    }

    /// Tells how far the job is, now and then, and asks what is wanted.
    ///
    /// # Errors
    /// [`Code::JobCancelled`].
    pub(crate) fn report(&mut self, done: u64, total: u64) -> Result<Control> {
        let now = self.core.clock.read();
        if now.micros() - self.reported.micros() >= REPORT_EVERY_US {
            self.reported = now;
            let report = Report { job: self.job, epoch: self.epoch, done, total };
            self.core.decide_internal(NamespaceId::SYSTEM, report)?;
        }
        let stored = find(&self.core.snapshot(NamespaceId::SYSTEM)?, self.job)?;
        match stored.map(|stored| stored.status) {
            Some(Status::Active) => Ok(Control::GoOn),
            Some(Status::Paused) => Ok(Control::Rest),
            _ => Err(Error::new(Code::JobCancelled).with("job", self.job)),
        }
    }

    /// Ends the job: with its result, or with what stopped it.
    pub(crate) fn end(mut self, outcome: std::result::Result<Value, &Error>) -> Result<()> {
        self.ended = true;
        let outcome = match outcome {
            Ok(result) => Outcome::Done(result),
            Err(err) => Outcome::Failed(Failure::of(err)),
        };
        self.leave(outcome)
    }

    fn leave(&self, outcome: Outcome) -> Result<()> {
        let end = End { job: self.job, epoch: self.epoch, outcome };
        self.core.decide_internal(NamespaceId::SYSTEM, end)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.ended {
            // A lease that stays ends by itself.
            let _ = self.leave(Outcome::Left);
        }
    }
}
