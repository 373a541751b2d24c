//! Forks of namespaces under way, as whoever decides sees them, and what a batch puts aside for them.
//!
//! A fork is its source as of one LSN, and is copied in the order of the keys while the source is written. A batch that changes
//! a row which is not copied yet, and which is as old as that, puts the old row under the fork: ordinary mutations of the same
//! batch, so that a crash leaves both or none, and recovery knows nothing of forks. Each row is put there once: either it is
//! older than the fork and lies behind the cursor, or whoever changed it first made it newer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use agentdb_types::{Code, Error, Lsn, Result, limits};

use crate::key::{Key, NamespaceId};
use crate::modules::namespace::{ForkRow, fork_key, fork_rows};
use crate::mutation::{Change, Mutation};
use crate::planted::{self, Bug};
use crate::rows::{Direction, Reader, Row};
use crate::tx::Decided;
use crate::{Table, row_json};

/// The forks under way.
#[derive(Default)]
pub(crate) struct Forks {
    any: AtomicBool,
    list: RwLock<Arc<Vec<Fork>>>,
}

/// A fork under way.
#[derive(Clone, Debug)]
struct Fork {
    source: NamespaceId,
    target: NamespaceId,
    /// The LSN as of which it is the source.
    at: Lsn,
    /// The first key that is not copied; `None` if all are.
    cursor: Option<Key>,
    /// Whether it starts from an earlier point: from histories, in which nothing has to be put aside for it.
    past: bool,
}

impl Fork {
    fn of(key: &[u8], row: &Row) -> Result<Fork> {
        let stored: ForkRow = row_json::decode(row)?;
        let source = NamespaceId(Key::from_bytes(key.to_vec()).components().u64()?);
        let cursor = stored.cursor(source)?;
        let (target, at, past) = (NamespaceId(stored.number), stored.lsn, stored.past);
        Ok(Fork { source, target, at, cursor, past })
    }

    /// Whether a row that is about to change has to be put aside.
    fn misses(&self, key: &[u8], before: &Row) -> bool {
        let Some(cursor) = self.cursor.as_ref().filter(|_| !self.past) else { return false };
        let ahead = key >= cursor.as_bytes();
        let ahead = if planted::is(Bug::ForkPutsAsideBehind) { !ahead } else { ahead };
        ahead && before.lsn <= self.at && !planted::is(Bug::ForkSeesWrites)
    }
}

fn is_fork(key: &[u8]) -> bool {
    Key::table_of(key) == Some(Table::Fork as u8) && Key::namespace_of(key) == Some(NamespaceId::SYSTEM)
}

impl Forks {
    /// Learns of those that the rows tell of.
    pub(crate) fn load(&self, rows: &Reader) -> Result<()> {
        let from = Key::new(NamespaceId::SYSTEM, Table::Fork);
        let to = from.after_prefix();
        for entry in rows.scan(from.as_bytes(), to.as_ref().map(Key::as_bytes), Direction::Forward) {
            let (key, row) = entry?;
            self.note(&key, row.lsn, Some(&row.body))?;
        }
        Ok(())
    }

    /// Learns of a row that was applied.
    pub(crate) fn note(&self, key: &[u8], lsn: Lsn, body: Option<&Arc<[u8]>>) -> Result<()> {
        if !is_fork(key) {
            return Ok(());
        }
        let source = NamespaceId(Key::from_bytes(key.to_vec()).components().u64()?);
        let fork = body.map(|body| Fork::of(key, &Row { lsn, body: body.clone() })).transpose()?;
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let others = list.iter().filter(|other| other.source != source).cloned();
        *list = Arc::new(others.chain(fork).collect());
        self.any.store(!list.is_empty(), Ordering::Release);
        Ok(())
    }

    fn list(&self) -> Option<Arc<Vec<Fork>>> {
        let any = self.any.load(Ordering::Acquire);
        any.then(|| self.list.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Whether a fork of this namespace is under way.
    pub(crate) fn is_source(&self, namespace: NamespaceId) -> bool {
        self.list().is_some_and(|list| list.iter().any(|fork| fork.source == namespace))
    }
}

/// What one batch puts aside.
pub(crate) struct Aside {
    forks: Option<Arc<Vec<Fork>>>,
    /// How many rows for which of the forks.
    rows: Vec<u64>,
    bytes: usize,
    limit: usize,
}

impl Aside {
    /// For a batch of a caller's, whose log entry is to stay of bounded size.
    pub(crate) fn bounded(forks: &Forks) -> Self {
        Aside { limit: limits::BATCH_BYTES, ..Aside::unbounded(forks) }
    }

    /// For a batch of the engine's own, which changes few rows.
    pub(crate) fn unbounded(forks: &Forks) -> Self {
        let forks = forks.list();
        let rows = vec![0; forks.as_ref().map_or(0, |forks| forks.len())];
        Aside { forks, rows, bytes: 0, limit: usize::MAX }
    }

    /// Hears of a row that the batch changes.
    pub(crate) fn change(&mut self, key: &[u8], before: Option<&Row>, decided: &mut Decided) -> Result<()> {
        let (Some(forks), Some(before)) = (&self.forks, before) else { return Ok(()) };
        let namespace = Key::namespace_of(key);
        for (fork, rows) in forks.iter().zip(&mut self.rows) {
            if Some(fork.source) != namespace || !fork.misses(key, before) {
                continue;
            }
            let Some(copy) = fork_key(key, fork.target)? else { continue };
            self.bytes += copy.as_bytes().len() + before.body.len();
            *rows += 1;
            put(decided, copy, before.body.clone());
        }
        if self.bytes > self.limit {
            return Err(Error::new(Code::ForkBehind).with("actual", self.bytes).with("limit", self.limit));
        }
        Ok(())
    }

    /// Counts what was put aside, and brings the mutations into the order of their keys.
    pub(crate) fn finish(self, rows: &Reader, decided: &mut Decided) -> Result<()> {
        let Some(forks) = self.forks.filter(|_| self.bytes > 0) else { return Ok(()) };
        for (fork, count) in forks.iter().zip(self.rows).filter(|(_, count)| *count > 0) {
            let (key, change) = (fork_rows(fork.target), Change::Add(count.cast_signed()));
            let before = rows.get(key.as_bytes())?;
            let after = change.apply(before.as_ref().map(|row| &row.body[..]))?;
            decided.rows.push((key.as_bytes().to_vec(), after));
            decided.mutations.push(plain(key, change));
        }
        decided.mutations.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(())
    }
}

fn plain(key: Key, change: Change) -> Mutation {
    Mutation { key: key.into_bytes(), body: crate::mutation::Body::Clear(change), keeps: false }
}

fn put(decided: &mut Decided, key: Key, body: Arc<[u8]>) {
    decided.rows.push((key.as_bytes().to_vec(), Some(body.clone())));
    decided.mutations.push(plain(key, Change::Put(body)));
}
