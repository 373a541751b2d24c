//! `backup.create`: taking a backup, step by step, while the database is used.

use std::collections::HashMap;
use std::sync::Arc;

use agentdb_log::Log;
use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::index::FileEntry;
use super::manifest::{Backup, Kind, Manifest, NamespaceDigest, tag};
use super::source::{BlobFile, Source};
use super::survey::is_unreadable;
use super::upload::Upload;
use super::vault::parse_chunk_object;
use super::{Backups, CHUNKS};
use crate::digest::SetHash;
use crate::modules::blob;
use crate::modules::job;
use crate::operation::{About, Effect, Request, Scope};
use crate::rows::BaseSnapshot;
use crate::{Engine, NamespaceId, Task};

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
            Code::BackupPlaceTaken,
            Code::BackupsBusy,
            Code::BackupStore,
            Code::BlobCorrupt,
            Code::LogCorrupt,
        ],
    };
}

/// How far a backup is, an archive, a verification, or a restore.
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
    upload: Upload,
    /// What the memory tables are drained up to, until that is done.
    target: Option<Lsn>,
    backup: Option<Backup>,
}

impl Engine {
    /// Begins a backup; [`BackupJob::step`] goes on with it. `full` sends chunks again that the store has.
    ///
    /// # Errors
    /// [`Code::BackupPlaceTaken`]; [`Code::BackupsBusy`] while chunks of the store are collected; [`Code::Poisoned`]; those
    /// of the store.
    pub fn begin_backup(&self, backups: &Backups, full: bool) -> Result<BackupJob> {
        let mut upload = Upload::begin(&self.core, backups)?;
        if !full {
            let chunks = upload.vault.store.list(CHUNKS)?;
            upload.known = chunks.iter().filter_map(|object| parse_chunk_object(object)).collect();
        }
        self.core.step(Task::Freeze)?;
        let target = Some(self.core.lock_sequencer().log.head().lsn);
        Ok(BackupJob { upload, target, backup: None })
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
        let backup = self.begin_backup(backups, full)?.finish(&mut |job| {
            progress(job.progress());
            Ok(())
        })?;
        self.core.trim_what_was_held();
        Ok(backup)
    }

    /// The same as a job of the database: listed, paused and cancelled. That is two batches of the log.
    ///
    /// # Errors
    /// Those of [`Engine::backup`]; [`Code::JobCancelled`].
    pub fn backup_as_job(
        &self,
        backups: &Backups,
        full: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Backup> {
        let request = Create { store: backups.place().to_owned(), key_file: None, full };
        self.journaled(job::Kind::Backup, None, &request, |journal| {
            let mut job = self.begin_backup(backups, full)?;
            let backup = job.finish(&mut |job| {
                let now = job.progress();
                progress(now);
                journal.go_on(now.done, now.total, &mut || job.upload.keep())
            })?;
            journal.has_done(job.progress().done);
            drop(job);
            self.core.trim_what_was_held();
            Ok(backup)
        })
    }
}

impl BackupJob {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.upload.progress
    }

    /// Does all of it; `between` is called between two pieces.
    fn finish(&mut self, between: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<Backup> {
        loop {
            if let Some(backup) = self.step()? {
                return Ok(backup);
            }
            between(self)?;
        }
    }

    /// Does a piece of the backup; returns it when it is done. It must not be stepped after that, or after an error.
    ///
    /// # Errors
    /// [`Code::BlobCorrupt`], [`Code::LogCorrupt`] for damage that is met; [`Code::BackupsBusy`] if the process was stopped
    /// for so long that chunks were collected meanwhile; [`Code::Poisoned`]; those of files and of the store.
    pub fn step(&mut self) -> Result<Option<Backup>> {
        self.upload.keep()?;
        match self.target {
            Some(target) if self.upload.core.rows.is_drained_to(target) => {
                self.target = None;
                self.plan()?;
            }
            Some(_) => self.drain()?,
            None if self.upload.is_sent() => {
                let backup = self.backup.take().ok_or_else(|| Error::new(Code::Closed))?;
                return self.upload.finish(backup).map(Some);
            }
            None => self.upload.copy()?,
        }
        Ok(None)
    }

    /// Moves rows into the base, along with the threads that do so anyway.
    fn drain(&self) -> Result<()> {
        let core = &self.upload.core;
        if !core.step(Task::Drain)? && !core.step(Task::Merge)? {
            // A table is drained when the log is synced up to its end and readers have been told.
            core.step(Task::Sequence)?;
            core.step(Task::Sync)?;
            return core.rows.why_not_drained().map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// Finds out what there is to copy.
    fn plan(&mut self) -> Result<()> {
        let base = self.upload.core.rows.base();
        let position = base.position;
        let continued = self.upload.continued(position.lsn)?;
        let (log, mut put, continues) = match continued {
            Some(continued) => (continued.log, continued.blobs, Some(continued.before.backup.name)),
            // As much of the log as the base needs.
            None => (self.upload.copies(position.lsn, position.lsn)?.0, Default::default(), None),
        };
        if log.chain != position.chain {
            return Err(Error::new(Code::ViewAhead)
                .with("rows", position.lsn)
                .with("rows_chain", position.chain)
                .with("reason", "the log has another chain hash there"));
        }
        let log_from = log.segments.first().map_or(position.lsn.next(), |segment| segment.first_lsn);
        self.upload.add("rows/MANIFEST".to_owned(), Source::Bytes(base.manifest()));
        for run in base.copies() {
            self.upload.add(format!("rows/{}", run.name()), Source::Run(run));
        }
        for segment in log.segments {
            self.upload.add(format!("log/{}", segment.name), Source::Segment(segment, Vec::new()));
        }
        let known = self.known_blobs()?;
        let mut namespaces = Vec::new();
        for namespace in base.namespaces()? {
            namespaces.extend(digest(&base, namespace)?);
            put.extend(blob::ended(&base, namespace)?.into_iter().map(|address| (namespace, address)));
            for (address, bytes) in blob::stored(&base, namespace)? {
                put.remove(&(namespace, address.clone()));
                self.add_blob(namespace, address, bytes, &known);
            }
        }
        self.upload.add_put_blobs(put)?;
        self.backup = Some(Backup {
            name: self.upload.name(Kind::Backup, position.lsn),
            kind: Kind::Backup,
            database: self.upload.core.format.id.clone(),
            lsn: position.lsn,
            chain: position.chain.to_string(),
            time: position.time,
            taken: self.upload.taken,
            log_from,
            continues,
            namespaces,
            files: 0,
            bytes: 0,
            sent_bytes: 0,
        });
        Ok(())
    }

    fn add_blob(
        &mut self,
        namespace: NamespaceId,
        address: String,
        bytes: u64,
        known: &HashMap<String, FileEntry>,
    ) {
        let core = &self.upload.core;
        let relative = core.blobs.relative_path(namespace, &address);
        let path = core.dir.join(&relative);
        let source = match known.get(&address) {
            Some(entry) if entry.bytes == bytes => Source::Known(entry.clone()),
            _ => Source::Blob(BlobFile { address, bytes, path, file: None, is_needed: true }),
        };
        self.upload.add(relative, source);
    }

    /// The blobs of the newest earlier backup, by address: they need not be read again, the address says what they hold.
    fn known_blobs(&self) -> Result<HashMap<String, FileEntry>> {
        let vault = &self.upload.vault;
        let tag = tag(&self.upload.core.format.id);
        let mut names = Manifest::names(vault)?.into_iter();
        let newest = names.find(|name| name.contains(&tag) && !name.ends_with(Kind::Archive.suffix()));
        let Some(newest) = newest else { return Ok(HashMap::new()) };
        let files = Manifest::read(vault, &newest)
            .and_then(|manifest| manifest.map(|manifest| manifest.files(vault)).transpose());
        let files = match files {
            Ok(files) => files.unwrap_or_default(),
            Err(err) if is_unreadable(&err) => return Ok(HashMap::new()),
            Err(err) => return Err(err),
        };
        let has_all = |entry: &FileEntry| entry.chunks.iter().all(|c| self.upload.known.contains(&c.name));
        let blobs = files.into_iter().filter(|(path, entry)| path.starts_with("blobs/") && has_all(entry));
        Ok(blobs.filter_map(|(path, entry)| Some((path.rsplit('/').next()?.to_owned(), entry))).collect())
    }
}

/// The digest of a namespace's rows, if it has any.
fn digest(base: &Arc<BaseSnapshot>, namespace: NamespaceId) -> Result<Option<NamespaceDigest>> {
    let hash = base.hash(namespace)?;
    let digest =
        |hash: SetHash| NamespaceDigest { number: namespace.number(), digest: hash.digest().to_string() };
    Ok(Some(hash).filter(|hash| *hash != SetHash::default()).map(digest))
}
