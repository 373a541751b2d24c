//! `collection.get`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vectors::VectorSettings;
use super::{Head, SparseSettings, TextSettings, Undeclared, counted, find, records_counter};
use crate::Snapshot;
use crate::filter::Fields;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use agentdb_vector::{Dimension, Metric};

/// Tells what a collection is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The name.
    pub collection: String,
}

/// A collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The name.
    pub collection: String,
    /// Components of its vectors; absent if its records have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<Dimension>,
    /// How vectors are compared.
    pub metric: Metric,
    /// The text encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Further vectors of its records, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, VectorSettings>,
    /// Sparse vectors of its records, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse: BTreeMap<String, SparseSettings>,
    /// Types of fields of payloads, declared and learnt, by path.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub fields: Fields,
    /// What becomes of fields that are not declared.
    pub undeclared: Undeclared,
    /// Texts that are searched by words.
    pub texts: BTreeMap<String, TextSettings>,
    /// What it is for.
    pub description: String,
    /// When it was created.
    pub created: Timestamp,
    /// How many records it has; expired ones count until they are swept.
    pub records: u64,
}

impl Entry {
    pub(super) fn new(rows: &dyn Read, collection: String, head: Head) -> Result<Self> {
        let records = counted(rows, &records_counter(rows, head.number))?;
        let Head {
            dimension,
            metric,
            encoder,
            vectors,
            sparse,
            fields,
            undeclared,
            texts,
            description,
            created,
            ..
        } = head;
        let sparse = super::sparse::settings(&sparse);
        let vectors = vectors.into_iter().map(|(name, space)| (name, space.settings())).collect();
        Ok(Entry {
            collection,
            dimension,
            metric,
            encoder,
            vectors,
            sparse,
            fields,
            undeclared,
            texts,
            description,
            created,
            records,
        })
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "collection.get",
        doc: "Tells what a collection is and how many records it has.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "collection.read",
        resource: &["collection"],
        sensitive: &["description"],
        errors: &[Code::CollectionNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        Entry::new(snapshot, self.collection.clone(), find(snapshot, &self.collection)?)
    }
}
