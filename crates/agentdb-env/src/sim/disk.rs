//! The simulated disk: a tree of directories over inodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use super::counters::Counters;
use super::directory::{Directory, Entry};
use super::inode::{Inode, Mood};
use super::random::Random;

/// Why an operation is refused, in the system's words.
pub(super) type Refusal = &'static str;

pub(super) const NOT_FOUND: Refusal = "No such file or directory";
pub(super) const EXISTS: Refusal = "File exists";
pub(super) const IS_DIR: Refusal = "Is a directory";
pub(super) const NOT_DIR: Refusal = "Not a directory";
const INVALID: Refusal = "Invalid argument";

const ROOT: u64 = 0;

pub(super) struct Disk {
    dirs: BTreeMap<u64, Directory>,
    files: BTreeMap<u64, Inode>,
    next: u64,
    /// Who holds the lock of an inode.
    locks: BTreeMap<u64, u64>,
}

impl Disk {
    pub(super) fn new() -> Self {
        let dirs = BTreeMap::from([(ROOT, Directory::default())]);
        Disk { dirs, files: BTreeMap::new(), next: ROOT + 1, locks: BTreeMap::new() }
    }

    pub(super) fn find(&self, path: &Path) -> Result<Option<Entry>, Refusal> {
        let mut at = Entry::Dir(ROOT);
        for name in names(path) {
            let Entry::Dir(dir) = at else { return Err(NOT_DIR) };
            match self.dir(dir)?.get(&name) {
                Some(entry) => at = entry,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    pub(super) fn find_file(&self, path: &Path) -> Result<u64, Refusal> {
        match self.find(path)? {
            Some(Entry::File(id)) => Ok(id),
            Some(Entry::Dir(_)) => Err(IS_DIR),
            None => Err(NOT_FOUND),
        }
    }

    pub(super) fn find_dir(&self, path: &Path) -> Result<u64, Refusal> {
        match self.find(path)? {
            Some(Entry::Dir(id)) => Ok(id),
            Some(Entry::File(_)) => Err(NOT_DIR),
            None => Err(NOT_FOUND),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> Result<u64, Refusal> {
        let (dir, name) = self.parent(path)?;
        if self.dir(dir)?.get(&name).is_some() {
            return Err(EXISTS);
        }
        let id = self.id();
        self.files.insert(id, Inode::named(&[]));
        self.dir_mut(dir)?.change(vec![(name, Some(Entry::File(id)))], None);
        Ok(id)
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> Result<(), Refusal> {
        self.make_dirs(path, |dir, name, entry| dir.change(vec![(name, Some(entry))], None))
    }

    /// Puts a durable file, in durable directories, at a path, instead of what was there.
    pub(super) fn plant(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
        if let Some(above) = path.parent() {
            self.make_dirs(above, |dir, name, entry| dir.plant(&name, entry))?;
        }
        let (dir, name) = self.parent(path)?;
        match self.dir(dir)?.get(&name) {
            Some(Entry::Dir(_)) => return Err(IS_DIR),
            Some(Entry::File(old)) => self.unlink(old),
            None => {}
        }
        let id = self.id();
        self.files.insert(id, Inode::named(bytes));
        self.dir_mut(dir)?.plant(&name, Entry::File(id));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Refusal> {
        let ((from_dir, from_name), (to_dir, to_name)) = (self.parent(from)?, self.parent(to)?);
        let entry = self.dir(from_dir)?.get(&from_name).ok_or(NOT_FOUND)?;
        match (entry, self.dir(to_dir)?.get(&to_name)) {
            (_, Some(replaced)) if replaced == entry => return Ok(()),
            (Entry::Dir(_), Some(_)) => return Err(EXISTS),
            (Entry::File(_), Some(Entry::Dir(_))) => return Err(IS_DIR),
            (Entry::File(_), Some(Entry::File(replaced))) => self.unlink(replaced),
            (Entry::Dir(_), None) if names(to).starts_with(&names(from)) => return Err(INVALID),
            (_, None) => {}
        }
        if from_dir == to_dir {
            let sets = vec![(from_name, None), (to_name, Some(entry))];
            self.dir_mut(from_dir)?.change(sets, None);
        } else {
            let rename = Some(self.id());
            self.dir_mut(from_dir)?.change(vec![(from_name, None)], rename);
            self.dir_mut(to_dir)?.change(vec![(to_name, Some(entry))], rename);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<(), Refusal> {
        let id = self.find_file(path)?;
        let (dir, name) = self.parent(path)?;
        self.unlink(id);
        self.dir_mut(dir)?.change(vec![(name, None)], None);
        Ok(())
    }

    pub(super) fn list(&self, dir: u64) -> Result<Vec<String>, Refusal> {
        Ok(self.dir(dir)?.entries().keys().cloned().collect())
    }

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

    /// Whether all changes of a directory are durable.
    pub(super) fn is_synced(&self, dir: u64) -> bool {
        self.dirs.get(&dir).is_none_or(|dir| dir.unsynced() == 0)
    }

    pub(super) fn lock(&mut self, file: u64) -> Option<u64> {
        if self.locks.contains_key(&file) {
            return None;
        }
        let holder = self.id();
        self.locks.insert(file, holder);
        Some(holder)
    }

    pub(super) fn unlock(&mut self, file: u64, holder: u64) {
        if self.locks.get(&file) == Some(&holder) {
            self.locks.remove(&file);
        }
    }

    pub(super) fn file(&self, id: u64) -> Result<&Inode, Refusal> {
        self.files.get(&id).ok_or(NOT_FOUND)
    }

    pub(super) fn file_mut(&mut self, id: u64) -> Result<&mut Inode, Refusal> {
        self.files.get_mut(&id).ok_or(NOT_FOUND)
    }

    /// Pages that files occupy; a removed file counts as long as it is open.
    pub(super) fn used_pages(&self) -> u64 {
        let live = self.files.values().filter(|file| file.links > 0 || file.opens > 0);
        live.map(|file| file.pages().allocated()).sum()
    }

    /// Every file's path with its names, in order.
    pub(super) fn walk(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut todo = vec![(ROOT, Vec::new())];
        while let Some((dir, path)) = todo.pop() {
            for (name, entry) in self.dirs.get(&dir).into_iter().flat_map(|dir| dir.entries()) {
                let mut path = path.clone();
                path.push(name.clone());
                match entry {
                    Entry::Dir(id) => todo.push((*id, path)),
                    Entry::File(_) => found.push(path),
                }
            }
        }
        found.sort();
        found
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

    fn make_dirs(&mut self, path: &Path, add: impl Fn(&mut Directory, String, Entry)) -> Result<(), Refusal> {
        let mut at = ROOT;
        for name in names(path) {
            at = match self.dir(at)?.get(&name) {
                Some(Entry::Dir(id)) => id,
                Some(Entry::File(_)) => return Err(NOT_DIR),
                None => {
                    let id = self.id();
                    self.dirs.insert(id, Directory::default());
                    add(self.dir_mut(at)?, name, Entry::Dir(id));
                    id
                }
            };
        }
        Ok(())
    }

    /// The directory that a path lies in, and the last name.
    fn parent(&self, path: &Path) -> Result<(u64, String), Refusal> {
        let mut names = names(path);
        let last = names.pop().ok_or(IS_DIR)?;
        let dir = self.find_dir(&names.iter().collect::<std::path::PathBuf>())?;
        Ok((dir, last))
    }

    fn unlink(&mut self, file: u64) {
        if let Some(file) = self.files.get_mut(&file) {
            file.links = file.links.saturating_sub(1);
        }
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn dir(&self, id: u64) -> Result<&Directory, Refusal> {
        self.dirs.get(&id).ok_or(NOT_FOUND)
    }

    fn dir_mut(&mut self, id: u64) -> Result<&mut Directory, Refusal> {
        self.dirs.get_mut(&id).ok_or(NOT_FOUND)
    }
}

/// The names on the way from the root; a relative path starts there too.
fn names(path: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                names.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    names
}
