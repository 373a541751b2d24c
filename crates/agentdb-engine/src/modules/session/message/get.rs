//! `message.get`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Body, not_found, require};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::{Row, Snapshot, row_json};

/// Reads a message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The session's id.
    pub session: String,
    /// The message's id.
    pub message: String,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The message's id.
    pub message: String,
    /// Its place in the session.
    pub sequence: u64,
    /// Who speaks.
    pub role: String,
    /// The speaker's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is said.
    pub content: Value,
    /// What is kept with it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When it was appended.
    pub created: Timestamp,
    /// Its version.
    pub version: Lsn,
}

impl Entry {
    pub(super) fn new(sequence: u64, row: &Row) -> Result<Self> {
        let Body { message, role, name, content, metadata, created } = row_json::decode(row)?;
        Ok(Entry { message, sequence, role, name, content, metadata, created, version: row.lsn })
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "message.get",
        doc: "Reads a message of a session by its id.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "message.read",
        resource: &["session", "message"],
        sensitive: &["content", "name", "metadata"],
        errors: &[Code::SessionNotFound, Code::MessageNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        let layers = require(snapshot, &self.session)?.layers(snapshot)?;
        let missing = || not_found(&self.session, &self.message);
        let sequence = layers.sequence_of(snapshot, &self.message)?.ok_or_else(missing)?;
        let row = layers.get(snapshot, sequence)?.ok_or_else(missing)?;
        Entry::new(sequence, &row)
    }
}
