//! How far a load has come.
//!
//! Row of table Load (collection number, source), format version 1: version byte and JSON.

use agentdb_types::{Lsn, Result, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Counts;
use crate::key::Key;
use crate::read::Read;
use crate::tx::Tx;
use crate::{Table, row_json, sweep};

/// How far a load has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Mark {
    /// Rows that are loaded.
    pub(super) rows: u64,
    /// BLAKE3 of them.
    pub(super) hash: String,
    /// How many of them the first segment has, and its BLAKE3.
    pub(super) first_rows: u64,
    pub(super) first_hash: String,
    /// What became of the rows.
    pub(super) counts: Counts,
    /// When it was written.
    pub(super) updated: Timestamp,
    /// The LSN of the last batch, if the load has come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) done: Option<Lsn>,
}

impl Mark {
    pub(super) fn key(rows: &dyn Read, collection: u64, source: &str) -> Key {
        rows.key(Table::Load).u64(collection).text(source)
    }

    /// The mark, and its version.
    pub(super) fn find(rows: &dyn Read, collection: u64, source: &str) -> Result<Option<(Lsn, Self)>> {
        let row = rows.get(&Mark::key(rows, collection, source))?;
        row.map(|row| Ok((row.lsn, row_json::decode(&row)?))).transpose()
    }

    /// Writes the mark. One that is new is noted for the sweeper, which notes it anew as long as the load goes on.
    pub(super) fn store(&self, tx: &mut Tx<'_>, collection: u64, source: &str) -> Result<()> {
        let key = Mark::key(tx, collection, source);
        if tx.get(&key)?.is_none() {
            sweep::schedule(tx, self.ends()?, &key)?;
        }
        tx.put_bookkeeping(key, row_json::encode(self)?)
    }

    fn ends(&self) -> Result<Timestamp> {
        self.updated.after(limits::LOAD_KEPT_US)
    }
}

/// Deletes the mark of a load that is done, or that nobody has gone on with, for long, or notes when to look again.
pub(crate) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let Some(row) = tx.get(key)? else { return Ok(()) };
    match row_json::decode::<Mark>(&row)?.ends()? {
        ends if ends <= tx.now() => tx.delete_bookkeeping(key.clone()),
        ends => sweep::schedule(tx, ends, key),
    }
}
