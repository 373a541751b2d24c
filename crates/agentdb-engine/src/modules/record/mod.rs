//! Records: the rows of a collection: text, payload, and vectors, one without a name and named ones.
//!
//! A record's row holds text, payload, times and the *slots* of its vectors; a vector's row lies under its slot, apart, so
//! that lists and counts need not read it. Every put of a vector takes a new slot.

mod aggregate;
mod content;
mod count;
mod delete;
mod delete_where;
mod distinct;
mod facet;
mod get;
mod get_many;
mod list;
mod loading;
#[cfg(test)]
mod malformed_tests;
mod patch;
mod put;
mod search;
mod select;
mod sparse;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;
mod vector;

pub use crate::filter::index::{Bucket, FieldStats};
pub use crate::filter::index::{How, Plan, PlanTerm};
pub use agentdb_text::{Explanation, Share as WordShare};
pub use aggregate::{Aggregate, Aggregated};
pub(crate) use content::content;
pub use count::{Count, Counted};
pub use delete::{Delete, Deleted};
pub use delete_where::{DeleteWhere, DeletedWhere};
pub use distinct::{Distinct, DistinctValues};
pub use facet::{Facet, Faceted, ValueCount};
pub use get::{Entry, Get};
pub use get_many::{GetMany, Gotten};
pub use list::{List, Listed};
pub(crate) use loading::Loading;
pub use patch::{Patch, Patched};
pub use put::{Put, Stored};
pub use search::{
    Decay, Diverse, Diversity, Feedback, FieldValue, Formula, Found, Fusion, GroupBy, Highlight, Hit, Method,
    Missing, Normalize, QueryPlan, RecordPlan, Rerank, Search, SearchPlan, Shape, Share, Stages, SubQuery,
};
pub use transfer::RecordLine;

use std::collections::BTreeMap;
use std::rc::Rc;

use agentdb_types::{Code, Error, Id, Lsn, Result, Timestamp};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::filter::Filter;
use crate::filter::index::PayloadIndex;
use crate::key::Key;
use crate::modules::collection::{self, Head, schema, texts};
use crate::modules::link;
use crate::operation::Operation;
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::sparse::SparseComponents;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::vectors::VectorRow;
use crate::{Row, Snapshot, Table, numbers, row_json, sweep};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::read::<Aggregate>(),
        Operation::read::<Count>(),
        Operation::write::<Delete>(),
        Operation::write::<DeleteWhere>(),
        Operation::read::<Distinct>(),
        Operation::read::<Facet>(),
        Operation::read::<Get>(),
        Operation::read::<GetMany>(),
        Operation::read::<List>(),
        Operation::write::<Patch>(),
        Operation::write::<Put>(),
        Operation::read::<Search>(),
    ]
}

/// A record as its row holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    created: Timestamp,
    updated: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slot: Option<u64>,
    /// Where its named vectors are. What lies under the number of a name that was dropped is gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    named: BTreeMap<String, Place>,
    /// Its sparse vectors, by the numbers of their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sparse: BTreeMap<u64, SparseComponents>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    payload: Map<String, Value>,
}

impl Record {
    /// The slots of its vectors, each with the number of its name; the one without a name has the collection's.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let named = self.named.values().map(|Place(number, slot)| (Some(*number), *slot));
        self.slot.map(|slot| (None, slot)).into_iter().chain(named)
    }

    /// Its sparse vectors, by the numbers of their names.
    pub(crate) fn sparse(&self) -> &BTreeMap<u64, SparseComponents> {
        &self.sparse
    }

    /// What is searched by words under this name: its own text, or the strings of a field of its payload.
    pub(crate) fn text_of(&self, name: &str) -> Option<String> {
        if name == texts::OWN {
            return self.text.clone();
        }
        let mut names = name.split('.');
        let first = self.payload.get(names.next()?)?;
        match names.try_fold(first, |at, name| at.as_object()?.get(name))? {
            Value::String(text) => Some(text.clone()),
            Value::Array(items) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                (!texts.is_empty()).then(|| texts.join("\n"))
            }
            _ => None,
        }
    }

    /// Whether its time to live has passed.
    fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// When it expires.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Its payload.
    pub(crate) fn into_payload(self) -> Map<String, Value> {
        self.payload
    }
}

/// Where a named vector is: the number of the name, and the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place(u64, u64);

pub(crate) fn key(rows: &dyn Read, number: u64, record: &str) -> Result<Key> {
    Id::check("record", record)?;
    Ok(rows.key(Table::Record).u64(number).text(record))
}

fn vector_key(rows: &dyn Read, number: u64, slot: u64) -> Key {
    rows.key(Table::Vector).u64(number).u64(slot)
}

pub(crate) fn not_found(collection: &str, record: &str) -> Error {
    Error::new(Code::RecordNotFound).with("collection", collection).with("record", record)
}

/// The record of a row, unless its time to live has passed.
fn decode(row: &Row, now: Timestamp) -> Result<Option<(Lsn, Record)>> {
    let record: Record = row_json::decode(row)?;
    Ok((!record.is_over(now)).then_some((row.lsn, record)))
}

pub(crate) fn find(rows: &dyn Read, key: &Key) -> Result<Option<(Lsn, Record)>> {
    match rows.get(key)? {
        Some(row) => decode(&row, rows.now()),
        None => Ok(None),
    }
}

/// Refuses unless the record is at the version that the request expected.
fn check_version(record: &str, found: Option<&(Lsn, Record)>, expected: Option<Lsn>) -> Result<()> {
    let actual = found.map_or(Lsn::ZERO, |(version, _)| *version);
    match expected.filter(|expected| *expected != actual) {
        None => Ok(()),
        Some(expected) => Err(Error::new(Code::VersionMismatch)
            .with("key", record)
            .with("actual", actual)
            .with("expected", expected)),
    }
}

/// Notes when a record has to be swept, and that searches of its collection must look at times.
fn schedule(tx: &mut Tx<'_>, collection: &str, head: &Head, key: &Key, expires: Timestamp) -> Result<()> {
    sweep::schedule(tx, expires, key)?;
    if !head.expiring {
        let head = Head { expiring: true, ..head.clone() };
        tx.put_bookkeeping(collection::key(tx, collection)?, row_json::encode(&head)?)?;
    }
    Ok(())
}

/// The vector in a slot.
fn vector(rows: &dyn Read, number: u64, slot: Option<u64>) -> Result<Option<VectorRow>> {
    let Some(slot) = slot else { return Ok(None) };
    rows.get(&vector_key(rows, number, slot))?.map(|row| VectorRow::decode(&row.body)).transpose()
}

/// The named vectors of a record that its collection has names for.
fn named_vectors(rows: &dyn Read, head: &Head, record: &Record) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut vectors = BTreeMap::new();
    for (name, Place(number, slot)) in &record.named {
        if head.vectors.get(name).is_some_and(|space| space.number == *number)
            && let Some(row) = vector(rows, *number, Some(*slot))?
        {
            vectors.insert(name.clone(), row.vector);
        }
    }
    Ok(vectors)
}

/// Checks that the payloads of all records are what the collection declares.
pub(crate) fn check_fields(tx: &Tx<'_>, head: &Head) -> Result<()> {
    tx.scan_prefix(&tx.key(Table::Record).u64(head.number), Page::Forward, &mut |_, row| {
        let record: Record = row_json::decode(&row)?;
        head.fields.check(&Value::Object(record.payload)).map(|()| true)
    })
}

/// Answers from the payloads of a collection, and the records that match a filter.
fn matching<R>(
    snapshot: &Snapshot,
    collection: &str,
    filter: Option<&Value>,
    answer: &mut dyn FnMut(&PayloadIndex, &RoaringBitmap) -> Result<R>,
) -> Result<R> {
    let head = collection::find(snapshot, collection)?;
    let filter = filter.map(|json| Filter::parse_typed(json, &head.fields)).transpose()?;
    snapshot.core.records.read_payloads(snapshot, &head, filter.as_ref(), answer)
}

/// Learns the types of the fields that a payload is the first to have, and refuses what contradicts.
fn learn(tx: &mut Tx<'_>, collection: &str, head: &mut Rc<Head>, payload: &Map<String, Value>) -> Result<()> {
    if let Some(fields) = schema::learn(&head.fields, head.undeclared, payload)? {
        let head = Rc::make_mut(head);
        head.fields = fields;
        tx.put_bookkeeping(collection::key(tx, collection)?, row_json::encode(head)?)?;
    }
    Ok(())
}

/// Deletes the rows of a record that is to be stored anew. It keeps its links, unless it had expired.
fn replace(tx: &mut Tx<'_>, number: u64, key: Key) -> Result<()> {
    match remove_rows(tx, number, key.clone())? {
        Some(record) if record.is_over(tx.now()) => link::leave(tx, &key),
        _ => Ok(()),
    }
}

/// Deletes a record with its links, whether it has expired or not; returns whether there was one.
fn remove(tx: &mut Tx<'_>, number: u64, key: Key) -> Result<bool> {
    let removed = remove_rows(tx, number, key.clone())?.is_some();
    if removed {
        link::leave(tx, &key)?;
    }
    Ok(removed)
}

/// Deletes a record's own rows, and returns what it was.
fn remove_rows(tx: &mut Tx<'_>, number: u64, key: Key) -> Result<Option<Record>> {
    let Some(row) = tx.get(&key)? else { return Ok(None) };
    let record: Record = row_json::decode(&row)?;
    if let Some(slot) = record.slot.filter(|_| !planted::is(Bug::OldVectorStays)) {
        tx.delete(vector_key(tx, number, slot))?;
    }
    for Place(number, slot) in record.named.values() {
        tx.delete(vector_key(tx, *number, *slot))?;
    }
    tx.delete(key)?;
    let counter = collection::records_counter(tx, number);
    // A deleted collection has none any more, while its records may still expire before they are swept.
    if tx.get(&counter)?.is_some() {
        tx.add(counter, -1)?;
    }
    Ok(Some(record))
}

/// When the record of a row was last written.
pub(crate) fn written(row: &Row) -> Result<Timestamp> {
    Ok(row_json::decode::<Record>(row)?.updated)
}

/// Deletes a record that is kept no longer. One of a collection that was deleted is the sweeper's.
pub(crate) fn let_go(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let number = key.components().u64()?;
    if sweep::is_discarded(tx, Remains::Collection, number)? {
        return Ok(());
    }
    numbers::tell_if_used(tx, Remains::Collection, number)?;
    remove(tx, number, key.clone()).map(drop)
}

/// Deletes a record whose time to live has passed.
pub(super) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let Some(row) = tx.get(key)? else { return Ok(()) };
    if decode(&row, tx.now())?.is_none() {
        let number = key.components().u64()?;
        numbers::tell_if_used(tx, Remains::Collection, number)?;
        remove(tx, number, key.clone())?;
    }
    Ok(())
}
