//! Collections: sets of records of one shape. A collection has a number under which its rows are kept and which is never
//! used twice, so that a deleted collection is gone at once and swept later.

mod alter;
mod create;
mod delete;
mod get;
mod list;
mod rename;
pub(crate) mod schema;
pub(crate) mod sparse;
#[cfg(test)]
mod tests;
pub(crate) mod texts;
pub(crate) mod transfer;
mod truncate;
mod vectors;

pub use alter::{Alter, Altered};
pub use create::{Create, Created};
use delete::leave;
pub use delete::{Delete, Deleted};
pub use get::{Entry, Get};
pub use list::{List, Listed};
pub use rename::{Rename, Renamed};
pub use schema::Undeclared;
pub use sparse::SparseSettings;
pub use texts::TextSettings;
pub use transfer::CollectionLine;
pub use truncate::{Truncate, Truncated};
pub use vectors::VectorSettings;
pub(crate) use vectors::{VectorSpace, named as named_vector};

use std::collections::BTreeMap;
use std::rc::Rc;

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use agentdb_vector::{Dimension, Metric};
use serde::{Deserialize, Serialize};

use crate::filter::Fields;
use crate::key::Key;
use crate::modules::namespace::check_name;
use crate::operation::Operation;
use crate::read::Read;
use crate::tx::Tx;
use crate::{Row, Table, row_json};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Alter>(),
        Operation::write::<Create>(),
        Operation::write::<Delete>(),
        Operation::read::<Get>(),
        Operation::read::<List>(),
        Operation::write::<Rename>(),
        Operation::write::<Truncate>(),
    ]
}

/// A collection as its row holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) number: u64,
    /// Absent: its records have no vectors.
    pub(crate) dimension: Option<Dimension>,
    pub(crate) metric: Metric,
    pub(crate) encoder: Option<String>,
    pub(crate) description: String,
    pub(crate) created: Timestamp,
    /// Whether any record ever had a time to live: searches must look then.
    pub(crate) expiring: bool,
    /// Further vectors of its records, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) vectors: BTreeMap<String, VectorSpace>,
    /// The numbers of its sparse vectors, by name: what a record has under another one is gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) sparse: BTreeMap<String, u64>,
    /// The types of fields, declared and learnt.
    #[serde(default)]
    pub(crate) fields: Fields,
    #[serde(default)]
    pub(crate) undeclared: Undeclared,
    /// Which texts are searched by words.
    #[serde(default = "texts::unsaid")]
    pub(crate) texts: BTreeMap<String, TextSettings>,
    /// The batch that changed how records are indexed.
    #[serde(default)]
    pub(crate) indexed_since: Lsn,
}

pub(crate) fn key(rows: &dyn Read, name: &str) -> Result<Key> {
    check_name("collection", name)?;
    Ok(rows.key(Table::Collection).text(name))
}

/// The collection of this name.
///
/// # Errors
/// [`Code::CollectionNotFound`].
pub(crate) fn find(rows: &dyn Read, name: &str) -> Result<Head> {
    match rows.get(&key(rows, name)?)? {
        Some(row) => row_json::decode(&row),
        None => Err(not_found(name)),
    }
}

/// The name and the number in a row.
pub(crate) fn numbered(key: &Key, row: &Row) -> Result<(String, u64)> {
    Ok((key.components().text()?, row_json::decode::<Head>(row)?.number))
}

/// The same for a decision; a batch that asks for the same collection again and again reads it once.
///
/// # Errors
/// [`Code::CollectionNotFound`].
pub(crate) fn shared(tx: &Tx<'_>, name: &str) -> Result<Rc<Head>> {
    shared_if_any(tx, name)?.ok_or_else(|| not_found(name))
}

pub(crate) fn shared_if_any(tx: &Tx<'_>, name: &str) -> Result<Option<Rc<Head>>> {
    tx.decoded(&key(tx, name)?, row_json::decode)
}

fn not_found(name: &str) -> Error {
    Error::new(Code::CollectionNotFound).with("collection", name)
}

/// The counter of a collection's records, expired ones included until they are swept.
pub(crate) fn records_counter(rows: &dyn Read, number: u64) -> Key {
    rows.key(Table::Counter).text(&format!("records/{number}"))
}

/// The counter that slots of vectors come from.
pub(crate) fn slots_counter(rows: &dyn Read, number: u64) -> Key {
    rows.key(Table::Counter).text(&format!("slots/{number}"))
}

pub(crate) fn counted(rows: &dyn Read, key: &Key) -> Result<u64> {
    let Some(row) = rows.get(key)? else { return Ok(0) };
    let bytes = row.body[..]
        .try_into()
        .map_err(|_| Error::new(Code::RowsCorrupt).with("reason", "a counter is malformed"))?;
    Ok(i64::from_le_bytes(bytes).unsigned_abs())
}
