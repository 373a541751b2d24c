//! How long history is kept, as a line of an export.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Set;
use crate::Row;
use crate::history::{HistoryNoun, Retention};
use crate::key::Key;
use crate::modules::transfer::{Existing, Fate};
use crate::operation::WriteRequest;
use crate::tx::Tx;

/// How long the history of a noun is kept in the namespace. History itself is not exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionLine {
    /// Whose history.
    pub history_of: HistoryNoun,
    /// Microseconds for which a version is kept after it ended; 0: none is; null: all are.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required)]
    pub history_us: Option<u64>,
}

/// The line of a row, unless it says what holds where nothing is said.
pub(crate) fn export(key: &Key, row: &Row) -> Result<Option<RetentionLine>> {
    let name = key.components().text()?;
    let noun = HistoryNoun::ALL.into_iter().find(|noun| noun.name() == name);
    let unknown = || Error::new(Code::RowsCorrupt).with("reason", "the history of an unknown noun");
    let history_us = Retention::decode(Some(row))?.history_us;
    let line = RetentionLine { history_of: noun.ok_or_else(unknown)?, history_us };
    Ok(Some(line).filter(|_| history_us != Retention::default().history_us))
}

/// Sets what a line says. One that says what holds already is never refused.
pub(crate) fn import(tx: &mut Tx<'_>, line: &RetentionLine, existing: Existing) -> Result<Fate> {
    let before = Retention::load(tx, line.history_of)?.history_us;
    if before == line.history_us {
        return Ok(Fate::Skipped);
    }
    let there = before != Retention::default().history_us;
    let fate =
        existing.fate(there, || format!("another retention of the history of {}", line.history_of.name()))?;
    if fate.stores() {
        Set { noun: line.history_of, history_us: line.history_us }.decide(tx)?;
    }
    Ok(fate)
}
