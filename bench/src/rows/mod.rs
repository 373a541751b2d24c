//! The candidates for the row store: where a background thread drains memory tables that the log has made durable.

mod lsm;
mod redb;

pub use lsm::{LsmOptions, LsmRows};
pub use redb::{RedbOptions, RedbRows};

use anyhow::Result;

/// A row of a batch: key, value. A batch holds a key once.
pub type Row = (Vec<u8>, Vec<u8>);

/// A durable, ordered home of rows, behind a log that it does not know.
pub trait RowStore: Send + Sync {
    /// Makes `rows` and the position that they lead to durable, all or nothing. Sorted by key unless the caller tests
    /// otherwise.
    fn drain(&self, rows: &[Row], position: u64) -> Result<()>;

    /// The position of the last drain that is durable, zero if there is none.
    fn position(&self) -> Result<u64>;

    /// Reads as of now.
    fn reader(&self) -> Result<Box<dyn RowReader>>;

    /// A reader made for one read, where that is a different thing from a kept one.
    fn get_once(&self, key: &[u8]) -> Result<Option<usize>>;
}

/// A snapshot of a row store.
pub trait RowReader: Send {
    /// The length of the row's value.
    fn get(&self, key: &[u8]) -> Result<Option<usize>>;

    /// Reads up to `limit` rows whose keys start with `prefix`, keys and values, and returns how many there were.
    fn scan(&self, prefix: &[u8], limit: usize) -> Result<usize>;
}
