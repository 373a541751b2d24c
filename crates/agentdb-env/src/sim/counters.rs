//! Counts of what happened in a simulated world, so that a test can tell that its faults really fired.

use std::collections::BTreeMap;

/// Every name that is ever counted, so that a count of zero is visible too.
const NAMES: [&str; 15] = [
    "operations",
    "reads",
    "writes",
    "syncs",
    "dir_syncs",
    "crashes",
    "kills",
    "interrupted",
    "torn_writes",
    "lost_writes",
    "reordered_writes",
    "lost_entries",
    "failed_syncs",
    "failed_writes",
    "disk_full",
];

pub(super) struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    pub(super) fn new() -> Self {
        Counters(NAMES.into_iter().map(|name| (name, 0)).collect())
    }

    pub(super) fn add(&mut self, name: &'static str) {
        self.add_many(name, 1);
    }

    pub(super) fn add_many(&mut self, name: &'static str, count: u64) {
        debug_assert!(NAMES.contains(&name), "{name} is not listed");
        *self.0.entry(name).or_default() += count;
    }

    pub(super) fn all(&self) -> &BTreeMap<&'static str, u64> {
        &self.0
    }
}
