//! `backup.archive`: sending the log from the last backup or archive on, between backups, as often as one likes.

use agentdb_types::{ChainHash, Code, Error, Lsn, Result, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Backups;
use super::create::Progress;
use super::index::Index;
use super::manifest::{Backup, Kind};
use super::source::{Source, kept};
use super::survey::is_unreadable;
use super::upload::{Continued, Upload};
use crate::modules::job;
use crate::operation::{About, Effect, Request, Scope};
use crate::planted::{self, Bug};
use crate::{Engine, Task};

/// Archives the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Where the backups are: a directory, or `s3://BUCKET/PREFIX`, `gs://…`, `az://…`.
    pub store: String,
    /// A file that holds the key of a sealed store: 32 bytes, or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// Whether the log is held from now on, also by later handles: no segment of it goes that was not sent to this place,
    /// until `log.release`. The log grows while nothing is sent.
    #[serde(default)]
    pub hold: bool,
}

/// The answer to [`Archive`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Archived {
    /// The archive that ends with the log; if nothing was committed since, the archive or the backup that did already.
    pub name: String,
    /// Whether it is a new one.
    pub new: bool,
    /// The LSN up to which the log is there: all that had been committed.
    pub lsn: Lsn,
    /// Log time there.
    pub time: Timestamp,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Blobs that were put since, and whose files are gone, an hour after they were deleted, or damaged: their bytes cannot be
    /// read where the log is restored to an LSN in between.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_blobs: Vec<String>,
}

impl Request for Archive {
    type Response = Archived;
    const ABOUT: About = About {
        name: "backup.archive",
        doc: "Sends the log of the open database behind the last backup or archive of a store, and the blobs that were put since, so that every LSN in it can be restored. Only what is new is sent; there must be a backup to go on from.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "backup.create",
        resource: &["store"],
        sensitive: &[],
        errors: &[
            Code::BackupKey,
            Code::BackupPlace,
            Code::BackupPlaceTaken,
            Code::BackupStoreNotFound,
            Code::ArchiveGap,
            Code::BackupsBusy,
            Code::BackupStore,
            Code::LogCorrupt,
        ],
    };
}

/// An archive that is being sent. Dropping it gives up: what was sent is found by the next one.
pub struct ArchiveJob {
    upload: Upload,
    hold: bool,
    archive: Archived,
    /// The chain hash of the log at its end.
    chain: ChainHash,
    /// What the manifest will say; none if there is nothing new.
    manifest: Option<Backup>,
}

impl Engine {
    /// Begins to archive the log; [`ArchiveJob::step`] goes on with it. `hold`: as in [`Archive`].
    ///
    /// # Errors
    /// [`Code::BackupStoreNotFound`], [`Code::ArchiveGap`] if nothing in the store leads to where the log begins;
    /// [`Code::BackupPlaceTaken`], [`Code::BackupsBusy`], [`Code::Poisoned`]; those of the store.
    pub fn begin_archive(&self, backups: &Backups, hold: bool) -> Result<ArchiveJob> {
        backups.vault.check_exists()?;
        let upload = Upload::begin(&self.core, backups)?;
        // What was committed by the time that it tells belongs to it, and must be durable.
        let end = self.core.close_group()?;
        self.core.step(Task::Sync)?;
        let Some(continued) = upload.continued(end.lsn)? else {
            let first = self.core.lock_sequencer().log.segment_starts().next().unwrap_or_default();
            return Err(Error::new(Code::ArchiveGap).with("store", backups.place()).with("first", first));
        };
        let before = &continued.before.backup;
        let archive = Archived {
            name: before.name.clone(),
            new: before.lsn < end.lsn,
            lsn: end.lsn,
            time: end.time,
            sent_bytes: 0,
            missing_blobs: Vec::new(),
        };
        let mut job = ArchiveJob { upload, hold, archive, chain: end.chain, manifest: None };
        if job.archive.new {
            job.plan(continued)?;
        }
        Ok(job)
    }

    /// Archives the log. `progress` hears how far it is.
    ///
    /// # Errors
    /// Those of [`Engine::begin_archive`] and [`ArchiveJob::step`].
    pub fn archive(
        &self,
        backups: &Backups,
        hold: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Archived> {
        self.finish_archive(self.begin_archive(backups, hold)?, &mut |job| {
            progress(job.progress());
            Ok(())
        })
    }

    /// The same; as a job of the database if more is to be sent than [`limits::ARCHIVE_UNLISTED_BYTES`]: listed, paused and
    /// cancelled. That is two batches of the log, which the next archive sends.
    ///
    /// # Errors
    /// Those of [`Engine::archive`]; [`Code::JobCancelled`].
    pub fn archive_as_job(
        &self,
        backups: &Backups,
        hold: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Archived> {
        let job = self.begin_archive(backups, hold)?;
        let total = job.progress().total;
        if total <= limits::ARCHIVE_UNLISTED_BYTES {
            return self.finish_archive(job, &mut |job| {
                progress(job.progress());
                Ok(())
            });
        }
        let request = Archive { store: backups.place().to_owned(), key_file: None, hold };
        self.journaled(job::Kind::Archive, None, &request, |journal| {
            let archived = self.finish_archive(job, &mut |job| {
                let now = job.progress();
                progress(now);
                journal.go_on(now.done, now.total, &mut || job.upload.keep())
            })?;
            journal.has_done(total);
            Ok(archived)
        })
    }

    /// Sends everything, and trims the log that was held for it; `each` is called between two pieces.
    fn finish_archive(
        &self,
        mut job: ArchiveJob,
        each: &mut dyn FnMut(&mut ArchiveJob) -> Result<()>,
    ) -> Result<Archived> {
        loop {
            if let Some(archived) = job.step()? {
                drop(job);
                self.core.trim_what_was_held();
                return Ok(archived);
            }
            each(&mut job)?;
        }
    }
}

impl ArchiveJob {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.upload.progress
    }

    /// Sends a piece; returns the archive when it is done. It must not be stepped after that, or after an error.
    ///
    /// # Errors
    /// As those of [`BackupJob::step`](super::BackupJob::step).
    pub fn step(&mut self) -> Result<Option<Archived>> {
        self.upload.keep()?;
        if !self.upload.is_sent() {
            return self.upload.copy().map(|()| None);
        }
        let (core, vault) = (self.upload.core.clone(), self.upload.vault.clone());
        if let Some(manifest) = self.manifest.take() {
            self.archive.sent_bytes = self.upload.finish(manifest)?.sent_bytes;
        }
        // The log has not been trimmed since this began.
        if self.hold {
            core.log_hold.hold(&vault)?;
        }
        core.log_hold.note(&vault, self.archive.lsn, &self.chain.to_string());
        self.archive.missing_blobs = std::mem::take(&mut self.upload.missing);
        Ok(Some(self.archive.clone()))
    }

    /// Finds out what there is to send.
    fn plan(&mut self, continued: Continued) -> Result<()> {
        let Continued { before, mut log, blobs } = continued;
        let end = self.archive.lsn;
        if planted::is(Bug::ArchiveSkipsGroups) {
            log = self.upload.copies(end, end)?.0;
        }
        let mut sent = match before.files(&self.upload.vault) {
            Ok(sent) => sent,
            // What cannot be read is sent again.
            Err(err) if is_unreadable(&err) => Index::new(),
            Err(err) => return Err(err),
        };
        let log_from = log.segments.first().map_or(end.next(), |segment| segment.first_lsn);
        for segment in log.segments {
            let path = format!("log/{}", segment.name);
            let chunks = sent.remove(&path).map(|entry| entry.chunks).unwrap_or_default();
            let kept = kept(chunks, segment.end);
            self.upload.known.extend(kept.iter().map(|chunk| chunk.name));
            self.upload.add(path, Source::Segment(segment, kept));
        }
        self.upload.add_put_blobs(blobs)?;
        let name = self.upload.name(Kind::Archive, end);
        self.manifest = Some(Backup {
            name: name.clone(),
            kind: Kind::Archive,
            database: self.upload.core.format.id.clone(),
            lsn: end,
            chain: log.chain.to_string(),
            time: self.archive.time,
            taken: self.upload.taken,
            log_from,
            continues: Some(before.backup.name),
            namespaces: Vec::new(),
            files: 0,
            bytes: 0,
            sent_bytes: 0,
        });
        self.archive.name = name;
        Ok(())
    }
}
