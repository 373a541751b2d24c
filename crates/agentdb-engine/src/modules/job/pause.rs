//! `job.pause`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::Status;
use super::{Entry, require_unended, set_status};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Lets a job rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The job's number: the LSN at which it was begun.
    pub job: u64,
}

impl Request for Pause {
    type Response = Entry;
    const ABOUT: About = About {
        name: "job.pause",
        doc: "Lets a job rest until `job.resume`: whoever does it stops before the next step. A job that rests already stays so.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "job.manage",
        resource: &["job"],
        sensitive: &["request", "result"],
        errors: &[Code::JobNotFound, Code::JobEnded],
    };
}

impl WriteRequest for Pause {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Entry> {
        let stored = require_unended(tx, self.job)?;
        set_status(tx, self.job, stored, Status::Paused)
    }
}
