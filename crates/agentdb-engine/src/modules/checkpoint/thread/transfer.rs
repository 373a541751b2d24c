//! A thread as a line of an export.

use agentdb_types::{Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Thread, find, key, remove, store};
use crate::key::Key;
use crate::modules::transfer::{Existing, Fate};
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Row, numbers, row_json};

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadLine {
    /// The thread.
    pub thread: String,
    /// When it got its first checkpoint or write, or was copied.
    pub created: Timestamp,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of a row, and the number of what belongs to it.
pub(crate) fn export(row_key: &Key, row: &Row) -> Result<(ThreadLine, u64)> {
    let Thread { number, created, .. } = row_json::decode(row)?;
    let thread = row_key.components().text()?;
    Ok((ThreadLine { thread, created, version: Some(row.lsn) }, number))
}

/// Stores the thread of a line, with nothing in it; tells its number if it did.
pub(crate) fn import(tx: &mut Tx<'_>, line: &ThreadLine, existing: Existing) -> Result<(Fate, Option<u64>)> {
    key(tx, &line.thread)?;
    let fate =
        existing.fate(find(tx, &line.thread)?.is_some(), || format!("the thread {:?}", line.thread))?;
    if !fate.stores() {
        return Ok((fate, None));
    }
    remove(tx, &line.thread)?;
    let number = numbers::allot(tx, Remains::Thread, "threads", &line.thread)?;
    store(tx, &line.thread, &Thread { number, root: number, created: line.created })?;
    Ok((fate, Some(number)))
}
