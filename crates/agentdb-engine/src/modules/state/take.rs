//! `state.take`.

use agentdb_types::{Code, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, check_version, find, not_found, row_key};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::tx::Tx;

/// Reads a value and deletes it, so that nobody else gets it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// Whose state: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The key among the owner's: 1 to 512 bytes.
    pub key: String,
    /// The version that the value must have; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

impl Take {
    /// Takes the value of a key, whatever its version.
    pub fn new(owner: impl Into<String>, key: impl Into<String>) -> Self {
        Take { owner: owner.into(), key: key.into(), expected_version: None }
    }
}

impl Request for Take {
    type Response = Entry;
    const ABOUT: About = About {
        name: "state.take",
        doc: "Reads a value and deletes it in one step, so that of several callers one gets it.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner", "key"],
        sensitive: &["value"],
        errors: &[Code::StateNotFound, Code::VersionMismatch],
    };
}

impl WriteRequest for Take {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Entry> {
        let key = row_key(tx, &self.owner, &self.key)?;
        let found = find(tx, &key)?;
        check_version(&self.key, found.as_ref(), self.expected_version)?;
        let state = found.ok_or_else(|| not_found(&self.owner, &self.key))?;
        if !planted::is(Bug::TakenValueStays) {
            tx.delete(key)?;
        }
        Ok(Entry::new(self.key.clone(), state))
    }
}
