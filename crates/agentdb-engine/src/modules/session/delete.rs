//! `session.delete`.

use agentdb_types::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{find, remove};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Deletes a session with its messages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The session's id.
    pub session: String,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was such a session.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "session.delete",
        doc: "Deletes a session with its messages, however many, at once; it is no error if there is none. The rows are deleted in the background.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "session.write",
        resource: &["session"],
        sensitive: &[],
        errors: &[],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        // One that has expired is the sweeper's.
        let found = find(tx, &self.session)?;
        if let Some(found) = &found {
            remove(tx, &self.session, found)?;
        }
        Ok(Deleted { deleted: found.is_some() })
    }
}
