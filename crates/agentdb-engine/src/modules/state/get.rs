//! `state.get`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{State, find, not_found, row_key};
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Reads a value.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// Whose state: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The key among the owner's: 1 to 512 bytes.
    pub key: String,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// Its version, which grows with every change.
    pub version: Lsn,
    /// When the key was first put.
    pub created: Timestamp,
    /// When the value was last changed.
    pub updated: Timestamp,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Entry {
    pub(super) fn new(key: String, state: State) -> Self {
        let State { version, created, updated, expires, value } = state;
        Entry { key, value, version, created, updated, expires }
    }
}

impl Get {
    /// A read of one key.
    pub fn new(owner: impl Into<String>, key: impl Into<String>) -> Self {
        Get { owner: owner.into(), key: key.into() }
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "state.get",
        doc: "Reads a value with its version and times.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "state.read",
        resource: &["owner", "key"],
        sensitive: &["value"],
        errors: &[Code::StateNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        let key = row_key(snapshot, &self.owner, &self.key)?;
        let state = find(snapshot, &key)?.ok_or_else(|| not_found(&self.owner, &self.key))?;
        Ok(Entry::new(self.key.clone(), state))
    }
}
