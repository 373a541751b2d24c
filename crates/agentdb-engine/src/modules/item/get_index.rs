//! `item.get_index`.

use agentdb_types::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::index::{Settings, find};
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Asks how the items of the namespace are found by vectors and texts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetIndex {}

/// The answer to [`GetIndex`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Indexed {
    /// The settings; absent without an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Settings>,
}

impl Request for GetIndex {
    type Response = Indexed;
    const ABOUT: About = About {
        name: "item.get_index",
        doc: "Tells how the items of the namespace are found by vectors and texts, if they are.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "item.read",
        resource: &[],
        sensitive: &[],
        errors: &[],
    };
}

impl ReadRequest for GetIndex {
    fn read(&self, snapshot: &Snapshot) -> Result<Indexed> {
        Ok(Indexed { index: find(snapshot)? })
    }
}
