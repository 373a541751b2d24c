//! `item.delete`.

use agentdb_types::{Code, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::path::key_of;
use super::{check_version, find, remove};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Deletes an item; no error if there is none.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The path.
    pub path: Vec<String>,
    /// The key under the path.
    pub key: String,
    /// The version that the item must have, 0 for absent; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was an item.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "item.delete",
        doc: "Deletes an item with its vectors; no error if there is none. A path without items is no longer listed.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "item.write",
        resource: &["path", "key"],
        sensitive: &[],
        errors: &[Code::VersionMismatch, Code::PathLength],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        let key = key_of(tx, &self.path, &self.key)?;
        let before = find(tx, &key)?;
        check_version(&self.key, before.as_ref(), self.expected_version)?;
        // One that has expired is gone already, and left to the sweeper.
        if before.is_some() {
            remove(tx, &key)?;
        }
        Ok(Deleted { deleted: before.is_some() })
    }

    fn weight(&self) -> usize {
        256 + self.path.iter().map(|segment| 32 + segment.len()).sum::<usize>()
    }
}
