//! A record as a line of an export.

use std::collections::BTreeMap;

use agentdb_types::{Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::vector::{Given, check_named, store_named, store_vector};
use super::{Entry, Record, content, decode, find, key, learn, replace, schedule, sparse};
use crate::key::Key;
use crate::modules::collection;
use crate::modules::transfer::{Existing, Fate};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Row, SparseVector, numbers};

/// A record of the collection that precedes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordLine {
    /// The collection.
    pub collection: String,
    /// The id.
    pub record: String,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The payload.
    #[serde(default)]
    pub payload: Map<String, Value>,
    /// The vector. Each number is the shortest that is read as the same 32-bit float.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The named vectors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// The sparse vectors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse: BTreeMap<String, SparseVector>,
    /// When the record was first put.
    pub created: Timestamp,
    /// When it was last put.
    pub updated: Timestamp,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of a row of this collection, unless its time to live has passed.
pub(crate) fn export(rows: &dyn Read, collection: &str, key: &Key, row: &Row) -> Result<Option<RecordLine>> {
    let mut parts = key.components();
    parts.u64()?;
    let id = parts.text()?;
    let Some(found) = decode(row, rows.now())? else { return Ok(None) };
    let entry = Entry::new(rows, &collection::find(rows, collection)?, id, found, true)?;
    let Entry { record, text, payload, vector, vectors, sparse, version, created, updated, expires } = entry;
    let (collection, version) = (collection.to_owned(), Some(version));
    Ok(Some(RecordLine {
        collection,
        record,
        text,
        payload,
        vector,
        vectors,
        sparse,
        created,
        updated,
        expires,
        version,
    }))
}

/// Stores the record of a line in the collection that was imported under this number.
pub(crate) fn import(
    tx: &mut Tx<'_>,
    line: &RecordLine,
    number: Option<u64>,
    existing: Existing,
) -> Result<Fate> {
    let content = content(line.text.as_deref(), &line.payload)?;
    let key = key(tx, number.unwrap_or_default(), &line.record)?;
    // It may have been deleted since, or replaced.
    let head = collection::shared_if_any(tx, &line.collection)?.filter(|head| Some(head.number) == number);
    let (Some(mut head), Some(number)) = (head, number) else { return Ok(Fate::Skipped) };
    let vector = Given { vector: line.vector.as_deref(), text: None, encoded: None }.vector_for(&head)?;
    let named = || line.vectors.iter().map(|(name, vector)| (name, &vector[..]));
    check_named(&head, &line.collection, named().map(|(name, vector)| (name, Some(vector))))?;
    let sparse = sparse::of(&head, &line.collection, &line.sparse)?;
    if line.expires.is_some_and(|at| at <= tx.now()) {
        return Ok(Fate::Expired);
    }
    let fate = existing.fate(find(tx, &key)?.is_some(), || {
        format!("the record {:?} of collection {:?}", line.record, line.collection)
    })?;
    if !fate.stores() {
        return Ok(fate);
    }
    learn(tx, &line.collection, &mut head, &line.payload)?;
    numbers::tell(tx, Remains::Collection, number, &line.collection);
    replace(tx, number, key.clone())?;
    let slot = vector.map(|vector| store_vector(tx, number, &line.record, vector)).transpose()?;
    let named = store_named(tx, &head, &line.record, named())?;
    if let Some(expires) = line.expires {
        schedule(tx, &line.collection, &head, &key, expires)?;
    }
    let RecordLine { created, updated, expires, .. } = *line;
    let record = Record { created, updated, expires, slot, named, sparse, text: None, payload: Map::new() };
    tx.put(key, record.encode_with(&content)?)?;
    tx.add(collection::records_counter(tx, number), 1)?;
    Ok(fate)
}
