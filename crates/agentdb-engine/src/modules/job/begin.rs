//! The requests of whoever does a job: beginning it, taking it over, telling how far it is, ending it. They are in no table:
//! nobody can send them.

use agentdb_types::{Lsn, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::row::{Lease, Status, later};
use super::{Failure, Kind, Stored, find, give_up, schedule, store};
use crate::operation::{About, Request, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::sweep::internal;
use crate::tx::Tx;

/// Begins a job.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Begin {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) request: Value,
}

/// The answer to [`Begin`].
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Begun {
    /// The job's number, and the epoch of the lease that whoever began a caller's job holds.
    pub(crate) job: Lsn,
}

impl Request for Begin {
    type Response = Begun;
    const ABOUT: About = internal("internal.begin_job");
}

impl WriteRequest for Begin {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Begun> {
        let job = tx.lsn().0;
        let lease = (!self.kind.is_engines()).then(|| lease(tx));
        let stored = Stored {
            kind: self.kind,
            namespace: self.namespace.clone(),
            request: self.request.clone(),
            status: Status::Active,
            done: 0,
            total: 0,
            lease,
            result: None,
            failure: None,
            created: tx.now(),
            updated: tx.now(),
            ended: None,
        };
        schedule(tx, job, &stored)?;
        store(tx, job, stored)?;
        Ok(Begun { job: tx.lsn() })
    }
}

fn lease(tx: &Tx<'_>) -> Lease {
    Lease { epoch: tx.lsn(), until: later(tx.now(), limits::JOB_LEASE_US) }
}

/// Takes over one of the engine's jobs that nobody does.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Take {
    pub(super) job: u64,
}

impl Request for Take {
    /// The epoch; `None` if there is nothing to take.
    type Response = Option<Lsn>;
    const ABOUT: About = internal("internal.take_job");
}

impl WriteRequest for Take {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Option<Lsn>> {
        match find(tx, self.job)? {
            Some(mut stored) if stored.status == Status::Active || planted::is(Bug::RestingJobTaken) => {
                stored.status = Status::Active;
                stored.lease = Some(lease(tx));
                store(tx, self.job, stored)?;
                Ok(Some(tx.lsn()))
            }
            _ => Ok(None),
        }
    }
}

/// Tells how far a job is, and renews the lease. The answer is whether the lease counts.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Report {
    pub(super) job: u64,
    pub(super) epoch: Lsn,
    pub(super) done: u64,
    pub(super) total: u64,
}

impl Request for Report {
    type Response = bool;
    const ABOUT: About = internal("internal.report_job");
}

impl WriteRequest for Report {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<bool> {
        let Some(mut stored) = held(tx, self.job, self.epoch)? else { return Ok(false) };
        if stored.ended.is_none() {
            (stored.done, stored.total) = (self.done, self.total);
            stored.lease = Some(Lease { epoch: self.epoch, ..lease(tx) });
            store(tx, self.job, stored)?;
        }
        Ok(true)
    }
}

/// Ends a job, or lets go of it. Nothing happens if someone else holds it by now.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct End {
    pub(super) job: u64,
    pub(super) epoch: Lsn,
    /// How much whoever did it has done.
    pub(super) done: u64,
    pub(super) outcome: Outcome,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum Outcome {
    Done(Value),
    Failed(Failure),
    /// Nobody does it any more, and it has not ended.
    Left,
}

impl Request for End {
    type Response = ();
    const ABOUT: About = internal("internal.end_job");
}

impl WriteRequest for End {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        let Some(mut stored) = held(tx, self.job, self.epoch)? else { return Ok(()) };
        stored.lease = None;
        stored.done = stored.done.max(self.done);
        if stored.ended.is_none() || planted::is(Bug::CancelledJobGoesOn) {
            let (status, ended) = match &self.outcome {
                Outcome::Done(result) => {
                    stored.result = Some(result.clone());
                    stored.done = stored.done.max(stored.total);
                    stored.total = stored.done;
                    (Status::Done, Some(tx.now()))
                }
                Outcome::Failed(failure) => {
                    stored.failure = Some(failure.clone());
                    give_up(tx, stored.kind, self.job)?;
                    (Status::Failed, Some(tx.now()))
                }
                Outcome::Left => (stored.status, None),
            };
            (stored.status, stored.ended) = (status, ended);
        }
        schedule(tx, self.job, &stored)?;
        store(tx, self.job, stored).map(drop)
    }
}

/// The job that this epoch's holder does, if nobody else does it by now.
fn held(tx: &Tx<'_>, job: u64, epoch: Lsn) -> Result<Option<Stored>> {
    Ok(find(tx, job)?.filter(|stored| stored.is_held(epoch)))
}
