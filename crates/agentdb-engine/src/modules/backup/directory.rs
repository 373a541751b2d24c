//! Backups in a directory: an object is a file. It is written and synced under another name first, and its entry is made
//! as [`entries`] does it: one whose sync failed stays marked, and whoever is about to rely on it makes it durable first.
//! A marked one can be read all the same: a directory that cannot be written to can be restored from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use agentdb_env::{Env, OpenMode, entries};
use agentdb_types::{Code, Result};

use super::store::Store;
use super::{CHUNKS, LEASES, MANIFESTS, busy};
use crate::engine::create_dir_durably;
use crate::planted::{self, Bug};

/// Unfinished objects.
const NEW: &str = "new";
/// Beside an entry that may not be durable.
const MARK: &str = ".unproven";
/// The name of such an entry while it is being made so.
const MOVED: &str = ".moved";

/// Whether a name in the directory is one of this store's own.
pub(super) fn is_own(name: &str) -> bool {
    let dirs = [CHUNKS, MANIFESTS, LEASES].map(|prefix| prefix.trim_end_matches('/'));
    dirs.contains(&name) || [NEW, "LOCK", "STORE"].contains(&name)
}

/// Backups in a directory.
pub struct DirectoryStore {
    env: Env,
    root: PathBuf,
    place: String,
}

impl DirectoryStore {
    /// The store in this directory, which is made when something is put there.
    ///
    /// # Errors
    /// Errors of files.
    pub fn new(env: &Env, root: &Path) -> Result<Self> {
        let root = env.files.absolute(root)?;
        let place = root.display().to_string();
        Ok(DirectoryStore { env: env.clone(), root, place })
    }

    /// The directory and the name in it of an object.
    fn split(&self, name: &str) -> (PathBuf, String) {
        match name.rsplit_once('/') {
            Some((dir, name)) => (self.root.join(dir), name.to_owned()),
            None => (self.root.clone(), name.to_owned()),
        }
    }

    /// Makes the directories that lead to an object.
    fn ensure_dirs(&self, name: &str) -> Result<()> {
        let files = &*self.env.files;
        if !files.exists(&self.root.join(NEW))? {
            create_dir_durably(&self.env, &self.root)?;
            entries::ensure_dir(files, &self.root, NEW)?;
        }
        let mut dir = self.root.clone();
        let parts: Vec<&str> = name.split('/').collect();
        for part in &parts[..parts.len() - 1] {
            entries::ensure_dir(files, &dir, part)?;
            dir.push(part);
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.ensure_dirs(name)?;
        let mut random = [0u8; 16];
        self.env.entropy.fill(&mut random);
        let new = self.root.join(NEW).join(format!("{:032x}", u128::from_be_bytes(random)));
        let file = self.env.files.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, bytes)?;
        if !planted::is(Bug::BackupNotSynced) {
            file.sync_data()?;
        }
        let (dir, name) = self.split(name);
        let files = &*self.env.files;
        entries::make(files, &dir, &name, || files.rename(&new, &dir.join(&name)))
    }

    /// The names of the objects in a directory.
    fn names(&self, dir: &Path) -> Result<Vec<String>> {
        if !self.env.files.exists(dir)? {
            return Ok(Vec::new());
        }
        let mut names = self.env.files.list(dir)?;
        names.retain(|name| !name.ends_with(MARK));
        let names: BTreeSet<String> =
            names.iter().map(|name| name.strip_suffix(MOVED).unwrap_or(name).to_owned()).collect();
        Ok(names.into_iter().collect())
    }

    /// The directories of objects.
    fn dirs(&self) -> Result<Vec<PathBuf>> {
        let mut dirs = vec![self.root.clone()];
        for prefix in [CHUNKS, MANIFESTS, LEASES] {
            let dir = self.root.join(prefix);
            if prefix == CHUNKS {
                let parts = self.names(&dir)?;
                dirs.extend(parts.iter().filter(|part| part.len() == 2).map(|part| dir.join(part)));
            }
            dirs.push(dir);
        }
        Ok(dirs)
    }
}

impl Store for DirectoryStore {
    fn place(&self) -> &str {
        &self.place
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.ensure_dirs(name)?;
        let _alone = self.env.files.lock(&self.root.join("LOCK")).map_err(|err| match err.code() {
            Code::Locked => busy(&self.place, "another process is writing there"),
            _ => err,
        })?;
        if self.get(name)?.is_some() {
            return Ok(false);
        }
        self.write(name, bytes).map(|()| true)
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.write(name, &bytes)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.root.join(name);
        let moved = self.root.join(format!("{name}{MOVED}"));
        let path = if self.env.files.exists(&path)? {
            path
        } else if self.env.files.exists(&moved)? {
            moved
        } else {
            return Ok(None);
        };
        let file = self.env.files.open(&path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let names = self.names(&self.root.join(prefix))?;
        if prefix != CHUNKS {
            return Ok(names.iter().map(|name| format!("{prefix}{name}")).collect());
        }
        let mut found = Vec::new();
        for part in names.iter().filter(|name| name.len() == 2) {
            let names = self.names(&self.root.join(prefix).join(part))?;
            found.extend(names.iter().map(|name| format!("{prefix}{part}/{name}")));
        }
        Ok(found)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        let mut dirs = BTreeSet::new();
        for name in names {
            let path = self.root.join(name);
            if self.env.files.exists(&path)? {
                self.env.files.remove(&path)?;
                dirs.insert(self.split(name).0);
            }
        }
        dirs.iter().try_for_each(|dir| self.env.files.sync_dir(dir))
    }

    fn settle(&self) -> Result<()> {
        for dir in self.dirs()? {
            if self.env.files.exists(&dir)? {
                entries::settle(&*self.env.files, &dir)?;
            }
        }
        Ok(())
    }

    fn tidy(&self) -> Result<()> {
        let dir = self.root.join(NEW);
        for name in self.names(&dir)? {
            self.env.files.remove(&dir.join(name))?;
        }
        Ok(())
    }
}
