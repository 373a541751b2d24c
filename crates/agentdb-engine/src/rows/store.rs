//! The rows of the database: memory tables over the base, published to readers as one state.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_types::{Error, Lsn, Result};
use arc_swap::ArcSwap;

use super::base::{BaseSnapshot, Position};
use super::chunks::Spare;
use super::merge::Source;
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

impl State {
    /// The memory tables, the newest first.
    fn tables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(self.frozen.iter().map(|frozen| &frozen.table))
    }
}

/// What a step of draining did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// There was nothing to do, or level 0 is too full.
    Nothing,
    /// A piece of a table.
    Piece,
    /// The last piece of a table: the base stands at its end.
    Table,
}

pub(crate) struct Rows {
    base: Base,
    state: ArcSwap<State>,
    visible: AtomicU64,
    undrained: AtomicU64,
    /// Held by the one thread that drains.
    draining: Mutex<()>,
    /// Tables that were drained, until nobody reads them any more.
    drained: Mutex<Vec<Arc<Memtable>>>,
    /// What freed tables leave to the next ones.
    spare: Arc<Spare>,
}

/// Rows as of one LSN, for as long as the reader lives.
#[derive(Clone)]
pub(crate) struct Reader {
    state: Arc<State>,
    at: Lsn,
}

impl Rows {
    pub(crate) fn open(base: Base) -> Result<Self> {
        let snapshot = base.snapshot();
        let visible = AtomicU64::new(snapshot.position.lsn.0);
        let spare: Arc<Spare> = Arc::default();
        let active = Arc::new(Memtable::new(spare.clone()));
        let state = State { active, frozen: Vec::new(), base: snapshot };
        Ok(Rows {
            base,
            state: ArcSwap::from_pointee(state),
            visible,
            undrained: AtomicU64::new(0),
            draining: Mutex::default(),
            drained: Mutex::default(),
            spare,
        })
    }

    /// The position up to which rows are durable in the base.
    pub(crate) fn persisted(&self) -> Position {
        self.state.load().base.position
    }

    /// A reader at the newest published LSN.
    pub(crate) fn reader(&self) -> Reader {
        loop {
            let state = self.state.load_full();
            let at = self.visible();
            // Between the two loads another table may have become active, or the base have moved past `at`.
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

    /// Keeps what the row of a key was until `end`, beside the version that [`Rows::apply`] puts in its place.
    pub(crate) fn keep(&self, key: &[u8], end: Lsn, before: &Row) {
        let state = self.state.load();
        let bytes = state.active.bytes();
        state.active.keep(key, end, before);
        self.undrained.fetch_add((state.active.bytes() - bytes) as u64, Ordering::Relaxed);
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
        let fresh = Arc::new(Memtable::new(self.spare.clone()));
        self.state.rcu(|state| {
            if state.active.is_empty() {
                return state.clone();
            }
            let mut frozen = vec![Frozen { table: state.active.clone(), end }];
            frozen.extend(state.frozen.iter().cloned());
            Arc::new(State { active: fresh.clone(), frozen, base: state.base.clone() })
        });
    }

    /// The base as readers see it.
    pub(crate) fn base(&self) -> Arc<BaseSnapshot> {
        self.state.load().base.clone()
    }

    /// Whether no frozen table ends at or before this LSN: the base holds everything up to it.
    pub(crate) fn is_drained_to(&self, lsn: Lsn) -> bool {
        self.state.load().frozen.iter().all(|frozen| frozen.end.lsn > lsn)
    }

    /// Whether there is a table to drain.
    pub(crate) fn has_frozen(&self) -> bool {
        !self.state.load().frozen.is_empty()
    }

    /// Does a piece of moving the oldest frozen table into the base, if it ends at or before `settled`: what the log
    /// has made durable, and readers have been told of.
    pub(crate) fn drain(&self, settled: Lsn) -> Result<Drained> {
        let _one = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = self.state.load().frozen.last().cloned();
        let Some(oldest) = oldest.filter(|f| f.end.lsn <= settled) else { return Ok(Drained::Nothing) };
        if self.base.is_crowded() {
            return Ok(Drained::Nothing);
        }
        if !self.base.drain(&oldest.table, oldest.end)? {
            return Ok(Drained::Piece);
        }
        self.publish_base();
        self.drained.lock().unwrap_or_else(PoisonError::into_inner).push(oldest.table.clone());
        self.undrained.fetch_sub(oldest.table.bytes() as u64, Ordering::Relaxed);
        Ok(Drained::Table)
    }

    /// Frees the tables that were drained, and the runs that were merged, and that nobody reads any more. Closing the file
    /// of a run takes milliseconds: whoever decides or reads must not be the last to hold it; and a thread that runs only
    /// when nobody else wants to must not be the one that frees, for it would hold the allocator's locks while it waits.
    pub(crate) fn free_unread(&self) {
        let is_free = |table: &mut Arc<Memtable>| Arc::strong_count(table) == 1;
        let mut drained = self.drained.lock().unwrap_or_else(PoisonError::into_inner);
        let free: Vec<_> = drained.extract_if(.., is_free).collect();
        drop(drained);
        drop(free);
        self.base.free_retired();
    }

    /// Bytes of the memory tables that these readers read and that are not among the rows of now, each counted once.
    pub(crate) fn bytes_kept_by<'a>(&self, readers: impl Iterator<Item = &'a Reader>) -> usize {
        let state = self.state.load();
        let is_current = |table: &Arc<Memtable>| state.tables().any(|current| Arc::ptr_eq(current, table));
        let mut kept: Vec<&Arc<Memtable>> = Vec::new();
        for table in readers.flat_map(|reader| reader.state.tables()) {
            if !is_current(table) && !kept.iter().any(|other| Arc::ptr_eq(other, table)) {
                kept.push(table);
            }
        }
        kept.iter().map(|table| table.bytes()).sum()
    }

    /// Why the last merge could not be done, if none was done since.
    pub(crate) fn merge_failure(&self) -> Option<Error> {
        self.base.merge_failure()
    }

    /// Why frozen tables are not drained, if it is that they wait for a merge which cannot be done.
    pub(crate) fn why_not_drained(&self) -> Option<Error> {
        self.base.is_crowded().then(|| self.base.merge_failure()).flatten()
    }

    /// Lets go of memory that was kept for the next tables, bit by bit, unless any was taken since the last time.
    pub(crate) fn shrink(&self) {
        self.spare.shrink();
    }

    /// Does a piece of compacting the base; returns whether there was any. One thread compacts.
    pub(crate) fn compact(&self) -> Result<bool> {
        let worked = self.base.compact()?;
        if worked {
            self.publish_base();
        }
        Ok(worked)
    }

    /// Readers see the base as it is now, and no memory tables that it holds.
    fn publish_base(&self) {
        self.state.rcu(|state| {
            let base = self.base.snapshot();
            if Arc::ptr_eq(&base, &state.base) {
                return state.clone();
            }
            let mut frozen = state.frozen.clone();
            frozen.retain(|f| f.end.lsn > base.position.lsn);
            Arc::new(State { active: state.active.clone(), frozen, base })
        });
    }

    /// Everything that is in the base now is merged into its deepest level; [`Rows::compact`] does it.
    pub(crate) fn compact_wholly(&self) {
        self.base.compact_wholly();
    }

    /// Takes that back.
    pub(crate) fn stop_compacting_wholly(&self) {
        self.base.stop_compacting_wholly();
    }

    /// Whether that is asked for, and not done.
    pub(crate) fn is_compacting_wholly(&self) -> bool {
        self.base.is_compacting_wholly()
    }

    /// Bytes of runs that are still to sink, while that is asked for.
    pub(crate) fn bytes_to_compact(&self) -> u64 {
        self.base.bytes_to_compact()
    }

    pub(crate) fn stats(&self) -> BaseStats {
        self.base.stats()
    }
}

impl Reader {
    /// The same rows as of an earlier LSN, which must not lie before what the base holds.
    pub(crate) fn at_most(self, at: Lsn) -> Reader {
        Reader { at: self.at.min(at), ..self }
    }

    /// The LSN that is read at.
    pub(crate) fn at(&self) -> Lsn {
        self.at
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Row>> {
        let tables = self.state.tables();
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
    ) -> RowIter<'a> {
        let mut sources: Vec<Source<'a>> = Vec::with_capacity(4 + self.state.frozen.len());
        let tables = self.state.tables();
        for table in tables.filter(|t| !t.is_empty()) {
            match direction {
                Direction::Forward => sources.push(Box::new(table.scan(from, to, self.at).map(Ok))),
                Direction::Backward => sources.push(Box::new(table.scan_back(from, to, self.at).map(Ok))),
            }
        }
        sources.extend(self.state.base.sources(from, to, direction));
        RowIter::new(sources, direction)
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
        for table in self.state.tables() {
            changed.extend(table.scan(&from, Some(&to), self.at).map(|(key, ..)| key));
        }
        changed
    }

    /// Reads the files of the base: `visit` hears the key of each version that is whole, and of everything that does not
    /// hold, until it is over.
    pub(crate) fn check_base(&self, visit: &mut dyn FnMut(Result<&[u8]>), is_over: &dyn Fn() -> bool) {
        self.state.base.check(visit, is_over);
    }

    /// The set hash that is kept of a namespace's rows in the base, and the one that they have: to be equal; and how many
    /// rows they are.
    pub(crate) fn hash_base(&self, namespace: NamespaceId) -> Result<(SetHash, SetHash, u64)> {
        self.state.base.rehash(namespace)
    }

    /// The namespaces that have, or had, rows in the base.
    pub(crate) fn base_namespaces(&self) -> Result<Vec<NamespaceId>> {
        self.state.base.namespaces()
    }
}
