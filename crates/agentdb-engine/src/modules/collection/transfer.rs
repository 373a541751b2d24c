//! A collection as a line of an export.

use std::collections::BTreeMap;

use agentdb_types::{Id, Lsn, Result, Timestamp};
use agentdb_vector::{Dimension, Metric};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delete::remove;
use super::vectors::{self, VectorSettings};
use super::{Entry, Head, SparseSettings, TextSettings, Undeclared, key, schema, sparse, texts};
use crate::filter::Fields;
use crate::key::Key;
use crate::modules::check_inline;
use crate::modules::transfer::{Existing, Fate, unfit};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Row, numbers, row_json};

/// A collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionLine {
    /// The name.
    pub collection: String,
    /// Components of its vectors; absent if its records have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<usize>,
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
    #[serde(default)]
    pub undeclared: Undeclared,
    /// Texts that are searched by words.
    #[serde(default = "texts::unsaid")]
    pub texts: BTreeMap<String, TextSettings>,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// When it was created.
    pub created: Timestamp,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of a row, and the number of its records.
pub(crate) fn export(rows: &dyn Read, key: &Key, row: &Row) -> Result<(CollectionLine, u64)> {
    let head: Head = row_json::decode(row)?;
    let number = head.number;
    let Entry {
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
        ..
    } = Entry::new(rows, key.components().text()?, head)?;
    let line = CollectionLine {
        collection,
        dimension: dimension.map(Dimension::get),
        metric,
        encoder,
        vectors,
        sparse,
        fields,
        undeclared,
        texts,
        description,
        created,
        version: Some(row.lsn),
    };
    Ok((line, number))
}

/// Stores the collection of a line, without records; tells its number if it did.
pub(crate) fn import(
    tx: &mut Tx<'_>,
    line: &CollectionLine,
    existing: Existing,
) -> Result<(Fate, Option<u64>)> {
    let key = key(tx, &line.collection)?;
    check_inline("description", line.description.len())?;
    let dimension = line.dimension.map(Dimension::new).transpose()?;
    vectors::check_all(&line.vectors)?;
    sparse::check_all(&line.sparse)?;
    schema::check(&line.fields)?;
    texts::check(&line.texts, &line.fields)?;
    if let Some(encoder) = &line.encoder {
        Id::check("encoder", encoder)?;
        if dimension.is_none() {
            return Err(unfit("encoder", "what it makes has a dimension"));
        }
    }
    let old: Option<Head> = tx.get(&key)?.map(|row| row_json::decode(&row)).transpose()?;
    let fate = existing.fate(old.is_some(), || format!("the collection {:?}", line.collection))?;
    if !fate.stores() {
        return Ok((fate, None));
    }
    if let Some(old) = old {
        remove(tx, &line.collection, &old)?;
    }
    let number = numbers::allot(tx, Remains::Collection, "collections", &line.collection)?;
    let CollectionLine { metric, encoder, fields, undeclared, texts, description, created, .. } =
        line.clone();
    let head = Head {
        number,
        dimension,
        metric,
        encoder,
        description,
        created,
        expiring: false,
        vectors: vectors::allot_all(tx, &line.vectors)?,
        sparse: sparse::allot_all(tx, &line.sparse)?,
        fields,
        undeclared,
        texts,
        indexed_since: tx.lsn(),
    };
    tx.put_bookkeeping(key, row_json::encode(&head)?)?;
    Ok((fate, Some(number)))
}
