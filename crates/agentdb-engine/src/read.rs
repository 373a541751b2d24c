//! What a decision and a query have in common: reading rows of one namespace at one moment.

use agentdb_types::{Result, Timestamp};

use crate::Table;
use crate::key::{Key, NamespaceId};
use crate::rows::{Direction, Reader, Row};

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

/// The rows of a reader, as they are.
pub(crate) struct Present<'a> {
    pub(crate) rows: &'a Reader,
    pub(crate) namespace: NamespaceId,
    pub(crate) now: Timestamp,
}

impl Read for Present<'_> {
    fn namespace(&self) -> NamespaceId {
        self.namespace
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, key: &Key) -> Result<Option<Row>> {
        self.rows.get(key.as_bytes())
    }

    fn scan(
        &self,
        from: &Key,
        to: Option<&Key>,
        page: Page,
        visit: &mut dyn FnMut(Key, Row) -> Result<bool>,
    ) -> Result<()> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        for entry in self.rows.scan(from.as_bytes(), to.map(Key::as_bytes), page.direction()) {
            let (key, row) = entry?;
            if !visit(Key::from_bytes(key), row)? {
                break;
            }
        }
        Ok(())
    }
}
