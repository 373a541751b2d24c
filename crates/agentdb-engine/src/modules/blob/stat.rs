//! `blob.stat`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::row::BlobRow;
use super::{not_found, row_key};
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;

/// Tells what is known of a blob, without its bytes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stat {
    /// The address: 64 lowercase hexadecimal digits.
    pub blob: String,
}

/// What is known of a blob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The address: the BLAKE3 hash of the bytes, 64 lowercase hexadecimal digits.
    pub blob: String,
    /// How many bytes.
    pub bytes: u64,
    /// What the bytes are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is kept with it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When it was stored.
    pub created: Timestamp,
    /// The version of what is known.
    pub version: Lsn,
}

impl Entry {
    pub(super) fn new(blob: String, row: BlobRow, version: Lsn) -> Self {
        let head = row.head;
        Entry {
            blob,
            bytes: head.bytes,
            media_type: head.media_type,
            name: head.name,
            metadata: head.metadata,
            created: head.created,
            version,
        }
    }
}

impl Request for Stat {
    type Response = Entry;
    const ABOUT: About = About {
        name: "blob.stat",
        doc: "Tells what is known of a blob, without its bytes.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "blob.read",
        resource: &["blob"],
        sensitive: &["media_type", "name", "metadata"],
        errors: &[Code::BlobNotFound, Code::InvalidValue],
    };
}

impl ReadRequest for Stat {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        let row = snapshot.get(&row_key(snapshot, &self.blob)?)?.ok_or_else(|| not_found(&self.blob))?;
        Ok(Entry::new(self.blob.clone(), BlobRow::decode(&row.body)?, row.lsn))
    }
}
