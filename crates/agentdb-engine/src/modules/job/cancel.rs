//! `job.cancel`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::Status;
use super::{Entry, give_up, require, require_unended, schedule, store};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::tx::Tx;

/// Gives a job up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The job's number: the LSN at which it was begun.
    pub job: u64,
}

impl Request for Cancel {
    type Response = Entry;
    const ABOUT: About = About {
        name: "job.cancel",
        doc: "Gives a job up: whoever does it stops before the next step, and an import keeps what it has brought by then. A job that was cancelled already stays so.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "job.manage",
        resource: &["job"],
        sensitive: &["request", "result"],
        errors: &[Code::JobNotFound, Code::JobEnded],
    };
}

impl WriteRequest for Cancel {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Entry> {
        let mut stored = require(tx, self.job)?;
        if stored.status != Status::Cancelled {
            stored = require_unended(tx, self.job)?;
            stored.status = Status::Cancelled;
            stored.ended = Some(tx.now());
            give_up(tx, stored.kind, self.job)?;
            schedule(tx, self.job, &stored)?;
            return store(tx, self.job, stored);
        }
        Ok(Entry::new(self.job, stored, tx.now()))
    }
}
