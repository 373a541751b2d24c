//! How far an import has come.
//!
//! Row of table Import (hash of the first line), format version 1: version byte and JSON.

use agentdb_types::{Code, Error, Lsn, Result, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::line::Counts;
use crate::key::Key;
use crate::read::Read;
use crate::tx::Tx;
use crate::{Table, row_json, sweep};

/// How far an import has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Mark {
    /// Lines that are done.
    pub(super) line: u64,
    /// BLAKE3 of them.
    pub(super) hash: String,
    /// What the next lines may belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<Parent>,
    /// What became of the lines.
    pub(super) counts: Counts,
    /// When it was written.
    pub(super) updated: Timestamp,
    /// The LSN of the last batch, if the import has come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) done: Option<Lsn>,
}

/// A session, collection or thread whose parts are being imported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Parent {
    noun: String,
    name: String,
    /// The number under which it was imported; none if it was left out, and its parts with it.
    number: Option<u64>,
}

impl Parent {
    pub(super) fn new(noun: &str, name: &str, number: Option<u64>) -> Self {
        Parent { noun: noun.to_owned(), name: name.to_owned(), number }
    }

    /// The number under which a part of this parent goes; none if the parent was left out.
    ///
    /// # Errors
    /// [`Code::ImportLine`] if the last parent is another.
    pub(super) fn number(last: Option<&Self>, noun: &str, name: &str, line: u64) -> Result<Option<u64>> {
        match last {
            Some(last) if last.noun == noun && last.name == name => Ok(last.number),
            _ => Err(Error::new(Code::ImportLine).with("line", line).with(
                "reason",
                format_args!("it belongs to the {noun} {name:?}, whose line does not come before it"),
            )),
        }
    }
}

impl Mark {
    pub(super) fn key(rows: &dyn Read, import: &str) -> Key {
        rows.key(Table::Import).text(import)
    }

    pub(super) fn find(rows: &dyn Read, import: &str) -> Result<Option<Self>> {
        rows.get(&Mark::key(rows, import))?.map(|row| row_json::decode(&row)).transpose()
    }

    /// Writes the mark. One that is new is noted for the sweeper, which notes it anew as long as the import goes on.
    pub(super) fn store(&self, tx: &mut Tx<'_>, import: &str) -> Result<()> {
        let key = Mark::key(tx, import);
        if tx.get(&key)?.is_none() {
            sweep::schedule(tx, self.ends()?, &key)?;
        }
        tx.put_bookkeeping(key, row_json::encode(self)?)
    }

    fn ends(&self) -> Result<Timestamp> {
        self.updated.after(limits::IMPORT_KEPT_US)
    }
}

/// Deletes the mark of an import that is done, or that nobody has gone on with, for long, or notes when to look again.
pub(crate) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let Some(row) = tx.get(key)? else { return Ok(()) };
    match row_json::decode::<Mark>(&row)?.ends()? {
        ends if ends <= tx.now() => tx.delete_bookkeeping(key.clone()),
        ends => sweep::schedule(tx, ends, key),
    }
}
