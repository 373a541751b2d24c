//! Rows: the view that answers reads. The newest versions lie in memory tables, the rest in the row file; a background
//! step drains the one into the other, never beyond what the log has synced.

pub(crate) mod base;
pub(crate) mod distrusted;
mod filter;
mod memtable;
mod merge;
mod store;

pub(crate) use base::{Base, Position};
pub use base::{BaseLoad, BaseStats};
pub(crate) use memtable::Memtable;
pub(crate) use merge::{Direction, RowIter};
pub(crate) use store::{Reader, Rows};

use std::sync::Arc;

use agentdb_types::Lsn;

/// A row as read: its bytes, and the LSN of the batch that wrote it, which is its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The version.
    pub lsn: Lsn,
    /// The bytes.
    pub body: Arc<[u8]>,
}

#[cfg(test)]
mod tests;
