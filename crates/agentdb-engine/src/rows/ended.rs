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
