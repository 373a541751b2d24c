//! Beginning one of the engine's jobs, and waiting for it.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use agentdb_types::{Code, Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Begin, Compact, Entry, Get, Kind, State};
use crate::Engine;
use crate::key::NamespaceId;
use crate::modules::namespace::{BeginFork, Fork};
use crate::operation::{ReadRequest, encode_json};
use crate::signal::Signal;

/// How often a job is looked at if nothing wakes whoever waits: a lease that ends changes no row.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Engine {
    /// Begins a compaction; returns the number of its job.
    ///
    /// # Errors
    /// Those of a write.
    pub fn begin_compaction(&self, request: &Compact) -> Result<u64> {
        self.begin_job(Kind::Compact, None, encode_json(request)?)
    }

    /// Begins a fork of a namespace; returns the number of its job.
    ///
    /// # Errors
    /// [`Code::NamespaceNotFound`], [`Code::NamespaceExists`], [`Code::ForkRunning`], [`Code::InvalidName`]; those of a write.
    pub fn begin_fork(&self, request: &Fork) -> Result<u64> {
        self.core.check_room()?;
        let begun = self.core.decide_internal(NamespaceId::SYSTEM, BeginFork(request.clone()))?;
        Ok(begun.job.0)
    }

    fn begin_job(&self, kind: Kind, namespace: Option<String>, request: Value) -> Result<u64> {
        self.core.check_room()?;
        let begun = self.core.decide_internal(NamespaceId::SYSTEM, Begin { kind, namespace, request })?;
        Ok(begun.job.0)
    }

    /// How a job stands.
    ///
    /// # Errors
    /// [`Code::JobNotFound`].
    pub fn job(&self, job: u64) -> Result<Entry> {
        Get { job }.read(&self.core.snapshot(NamespaceId::SYSTEM)?)
    }

    /// Waits until a job has ended; `progress` hears of it whenever its row changes. A job that rests is waited for.
    ///
    /// # Errors
    /// [`Code::JobNotFound`]; [`Code::JobFailed`], [`Code::JobCancelled`]; [`Code::Closed`], [`Code::Poisoned`].
    pub fn wait_for_job<T: DeserializeOwned>(&self, job: u64, progress: &mut dyn FnMut(&Entry)) -> Result<T> {
        let signal = Arc::new(Signal::default());
        let (watchers, waker) = (&self.core.watchers, Waker::from(signal.clone()));
        let id = watchers.id();
        let ended = loop {
            watchers.wait(id, &waker);
            let looked = self.core.check_failed().and_then(|()| self.job(job));
            let entry = match looked {
                Ok(entry) if entry.ended.is_none() => entry,
                ended => break ended,
            };
            progress(&entry);
            signal.wait(LOOK_EVERY);
        };
        watchers.forget(id);
        result_of(job, ended?)
    }
}

fn result_of<T: DeserializeOwned>(job: u64, entry: Entry) -> Result<T> {
    if let Some(failure) = entry.failure {
        return Err(failure.error(job));
    }
    if entry.state == State::Cancelled {
        return Err(Error::new(Code::JobCancelled).with("job", job));
    }
    serde_json::from_value(entry.result.unwrap_or_default())
        .map_err(|err| Error::new(Code::RowsCorrupt).with("reason", err))
}
