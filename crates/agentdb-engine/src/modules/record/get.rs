//! `record.get`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Record, find, key, named_vectors, not_found, sparse, vector};
use crate::modules::collection::{self, Head};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, SparseVector};

/// Reads a record.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The collection.
    pub collection: String,
    /// The id.
    pub record: String,
    /// Whether to give back the vectors.
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
    /// The named vectors, if they were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// The sparse vectors, if vectors were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse: BTreeMap<String, SparseVector>,
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
        head: &Head,
        id: String,
        (version, record): (Lsn, Record),
        include_vector: bool,
    ) -> Result<Self> {
        let (mut own, mut vectors, mut shown) = (None, BTreeMap::new(), BTreeMap::new());
        if include_vector {
            own = vector(rows, head.number, record.slot)?.map(|row| row.vector);
            vectors = named_vectors(rows, head, &record)?;
            shown = sparse::shown(head, &record);
        }
        let Record { created, updated, expires, text, payload, .. } = record;
        Ok(Entry {
            record: id,
            text,
            payload,
            vector: own,
            vectors,
            sparse: shown,
            version,
            created,
            updated,
            expires,
        })
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
        sensitive: &["text", "payload", "vector", "vectors", "sparse"],
        errors: &[Code::CollectionNotFound, Code::RecordNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        let head = collection::find(snapshot, &self.collection)?;
        let found = find(snapshot, &key(snapshot, head.number, &self.record)?)?;
        let found = found.ok_or_else(|| not_found(&self.collection, &self.record))?;
        Entry::new(snapshot, &head, self.record.clone(), found, self.include_vector)
    }
}
