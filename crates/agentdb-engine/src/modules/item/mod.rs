//! Items: values under a hierarchical path and a key, found by path, by what is in them, and by what they mean.
//!
//! An item's row holds its times, the slots of its vectors, and its value; the vectors' rows lie under a number of the
//! namespace's index of items, as those of a collection's records do. When an item expires is a row of its own, so that
//! renewing it rewrites no value and leaves its version as it was.
//!
//! A key starts with the segments of the path and goes on with an empty text, which no segment is: what lies at a path comes
//! right before what lies below it, and the order of keys is that of paths, segment by segment. No row tells which paths
//! there are: listing them passes from one to the next over the items between.

mod delete;
mod fields;
mod get;
mod get_index;
mod index;
mod list_paths;
mod path;
mod put;
mod ranked;
mod row;
mod search;
#[cfg(test)]
mod tests;
mod touch;
pub(crate) mod transfer;
mod unindex;

pub use delete::{Delete, Deleted};
pub use get::{Entry, Get};
pub use get_index::{GetIndex, Indexed};
pub use index::{Index, Settings};
pub use list_paths::{Condition, ListPaths, ListedPath, PathsListed};
pub use put::{Indexing, Put, Stored};
#[cfg(any(test, feature = "decoders"))]
pub(crate) use row::recode;
pub use search::{Found, Search};
pub use touch::{Place, Touch, Touched};
pub use transfer::{IndexLine, ItemLine};
pub use unindex::{Unindex, Unindexed};

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};

use self::row::{Expiry, Head, Item};
use crate::key::Key;
use crate::operation::Operation;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Row, Table, sweep};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Delete>(),
        Operation::read::<Get>(),
        Operation::read::<GetIndex>(),
        Operation::write::<Index>(),
        Operation::read::<ListPaths>(),
        Operation::write::<Put>(),
        Operation::read::<Search>(),
        Operation::write::<Touch>(),
        Operation::write::<Unindex>(),
    ]
}

/// The path and the key of an item, from the key of its row.
pub(crate) fn place(row: &Key) -> Result<(Vec<String>, String)> {
    path::parts(row)
}

fn not_found(path: &[String], key: &str) -> Error {
    Error::new(Code::ItemNotFound).with("path", format_args!("{path:?}")).with("key", key)
}

/// The item of a key, if it is there and has not expired.
fn find(rows: &dyn Read, key: &Key) -> Result<Option<Item>> {
    match rows.get(key)? {
        Some(row) => Item::read(rows, key, &row),
        None => Ok(None),
    }
}

/// Refuses unless the item is at the version that the request expected.
fn check_version(key: &str, found: Option<&Item>, expected: Option<Lsn>) -> Result<()> {
    let actual = found.map_or(Lsn::ZERO, |item| item.version);
    match expected.filter(|expected| *expected != actual) {
        None => Ok(()),
        Some(expected) => Err(Error::new(Code::VersionMismatch)
            .with("key", key)
            .with("actual", actual)
            .with("expected", expected)),
    }
}

fn vector_key(rows: &dyn Read, index: u64, slot: u64) -> Key {
    rows.key(Table::Vector).u64(index).u64(slot)
}

/// Deletes an item's rows, whether it has expired or not; returns whether there were any.
fn remove(tx: &mut Tx<'_>, key: &Key) -> Result<bool> {
    let Some(row) = tx.get(key)? else { return Ok(false) };
    let (head, _) = Head::split(&row)?;
    for slot in head.slots.iter().filter(|_| !planted::is(Bug::ItemVectorsStay)) {
        // Not counted: the sweeper's batches are of items, however many vectors they have.
        tx.delete_bookkeeping(vector_key(tx, head.index, *slot))?;
    }
    if head.expiring {
        tx.delete_bookkeeping(key.in_table(Table::ItemExpiry))?;
    }
    tx.delete(key.clone())?;
    Ok(true)
}

/// When the item of a row was last put.
pub(crate) fn written(row: &Row) -> Result<Timestamp> {
    Ok(Head::split(row)?.0.updated)
}

/// Deletes an item that is kept no longer.
pub(crate) fn let_go(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    remove(tx, key).map(drop)
}

/// Deletes an item whose time to live has passed. One that was renewed since it was noted is noted anew: renewing does not,
/// so that an item that is read often has one note and not many.
pub(super) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let Some(row) = tx.get(key)? else { return Ok(()) };
    let Some(expiry) = Expiry::find(tx, key, &Head::split(&row)?.0)? else { return Ok(()) };
    if expiry.ends <= tx.now() || planted::is(Bug::TouchedItemSwept) {
        remove(tx, key).map(drop)
    } else {
        sweep::schedule(tx, expiry.ends, key)
    }
}
