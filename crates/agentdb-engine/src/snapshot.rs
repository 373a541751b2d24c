//! A snapshot: the rows of one namespace at one LSN, for as long as it lives.

use std::sync::Arc;

use agentdb_types::{Lsn, Result, Timestamp};

use crate::digest::Digest;
use crate::engine::Core;
use crate::key::{Key, NamespaceId};
use crate::read::{Page, Read};
use crate::rows::{Reader, Row};

/// A consistent view of one namespace. Writes that come later do not change it. Holding one for long keeps memory and
/// files of replaced runs from being freed.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) core: Arc<Core>,
    pub(crate) rows: Reader,
    namespace: NamespaceId,
    now: Timestamp,
}

impl Snapshot {
    pub(crate) fn new(core: Arc<Core>, rows: Reader, namespace: NamespaceId, now: Timestamp) -> Self {
        Snapshot { core, rows, namespace, now }
    }

    /// The LSN of the snapshot.
    pub fn lsn(&self) -> Lsn {
        self.rows.at()
    }

    /// The digest of the namespace's rows.
    ///
    /// # Errors
    /// [`RowsCorrupt`](agentdb_types::Code::RowsCorrupt), errors of files.
    pub fn digest(&self) -> Result<Digest> {
        Ok(self.rows.hash(self.namespace)?.digest())
    }

    /// The same moment, seen in another namespace.
    pub(crate) fn in_namespace(&self, namespace: NamespaceId) -> Snapshot {
        Snapshot { namespace, ..self.clone() }
    }
}

impl Read for Snapshot {
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
