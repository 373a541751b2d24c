//! A memory table: versions of rows in the order of (key, descending LSN), one writer, lock-free readers.
//!
//! Versions that ended come besides ([history](crate::history)), one with each row that is replaced, and few are ever read.
//! They are put aside as they are, and become rows when someone looks where they belong, or the table is drained.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentdb_types::Lsn;
use crossbeam_skiplist::SkipMap;

use super::Row;
use super::ended::{self, Ended};
use super::filter::Filter;
use crate::history;

/// What a version costs beside its bytes: the tower of the skip list, two allocations, the counts.
const OVERHEAD: usize = 128;

/// A key of a row, then the inverted LSN in eight bytes: newer versions come first. Keys are self-delimiting, so the
/// order of versioned keys is that of keys, then versions.
type VersionedKey = Box<[u8]>;

#[derive(Default)]
pub(crate) struct Memtable {
    versions: SkipMap<VersionedKey, Option<Arc<[u8]>>>,
    filter: Filter,
    ended: Ended,
    bytes: AtomicUsize,
}

pub(crate) fn versioned(key: &[u8], lsn: Lsn) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 8);
    out.extend_from_slice(key);
    out.extend_from_slice(&(!lsn.0).to_be_bytes());
    out
}

fn split(versioned: &[u8]) -> (&[u8], Lsn) {
    match versioned.split_last_chunk() {
        Some((key, inverted)) => (key, Lsn(!u64::from_be_bytes(*inverted))),
        None => (versioned, Lsn::ZERO),
    }
}

/// A version: key, LSN, and the body unless it is a tombstone.
pub(crate) type Version = (Vec<u8>, Lsn, Option<Arc<[u8]>>);

impl Memtable {
    pub(crate) fn insert(&self, key: &[u8], lsn: Lsn, body: Option<Arc<[u8]>>) {
        let bytes = key.len() + body.as_ref().map_or(0, |b| b.len()) + OVERHEAD;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.place(key, lsn, body);
    }

    fn place(&self, key: &[u8], lsn: Lsn, body: Option<Arc<[u8]>>) {
        self.versions.insert(versioned(key, lsn).into(), body);
        self.filter.add(key);
    }

    /// Puts aside what the row of a key was until `end`.
    pub(crate) fn keep(&self, key: Vec<u8>, end: Lsn, before: Row) {
        let bytes = 2 * size_of::<u64>() + key.len() + before.body.len() + OVERHEAD;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.ended.push(ended::Version { key, end, before });
    }

    /// Makes rows of some versions that ended; returns whether there were any.
    pub(crate) fn place_ended(&self) -> bool {
        self.ended.place(|key, lsn, body| self.place(key, lsn, Some(body)))
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
        let from = versioned(key, at);
        let entry = self.versions.lower_bound(Bound::Included(&from[..]))?;
        let (found, lsn) = split(entry.key());
        (found == key).then(|| entry.value().clone().map(|body| Row { lsn, body }))
    }

    /// The newest version at or before `at` of each key from `from` on, below `to`, ascending.
    pub(crate) fn scan<'a>(
        &'a self,
        from: &'a [u8],
        to: Option<&'a [u8]>,
        at: Lsn,
    ) -> impl Iterator<Item = Version> + 'a {
        self.place_ended_within(from, to);
        let mut last: Option<Vec<u8>> = None;
        self.versions
            .range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
            // The versions of a key that `from` continues lie behind `from` although the key lies before it.
            .skip_while(move |e| split(e.key()).0 < from)
            .take_while(move |e| to.is_none_or(|to| split(e.key()).0 < to))
            .filter_map(move |entry| {
                let (key, lsn) = split(entry.key());
                if lsn > at || last.as_deref() == Some(key) {
                    return None;
                }
                last = Some(key.to_vec());
                Some((key.to_vec(), lsn, entry.value().clone()))
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
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = self.versions.range::<[u8], _>((Bound::Included(from), end)).rev().peekable();
        std::iter::from_fn(move || {
            loop {
                // Backwards, the versions of a key come oldest first: the last one at or before `at` counts.
                let first = entries.next()?;
                let (key, lsn) = split(first.key());
                let key = key.to_vec();
                let mut found = (lsn <= at).then(|| (lsn, first.value().clone()));
                while let Some(next) = entries.next_if(|e| split(e.key()).0 == key) {
                    let lsn = split(next.key()).1;
                    if lsn <= at {
                        found = Some((lsn, next.value().clone()));
                    }
                }
                if let Some((lsn, body)) = found {
                    return Some((key, lsn, body));
                }
            }
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }
}
