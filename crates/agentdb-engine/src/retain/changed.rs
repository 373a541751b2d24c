//! Where messages and checkpoints were written since somebody looked at how many there are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use agentdb_types::Lsn;

use super::Noun;
use crate::Table;
use crate::key::{Key, NamespaceId};

/// Sessions and threads that are remembered; if there are more, all are looked at.
const REMEMBERED: usize = 10_000;

/// A session or thread by its number, and whether its messages or its checkpoints changed.
pub(super) type Part = (NamespaceId, Noun, u64);

/// What was written where. Nothing is noted until there is a policy.
#[derive(Default)]
pub(crate) struct Changed {
    notes: AtomicBool,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    /// With the last batch that changed them.
    some: BTreeMap<Part, Lsn>,
    /// Set once there were too many: the last batch that changed any.
    all: Option<Lsn>,
}

impl Changed {
    /// From now on changes are noted: there is a policy, or there may be one.
    pub(super) fn begin(&self) {
        self.notes.store(true, Ordering::Release);
    }

    /// Learns of a row that changes. Batches are told of in their order.
    pub(crate) fn note(&self, key: &[u8], lsn: Lsn) {
        let noun = match Key::table_of(key).and_then(Table::from_number) {
            // Written with every message, and by the session's own number.
            Some(Table::SessionTally) => Noun::Message,
            Some(Table::Checkpoint) => Noun::Checkpoint,
            Some(Table::Policy) => return self.begin(),
            _ => return,
        };
        if !self.notes.load(Ordering::Acquire) {
            return;
        }
        let Some((namespace, number)) = Key::namespace_of(key).zip(Key::number_of(key)) else { return };
        let parts = &mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.all.is_none() {
            parts.some.insert((namespace, noun, number), lsn);
        }
        if parts.all.is_some() || parts.some.len() > REMEMBERED {
            parts.some.clear();
            parts.all = Some(lsn);
        }
    }

    /// Takes what changed up to a batch: some parts, and whether it may be any.
    pub(super) fn take(&self, up_to: Lsn) -> (Vec<Part>, bool) {
        let parts = &mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = parts.some.extract_if(.., |_, lsn| *lsn <= up_to).map(|(part, _)| part).collect();
        (taken, parts.all.take_if(|lsn| *lsn <= up_to).is_some())
    }
}
