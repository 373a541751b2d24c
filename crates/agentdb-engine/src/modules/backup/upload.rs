//! Sending files to a store, piece by piece, and the manifest when they are there.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use agentdb_log::{Copied, Group, Log};
use agentdb_types::{Code, Error, Lsn, Result, Timestamp};

use super::create::Progress;
use super::hold::Pause;
use super::index::{self, Chunk, FileEntry, Index};
use super::lease::{Holder, Lease};
use super::manifest::{Backup, Kind, Manifest, tag};
use super::source::{BlobFile, CHUNK_BYTES, Source};
use super::survey::is_unreadable;
use super::vault::{ChunkName, Vault, hex};
use super::{Backups, place};
use crate::engine::Core;
use crate::mutation::{self, Body, Change};
use crate::{Key, NamespaceId, Table};

/// Manifests of the same database whose end is looked for in the log.
const CANDIDATES: usize = 16;

/// A blob of a namespace, by its address.
pub(super) type BlobName = (NamespaceId, String);

/// What is being sent to a store. Dropping it gives up: what was sent is found by the next one.
pub(super) struct Upload {
    pub(super) core: Arc<Core>,
    pub(super) vault: Arc<Vault>,
    lease: Option<Lease>,
    lease_id: String,
    _pause: Pause,
    /// When it began.
    pub(super) taken: Timestamp,
    /// The chunks that the store has, as far as that is known.
    pub(super) known: HashSet<ChunkName>,
    /// What to read next, the first of it in part.
    sources: VecDeque<(String, Source)>,
    current: FileEntry,
    hasher: blake3::Hasher,
    index: Index,
    /// Blobs that no row needs and that are not there, or damaged.
    pub(super) missing: Vec<String>,
    pub(super) progress: Progress,
}

/// The log behind the one that is continued.
pub(super) struct Continued {
    pub(super) before: Manifest,
    pub(super) log: Copied,
    /// The blobs that were put in that stretch.
    pub(super) blobs: BTreeSet<BlobName>,
}

impl Upload {
    /// Takes a lease, and keeps the log and the blobs from going.
    pub(super) fn begin(core: &Arc<Core>, backups: &Backups) -> Result<Self> {
        core.check_failed()?;
        core.check_lock()?;
        let vault = backups.vault.clone();
        if let Some(dir) = vault.store.directory() {
            place::check_store(&core.env, dir, &core.dir)?;
        }
        vault.store.settle()?;
        vault.ensure_head()?;
        let lease_id = Lease::new_id(&vault);
        let dead = core.own_leases.note(&vault.id, &lease_id);
        let mut upload = Upload {
            _pause: Pause::new(core),
            core: core.clone(),
            vault,
            lease: None,
            lease_id,
            taken: core.clock.read(),
            known: HashSet::new(),
            sources: VecDeque::new(),
            current: FileEntry::default(),
            hasher: blake3::Hasher::new(),
            index: Index::new(),
            missing: Vec::new(),
            progress: Progress::default(),
        };
        // From here on, dropping it forgets the lease.
        Lease::remove_dead(&upload.vault, &dead)?;
        upload.core.own_leases.forget(&dead);
        upload.lease = Some(Lease::take(&upload.vault, Holder::Backup, upload.lease_id.clone())?);
        Ok(upload)
    }

    /// Renews the lease; to be called before each piece of work.
    pub(super) fn keep(&mut self) -> Result<()> {
        self.core.check_failed()?;
        match &mut self.lease {
            Some(lease) => lease.keep(&self.vault),
            None => Err(Error::new(Code::Closed)),
        }
    }

    /// The newest backup or archive of this database whose end the log contains, with the log from there up to `end`. A
    /// damaged manifest is passed over: it must not keep anyone from taking a new backup.
    pub(super) fn continued(&self, end: Lsn) -> Result<Option<Continued>> {
        let id = &self.core.format.id;
        let first = self.core.lock_sequencer().log.segment_starts().next().unwrap_or_default();
        let mut looked_at = 0;
        let names = Manifest::names(&self.vault)?;
        for name in names.iter().filter(|name| name.contains(&tag(id))) {
            let before = match Manifest::read(&self.vault, name) {
                Ok(Some(before)) => before,
                Ok(None) => continue,
                Err(err) if is_unreadable(&err) => continue,
                Err(err) => return Err(err),
            };
            if before.backup.database != *id || before.backup.lsn > end {
                continue;
            }
            // Those before it end still earlier.
            if first > before.backup.lsn.next() || looked_at == CANDIDATES {
                break;
            }
            looked_at += 1;
            let (log, blobs) = self.copies(before.backup.lsn, end)?;
            if log.chain_from.is_some_and(|chain| chain.to_string() == before.backup.chain) {
                return Ok(Some(Continued { before, log, blobs }));
            }
        }
        Ok(None)
    }

    /// The segments that hold the log from `from` to `end`, and the blobs that were put behind `from`.
    pub(super) fn copies(&self, from: Lsn, end: Lsn) -> Result<(Copied, BTreeSet<BlobName>)> {
        let reader = self.core.lock_sequencer().log.reader(from);
        let mut blobs = BTreeSet::new();
        let copied = reader.copies(end, &mut |group| {
            if group.last_lsn() > from { put_blobs(group, &mut blobs) } else { Ok(()) }
        })?;
        Ok((copied, blobs))
    }

    /// Adds a file to send.
    pub(super) fn add(&mut self, path: String, source: Source) {
        self.progress.total += source.bytes();
        self.sources.push_back((path, source));
    }

    /// Adds blobs that were put and that no row needs: those whose files are still there.
    pub(super) fn add_put_blobs(&mut self, blobs: impl IntoIterator<Item = BlobName>) -> Result<()> {
        for (namespace, address) in blobs {
            let relative = self.core.blobs.relative_path(namespace, &address);
            let path = self.core.dir.join(&relative);
            let files = &self.core.env.files;
            if !files.exists(&path)? {
                self.missing.push(address);
                continue;
            }
            let bytes = files.open(&path, agentdb_env::OpenMode::Read)?.len()?;
            let blob = BlobFile { address, bytes, path, file: None, is_needed: false };
            self.add(relative, Source::Blob(blob));
        }
        Ok(())
    }

    /// Whether everything is sent.
    pub(super) fn is_sent(&self) -> bool {
        self.sources.is_empty()
    }

    /// Copies the next piece of the first source.
    pub(super) fn copy(&mut self) -> Result<()> {
        let copied = self.copy_piece();
        match (copied, self.sources.front()) {
            (Err(err), Some((_, Source::Blob(blob))))
                if err.code() == Code::BlobCorrupt && !blob.is_needed =>
            {
                self.missing.push(blob.address.clone());
                self.sources.pop_front();
                self.current = FileEntry::default();
                self.hasher.reset();
                Ok(())
            }
            (copied, _) => copied,
        }
    }

    fn copy_piece(&mut self) -> Result<()> {
        let Some((path, source)) = self.sources.front_mut() else { return Ok(()) };
        if let Source::Known(entry) = source {
            self.progress.done += entry.bytes;
            self.index.insert(std::mem::take(path), std::mem::take(entry));
            self.sources.pop_front();
            return Ok(());
        }
        if let Source::Segment(_, kept) = source {
            self.progress.done += sum(kept);
            self.current.chunks.append(kept);
        }
        let at = sum(&self.current.chunks);
        let mut bytes = vec![0; (source.bytes() - at).min(CHUNK_BYTES - at % CHUNK_BYTES) as usize];
        source.read(&self.core, path, at, &mut bytes)?;
        let ends = at + bytes.len() as u64 == source.bytes();
        if !bytes.is_empty() {
            self.hasher.update(&bytes);
            let name = self.send(&bytes)?;
            self.current.chunks.push(Chunk { name, bytes: bytes.len() as u32 });
            self.progress.done += bytes.len() as u64;
        }
        if ends {
            let hash = self.hasher.finalize();
            if let Some((_, source)) = self.sources.front() {
                source.check(hash)?;
            }
            self.hasher.reset();
            if let Some((path, source)) = self.sources.pop_front() {
                let chunks = std::mem::take(&mut self.current.chunks);
                self.index.insert(path, FileEntry { bytes: source.file_bytes(), chunks });
            }
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

    /// The name of what ends at this LSN: its time, the LSN, whose it is, chance, and whether it is an archive.
    pub(super) fn name(&self, kind: Kind, lsn: Lsn) -> String {
        let mut random = [0; 4];
        self.vault.env.entropy.fill(&mut random);
        let time: String = self.taken.to_string().chars().take(19).filter(|c| !"-:".contains(*c)).collect();
        let (tag, random) = (tag(&self.core.format.id), u32::from_be_bytes(random));
        format!("{time}Z-{lsn}{tag}{:06x}{}", random >> 8, kind.suffix())
    }

    /// Writes the index, and when all that is durable, the manifest.
    pub(super) fn finish(&mut self, mut backup: Backup) -> Result<Backup> {
        let mut pieces = Vec::new();
        for piece in index::encode(&self.index) {
            pieces.push(hex(&self.send(&piece)?));
        }
        self.vault.store.flush()?;
        let Some(lease) = &self.lease else { return Err(Error::new(Code::Closed)) };
        backup.files = self.index.len() as u64;
        backup.bytes = self.progress.total;
        backup.sent_bytes = self.progress.sent;
        lease.check(&self.vault)?;
        let object = Manifest::object(&backup.name);
        self.vault.put_new(&object, &Manifest::new(backup.clone(), pieces).encode())?;
        if let Err(err) = lease.check(&self.vault) {
            self.vault.store.delete(&[object])?;
            return Err(err);
        }
        self.core.log_hold.note(&self.vault, backup.lsn, &backup.chain);
        self.release()?;
        Ok(backup)
    }

    fn release(&mut self) -> Result<()> {
        if let Some(lease) = self.lease.take() {
            lease.release(&self.vault)?;
        }
        self.core.own_leases.forget(std::slice::from_ref(&self.lease_id));
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A lease that stays ends by itself.
        let _ = self.release();
    }
}

fn sum(chunks: &[Chunk]) -> u64 {
    chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum()
}

/// Adds the blobs that a group puts.
fn put_blobs(group: &Group, blobs: &mut BTreeSet<BlobName>) -> Result<()> {
    for entry in mutation::entries(&group.body, group.count, group.first_lsn)? {
        for mutation in &entry.mutations {
            let is_of_blobs = Key::table_of(&mutation.key) == Some(Table::Blob as u8);
            if is_of_blobs
                && !matches!(mutation.body, Body::Clear(Change::Delete))
                && let Some(namespace) = Key::namespace_of(&mutation.key)
            {
                let address = Key::from_bytes(mutation.key.to_vec()).components().text()?;
                blobs.insert((namespace, address));
            }
        }
    }
    Ok(())
}
