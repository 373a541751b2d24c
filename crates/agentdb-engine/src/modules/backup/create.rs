//! `backup.create`: taking a backup, step by step, while the database is used.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentdb_env::File;
use agentdb_log::{Log, SegmentCopy};
use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::index::{self, Chunk, FileEntry, Index};
use super::lease::{Holder, Lease};
use super::manifest::{Backup, Manifest, NamespaceDigest};
use super::vault::{ChunkName, Vault, hex, parse_chunk_object};
use super::{Backups, CHUNKS};
use crate::digest::SetHash;
use crate::engine::Core;
use crate::modules::blob;
use crate::operation::{About, Effect, Request, Scope};
use crate::rows::{BaseSnapshot, RunCopy};
use crate::{Engine, Task};

/// Bytes of a chunk. Files are cut at multiples: runs never change, and segments grow at their end.
const CHUNK_BYTES: usize = 4 << 20;
/// Backups whose log this one might continue that are looked at.
const CANDIDATES: usize = 3;

/// Takes a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Where the backups are: a directory, or `s3://BUCKET/PREFIX`, `gs://…`, `az://…`.
    pub store: String,
    /// A file that holds a key, 32 bytes or 64 hexadecimal digits: the store is sealed with it from its first backup on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// Whether chunks that the store has are sent again, to mend those that are damaged.
    #[serde(default)]
    pub full: bool,
}

impl Request for Create {
    type Response = Backup;
    const ABOUT: About = About {
        name: "backup.create",
        doc: "Takes a backup of the open database at one LSN, while it is used: rows, log and blobs, without `keys/`. Chunks that the store has are not sent again.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "backup.create",
        resource: &["store"],
        sensitive: &[],
        errors: &[
            Code::BackupKey,
            Code::BackupPlace,
            Code::BackupsBusy,
            Code::BackupStore,
            Code::BlobCorrupt,
            Code::LogCorrupt,
        ],
    };
}

/// How far a backup is, a verification of one, or a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Bytes that were looked at.
    pub done: u64,
    /// Bytes to look at; zero until that is known.
    pub total: u64,
    /// Bytes that were sent to the store.
    pub sent: u64,
}

/// A backup that is being taken. Dropping it gives up: what was sent is found by the next one.
pub struct BackupJob {
    core: Arc<Core>,
    vault: Arc<Vault>,
    lease: Option<Lease>,
    _hold: Hold,
    taken: Timestamp,
    /// What the memory tables are drained up to, until that is done.
    target: Option<Lsn>,
    /// The chunks that the store has.
    known: HashSet<ChunkName>,
    /// What to read next, the first of it in part.
    sources: VecDeque<(String, Source)>,
    current: FileEntry,
    hasher: blake3::Hasher,
    index: Index,
    backup: Option<Backup>,
    progress: Progress,
}

/// Keeps the log from being trimmed and files of blobs from being removed.
struct Hold(Arc<Core>);

impl Hold {
    fn new(core: &Arc<Core>) -> Self {
        core.backups.fetch_add(1, Ordering::SeqCst);
        let hold = Hold(core.clone());
        // Whoever trims or removes has looked before, and is done now.
        core.wait_for_trimming();
        core.blobs.wait_for_collector();
        hold
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.backups.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A file to copy.
enum Source {
    Bytes(Vec<u8>),
    Run(RunCopy),
    Segment(SegmentCopy),
    /// A blob's file, opened when it is its turn.
    Blob {
        address: String,
        bytes: u64,
        path: std::path::PathBuf,
        file: Option<Arc<dyn File>>,
    },
    /// A blob that an earlier backup holds.
    Known(FileEntry),
}

impl Engine {
    /// Begins a backup; [`BackupJob::step`] goes on with it. `full` sends chunks again that the store has.
    ///
    /// # Errors
    /// [`Code::BackupsBusy`] while chunks of the store are collected; [`Code::Poisoned`]; those of the store.
    pub fn begin_backup(&self, backups: &Backups, full: bool) -> Result<BackupJob> {
        let core = self.core.clone();
        core.check_failed()?;
        let vault = backups.vault.clone();
        vault.store.settle()?;
        vault.ensure_head()?;
        let lease = Lease::take(&vault, Holder::Backup)?;
        let mut job = BackupJob {
            _hold: Hold::new(&core),
            taken: core.clock.read(),
            core,
            vault,
            lease: Some(lease),
            target: None,
            known: HashSet::new(),
            sources: VecDeque::new(),
            current: FileEntry::default(),
            hasher: blake3::Hasher::new(),
            index: Index::new(),
            backup: None,
            progress: Progress::default(),
        };
        if !full {
            let chunks = job.vault.store.list(CHUNKS)?;
            job.known = chunks.iter().filter_map(|object| parse_chunk_object(object)).collect();
        }
        job.core.step(Task::Freeze)?;
        job.target = Some(job.core.lock_sequencer().log.head().lsn);
        Ok(job)
    }

    /// Takes a backup. `progress` hears how far it is.
    ///
    /// # Errors
    /// Those of [`Engine::begin_backup`] and [`BackupJob::step`].
    pub fn backup(
        &self,
        backups: &Backups,
        full: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Backup> {
        let mut job = self.begin_backup(backups, full)?;
        loop {
            if let Some(backup) = job.step()? {
                return Ok(backup);
            }
            progress(job.progress());
        }
    }
}

impl BackupJob {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Does a piece of the backup; returns it when it is done. It must not be stepped after that, or after an error.
    ///
    /// # Errors
    /// [`Code::BlobCorrupt`], [`Code::LogCorrupt`] for damage that is met; [`Code::BackupsBusy`] if the process was stopped
    /// for so long that chunks were collected meanwhile; [`Code::Poisoned`]; those of files and of the store.
    pub fn step(&mut self) -> Result<Option<Backup>> {
        self.core.check_failed()?;
        if let Some(lease) = &mut self.lease {
            lease.keep(&self.vault)?;
        }
        match self.target {
            Some(target) if self.core.rows.is_drained_to(target) => {
                self.target = None;
                self.plan()?;
            }
            Some(_) => self.drain()?,
            None if self.sources.is_empty() => return self.finish().map(Some),
            None => self.copy()?,
        }
        Ok(None)
    }

    /// Moves rows into the base, along with the threads that do so anyway.
    fn drain(&self) -> Result<()> {
        if !self.core.step(Task::Drain)? && !self.core.step(Task::Merge)? {
            // A table is drained when the log is synced up to its end and readers have been told.
            self.core.step(Task::Sequence)?;
            self.core.step(Task::Sync)?;
        }
        Ok(())
    }

    /// Finds out what there is to copy.
    fn plan(&mut self) -> Result<()> {
        let base = self.core.rows.base();
        let earlier = self.earlier();
        let (segments, continues) = self.log(&base, &earlier)?;
        let known_blobs = self.known_blobs(&earlier)?;
        self.sources.push_back(("rows/MANIFEST".to_owned(), Source::Bytes(base.manifest())));
        for run in base.copies() {
            self.sources.push_back((format!("rows/{}", run.name()), Source::Run(run)));
        }
        for segment in segments {
            self.sources.push_back((format!("log/{}", segment.name), Source::Segment(segment)));
        }
        let mut namespaces = Vec::new();
        for namespace in base.namespaces()? {
            let hash = base.hash(namespace)?;
            if hash != SetHash::default() {
                let digest = hash.digest().to_string();
                namespaces.push(NamespaceDigest { number: namespace.number(), digest });
            }
            for (address, bytes) in blob::stored(&base, namespace)? {
                let path = self.core.blobs.relative_path(namespace, &address);
                let source = match known_blobs.get(&address) {
                    Some(entry) if entry.bytes == bytes => Source::Known(entry.clone()),
                    _ => Source::Blob { path: self.core.dir.join(&path), address, bytes, file: None },
                };
                self.sources.push_back((path, source));
            }
        }
        self.progress.total = self.sources.iter().map(|(_, source)| source.bytes()).sum();
        let position = base.position;
        let mut random = [0; 4];
        self.vault.env.entropy.fill(&mut random);
        let time: String = self.taken.to_string().chars().take(19).filter(|c| !"-:".contains(*c)).collect();
        self.backup = Some(Backup {
            name: format!("{time}Z-{}-{:08x}", position.lsn, u32::from_be_bytes(random)),
            database: self.core.format.id.clone(),
            lsn: position.lsn,
            chain: position.chain.to_string(),
            time: position.time,
            taken: self.taken,
            continues,
            namespaces,
            files: 0,
            bytes: self.progress.total,
            sent_bytes: 0,
        });
        Ok(())
    }

    /// The earlier backups in the store, newest first. A damaged manifest is passed over: it must not keep anyone from
    /// taking a new backup.
    fn earlier(&self) -> Vec<Manifest> {
        let mut objects = self.vault.store.list(super::MANIFESTS).unwrap_or_default();
        objects.sort_by(|a, b| b.cmp(a));
        let names = objects.iter().filter_map(|object| object.strip_prefix(super::MANIFESTS));
        names.filter_map(|name| Manifest::read(&self.vault, name).ok().flatten()).collect()
    }

    /// The segments of the log from the backup on that this one continues, and its name: the log holds the LSN and the
    /// chain hash that it ends with. Without one, as much of the log as the base needs.
    fn log(&self, base: &BaseSnapshot, earlier: &[Manifest]) -> Result<(Vec<SegmentCopy>, Option<String>)> {
        let end = base.position;
        let id = &self.core.format.id;
        let candidates = earlier.iter().map(|m| &m.backup);
        let candidates = candidates.filter(|b| b.database == *id && b.lsn <= end.lsn);
        let first = self.core.lock_sequencer().log.segment_starts().next().unwrap_or_default();
        for candidate in candidates.filter(|b| first <= b.lsn.next()).take(CANDIDATES) {
            let reader = self.core.lock_sequencer().log.reader(candidate.lsn);
            let copied = reader.copies(end.lsn)?;
            if copied.chain_from.is_some_and(|chain| chain.to_string() == candidate.chain) {
                return Ok((copied.segments, Some(candidate.name.clone())));
            }
        }
        let reader = self.core.lock_sequencer().log.reader(end.lsn);
        let copied = reader.copies(end.lsn)?;
        if copied.chain != end.chain {
            return Err(Error::new(Code::ViewAhead)
                .with("rows", end.lsn)
                .with("rows_chain", end.chain)
                .with("reason", "the log has another chain hash there"));
        }
        Ok((copied.segments, None))
    }

    /// The blobs of the newest earlier backup, by address: they need not be read again, the address says what they hold.
    fn known_blobs(&self, earlier: &[Manifest]) -> Result<HashMap<String, FileEntry>> {
        let Some(newest) = earlier.first() else { return Ok(HashMap::new()) };
        let files = match newest.files(&self.vault) {
            Ok(files) => files,
            Err(err) if err.code() == Code::BackupCorrupt => return Ok(HashMap::new()),
            Err(err) => return Err(err),
        };
        let blobs = files.into_iter().filter(|(path, entry)| {
            path.starts_with("blobs/") && entry.chunks.iter().all(|chunk| self.known.contains(&chunk.name))
        });
        Ok(blobs.filter_map(|(path, entry)| Some((path.rsplit('/').next()?.to_owned(), entry))).collect())
    }

    /// Copies the next piece of the first source.
    fn copy(&mut self) -> Result<()> {
        let Some((path, source)) = self.sources.front_mut() else { return Ok(()) };
        if let Source::Known(entry) = source {
            self.progress.done += entry.bytes;
            self.index.insert(std::mem::take(path), std::mem::take(entry));
            self.sources.pop_front();
            return Ok(());
        }
        let at: u64 = self.current.chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
        let mut bytes = vec![0; (source.bytes() - at).min(CHUNK_BYTES as u64) as usize];
        source.read(&self.core, path, at, &mut bytes)?;
        let ends = at + bytes.len() as u64 == source.bytes();
        if !bytes.is_empty() {
            self.hasher.update(&bytes);
            let name = self.send(&bytes)?;
            self.current.chunks.push(Chunk { name, bytes: bytes.len() as u32 });
            self.progress.done += bytes.len() as u64;
        }
        if ends && let Some((path, source)) = self.sources.pop_front() {
            let hash = std::mem::take(&mut self.hasher).finalize();
            source.check(hash)?;
            let bytes = source.file_bytes();
            let chunks = std::mem::take(&mut self.current.chunks);
            self.index.insert(path, FileEntry { bytes, chunks });
        }
        Ok(())
    }

    /// Puts a chunk unless the store has it.
    fn send(&mut self, bytes: &[u8]) -> Result<ChunkName> {
        let name = self.vault.chunk_name(bytes);
        if self.known.insert(name) {
            self.progress.sent += self.vault.put_chunk(&name, bytes)?;
        }
        Ok(name)
    }

    /// Writes the index, and when all that is durable, the manifest.
    fn finish(&mut self) -> Result<Backup> {
        let mut pieces = Vec::new();
        for piece in index::encode(&self.index) {
            pieces.push(hex(&self.send(&piece)?));
        }
        self.vault.store.flush()?;
        let (Some(mut backup), Some(lease)) = (self.backup.take(), self.lease.take()) else {
            return Err(Error::new(Code::Closed));
        };
        backup.files = self.index.len() as u64;
        backup.sent_bytes = self.progress.sent;
        lease.check(&self.vault)?;
        let object = Manifest::object(&backup.name);
        self.vault.put_new(&object, &Manifest::new(backup.clone(), pieces).encode())?;
        if let Err(err) = lease.check(&self.vault) {
            self.vault.store.delete(&[object])?;
            return Err(err);
        }
        lease.release(&self.vault)?;
        Ok(backup)
    }
}

impl Drop for BackupJob {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            // One that stays ends by itself.
            let _ = lease.release(&self.vault);
        }
    }
}

impl Source {
    /// Bytes to copy.
    fn bytes(&self) -> u64 {
        match self {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::Run(run) => run.bytes(),
            Source::Segment(segment) => segment.end,
            Source::Blob { bytes, .. } => *bytes,
            Source::Known(entry) => entry.bytes,
        }
    }

    /// Bytes of the file that they lead to.
    fn file_bytes(&self) -> u64 {
        match self {
            Source::Segment(segment) => segment.bytes,
            other => other.bytes(),
        }
    }

    /// Reads exactly these bytes.
    fn read(&mut self, core: &Core, path: &str, at: u64, out: &mut [u8]) -> Result<()> {
        let read = match self {
            Source::Bytes(bytes) => {
                let part = bytes.get(at as usize..at as usize + out.len()).unwrap_or_default();
                out[..part.len()].copy_from_slice(part);
                part.len()
            }
            Source::Run(run) => run.read_at(at, out)?,
            Source::Segment(segment) => segment.read_at(at, out)?,
            Source::Known(_) => out.len(),
            Source::Blob { address, path, file, .. } => {
                let file = match file {
                    Some(file) => file,
                    none => none.insert(open_blob(core, path, address)?),
                };
                file.read_at(at, out)?
            }
        };
        if read == out.len() {
            return Ok(());
        }
        Err(match self {
            Source::Blob { address, .. } => blob::corrupt(address, "its file ends early"),
            _ => Error::new(Code::Io)
                .with("operation", "read")
                .with("path", core.dir.join(path).display())
                .with("reason", "it ends early"),
        })
    }

    /// What was read of a blob must be the blob.
    fn check(&self, hash: blake3::Hash) -> Result<()> {
        match self {
            Source::Blob { address, .. } if hash.to_hex().as_str() != address => {
                Err(blob::corrupt(address, "its bytes do not hash to its address"))
            }
            _ => Ok(()),
        }
    }
}

fn open_blob(core: &Core, path: &Path, address: &str) -> Result<Arc<dyn File>> {
    if !core.env.files.exists(path)? {
        return Err(blob::corrupt(address, "its file is missing"));
    }
    core.env.files.open(path, agentdb_env::OpenMode::Read)
}
