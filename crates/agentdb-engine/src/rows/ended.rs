//! Versions that ended, on their way to being rows of a memory table.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_types::Lsn;

use super::Row;
use crate::history;

/// Versions that become rows in one go, between which another thread that waits for them may take over.
const AT_ONCE: usize = 256;

/// What a row was until it changed.
pub(super) struct Version {
    /// The row's own key.
    pub(super) key: Vec<u8>,
    /// The LSN that ended it.
    pub(super) end: Lsn,
    pub(super) before: Row,
}

#[derive(Default)]
pub(super) struct Ended {
    aside: Mutex<VecDeque<Version>>,
    /// Held from taking versions until they are rows: whoever finds nothing left to take has waited for those.
    placing: Mutex<()>,
}

impl Ended {
    /// Puts a version aside. A reader that learns of its LSN afterwards finds it.
    pub(super) fn push(&self, version: Version) {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner).push_back(version);
    }

    /// Gives the rows of some versions to `insert`; returns whether there were any.
    pub(super) fn place(&self, insert: impl Fn(&[u8], Lsn, Arc<[u8]>)) -> bool {
        let _one = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        let count = versions.len().min(AT_ONCE);
        let taken: Vec<Version> = versions.drain(..count).collect();
        drop(versions);
        for Version { key, end, before } in &taken {
            if let Some(row) = history::version_key(key, *end) {
                insert(row.as_bytes(), *end, history::encode(before).into());
            }
        }
        !taken.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crate::rows::{Memtable, Row};
    use crate::{Key, NamespaceId, Table, history};
    use agentdb_types::Lsn;

    fn key(namespace: u64, table: Table) -> Key {
        Key::new(NamespaceId(namespace), table).text("k")
    }

    #[test]
    fn what_was_put_aside_is_found_wherever_it_is_looked_for() {
        let tables = [Table::State, Table::History, Table::Retention, Table::Moment];
        let mut bounds: Vec<Key> = Vec::new();
        for namespace in 0..4 {
            bounds.push(Key::namespace(NamespaceId(namespace)));
            bounds.extend(tables.map(|table| key(namespace, table)));
        }
        bounds.sort();
        let (row, end) = (key(1, Table::State), Lsn(9));
        let version = history::version_key(row.as_bytes(), end).unwrap();
        let ends = || bounds.iter().map(Some).chain([None]);
        for (from, to) in bounds.iter().flat_map(|from| ends().map(move |to| (from, to))) {
            let table = Memtable::default();
            table.keep(row.as_bytes().to_vec(), end, Row { lsn: Lsn(3), body: b"before"[..].into() });
            let (from, to) = (from.as_bytes(), to.map(Key::as_bytes));
            let is_there = from <= version.as_bytes() && to.is_none_or(|to| version.as_bytes() < to);
            let found: Vec<_> = table.scan(from, to, end).map(|(key, lsn, _)| (key, lsn)).collect();
            assert_eq!(found.contains(&(version.as_bytes().to_vec(), end)), is_there, "{from:?} {to:?}");
            let table = Memtable::default();
            table.keep(row.as_bytes().to_vec(), end, Row { lsn: Lsn(3), body: b"before"[..].into() });
            assert_eq!(
                table.scan_back(from, to, end).count(),
                usize::from(is_there && to.is_none_or(|to| from < to))
            );
        }
        let table = Memtable::default();
        table.keep(row.as_bytes().to_vec(), end, Row { lsn: Lsn(3), body: b"before"[..].into() });
        assert!(table.get(version.as_bytes(), Lsn(8)).is_none());
        let found = table.get(version.as_bytes(), end).flatten().unwrap();
        assert_eq!(history::decode(&found).unwrap(), Row { lsn: Lsn(3), body: b"before"[..].into() });
    }

    #[test]
    fn threads_that_look_at_once_all_find_everything() {
        let table = Memtable::default();
        for n in 0..5_000u64 {
            let key = Key::new(NamespaceId::DEFAULT, Table::State).u64(n);
            table.keep(key.into_bytes(), Lsn(n + 1), Row { lsn: Lsn(n), body: b"x"[..].into() });
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(table.scan(&[], None, Lsn(u64::MAX)).count(), 5_000));
            }
        });
    }
}
