//! Items, and how they are found, as lines of an export.

use agentdb_types::{Code, Duration, Error, Id, Lsn, Result, Timestamp};
use agentdb_vector::{Dimension, Metric};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::index::{self, Settings, not_indexed};
use super::path::{key_of, parts};
use super::put::store_vectors;
use super::row::{Expiry, Head, Item};
use super::{fields, find, remove, unindex, vector_key};
use crate::key::Key;
use crate::modules::encode_fields;
use crate::modules::transfer::{Existing, Fate, check_ttl, unfit};
use crate::read::Read;
use crate::tx::Tx;
use crate::vectors::VectorRow;
use crate::{Row, Table, row_json, sweep};

/// How the items of the namespace are found by vectors and texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexLine {
    /// Components of the vectors.
    pub dimension: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// The text encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Which texts of a value are encoded where a put does not say.
    pub fields: Vec<String>,
    /// Whether items are encoded where a put does not say.
    pub default: bool,
    /// When the index was set up.
    pub created: Timestamp,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemLine {
    /// The path.
    pub path: Vec<String>,
    /// The key under the path.
    pub key: String,
    /// The value.
    pub value: Map<String, Value>,
    /// The vectors by which it is found. Each number is the shortest that is read as the same 32-bit float.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<Vec<f32>>,
    /// When the item was first put.
    pub created: Timestamp,
    /// When the value was put.
    pub updated: Timestamp,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// By how much it is renewed, in microseconds, if it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of the row of the index.
pub(crate) fn export_index(row: &Row) -> Result<IndexLine> {
    let Settings { dimension, metric, encoder, fields, default, created, .. } = row_json::decode(row)?;
    Ok(IndexLine { dimension: dimension.get(), metric, encoder, fields, default, created })
}

/// Sets up the index of a line. One that says what holds already is never refused.
pub(crate) fn import_index(tx: &mut Tx<'_>, line: &IndexLine, existing: Existing) -> Result<Fate> {
    let mut new = settings(line)?;
    let before = index::find(tx)?;
    let same = |before: &Settings| {
        let Settings { dimension, metric, encoder, .. } = before;
        (dimension, metric, encoder) == (&new.dimension, &new.metric, &new.encoder)
    };
    if let Some(before) = &before
        && same(before)
        && (&before.fields, before.default) == (&new.fields, new.default)
    {
        return Ok(Fate::Skipped);
    }
    let fate = existing.fate(before.is_some(), || "another index of items".to_owned())?;
    if !fate.stores() {
        return Ok(fate);
    }
    new.number = match before {
        Some(before) if same(&before) => before.number,
        Some(before) => {
            unindex::drop_index(tx, &before)?;
            index::new_number(tx)?
        }
        None => index::new_number(tx)?,
    };
    tx.put_bookkeeping(index::key(tx), row_json::encode(&new)?)?;
    Ok(fate)
}

fn settings(line: &IndexLine) -> Result<Settings> {
    fields::parse(&line.fields)?;
    if let Some(encoder) = &line.encoder {
        Id::check("encoder", encoder)?;
    }
    let IndexLine { metric, encoder, fields, default, created, .. } = line.clone();
    let dimension = Dimension::new(line.dimension)?;
    Ok(Settings { number: 0, dimension, metric, encoder, fields, default, created })
}

/// The line of a row, unless its time to live has passed.
pub(crate) fn export(rows: &dyn Read, key: &Key, row: &Row) -> Result<Option<ItemLine>> {
    let Some(Item { version, head, expiry, value }) = Item::read(rows, key, row)? else { return Ok(None) };
    // Vectors of an index that was dropped find nothing, and wait to be swept.
    let live = index::find(rows)?.is_some_and(|index| head.is_in(index.number));
    let mut vectors = Vec::new();
    for slot in head.slots.iter().filter(|_| live) {
        let row = rows.get(&vector_key(rows, head.index, *slot))?;
        let missing = || Error::new(Code::RowsCorrupt).with("reason", "the vector of an item is missing");
        vectors.push(VectorRow::decode(&row.ok_or_else(missing)?.body)?.vector);
    }
    let (path, key) = parts(key)?;
    Ok(Some(ItemLine {
        path,
        key,
        value,
        vectors,
        created: head.created,
        updated: head.updated,
        expires: expiry.map(|expiry| expiry.ends),
        ttl_us: expiry.map(|expiry| expiry.ttl),
        version: Some(version),
    }))
}

/// Stores the item of a line.
pub(crate) fn import(tx: &mut Tx<'_>, line: &ItemLine, existing: Existing) -> Result<Fate> {
    let key = key_of(tx, &line.path, &line.key)?;
    let json = encode_fields("value", &line.value)?;
    let expiry = expiry(line)?;
    let (index, encoder) = check_vectors(tx, line)?;
    if expiry.is_some_and(|expiry| expiry.ends <= tx.now()) {
        return Ok(Fate::Expired);
    }
    let fate = existing.fate(find(tx, &key)?.is_some(), || {
        format!("the item {:?} under the path {:?}", line.key, line.path)
    })?;
    if !fate.stores() {
        return Ok(fate);
    }
    remove(tx, &key)?;
    let slots = store_vectors(tx, index, &key, line.vectors.clone(), &encoder)?;
    if let Some(expiry) = expiry {
        tx.put_bookkeeping(key.in_table(Table::ItemExpiry), expiry.encode())?;
        sweep::schedule(tx, expiry.ends, &key)?;
    }
    let (created, updated) = (line.created, line.updated);
    tx.put(key, Head { created, updated, expiring: expiry.is_some(), index, slots }.encode(&json))?;
    Ok(fate)
}

fn expiry(line: &ItemLine) -> Result<Option<Expiry>> {
    check_ttl(line.ttl_us)?;
    match (line.expires, line.ttl_us) {
        (None, None) => Ok(None),
        (Some(ends), Some(ttl)) => Ok(Some(Expiry { ends, ttl })),
        _ => Err(unfit("ttl_us", "`expires` and `ttl_us` are there both, or neither")),
    }
}

/// The number of the index for the vectors of a line, and its encoder; nothing for none.
fn check_vectors(tx: &Tx<'_>, line: &ItemLine) -> Result<(u64, String)> {
    if line.vectors.is_empty() {
        return Ok((0, String::new()));
    }
    fields::check_count(line.vectors.len())?;
    let settings = index::find(tx)?.ok_or_else(|| not_indexed("they have no index"))?;
    line.vectors.iter().try_for_each(|vector| settings.dimension.check(vector, settings.metric))?;
    Ok((settings.number, settings.encoder.unwrap_or_default()))
}
