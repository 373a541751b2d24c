//! `tool_call.delete`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Place;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Forgets a call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Whose call.
    pub owner: String,
    /// The key among the owner's calls.
    pub key: String,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was a call.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "tool_call.delete",
        doc: "Forgets a tool call whose outcome is known; it is no error if there is none. Whoever claims the key afterwards runs the tool. A call that is claimed or unknown is not deleted: its side effect would be forgotten with it.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "tool_call.write",
        resource: &["owner", "key"],
        sensitive: &[],
        errors: &[Code::ToolCallRunning, Code::ToolCallUnknown],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        let place = Place::new(&self.owner, &self.key)?;
        // One that is kept no more is absent already; its row is the sweeper's.
        let Some(call) = place.find(tx)? else { return Ok(Deleted { deleted: false }) };
        place.check_forgettable(tx, &call)?;
        place.remove(tx, &call).map(|()| Deleted { deleted: true })
    }
}
