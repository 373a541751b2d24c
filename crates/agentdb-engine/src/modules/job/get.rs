//! `job.get`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, require};
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;

/// Tells how a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The job's number: the LSN at which it was begun.
    pub job: u64,
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "job.get",
        doc: "Tells how a job stands, how far it is, and what came of it.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "job.read",
        resource: &["job"],
        sensitive: &["request", "result"],
        errors: &[Code::JobNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        Ok(Entry::new(self.job, require(snapshot, self.job)?, snapshot.now()))
    }
}
