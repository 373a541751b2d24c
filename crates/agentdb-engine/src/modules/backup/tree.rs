//! A backup seen as a directory: the files of its database, read from chunks that are checked as they are read. What reads a
//! database reads it as it reads the disk; nothing can be written.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_env::{Env, File, Files, Lock, OpenMode};
use agentdb_types::{Code, Error, Result};

use super::index::{Chunk, FileEntry, Index};
use super::vault::{ChunkName, Vault};

/// Chunks that are kept in memory: a run of each level and of level 0 may be read at once.
const CACHED: usize = 32;

/// The files of a backup. Their paths start at `/`.
pub(crate) struct Tree {
    vault: Arc<Vault>,
    files: Index,
    cache: Arc<Cache>,
}

/// The chunks that were read last.
#[derive(Default)]
pub(crate) struct Cache(Mutex<VecDeque<(ChunkName, Arc<Vec<u8>>)>>);

impl Cache {
    fn chunk(&self, vault: &Vault, chunk: &Chunk) -> Result<Arc<Vec<u8>>> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = cached.iter().position(|(name, _)| *name == chunk.name) {
            let found = cached.remove(at);
            cached.extend(found);
        } else {
            let contents = Arc::new(vault.chunk(&chunk.name)?);
            while cached.len() >= CACHED {
                cached.pop_front();
            }
            cached.push_back((chunk.name, contents));
        }
        Ok(cached.back().map(|(_, contents)| contents.clone()).unwrap_or_default())
    }
}

impl Tree {
    /// A world like that of the vault, but with these files and no others. Backups that follow each other share chunks, and
    /// so the cache.
    pub(crate) fn env(vault: &Arc<Vault>, files: Index, cache: &Arc<Cache>) -> Env {
        let tree = Tree { vault: vault.clone(), files, cache: cache.clone() };
        Env { files: Arc::new(tree), ..vault.env.clone() }
    }

    fn entry(&self, path: &Path) -> Option<&FileEntry> {
        self.files.get(path.strip_prefix("/").unwrap_or(path).to_str()?)
    }
}

/// The path of a directory as the paths of the files in it start.
fn prefix(dir: &Path) -> String {
    match dir.strip_prefix("/").unwrap_or(dir).to_string_lossy() {
        root if root.is_empty() => String::new(),
        dir => format!("{dir}/"),
    }
}

fn read_only<T>(path: &Path) -> Result<T> {
    Err(Error::new(Code::ReadOnly).with("path", path.display()).with("reason", "it lies in a backup"))
}

impl Files for Tree {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        if mode != OpenMode::Read {
            return read_only(path);
        }
        let Some(entry) = self.entry(path) else {
            return Err(Error::new(Code::Io)
                .with("operation", "open")
                .with("path", path.display())
                .with("reason", "the backup has no such file"));
        };
        let (vault, cache, path) = (self.vault.clone(), self.cache.clone(), path.to_owned());
        let starts = starts(&entry.chunks);
        Ok(Arc::new(TreeFile { vault, cache, path, entry: entry.clone(), starts }))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let prefix = prefix(path);
        let below = self.files.range(prefix.clone()..).next();
        Ok(self.entry(path).is_some() || below.is_some_and(|(path, _)| path.starts_with(&prefix)))
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        read_only(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let prefix = prefix(dir);
        let below = self.files.range(prefix.clone()..).map(|(path, _)| path.strip_prefix(&prefix));
        let names = below.map_while(|rest| rest.map(|rest| rest.split('/').next().unwrap_or(rest)));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }

    fn rename(&self, from: &Path, _to: &Path) -> Result<()> {
        read_only(from)
    }

    fn link(&self, from: &Path, _to: &Path) -> Result<()> {
        read_only(from)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        read_only(path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        read_only(dir)
    }

    fn lock(&self, path: &Path) -> Result<Lock> {
        read_only(path)
    }
}

/// Where each chunk starts in its file, and the end.
fn starts(chunks: &[Chunk]) -> Vec<u64> {
    let mut starts = vec![0];
    starts.extend(chunks.iter().scan(0, |end, chunk| {
        *end += u64::from(chunk.bytes);
        Some(*end)
    }));
    starts
}

struct TreeFile {
    vault: Arc<Vault>,
    cache: Arc<Cache>,
    path: PathBuf,
    entry: FileEntry,
    starts: Vec<u64>,
}

impl TreeFile {
    /// The bytes of the file from `at` on, as far as one chunk holds them.
    fn piece(&self, at: u64, out: &mut [u8]) -> Result<usize> {
        let index = self.starts.partition_point(|start| *start <= at) - 1;
        let Some(chunk) = self.entry.chunks.get(index) else {
            // Behind the chunks lie zeros.
            let len = (self.entry.bytes - at).min(out.len() as u64) as usize;
            out[..len].fill(0);
            return Ok(len);
        };
        let contents =
            self.cache.chunk(&self.vault, chunk).map_err(|err| err.with("files", self.path.display()))?;
        let within = (at - self.starts[index]) as usize;
        let part = contents.get(within..).filter(|_| contents.len() == chunk.bytes as usize);
        let part = part.ok_or_else(|| {
            let object = super::vault::chunk_object(&chunk.name);
            self.vault.corrupt(&object, "its length is not that of the index")
        })?;
        let len = part.len().min(out.len());
        out[..len].copy_from_slice(&part[..len]);
        Ok(len)
    }
}

impl File for TreeFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < out.len() && offset + (done as u64) < self.entry.bytes {
            let read = self.piece(offset + done as u64, &mut out[done..])?;
            done += read;
        }
        Ok(done)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> Result<()> {
        read_only(&self.path)
    }

    fn sync_data(&self) -> Result<()> {
        read_only(&self.path)
    }

    fn set_len(&self, _len: u64) -> Result<()> {
        read_only(&self.path)
    }

    fn len(&self) -> Result<u64> {
        Ok(self.entry.bytes)
    }
}
