//! Links: from a record to a record, of one collection or of two of a namespace, typed, with a payload.
//!
//! A link hangs on both of its records. It is gone as soon as one of them is, however that went: deleted, expired, kept no
//! longer, or with its collection. A record that is put again or patched keeps its links; one that is created anew under the
//! id of one that is gone has none of the old ones.
//!
//! So links lie between *nodes*, not between ids: a record gets a node when it gets its first link, and whoever deletes the
//! record takes the node from it, which is two small rows however many links there are. A link is there if both of its nodes
//! are, and the record of each; what lies under other nodes is swept. The records of collections that were truncated or
//! deleted still have their nodes until they are swept, and are not there all the same. The record's own row knows
//! nothing of this: linking it does not change its version.
//!
//! Rows, format version 1. Node (collection number, record): the node, eight bytes, little-endian. Link (node, type, and of the
//! record that it goes to collection number, record and node): version byte and JSON ([`LinkRow`]). LinkBack, the same keys with
//! the ends exchanged: empty. Garbage (kind, node): the number of the collection, eight bytes, little-endian, and the record's id.

mod adjacent;
mod delete;
mod end;
mod get;
mod list;
#[cfg(test)]
mod malformed_tests;
#[cfg(test)]
mod model_tests;
mod node;
mod put;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;
mod traverse;

pub use adjacent::{Direction, Side};
pub use delete::{Delete, Deleted};
pub use get::{Entry, Get};
pub use list::{List, Listed, ListedLink};
pub(crate) use node::{Place, forget, leave};
pub use put::{Put, Stored};
pub use transfer::LinkLine;
pub use traverse::{Hit, Step, Traverse, Traversed};

use agentdb_types::{Code, Error, Id, Result, Timestamp, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Table;
use crate::key::Key;
use crate::operation::Operation;
use crate::read::Read;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Delete>(),
        Operation::read::<Get>(),
        Operation::read::<List>(),
        Operation::write::<Put>(),
        Operation::read::<Traverse>(),
    ]
}

/// A link as its row holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LinkRow {
    /// When it was first put.
    created: Timestamp,
    payload: Map<String, Value>,
}

fn key(rows: &dyn Read, from: u64, link_type: &str, to: &Place) -> Key {
    rows.key(Table::Link).u64(from).text(link_type).u64(to.collection).text(&to.record).u64(to.node)
}

fn back_key(rows: &dyn Read, from: &Place, link_type: &str, to: u64) -> Key {
    rows.key(Table::LinkBack).u64(to).text(link_type).u64(from.collection).text(&from.record).u64(from.node)
}

/// What a key of a link tells, whichever end it starts with.
pub(crate) struct Ends {
    pub(crate) node: u64,
    pub(crate) link_type: String,
    /// The record at the other end.
    pub(crate) other: Place,
}

impl Ends {
    pub(crate) fn of(key: &Key) -> Result<Self> {
        let mut parts = key.components();
        let (node, link_type, collection) = (parts.u64()?, parts.text()?, parts.u64()?);
        let other = Place { collection, record: parts.text()?, node: parts.u64()? };
        Ok(Ends { node, link_type, other })
    }
}

fn check_type(link_type: &str) -> Result<()> {
    Id::check("type", link_type)
}

/// Types in their order, each once; none stands for all.
fn check_types(types: &[String]) -> Result<Vec<&str>> {
    if types.len() > limits::LINK_TYPES {
        let reason = format_args!("{} were given, the limit is {}", types.len(), limits::LINK_TYPES);
        return Err(Error::new(Code::InvalidValue).with("field", "types").with("reason", reason));
    }
    let mut types: Vec<&str> = types.iter().map(String::as_str).collect();
    types.iter().try_for_each(|link_type| Id::check("types", link_type))?;
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

fn corrupt(reason: &str) -> Error {
    Error::new(Code::RowsCorrupt).with("reason", reason)
}
