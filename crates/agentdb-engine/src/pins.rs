//! Pinned snapshots: what the pages of one search are read from, for a while.
//!
//! A pin holds the memory tables and runs that its snapshot reads. So there are few, they end a while after they were last
//! used, and they end early, the least recently used first, if they alone keep much memory from being freed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentdb_types::{Timestamp, limits};

use crate::Snapshot;
use crate::engine::Core;
use crate::key::NamespaceId;
use crate::read::Read;
use crate::rows::{Reader, Rows};

/// The pinned snapshots of a database.
#[derive(Default)]
pub(crate) struct Pins {
    table: Mutex<Pinned>,
}

#[derive(Default)]
struct Pinned {
    next: u64,
    /// The least recently used first.
    pins: VecDeque<Pin>,
}

struct Pin {
    number: u64,
    rows: Reader,
    namespace: NamespaceId,
    now: Timestamp,
    /// When it was used last, on the monotonic clock.
    used_us: u64,
}

impl Pins {
    /// Keeps a snapshot, and returns the number by which it is found again. Numbers are not used twice by one handle.
    pub(crate) fn pin(&self, snapshot: &Snapshot) -> u64 {
        let core = &snapshot.core;
        let used_us = core.env.clock.monotonic_us();
        let mut table = self.table();
        table.let_go(used_us, &core.rows);
        if table.pins.len() >= limits::SEARCH_PINS {
            table.pins.pop_front();
        }
        let number = table.next;
        table.next += 1;
        let (rows, namespace, now) = (snapshot.rows.clone(), snapshot.namespace(), snapshot.now());
        table.pins.push_back(Pin { number, rows, namespace, now, used_us });
        number
    }

    /// The snapshot of this number, if it is still kept; it counts as used now.
    pub(crate) fn find(&self, core: &Arc<Core>, number: u64) -> Option<Snapshot> {
        let now_us = core.env.clock.monotonic_us();
        let mut table = self.table();
        table.let_go(now_us, &core.rows);
        let at = table.pins.iter().position(|pin| pin.number == number)?;
        let pin = table.pins.remove(at)?;
        let snapshot = Snapshot::new(core.clone(), pin.rows.clone(), pin.namespace, pin.now);
        table.pins.push_back(Pin { used_us: now_us, ..pin });
        Some(snapshot)
    }

    /// Lets go of what was not used for long, or keeps too much.
    pub(crate) fn let_go(&self, core: &Core) {
        self.table().let_go(core.env.clock.monotonic_us(), &core.rows);
    }

    fn table(&self) -> MutexGuard<'_, Pinned> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pinned {
    fn let_go(&mut self, now_us: u64, rows: &Rows) {
        while self.pins.front().is_some_and(|pin| {
            now_us.saturating_sub(pin.used_us) >= limits::SEARCH_PIN_IDLE_US
                || rows.bytes_kept_by(self.pins.iter().map(|pin| &pin.rows)) > limits::SEARCH_PINNED_BYTES
        }) {
            self.pins.pop_front();
        }
    }
}
