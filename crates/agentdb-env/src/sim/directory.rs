//! One directory of the simulated disk: its durable entries and the ordered journal of what was done since.

use std::collections::BTreeMap;

/// What a name leads to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    Dir(u64),
    File(u64),
}

#[derive(Default)]
pub(super) struct Directory {
    durable: BTreeMap<String, Entry>,
    current: BTreeMap<String, Entry>,
    journal: Vec<Change>,
}

/// One step of the journal, which becomes durable whole or not at all.
struct Change {
    sets: Vec<(String, Option<Entry>)>,
    /// The rename between two directories of which this is one half.
    rename: Option<u64>,
}

impl Directory {
    pub(super) fn change(&mut self, sets: Vec<(String, Option<Entry>)>, rename: Option<u64>) {
        for (name, entry) in &sets {
            set(&mut self.current, name, *entry);
        }
        self.journal.push(Change { sets, rename });
    }

    /// Adds an entry that is durable already.
    pub(super) fn plant(&mut self, name: &str, entry: Entry) {
        set(&mut self.durable, name, Some(entry));
        set(&mut self.current, name, Some(entry));
    }

    /// Makes the oldest `count` changes durable.
    pub(super) fn settle(&mut self, count: usize) {
        for change in self.journal.drain(..count) {
            for (name, entry) in &change.sets {
                set(&mut self.durable, name, *entry);
            }
        }
    }

    /// Gives up on making the journal durable; readers see what they saw.
    pub(super) fn abandon(&mut self) -> Vec<u64> {
        self.journal.drain(..).filter_map(|change| change.rename).collect()
    }

    /// Gives up on the other half of abandoned renames.
    pub(super) fn abandon_renames(&mut self, renames: &[u64]) {
        self.journal.retain(|change| change.rename.is_none_or(|r| !renames.contains(&r)));
    }

    /// Readers see what is durable.
    pub(super) fn forget(&mut self) {
        self.journal.clear();
        self.current = self.durable.clone();
    }

    pub(super) fn get(&self, name: &str) -> Option<Entry> {
        self.current.get(name).copied()
    }

    pub(super) fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.current
    }

    pub(super) fn unsynced(&self) -> usize {
        self.journal.len()
    }

    /// The renames between directories among the oldest `count` changes.
    pub(super) fn renames(&self, count: usize) -> impl Iterator<Item = u64> {
        self.journal[..count].iter().filter_map(|change| change.rename)
    }

    /// How many of the oldest changes must be durable for that half of a rename to be.
    pub(super) fn prefix_with(&self, rename: u64) -> Option<usize> {
        self.journal.iter().position(|change| change.rename == Some(rename)).map(|i| i + 1)
    }

    /// Everything that is an entry, was when last synced, or was in between.
    pub(super) fn all_entries(&self) -> impl Iterator<Item = Entry> {
        let journalled = self.journal.iter().flat_map(|change| &change.sets).filter_map(|(_, entry)| *entry);
        self.durable.values().chain(self.current.values()).copied().chain(journalled)
    }
}

fn set(map: &mut BTreeMap<String, Entry>, name: &str, entry: Option<Entry>) {
    match entry {
        Some(entry) => map.insert(name.to_owned(), entry),
        None => map.remove(name),
    };
}
