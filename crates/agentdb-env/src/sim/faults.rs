//! What goes wrong, and when: armed by the test, fired by the operations.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Shared;

/// The faults of a [`World`](super::World). Those that count operations count from the moment they are armed; several
/// of a kind may be armed at once.
pub struct Faults {
    pub(super) shared: Arc<Shared>,
}

/// What is armed, as absolute counts.
#[derive(Default)]
pub(super) struct Plan {
    changes: u64,
    syncs: u64,
    writes: u64,
    off_after: Option<u64>,
    dir_syncs: u64,
    failing_syncs: BTreeSet<u64>,
    failing_dir_syncs: BTreeSet<u64>,
    failing_writes: BTreeSet<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) read_only: bool,
}

impl Faults {
    /// Lets `n` more changing operations (write, sync, set length, rename, create, remove) succeed and stops the
    /// machine in the middle of the next: it fails, but may have been done in part or whole. From then on every file
    /// operation fails until [`World::crash`](super::World::crash) (or
    /// [`World::process_kill`](super::World::process_kill), if only the process is to have died there).
    pub fn crash_after(&self, n: u64) {
        let plan = &mut self.shared.state().plan;
        plan.off_after = Some(plan.changes + n);
    }

    /// Fails the `n`th sync from now, of a file or a directory (1 is the next), with an I/O error. As on Linux, what
    /// was unsynced then is as chance has it and no later sync saves it, though readers see it until a crash.
    pub fn fail_sync(&self, n: u64) {
        let plan = &mut self.shared.state().plan;
        plan.failing_syncs.insert(plan.syncs + n);
    }

    /// Fails the `n`th sync of a directory from now, as [`Faults::fail_sync`] does.
    pub fn fail_dir_sync(&self, n: u64) {
        let plan = &mut self.shared.state().plan;
        plan.failing_dir_syncs.insert(plan.dir_syncs + n);
    }

    /// Fails the `n`th write from now (1 is the next) with an I/O error. A first part of it may have been written.
    pub fn fail_write(&self, n: u64) {
        let plan = &mut self.shared.state().plan;
        plan.failing_writes.insert(plan.writes + n);
    }

    /// Limits what files may occupy, in bytes, rounded down to pages of 4 KiB. Holes occupy nothing; overwriting what
    /// occupies space already needs none. A write that does not fit is written as far as it does.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.state().plan.capacity = bytes;
    }

    /// Makes the file system refuse all changes, or accept them again.
    pub fn set_read_only(&self, on: bool) {
        self.shared.state().plan.read_only = on;
    }

    /// Disarms everything: no capacity, not read-only, nothing to fail.
    pub fn clear(&self) {
        let plan = &mut self.shared.state().plan;
        let Plan { changes, syncs, dir_syncs, writes, .. } = *plan;
        *plan = Plan { changes, syncs, dir_syncs, writes, ..Plan::default() };
    }
}

impl Plan {
    /// Counts a changing operation; true if the machine stops in it.
    pub(super) fn stops_now(&mut self) -> bool {
        self.changes += 1;
        let stops = self.off_after.is_some_and(|n| self.changes > n);
        if stops {
            self.off_after = None;
        }
        stops
    }

    /// Counts a sync; true if it fails.
    pub(super) fn sync_fails_now(&mut self) -> bool {
        self.syncs += 1;
        self.failing_syncs.remove(&self.syncs)
    }

    /// Counts a sync of a directory; true if it fails.
    pub(super) fn dir_sync_fails_now(&mut self) -> bool {
        self.dir_syncs += 1;
        self.failing_dir_syncs.remove(&self.dir_syncs) | self.sync_fails_now()
    }

    /// Counts a write; true if it fails.
    pub(super) fn write_fails_now(&mut self) -> bool {
        self.writes += 1;
        self.failing_writes.remove(&self.writes)
    }
}
