//! The rows of the database: memory tables over the row file, published to readers as one state.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentdb_types::{Lsn, Result};
use arc_swap::ArcSwap;

use super::base::{BaseSnapshot, Position};
use super::{Base, BaseStats, Direction, Memtable, Row, RowIter};
use crate::digest::SetHash;
use crate::key::NamespaceId;

/// A memory table that takes no more writes, and the position that it leads to.
#[derive(Clone)]
struct Frozen {
    table: Arc<Memtable>,
    end: Position,
}

/// What readers see: newest first, `active`, `frozen` in order, `base`.
struct State {
    active: Arc<Memtable>,
    frozen: Vec<Frozen>,
    base: Arc<BaseSnapshot>,
}

pub(crate) struct Rows {
    base: Base,
    state: ArcSwap<State>,
    visible: AtomicU64,
    undrained: AtomicU64,
}

/// Rows as of one LSN, for as long as the reader lives.
#[derive(Clone)]
pub(crate) struct Reader {
    state: Arc<State>,
    at: Lsn,
}

impl Rows {
    pub(crate) fn open(base: Base) -> Result<Self> {
        let snapshot = Arc::new(base.snapshot()?);
        let visible = AtomicU64::new(snapshot.position.lsn.0);
        let state = State { active: Arc::default(), frozen: Vec::new(), base: snapshot };
        Ok(Rows { base, state: ArcSwap::from_pointee(state), visible, undrained: AtomicU64::new(0) })
    }

    /// The position up to which rows are durable in the row file.
    pub(crate) fn persisted(&self) -> Position {
        self.state.load().base.position
    }

    /// A reader at the newest published LSN.
    pub(crate) fn reader(&self) -> Reader {
        loop {
            let state = self.state.load_full();
            let at = self.visible();
            // Between the two loads another table may have become active, or the row file have moved past `at`.
            if Arc::ptr_eq(&state, &self.state.load()) {
                return Reader { state, at };
            }
        }
    }

    /// A reader for the sequencer: it sees what is decided, published or not.
    pub(crate) fn latest(&self) -> Reader {
        Reader { state: self.state.load_full(), at: Lsn(u64::MAX) }
    }

    pub(crate) fn visible(&self) -> Lsn {
        Lsn(self.visible.load(Ordering::Acquire))
    }

    /// Applies a version of a row. Only the sequencer does, LSNs ascending; readers see it once it is published.
    pub(crate) fn apply(&self, key: &[u8], lsn: Lsn, body: Option<Arc<[u8]>>) {
        let state = self.state.load();
        let before = state.active.bytes();
        state.active.insert(key, lsn, body);
        self.undrained.fetch_add((state.active.bytes() - before) as u64, Ordering::Relaxed);
    }

    /// Makes everything up to `lsn` visible.
    pub(crate) fn publish(&self, lsn: Lsn) {
        self.visible.fetch_max(lsn.0, Ordering::AcqRel);
    }

    /// Bytes of the active table.
    pub(crate) fn active_bytes(&self) -> usize {
        self.state.load().active.bytes()
    }

    /// Bytes of all memory tables.
    pub(crate) fn undrained_bytes(&self) -> u64 {
        self.undrained.load(Ordering::Relaxed)
    }

    /// Freezes the active table; `end` is the end of the log, of which the table holds everything. Only the sequencer
    /// does, between groups.
    pub(crate) fn freeze(&self, end: Position) {
        let fresh: Arc<Memtable> = Arc::default();
        self.state.rcu(|state| {
            if state.active.is_empty() {
                return state.clone();
            }
            let mut frozen = vec![Frozen { table: state.active.clone(), end }];
            frozen.extend(state.frozen.iter().cloned());
            Arc::new(State { active: fresh.clone(), frozen, base: state.base.clone() })
        });
    }

    /// The end of the oldest frozen table, if there is one to drain.
    pub(crate) fn drainable(&self) -> Option<Lsn> {
        self.state.load().frozen.last().map(|f| f.end.lsn)
    }

    /// Moves the oldest frozen table into the row file. The log must be durable up to its end. One thread drains.
    pub(crate) fn drain(&self) -> Result<bool> {
        let Some(oldest) = self.state.load().frozen.last().cloned() else { return Ok(false) };
        let versions = oldest.table.scan(&[], None, Lsn(u64::MAX));
        self.base.commit(versions, oldest.end)?;
        let base = Arc::new(self.base.snapshot()?);
        self.state.rcu(|state| {
            let mut frozen = state.frozen.clone();
            frozen.retain(|f| !Arc::ptr_eq(&f.table, &oldest.table));
            Arc::new(State { active: state.active.clone(), frozen, base: base.clone() })
        });
        self.undrained.fetch_sub(oldest.table.bytes() as u64, Ordering::Relaxed);
        Ok(true)
    }

    pub(crate) fn stats(&self) -> Result<BaseStats> {
        self.base.stats()
    }
}

impl Reader {
    /// The same rows as of an earlier LSN, which must not lie before what the row file holds.
    pub(crate) fn at_most(self, at: Lsn) -> Reader {
        Reader { at: self.at.min(at), ..self }
    }

    /// The LSN that is read at.
    pub(crate) fn at(&self) -> Lsn {
        self.at
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Row>> {
        let tables = std::iter::once(&self.state.active).chain(self.state.frozen.iter().map(|f| &f.table));
        for table in tables {
            if let Some(found) = table.get(key, self.at) {
                return Ok(found);
            }
        }
        self.state.base.get(key)
    }

    /// The rows from `from` on, below `to`.
    pub(crate) fn scan<'a>(
        &'a self,
        from: &'a [u8],
        to: Option<&'a [u8]>,
        direction: Direction,
    ) -> Result<RowIter<'a>> {
        let back = direction == Direction::Backward;
        let mut sources: Vec<Box<dyn Iterator<Item = _> + 'a>> =
            Vec::with_capacity(2 + self.state.frozen.len());
        let tables = std::iter::once(&self.state.active).chain(self.state.frozen.iter().map(|f| &f.table));
        for table in tables.filter(|t| !t.is_empty()) {
            if back {
                sources.push(Box::new(table.scan_back(from, to, self.at).map(Ok)));
            } else {
                sources.push(Box::new(table.scan(from, to, self.at).map(Ok)));
            }
        }
        let base = self.state.base.scan(from, to, back)?;
        sources.push(Box::new(base.map(|r| r.map(|(key, row)| (key, row.lsn, Some(row.body))))));
        Ok(RowIter::new(sources, direction))
    }

    /// The set hash of a namespace's rows at this LSN.
    pub(crate) fn hash(&self, namespace: NamespaceId) -> Result<SetHash> {
        let mut hash = self.state.base.hash(namespace)?;
        for key in self.memory_keys(namespace) {
            if let Some(row) = self.state.base.get(&key)? {
                hash.remove(&key, row.lsn, &row.body);
            }
            if let Some(row) = self.get(&key)? {
                hash.add(&key, row.lsn, &row.body);
            }
        }
        Ok(hash)
    }

    /// The keys of a namespace that were written, or deleted, in the memory tables.
    pub(crate) fn memory_keys(&self, namespace: NamespaceId) -> BTreeSet<Vec<u8>> {
        let (from, to) = (namespace.0.to_be_bytes(), (namespace.0 + 1).to_be_bytes());
        let mut changed = BTreeSet::new();
        for table in std::iter::once(&self.state.active).chain(self.state.frozen.iter().map(|f| &f.table)) {
            changed.extend(table.scan(&from, Some(&to), self.at).map(|(key, ..)| key));
        }
        changed
    }

    /// Reads a namespace's rows in the row file: `visit` is told the key of each, or what is damaged. Returns the set
    /// hash that is kept, and the one that the rows have: to be equal.
    pub(crate) fn check_base(
        &self,
        namespace: NamespaceId,
        visit: &mut dyn FnMut(Result<&[u8]>),
    ) -> Result<(SetHash, SetHash)> {
        let computed = self.state.base.check(namespace, visit)?;
        Ok((self.state.base.hash(namespace)?, computed))
    }

    /// The namespaces that have, or had, rows in the row file.
    pub(crate) fn base_namespaces(&self) -> Result<Vec<NamespaceId>> {
        self.state.base.namespaces()
    }
}
