//! `record.get`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Record, find, key, not_found, vector};
use crate::Snapshot;
use crate::modules::collection;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;

/// Reads a record.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The collection.
    pub collection: String,
    /// The id.
    pub record: String,
    /// Whether to give back the vector.
    #[serde(default)]
    pub include_vector: bool,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The id.
    pub record: String,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The payload.
    pub payload: Map<String, Value>,
    /// The vector as it was given, components rounded to 32-bit floats, if it was asked for and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The version, which grows with every put.
    pub version: Lsn,
    /// When the record was first put.
    pub created: Timestamp,
    /// When it was last put.
    pub updated: Timestamp,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Entry {
    pub(super) fn new(
        rows: &dyn Read,
        number: u64,
        id: String,
        (version, record): (Lsn, Record),
        include_vector: bool,
    ) -> Result<Self> {
        let Record { created, updated, expires, slot, text, payload } = record;
        let vector = if include_vector { vector(rows, number, slot)?.map(|row| row.vector) } else { None };
        Ok(Entry { record: id, text, payload, vector, version, created, updated, expires })
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "record.get",
        doc: "Reads a record.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection", "record"],
        sensitive: &["text", "payload", "vector"],
        errors: &[Code::CollectionNotFound, Code::RecordNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        let number = collection::find(snapshot, &self.collection)?.number;
        let found = find(snapshot, &key(snapshot, number, &self.record)?)?;
        let found = found.ok_or_else(|| not_found(&self.collection, &self.record))?;
        Entry::new(snapshot, number, self.record.clone(), found, self.include_vector)
    }
}
