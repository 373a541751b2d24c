//! Rows: the view that answers reads. The newest versions lie in memory tables, the rest in the base, immutable runs on the
//! disk; background steps drain the one into the other, never beyond what the log has synced, and compact the base.

mod base;
mod block;
mod cache;
mod chunks;
mod compaction;
#[cfg(any(test, feature = "decoders"))]
pub(crate) mod decoders;
mod drain;
mod filter;
mod key_filter;
mod manifest;
mod memtable;
mod merge;
mod packed;
mod run;
mod run_iter;
mod run_writer;
mod skip_list;
mod store;

pub(crate) use base::{Base, BaseSnapshot, Position, RunCopy};
pub use base::{BaseOptions, BaseStats};
pub(crate) use memtable::Memtable;
pub(crate) use merge::{Direction, RowIter, Source};
pub(crate) use store::{Drained, Reader, Rows};

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
