//! `job.resume`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::Status;
use super::{Entry, require_unended, set_status};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Lets a job go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The job's number: the LSN at which it was begun.
    pub job: u64,
}

impl Request for Resume {
    type Response = Entry;
    const ABOUT: About = About {
        name: "job.resume",
        doc: "Lets a job that rests go on, after a restart, too, if it is the engine’s own. One that does not rest stays as it is.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "job.manage",
        resource: &["job"],
        sensitive: &["request", "result"],
        errors: &[Code::JobNotFound, Code::JobEnded],
    };
}

impl WriteRequest for Resume {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Entry> {
        let stored = require_unended(tx, self.job)?;
        set_status(tx, self.job, stored, Status::Active)
    }
}
