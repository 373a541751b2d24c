//! Messages: the turns of a session, in the order in which they were appended.
//!
//! A message has a sequence number, which starts at 1, grows with every message of the session and is never given
//! twice, neither after a deletion nor after [`Clear`]; and an id. A delete has no gap closed.
//!
//! Where they lie, and how sessions share them: `layers.rs`.
//!
//! Rows, format version 1. Message (layer, sequence): version byte and JSON of what the caller gave, with id and time; empty
//! if what lies further down is deleted. MessageById (layer, id): the sequence, eight little-endian bytes.

mod append;
mod clear;
mod delete;
mod diff;
mod get;
pub(crate) mod layers;
#[cfg(test)]
mod layers_tests;
mod list;
mod retain;
mod rows;
pub(crate) mod transfer;
mod update;

pub use append::{Append, Appended};
pub use clear::{Clear, Cleared};
pub use delete::{Delete, Deleted};
pub use diff::{Change, Changes, Diff};
pub use get::{Entry, Get};
pub(crate) use layers::{Layers, is_gone, place_of, unseen};
pub use list::{List, Listed};
pub(crate) use retain::{delete_excess, excess};
pub(super) use rows::{Rows, all, delete, put};
pub use transfer::MessageLine;
pub use update::{Update, Updated};

use agentdb_types::{Code, Error, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::require;
use crate::key::Key;
use crate::operation::Operation;
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Table, numbers};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Append>(),
        Operation::write::<Clear>(),
        Operation::write::<Delete>(),
        Operation::read::<Diff>(),
        Operation::read::<Get>(),
        Operation::read::<List>(),
        Operation::write::<Update>(),
    ]
}

/// A message as its row holds it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Body {
    message: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    content: Value,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    created: Timestamp,
}

fn row_key(rows: &dyn Read, layer: u64, sequence: u64) -> Key {
    rows.key(Table::Message).u64(layer).u64(sequence)
}

fn id_key(rows: &dyn Read, layer: u64, message: &str) -> Result<Key> {
    Id::check("message", message)?;
    Ok(rows.key(Table::MessageById).u64(layer).text(message))
}

fn not_found(session: &str, message: &str) -> Error {
    Error::new(Code::MessageNotFound).with("session", session).with("message", message)
}

/// The sequence number in a row of table MessageById.
fn sequence_in(body: &[u8]) -> Result<u64> {
    let bytes = body.try_into();
    let bytes = bytes
        .map_err(|_| Error::new(Code::RowsCorrupt).with("reason", "a message's index row is malformed"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Tells in the log of which message a row is that the log knows by its numbers alone.
fn tell(tx: &mut Tx<'_>, session: &str, layer: u64, message: &str, sequence: u64) {
    numbers::tell(tx, Remains::Session, layer, session);
    tx.name(Table::Message, &[layer, sequence], message);
}
