//! `message.delete`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::require;
use super::rows::delete_id;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Deletes a message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The session's id.
    pub session: String,
    /// The message's id.
    pub message: String,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was such a message.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "message.delete",
        doc: "Deletes a message of a session; it is no error if there is none. The others keep their sequence numbers.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "message.write",
        resource: &["session", "message"],
        sensitive: &[],
        errors: &[Code::SessionNotFound],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        let mut found = require(tx, &self.session)?;
        let Some(sequence) = found.layers(tx)?.sequence_of(tx, &self.message)? else {
            return Ok(Deleted { deleted: false });
        };
        delete_id(tx, (&self.session, &mut found), sequence, &self.message)?;
        found.tally.messages -= 1;
        found.tally.touch(tx, found.head.number)?;
        Ok(Deleted { deleted: true })
    }
}
