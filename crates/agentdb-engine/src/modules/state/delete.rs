//! `state.delete`.

use agentdb_types::{Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_version, find_head, row_key};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Deletes a value.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Whose state: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The key among the owner's: 1 to 512 bytes.
    pub key: String,
    /// The version that the value must have, 0 for absent; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was a value.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "state.delete",
        doc: "Deletes a value; it is no error if there is none.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner", "key"],
        sensitive: &[],
        errors: &[agentdb_types::Code::VersionMismatch],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        let key = row_key(tx, &self.owner, &self.key)?;
        let before = find_head(tx, &key)?;
        check_version(&self.key, before.as_ref(), self.expected_version)?;
        // A value that has expired is absent already; its row is the sweeper's.
        if before.is_some() {
            tx.delete(key)?;
        }
        Ok(Deleted { deleted: before.is_some() })
    }
}
