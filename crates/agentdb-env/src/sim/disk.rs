//! The simulated disk: a tree of directories over inodes. What of it survives is in [`survival`](super::survival).

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::directory::{Directory, Entry};
use super::inode::Inode;

/// Why an operation is refused, in the system's words.
pub(super) type Refusal = &'static str;

pub(super) const NOT_FOUND: Refusal = "No such file or directory";
pub(super) const EXISTS: Refusal = "File exists";
pub(super) const IS_DIR: Refusal = "Is a directory";
pub(super) const NOT_DIR: Refusal = "Not a directory";
const INVALID: Refusal = "Invalid argument";

pub(super) const ROOT: u64 = 0;

pub(super) struct Disk {
    pub(super) dirs: BTreeMap<u64, Directory>,
    pub(super) files: BTreeMap<u64, Inode>,
    next: u64,
    /// Who holds the lock of an inode.
    pub(super) locks: BTreeMap<u64, u64>,
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

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> Result<(), Refusal> {
        let id = self.find_file(from)?;
        let (dir, name) = self.parent(to)?;
        if self.dir(dir)?.get(&name).is_some() {
            return Err(EXISTS);
        }
        self.file_mut(id)?.links += 1;
        self.dir_mut(dir)?.change(vec![(name, Some(Entry::File(id)))], None);
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
        let dir = self.find_dir(&names.iter().collect::<PathBuf>())?;
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

    pub(super) fn dir(&self, id: u64) -> Result<&Directory, Refusal> {
        self.dirs.get(&id).ok_or(NOT_FOUND)
    }

    pub(super) fn dir_mut(&mut self, id: u64) -> Result<&mut Directory, Refusal> {
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
