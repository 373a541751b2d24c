//! History: what rows of states, sessions and messages were before they changed.
//!
//! Nothing of it is in the log but a flag: a mutation that *keeps* tells whoever applies it to put the version that it ends
//! aside. So history costs the log no bytes, holds nothing in clear that the log holds sealed, and is a function of the log
//! like every other row.
//!
//! Memory tables put versions aside as they are, and make rows of them when they are looked at or drained: a write does not
//! wait for that.
//!
//! Row of a version, format version 1. Key: (table, components of the row's own key, the LSN that ended it). Body: a
//! version byte, the LSN that wrote it (`u64`, little-endian), the body that it had. A row as of an LSN is the row that is
//! there if it was written at or before it, else the first version that ended after it, if that was written at or before
//! it: one look, however many versions there are.

mod join;
mod moments;
mod past;
mod retention;
#[cfg(test)]
mod tests;
mod trim;

pub(crate) use join::{Side, join};
#[cfg(any(test, feature = "decoders"))]
pub(crate) use moments::Chunk;
pub(crate) use moments::{Moments, latest_at, time_of};
pub use past::Point;
pub(crate) use past::{Ahead, Past, Then};
pub use retention::HistoryNoun;
pub(crate) use retention::Retention;
pub(crate) use trim::{Trimmer, step};

use std::cmp::Ordering;

use agentdb_types::{Code, Error, Lsn, Result};

use crate::key::Key;
use crate::read::{Page, Read};
use crate::{Row, Table};

/// Whether a read can be answered as of an earlier point.
pub(crate) fn has_past(operation: &str) -> bool {
    let noun = operation.split('.').next();
    // The versions of a value are those up to now.
    matches!(noun, Some("state" | "session" | "message")) && operation != "state.history"
}

const ROW_VERSION: u8 = 1;
/// Where the table's number stands in a key.
const TABLE_AT: usize = 8;

/// The start of the keys of the versions of a row.
pub(crate) fn versions_of(key: &[u8]) -> Option<Key> {
    let namespace = Key::namespace_of(key)?;
    Some(Key::new(namespace, Table::History).raw(&key[TABLE_AT..]))
}

/// Whether any version of the row of this key is kept.
pub(crate) fn has_versions(rows: &dyn Read, key: &Key) -> Result<bool> {
    let Some(versions) = versions_of(key.as_bytes()) else { return Ok(false) };
    let mut any = false;
    rows.scan_prefix(&versions, Page::Forward, &mut |_, _| {
        any = true;
        Ok(false)
    })?;
    Ok(any)
}

/// Gives the row of a version that ended at an LSN: its key and its body, each in parts.
pub(crate) fn put_aside(key: &[u8], end: Lsn, version: &Row, put: impl FnOnce(&[&[u8]], &[&[u8]])) {
    let Some((namespace, own)) = key.split_at_checked(TABLE_AT) else { return };
    let (table, end, lsn) = ([Table::History as u8], end.0.to_be_bytes(), version.lsn.0.to_le_bytes());
    put(&[namespace, &table, own, &end], &[&[ROW_VERSION], &lsn, &version.body]);
}

/// The key of the version of a row that ended at an LSN.
#[cfg(test)]
pub(crate) fn version_key(key: &[u8], end: Lsn) -> Option<Key> {
    versions_of(key).map(|versions| versions.u64(end.0))
}

/// Whether versions of rows may lie from `from` on, below `to`, or at `from` if that is `to`.
pub(crate) fn is_within(from: &[u8], to: Option<&[u8]>) -> bool {
    let (Some(namespace), Some(table)) = (Key::namespace_of(from), Key::table_of(from)) else { return true };
    let next = match table.cmp(&(Table::History as u8)) {
        Ordering::Equal => return true,
        Ordering::Less => namespace.0,
        Ordering::Greater => namespace.0.saturating_add(1),
    };
    // In two parts, since this is asked for each row that is read.
    let (namespace, table) = (next.to_be_bytes(), [Table::History as u8]);
    let first = namespace.iter().chain(&table);
    to.is_none_or(|to| first.lt(to))
}

/// The row that a version is of, and the LSN that ended it.
pub(crate) fn versioned(version: &Key) -> Result<(Key, Lsn)> {
    let malformed = || Error::new(Code::RowsCorrupt).with("reason", "the key of a version is malformed");
    let bytes = version.as_bytes();
    let (rest, end) = bytes.split_last_chunk::<8>().ok_or_else(malformed)?;
    let own = rest.get(TABLE_AT + 1..).filter(|own| own.len() > 1).ok_or_else(malformed)?;
    let key = Key::from_bytes([&bytes[..TABLE_AT], own].concat());
    Ok((key, Lsn(u64::from_be_bytes(*end))))
}

/// A version as its row holds it.
#[cfg(any(test, feature = "decoders"))]
pub(crate) fn encode(version: &Row) -> Vec<u8> {
    [&[ROW_VERSION][..], &version.lsn.0.to_le_bytes(), &version.body].concat()
}

/// The version that a row holds.
pub(crate) fn decode(row: &Row) -> Result<Row> {
    let malformed = || Error::new(Code::RowsCorrupt).with("reason", "the row of a version is malformed");
    let (&version, rest) = row.body.split_first().ok_or_else(malformed)?;
    if version != ROW_VERSION {
        return Err(Error::new(Code::FormatTooNew)
            .with("path", "the row of a version")
            .with("actual", version)
            .with("supported", ROW_VERSION));
    }
    let (lsn, body) = rest.split_first_chunk().ok_or_else(malformed)?;
    Ok(Row { lsn: Lsn(u64::from_le_bytes(*lsn)), body: body.into() })
}
