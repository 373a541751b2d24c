//! A snapshot: the rows of one namespace at one LSN, for as long as it lives.

use std::sync::Arc;

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};

use crate::digest::Digest;
use crate::engine::Core;
use crate::history::{self, Past, Point};
use crate::key::{Key, NamespaceId};
use crate::read::{Page, Present, Read};
use crate::rows::{Reader, Row};

/// A consistent view of one namespace. Writes that come later do not change it. Holding one for long keeps memory and
/// files of replaced runs from being freed.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) core: Arc<Core>,
    pub(crate) rows: Reader,
    namespace: NamespaceId,
    now: Timestamp,
    /// If it shows what was: which LSN.
    past: Option<Past>,
}

impl Snapshot {
    pub(crate) fn new(core: Arc<Core>, rows: Reader, namespace: NamespaceId, now: Timestamp) -> Self {
        Snapshot { core, rows, namespace, now, past: None }
    }

    /// The LSN of the snapshot.
    pub fn lsn(&self) -> Lsn {
        self.past.as_ref().map_or_else(|| self.rows.at(), Past::at)
    }

    /// The rows as they were at a point before this snapshot's.
    ///
    /// # Errors
    /// [`PointAhead`](agentdb_types::Code::PointAhead), [`HistoryTrimmed`](agentdb_types::Code::HistoryTrimmed).
    pub fn as_of(&self, point: impl Into<Point>) -> Result<Snapshot> {
        self.as_of_field("as_of", point.into())
    }

    /// The same of a point that a request names in this field.
    pub(crate) fn as_of_field(&self, field: &str, point: Point) -> Result<Snapshot> {
        let present = self.present();
        let (at, now) = point.resolve(field, &present, self.rows.at(), self.now)?;
        Ok(Snapshot { past: Some(Past::new(&present, at)?), now, ..self.clone() })
    }

    /// The digest of the namespace's rows.
    ///
    /// # Errors
    /// [`RowsCorrupt`](agentdb_types::Code::RowsCorrupt), errors of files; [`NoPast`](agentdb_types::Code::NoPast) in the
    /// past.
    pub fn digest(&self) -> Result<Digest> {
        if self.past.is_some() {
            return Err(Error::new(Code::NoPast).with("operation", "database.digest"));
        }
        Ok(self.rows.hash(self.namespace)?.digest())
    }

    /// Whether it shows what was, and is not any more.
    pub(crate) fn shows_past(&self) -> bool {
        self.past.is_some()
    }

    /// Everything that was applied, be it published or not.
    pub(crate) fn latest(&self) -> Snapshot {
        let rows = self.core.rows.latest().at_most(self.core.vectors.applied());
        Snapshot { rows, past: None, ..self.clone() }
    }

    /// Refuses an operation that cannot be answered as of an earlier point, if this is one.
    pub(crate) fn check_operation(&self, operation: &str) -> Result<()> {
        if self.past.is_none() || history::has_past(operation) {
            return Ok(());
        }
        Err(Error::new(Code::NoPast).with("operation", operation))
    }

    /// The rows as they are, of a snapshot that may show what was.
    fn present(&self) -> Present<'_> {
        Present { rows: &self.rows, namespace: self.namespace, now: self.now }
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
        match &self.past {
            None => self.rows.get(key.as_bytes()),
            Some(past) => past.get(&self.present(), key),
        }
    }

    fn scan(
        &self,
        from: &Key,
        to: Option<&Key>,
        page: Page,
        visit: &mut dyn FnMut(Key, Row) -> Result<bool>,
    ) -> Result<()> {
        match &self.past {
            None => self.present().scan(from, to, page, visit),
            Some(past) => past.scan(&self.present(), from, to, page, visit),
        }
    }
}
