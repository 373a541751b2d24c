//! `thread.copy`.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::rows;
use super::super::rows::not_found;
use super::{create, find};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Copies a thread with its checkpoints and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// The thread to copy.
    pub thread: String,
    /// The copy, which must not exist: 1 to 512 bytes.
    pub to: String,
    /// The last checkpoint of the copy: those of every part whose ids come behind it are left out, but for what delta channels
    /// of others add up from. All of them if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// The answer to [`Copy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Copied {
    /// How many checkpoints the copy has.
    pub checkpoints: u64,
}

impl Request for Copy {
    type Response = Copied;
    const ABOUT: About = About {
        name: "thread.copy",
        doc: "Copies a thread with its checkpoints and writes, all or those up to one, in one batch; the values of channels are shared. From then on the two are apart.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "checkpoint.write",
        resource: &["thread", "to"],
        sensitive: &[],
        errors: &[Code::ThreadNotFound, Code::ThreadExists, Code::CheckpointNotFound, Code::BatchTooLarge],
    };
}

impl WriteRequest for Copy {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Copied> {
        let from = find(tx, &self.thread)?
            .ok_or_else(|| Error::new(Code::ThreadNotFound).with("thread", &self.thread))?;
        if find(tx, &self.to)?.is_some() {
            return Err(Error::new(Code::ThreadExists).with("thread", &self.to));
        }
        let selected = match &self.at {
            None => rows::Selection::All,
            Some(at) => rows::Selection::up_to(tx, from.number, at)?
                .ok_or_else(|| not_found(&self.thread, "(any)", Some(at)))?,
        };
        let to = create(tx, &self.to, Some(from.root))?;
        let checkpoints = rows::copy(tx, &from, to.number, &selected)? as u64;
        Ok(Copied { checkpoints })
    }
}
