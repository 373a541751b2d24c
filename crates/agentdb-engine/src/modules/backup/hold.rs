//! What keeps the log: a backup that reads it for a while, and an archive for good.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentdb_env::{Env, OpenMode, entries};
use agentdb_log::LocalLog;
use agentdb_types::{Code, Error, Lsn, Result};
use serde::{Deserialize, Serialize};

use super::vault::Vault;
use crate::engine::Core;
use crate::format::checksum;

const FILE: &str = "HOLD";
const VERSION: u32 = 1;
const MAX_BYTES: u64 = 4096;

/// Keeps the log from being trimmed and files of blobs from being removed.
pub(super) struct Pause(Arc<Core>);

impl Pause {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        core.backups.fetch_add(1, Ordering::SeqCst);
        let pause = Pause(core.clone());
        // Whoever trims or removes has looked before, and is done now.
        core.wait_for_trimming();
        core.blobs.wait_for_collector();
        pause
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.backups.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The file `HOLD`, format version 1: for which store the log is held, and up to where it was sent there. A line of JSON, and
/// its CRC-32C.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) agentdb_hold: u32,
    /// The store's id.
    pub(crate) store: String,
    /// Where it was, for people.
    pub(crate) place: String,
    /// Up to which LSN the log was sent there.
    #[serde(default)]
    pub(crate) archived: Lsn,
    /// The chain hash at that LSN: what is sent belongs to no other log.
    #[serde(default)]
    pub(crate) chain: String,
}

impl Held {
    pub(crate) fn encode(&self) -> String {
        let line = serde_json::to_string(self).unwrap_or_default();
        format!("{line}\n{}\n", checksum(&line))
    }

    /// What the bytes say; `None` if they are damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Held> {
        let (line, rest) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        (rest.strip_suffix('\n')? == checksum(line)).then(|| serde_json::from_str(line).ok())?
    }
}

/// The log held for an archive: no segment goes that was not sent there.
///
/// Up to where it was sent is written down when the archive, or the backup, is there as a whole, and believed by a later
/// handle if the log has that chain hash there: a directory that was copied file by file while it was used may have a `HOLD` of
/// another course of things. Otherwise it is zero, so that nothing goes, until an archive or a backup has found its
/// predecessor in the store and has sent what lies behind.
pub(crate) struct LogHold {
    env: Env,
    dir: PathBuf,
    held: Mutex<Option<Held>>,
}

impl LogHold {
    pub(crate) fn open(env: &Env, dir: &Path, log: &LocalLog) -> Result<Self> {
        let mut held = read(env, &dir.join(FILE))?;
        if let Some(held) = &mut held
            && log.chain_at(held.archived)?.is_none_or(|chain| chain.to_string() != held.chain)
        {
            held.archived = Lsn::ZERO;
        }
        Ok(LogHold { env: env.clone(), dir: dir.to_owned(), held: Mutex::new(held) })
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to which LSN the log may be trimmed as far as the archive is concerned; `None` if it is not held.
    pub(crate) fn archived(&self) -> Option<Lsn> {
        self.held().as_ref().map(|held| held.archived)
    }

    /// The place that the log is held for.
    pub(crate) fn place(&self) -> Option<String> {
        self.held().as_ref().map(|held| held.place.clone())
    }

    /// Takes note that the store holds the log up to an LSN, where it has this chain hash, from its predecessor there on.
    pub(super) fn note(&self, vault: &Vault, lsn: Lsn, chain: &str) {
        let mut held = self.held();
        let Some(held) = held.as_mut().filter(|held| held.store == vault.id && held.archived < lsn) else {
            return;
        };
        (held.archived, held.chain) = (lsn, chain.to_owned());
        // If it cannot be written down, later handles keep the log until they have sent more.
        let _ = self.write(held);
    }

    /// Holds the log for a store from now on, durably.
    pub(super) fn hold(&self, vault: &Vault) -> Result<()> {
        let mut held = self.held();
        if held.as_ref().is_some_and(|held| held.store == vault.id) {
            return Ok(());
        }
        let place = vault.store.place().to_owned();
        let new = Held {
            agentdb_hold: VERSION,
            store: vault.id.clone(),
            place,
            archived: Lsn::ZERO,
            chain: String::new(),
        };
        self.write(&new)?;
        *held = Some(new);
        Ok(())
    }

    fn write(&self, held: &Held) -> Result<()> {
        let (files, new, path) = (&*self.env.files, self.dir.join("HOLD.new"), self.dir.join(FILE));
        if files.exists(&new)? {
            files.remove(&new)?;
        }
        let file = files.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, held.encode().as_bytes())?;
        file.sync_data()?;
        entries::make(files, &self.dir, FILE, || files.rename(&new, &path))
    }

    /// Lets the log go, durably; returns the place that it was held for.
    fn release(&self) -> Result<Option<String>> {
        let mut held = self.held();
        let path = self.dir.join(FILE);
        if self.env.files.exists(&path)? {
            self.env.files.remove(&path)?;
            self.env.files.sync_dir(&self.dir)?;
        }
        Ok(held.take().map(|held| held.place))
    }
}

fn read(env: &Env, path: &Path) -> Result<Option<Held>> {
    if !env.files.exists(path)? {
        return Ok(None);
    }
    let file = env.files.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; file.len()?.min(MAX_BYTES) as usize];
    let read = file.read_at(0, &mut bytes)?;
    let held = Held::decode(&bytes[..read]).ok_or_else(|| {
        let reason = "its checksum or its form does not hold; without it, the log is held no longer";
        Error::new(Code::FormatCorrupt).with("path", path.display()).with("reason", reason)
    })?;
    if held.agentdb_hold != VERSION {
        return Err(Error::new(Code::FormatTooNew)
            .with("path", path.display())
            .with("actual", held.agentdb_hold)
            .with("supported", VERSION));
    }
    Ok(Some(held))
}

impl crate::Engine {
    /// Lets go of a log that is held for an archive; returns the place that it was held for.
    ///
    /// # Errors
    /// [`Code::Poisoned`]; errors of files.
    pub fn release_log(&self) -> Result<Option<String>> {
        self.core.check_failed()?;
        self.core.check_lock()?;
        let place = self.core.log_hold.release()?;
        self.core.trim_what_was_held();
        Ok(place)
    }
}
