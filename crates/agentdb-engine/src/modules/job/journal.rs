//! A caller's job, from the side of whoever does it.

use std::sync::Arc;
use std::time::Duration;

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::begin::{Begun, End, Outcome, Report};
use super::row::Status;
use super::{Begin, Failure, Kind, find};
use crate::Engine;
use crate::engine::Core;
use crate::key::NamespaceId;
use crate::modules::namespace;
use crate::operation::encode_json;
use crate::signal::Signal;

/// How often it is written down how far a job is.
pub(super) const REPORT_EVERY_US: i64 = 1_000_000;

/// How soon a job that rests asks again.
const REST: Duration = Duration::from_millis(100);

/// What is wanted of whoever does a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    GoOn,
    /// To rest, and to ask again.
    Rest,
}

/// The row of a job that a caller does. Dropping it leaves the job interrupted.
pub struct Journal {
    core: Arc<Core>,
    job: u64,
    epoch: Lsn,
    reported: Timestamp,
    /// How much is done.
    done: u64,
    ended: bool,
}

impl Engine {
    /// Does a caller's job: its row tells how far it is, and what came of it.
    ///
    /// # Errors
    /// Those of the work and of a write; [`Code::JobCancelled`].
    pub fn journaled<T: Serialize>(
        &self,
        kind: Kind,
        namespace: Option<NamespaceId>,
        request: &impl Serialize,
        work: impl FnOnce(&mut Journal) -> Result<T>,
    ) -> Result<T> {
        let system = self.snapshot(NamespaceId::SYSTEM)?;
        let named = namespace.map(|number| namespace::entry(&system, number)).transpose()?;
        let name = named.as_ref().map(|entry| entry.name.as_str());
        let mut journal = Journal::begin(&self.core, kind, name, encode_json(request)?)?;
        let done = work(&mut journal);
        let told = journal.ends(&done);
        // It is what stopped the work that is told, whether or not it can be written down.
        let result = done?;
        told.map(|()| result)
    }
}

impl Journal {
    /// A job that concerns the whole database.
    pub(crate) fn of_request(core: &Arc<Core>, kind: Kind, request: &impl Serialize) -> Result<Journal> {
        Journal::begin(core, kind, None, encode_json(request)?)
    }

    /// Ends the job with what came of it.
    pub(crate) fn ends<T: Serialize>(self, done: &Result<T>) -> Result<()> {
        match done {
            Ok(result) => {
                let result = encode_json(result)?;
                self.end(Ok(result))
            }
            Err(err) => self.end(Err(err)),
        }
    }

    pub(super) fn begin(
        core: &Arc<Core>,
        kind: Kind,
        namespace: Option<&str>,
        request: Value,
    ) -> Result<Journal> {
        let begin = Begin { kind, namespace: namespace.map(str::to_owned), request };
        let Begun { job } = core.decide_internal(NamespaceId::SYSTEM, begin)?;
        let reported = core.clock.read();
        Ok(Journal { core: core.clone(), job: job.0, epoch: job, reported, done: 0, ended: false })
    }

    /// Tells how far the job is, now and then, and asks what is wanted.
    ///
    /// # Errors
    /// [`Code::JobCancelled`].
    pub(super) fn report(&mut self, done: u64, total: u64) -> Result<Control> {
        self.has_done(done);
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

    /// Notes how far the job is, for when it ends.
    pub fn has_done(&mut self, done: u64) {
        self.done = done;
    }

    /// Tells how far the job is, in bytes, and waits as long as it is to rest; `keep` is called now and then meanwhile.
    ///
    /// # Errors
    /// [`Code::JobCancelled`]; those of `keep` and of a write.
    pub fn go_on(&mut self, done: u64, total: u64, keep: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        while self.report(done, total)? == Control::Rest {
            keep()?;
            Signal::default().wait(REST);
        }
        Ok(())
    }

    /// Ends the job: with its result, or with what stopped it.
    pub(super) fn end(mut self, outcome: std::result::Result<Value, &Error>) -> Result<()> {
        self.ended = true;
        let outcome = match outcome {
            Ok(result) => Outcome::Done(result),
            Err(err) => Outcome::Failed(Failure::of(err)),
        };
        self.leave(outcome)
    }

    fn leave(&self, outcome: Outcome) -> Result<()> {
        let end = End { job: self.job, epoch: self.epoch, done: self.done, outcome };
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
