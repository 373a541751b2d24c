//! The directory of blob files: uploads, the list of those under way, and removal.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentdb_env::{Env, File, OpenMode, entries};
use agentdb_types::{Code, Error, Result, limits};

use super::row::BLOCK;
use super::{ADDRESS_DIGITS, check_address};
use crate::NamespaceId;
use crate::key::Key;
use crate::modules::source_failed;

const NEW: &str = "new";

/// The blob files of a database.
pub(crate) struct Blobs {
    env: Env,
    dir: PathBuf,
    /// Held while directories are made or synced: whether that failed before.
    failed: Mutex<bool>,
    /// Uploads under way, by namespace and address.
    uploads: Mutex<HashMap<(NamespaceId, String), usize>>,
    /// By namespace: where its notes of files to remove start; earlier ones are gone, and none will come.
    pub(super) collected_to: Mutex<HashMap<NamespaceId, Key>>,
    /// Directories of namespaces whose files were not looked at since opening.
    pub(super) unseen: Mutex<VecDeque<NamespaceId>>,
}

/// The list of uploads, held still.
pub(super) type Uploads<'a> = MutexGuard<'a, HashMap<(NamespaceId, String), usize>>;

/// Bytes received, in a synced file of their own. Dropping it removes what was not placed.
pub(super) struct Received {
    env: Env,
    path: PathBuf,
    placed: bool,
    pub(super) address: String,
    pub(super) bytes: u64,
    pub(super) sums: Vec<u32>,
}

/// An upload that the collector must leave alone.
pub(super) struct Announced<'a> {
    blobs: &'a Blobs,
    key: (NamespaceId, String),
}

impl Blobs {
    /// Removes unfinished uploads, and finds out which directories have to be looked at.
    pub(crate) fn open(env: &Env, dir: &Path) -> Result<Self> {
        let new = dir.join(NEW);
        env.files.create_dir_all(&new)?;
        for name in env.files.list(&new)? {
            env.files.remove(&new.join(name))?;
        }
        entries::settle(&*env.files, dir)?;
        let mut unseen = VecDeque::new();
        for name in env.files.list(dir)? {
            let Ok(number) = name.parse() else { continue };
            unseen.push_back(NamespaceId(number));
            // What is in doubt may wait until the files are looked at, what cannot be found may not.
            entries::find_moved(&*env.files, &dir.join(name))?;
        }
        let (env, dir) = (env.clone(), dir.to_owned());
        Ok(Blobs {
            env,
            dir,
            failed: Mutex::default(),
            uploads: Mutex::default(),
            collected_to: Mutex::default(),
            unseen: Mutex::new(unseen),
        })
    }

    /// Writes what `source` gives to a new file and syncs it.
    pub(super) fn receive(&self, source: &mut dyn std::io::Read) -> Result<Received> {
        let mut random = [0u8; 16];
        self.env.entropy.fill(&mut random);
        let path = self.dir.join(NEW).join(format!("{:032x}", u128::from_be_bytes(random)));
        let file = self.env.files.open(&path, OpenMode::CreateNew)?;
        let (address, sums) = (String::new(), Vec::new());
        let mut received = Received { env: self.env.clone(), path, placed: false, address, bytes: 0, sums };
        let mut hasher = blake3::Hasher::new();
        let mut block = vec![0u8; BLOCK];
        loop {
            let filled = fill(source, &mut block)?;
            if filled == 0 {
                break;
            }
            let (at, block) = (received.bytes, &block[..filled]);
            received.bytes += filled as u64;
            if received.bytes > limits::BLOB_BYTES {
                return Err(Error::new(Code::BlobTooLarge).with("limit", limits::BLOB_BYTES));
            }
            hasher.update(block);
            received.sums.push(crc32c::crc32c(block));
            file.write_at(at, block)?;
            if filled < BLOCK {
                break;
            }
        }
        file.sync_data()?;
        received.address = hasher.finalize().to_hex().to_string();
        Ok(received)
    }

    /// Keeps the collector away from an address.
    pub(super) fn announce(&self, namespace: NamespaceId, address: &str) -> Announced<'_> {
        let key = (namespace, address.to_owned());
        *self.uploads().entry(key.clone()).or_default() += 1;
        Announced { blobs: self, key }
    }

    /// The uploads under way. While it is held, none begins or ends.
    pub(super) fn uploads(&self) -> Uploads<'_> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn namespace_dir(&self, namespace: NamespaceId) -> PathBuf {
        self.dir.join(namespace.number().to_string())
    }

    /// Waits until the collector is not at work.
    pub(crate) fn wait_for_collector(&self) {
        drop(self.uploads());
    }

    /// The path of an address from the database's directory.
    pub(crate) fn relative_path(&self, namespace: NamespaceId, address: &str) -> String {
        format!("blobs/{}/{}/{address}", namespace.number(), &address[..2])
    }

    /// The path of an address, whose form was checked.
    pub(super) fn path(&self, namespace: NamespaceId, address: &str) -> PathBuf {
        self.namespace_dir(namespace).join(&address[..2]).join(address)
    }

    /// Opens the file of an address; `None` if there is none.
    pub(super) fn open_file(&self, namespace: NamespaceId, address: &str) -> Result<Option<Arc<dyn File>>> {
        check_address(address)?;
        let path = self.path(namespace, address);
        if !self.env.files.exists(&path)? {
            return Ok(None);
        }
        match self.env.files.open(&path, OpenMode::Read) {
            Ok(file) => Ok(Some(file)),
            // The collector may have come in between.
            Err(_) if !self.env.files.exists(&path)? => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Removes the file of an address, if there is one.
    pub(super) fn remove(&self, namespace: NamespaceId, address: &str) -> Result<bool> {
        let path = self.path(namespace, address);
        let exists = self.env.files.exists(&path)?;
        if exists {
            self.env.files.remove(&path)?;
        }
        Ok(exists)
    }

    /// Makes the directories in that of a namespace durable that are in doubt.
    pub(super) fn settle(&self, namespace: NamespaceId) -> Result<()> {
        let _one = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = self.namespace_dir(namespace);
        // A namespace that was deleted during a backup may never have had a blob.
        if !self.env.files.exists(&dir)? {
            return Ok(());
        }
        entries::settle(&*self.env.files, &dir)
    }

    /// The addresses of the files of a namespace.
    pub(super) fn addresses(&self, namespace: NamespaceId) -> Result<Vec<String>> {
        let dir = self.namespace_dir(namespace);
        let mut addresses = Vec::new();
        if !self.env.files.exists(&dir)? {
            return Ok(addresses);
        }
        for prefix in self.env.files.list(&dir)? {
            // What AgentDB did not put there is nobody's garbage.
            if prefix.len() != 2 {
                continue;
            }
            let names = self.env.files.list(&dir.join(&prefix))?;
            addresses.extend(
                names.into_iter().filter(|n| {
                    n.len() == ADDRESS_DIGITS && check_address(n).is_ok() && n.starts_with(&prefix)
                }),
            );
        }
        Ok(addresses)
    }
}

/// Reads until `out` is full or the source ends.
fn fill(source: &mut dyn std::io::Read, out: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match source.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(source_failed("the bytes to upload", e)),
        }
    }
    Ok(filled)
}

impl Received {
    /// Gives the file its place. Its directory entry is durable after [`Blobs::sync`].
    pub(super) fn place(&mut self, blobs: &Blobs, namespace: NamespaceId) -> Result<()> {
        blobs.ensure_dirs(namespace, &self.address)?;
        self.env.files.rename(&self.path, &blobs.path(namespace, &self.address))?;
        self.placed = true;
        Ok(())
    }
}

impl Blobs {
    /// Makes the directories that lead to an address, durably.
    pub(super) fn ensure_dirs(&self, namespace: NamespaceId, address: &str) -> Result<()> {
        let _one = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let files = &*self.env.files;
        entries::ensure_dir(files, &self.dir, namespace.number().to_string())?;
        entries::ensure_dir(files, &self.namespace_dir(namespace), &address[..2])
    }

    /// Gives the file of an address a name in another namespace, whose directories are there. Its entry is durable after
    /// [`Blobs::sync`].
    pub(super) fn link(&self, from: NamespaceId, to: NamespaceId, address: &str) -> Result<()> {
        self.env.files.link(&self.path(from, address), &self.path(to, address))
    }

    /// Makes the directory entry of an address durable. A failure must poison the handle. None that comes after it is
    /// believed: it would succeed without an effect, the system having given up on the entries of both.
    pub(super) fn sync(&self, namespace: NamespaceId, address: &str) -> Result<()> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = self.namespace_dir(namespace).join(&address[..2]);
        if *failed {
            return Err(Error::new(Code::Io)
                .with("operation", "sync")
                .with("path", dir.display())
                .with("reason", "an earlier sync of the directory of blobs failed"));
        }
        let synced = self.env.files.sync_dir(&dir);
        *failed = synced.is_err();
        synced
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.placed {
            // What stays is removed when the database is opened.
            let _ = self.env.files.remove(&self.path);
        }
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        let mut uploads = self.blobs.uploads();
        if let Some(count) = uploads.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                uploads.remove(&self.key);
            }
        }
    }
}
