//! What a decision and a query have in common: reading rows of one namespace at one moment.

use agentdb_types::{Result, Timestamp};

use crate::Table;
use crate::key::{Key, NamespaceId};
use crate::rows::{Direction, Row};

/// The order in which a scan visits rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

impl Page {
    pub(crate) fn direction(self) -> Direction {
        match self {
            Page::Forward => Direction::Forward,
            Page::Backward => Direction::Backward,
        }
    }
}

/// Reading the rows of one namespace at one moment.
pub trait Read {
    /// The namespace.
    fn namespace(&self) -> NamespaceId;

    /// The time by which TTLs are judged.
    fn now(&self) -> Timestamp;

    /// The row of this key.
    ///
    /// # Errors
    /// [`RowsCorrupt`](agentdb_types::Code::RowsCorrupt), errors of files.
    fn get(&self, key: &Key) -> Result<Option<Row>>;

    /// Calls `visit` with the rows from `from` on, below `to`, until it returns false.
    ///
    /// # Errors
    /// Those of [`Read::get`], and what `visit` returns.
    fn scan(
        &self,
        from: &Key,
        to: Option<&Key>,
        page: Page,
        visit: &mut dyn FnMut(Key, Row) -> Result<bool>,
    ) -> Result<()>;

    /// The start of the keys of one of this namespace's tables.
    fn key(&self, table: Table) -> Key {
        Key::new(self.namespace(), table)
    }

    /// Calls `visit` with the rows whose keys start with `prefix`.
    ///
    /// # Errors
    /// Those of [`Read::scan`].
    fn scan_prefix(
        &self,
        prefix: &Key,
        page: Page,
        visit: &mut dyn FnMut(Key, Row) -> Result<bool>,
    ) -> Result<()> {
        self.scan(prefix, prefix.after_prefix().as_ref(), page, visit)
    }
}
