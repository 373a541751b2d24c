//! A memory table: versions of rows in the order of (key, descending LSN), one writer, lock-free readers.
//!
//! Versions that ended come besides ([history](crate::history)), one with each row that is replaced, and few are ever read.
//! They are written at once and put in their place only when someone looks where they belong, or the table is drained.

use std::sync::Arc;

use agentdb_types::Lsn;

use super::Row;
use super::chunks::Spare;
use super::filter::Filter;
use super::skip_list::{Body, Entry, SkipList};
use crate::history;

pub(crate) struct Memtable {
    versions: SkipList,
    filter: Filter,
}

/// A version: key, LSN, and the body unless it is a tombstone.
pub(crate) type Version = (Vec<u8>, Lsn, Option<Arc<[u8]>>);

impl Memtable {
    pub(super) fn new(spare: Arc<Spare>) -> Self {
        Memtable { versions: SkipList::new(spare), filter: Filter::default() }
    }

    pub(crate) fn insert(&self, key: &[u8], lsn: Lsn, body: Option<Arc<[u8]>>) {
        self.versions.insert(&[key], lsn, Body::of(&body, &mut [&[]]));
        self.filter.add(key);
    }

    /// Puts aside what the row of a key was until `end`.
    pub(crate) fn keep(&self, key: &[u8], end: Lsn, before: &Row) {
        history::put_aside(key, end, before, |key, body| {
            self.versions.put_aside(key, end, Body::joined(body));
        });
    }

    /// Makes rows of some versions that ended; returns whether there were any.
    pub(crate) fn place_ended(&self) -> bool {
        self.versions.link_aside(|key| self.filter.add(key))
    }

    /// Before anything from `from` on, below `to`, is read.
    fn place_ended_within(&self, from: &[u8], to: Option<&[u8]>) {
        if history::is_within(from, to) {
            while self.place_ended() {}
        }
    }

    /// The newest version at or before `at`: `None` if this table has none, `Some(None)` if the row was deleted.
    pub(crate) fn get(&self, key: &[u8], at: Lsn) -> Option<Option<Row>> {
        self.place_ended_within(key, Some(key));
        if !self.filter.may_hold(key) {
            return None;
        }
        let found = self.newest(key, at)?;
        Some(found.body().map(|body| Row { lsn: found.lsn(), body }))
    }

    fn newest(&self, key: &[u8], at: Lsn) -> Option<Entry<'_>> {
        self.versions.seek(key, at).filter(|entry| entry.key() == key)
    }

    /// The newest version at or before `at` of each key from `from` on, below `to`, ascending.
    pub(crate) fn scan<'a>(
        &'a self,
        from: &'a [u8],
        to: Option<&'a [u8]>,
        at: Lsn,
    ) -> impl Iterator<Item = Version> + 'a {
        self.place_ended_within(from, to);
        let mut last: Option<Entry<'a>> = None;
        let mut given: Option<&'a [u8]> = None;
        std::iter::from_fn(move || {
            loop {
                let next = match last {
                    None => self.versions.seek(from, Lsn(u64::MAX)),
                    Some(last) => last.next(),
                };
                let entry = next.filter(|entry| to.is_none_or(|to| entry.key() < to))?;
                last = Some(entry);
                if entry.lsn() <= at && given != Some(entry.key()) {
                    given = Some(entry.key());
                    return Some(version(entry));
                }
            }
        })
    }

    /// As [`Memtable::scan`], descending.
    pub(crate) fn scan_back<'a>(
        &'a self,
        from: &'a [u8],
        to: Option<&'a [u8]>,
        at: Lsn,
    ) -> impl Iterator<Item = Version> + 'a {
        self.place_ended_within(from, to);
        let mut end = to;
        std::iter::from_fn(move || {
            loop {
                let key = self.versions.last_before(end)?.key();
                if key < from {
                    return None;
                }
                end = Some(key);
                if let Some(found) = self.newest(key, at) {
                    return Some(version(found));
                }
            }
        })
    }

    /// What the versions take in memory, but for the unused rest of one chunk.
    pub(crate) fn bytes(&self) -> usize {
        self.versions.bytes()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }
}

fn version(entry: Entry<'_>) -> Version {
    (entry.key().to_vec(), entry.lsn(), entry.body())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, NamespaceId, Table};

    fn empty() -> Memtable {
        Memtable::new(Arc::default())
    }

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
        let before = Row { lsn: Lsn(3), body: b"before"[..].into() };
        let version = history::version_key(row.as_bytes(), end).unwrap();
        let ends = || bounds.iter().map(Some).chain([None]);
        for (from, to) in bounds.iter().flat_map(|from| ends().map(move |to| (from, to))) {
            let table = empty();
            table.keep(row.as_bytes(), end, &before);
            let (from, to) = (from.as_bytes(), to.map(Key::as_bytes));
            let is_there = from <= version.as_bytes() && to.is_none_or(|to| version.as_bytes() < to);
            let found: Vec<_> = table.scan(from, to, end).map(|(key, lsn, _)| (key, lsn)).collect();
            assert_eq!(found.contains(&(version.as_bytes().to_vec(), end)), is_there, "{from:?} {to:?}");
            let table = empty();
            table.keep(row.as_bytes(), end, &before);
            assert_eq!(
                table.scan_back(from, to, end).count(),
                usize::from(is_there && to.is_none_or(|to| from < to))
            );
        }
        let table = empty();
        table.keep(row.as_bytes(), end, &before);
        assert!(table.get(version.as_bytes(), Lsn(8)).is_none());
        let found = table.get(version.as_bytes(), end).flatten().unwrap();
        assert_eq!(history::decode(&found).unwrap(), before);
    }

    #[test]
    fn threads_that_look_at_once_all_find_everything() {
        let table = empty();
        for n in 0..5_000u64 {
            let key = Key::new(NamespaceId::DEFAULT, Table::State).u64(n);
            table.keep(key.as_bytes(), Lsn(n + 1), &Row { lsn: Lsn(n), body: b"x"[..].into() });
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(table.scan(&[], None, Lsn(u64::MAX)).count(), 5_000));
            }
        });
    }
}
