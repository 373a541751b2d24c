//! What of the simulated disk survives: syncs of directories, power loss, the end of a process.

use std::collections::{BTreeMap, BTreeSet};

use super::counters::Counters;
use super::directory::{Directory, Entry};
use super::disk::{Disk, ROOT, Refusal};
use super::inode::Mood;
use super::random::Random;

impl Disk {
    pub(super) fn sync_dir(&mut self, dir: u64) -> Result<(), Refusal> {
        let all = self.dir(dir)?.unsynced();
        self.settle(BTreeMap::from([(dir, all)]));
        if self.files.values().any(|file| file.links == 0 && file.opens == 0) {
            self.collect();
        }
        Ok(())
    }

    /// Some of a directory's changes become durable, and the rest never will.
    pub(super) fn fail_sync_dir(&mut self, dir: u64, random: &mut Random) -> Result<(), Refusal> {
        let count = random.below(self.dir(dir)?.unsynced() as u64 + 1) as usize;
        self.settle(BTreeMap::from([(dir, count)]));
        let renames = self.dir_mut(dir)?.abandon();
        self.dirs.values_mut().for_each(|dir| dir.abandon_renames(&renames));
        Ok(())
    }

    /// Power loss: of all that is unsynced, chance decides what the disk has.
    pub(super) fn crash(&mut self, random: &mut Random, counters: &mut Counters) {
        let whole = if random.chance(1, 4) { Some(Mood::any(random)) } else { None };
        for file in self.files.values_mut() {
            let mood = whole.unwrap_or_else(|| Mood::any(random));
            if file.has_unsynced() {
                file.settle(mood, random, counters);
            }
            file.forget();
        }
        let mut keep = BTreeMap::new();
        for (&id, dir) in &self.dirs {
            let all = dir.unsynced();
            let count = match whole.unwrap_or_else(|| Mood::any(random)) {
                Mood::Lose => 0,
                Mood::Keep => all,
                Mood::Prefix | Mood::Scatter => random.below(all as u64 + 1) as usize,
            };
            keep.insert(id, count);
        }
        self.settle(keep);
        for dir in self.dirs.values_mut() {
            counters.add_many("lost_entries", dir.unsynced() as u64);
            dir.forget();
        }
        self.restart();
    }

    /// The process is gone: its handles and locks with it, the cache stays.
    pub(super) fn restart(&mut self) {
        self.locks.clear();
        for file in self.files.values_mut() {
            file.opens = 0;
            file.links = 0;
        }
        let linked: Vec<Entry> = self.dirs.values().flat_map(|dir| dir.entries().values()).copied().collect();
        for entry in linked {
            if let Entry::File(id) = entry
                && let Some(file) = self.files.get_mut(&id)
            {
                file.links += 1;
            }
        }
        self.collect();
    }

    /// Makes the oldest changes of some directories durable, and with a rename's one half the other half, as a
    /// journalling file system does.
    fn settle(&mut self, mut keep: BTreeMap<u64, usize>) {
        let mut seen = BTreeSet::new();
        loop {
            let renames: BTreeSet<u64> = keep
                .iter()
                .filter_map(|(id, count)| Some(self.dirs.get(id)?.renames(*count)))
                .flatten()
                .filter(|rename| !seen.contains(rename))
                .collect();
            if renames.is_empty() {
                break;
            }
            for (&id, dir) in &self.dirs {
                let needed = renames.iter().filter_map(|rename| dir.prefix_with(*rename)).max().unwrap_or(0);
                let count = keep.entry(id).or_default();
                *count = needed.max(*count);
            }
            seen.extend(renames);
        }
        for (id, count) in keep {
            if let Some(dir) = self.dirs.get_mut(&id) {
                dir.settle(count);
            }
        }
    }

    /// Drops what nothing leads to any more, not even after a power loss.
    fn collect(&mut self) {
        let mut reached = BTreeSet::from([Entry::Dir(ROOT)]);
        let mut todo = vec![ROOT];
        while let Some(dir) = todo.pop() {
            for entry in self.dirs.get(&dir).into_iter().flat_map(Directory::all_entries) {
                if reached.insert(entry)
                    && let Entry::Dir(id) = entry
                {
                    todo.push(id);
                }
            }
        }
        self.dirs.retain(|id, _| reached.contains(&Entry::Dir(*id)));
        self.files.retain(|id, file| file.opens > 0 || reached.contains(&Entry::File(*id)));
    }
}
