//! `thread.delete`.

use agentdb_types::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remove;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Deletes a thread with its checkpoints and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The thread.
    pub thread: String,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was such a thread.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "thread.delete",
        doc: "Deletes a thread with its checkpoints and writes, however many, at once; it is no error if there is none. The rows are deleted in the background.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "checkpoint.write",
        resource: &["thread"],
        sensitive: &[],
        errors: &[],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        remove(tx, &self.thread).map(|deleted| Deleted { deleted })
    }
}
