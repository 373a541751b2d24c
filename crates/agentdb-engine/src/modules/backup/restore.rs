//! `backup.restore`: a database as it was at an LSN or a time, in a new directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use agentdb_env::{Env, File, OpenMode, entries};
use agentdb_log::{Bound, Group, chain_at, cut, verify as read_log};
use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choose::Target;
use super::create::Progress;
use super::index::{FileEntry, Index};
use super::manifest::Manifest;
use super::vault::chunk_object;
use super::{Backups, place};
use crate::codec::{Reader, put_bytes};
use crate::engine::create_dir_durably;
use crate::format::Format;
use crate::keyring::Keyring;
use crate::mutation;
use crate::operation::{About, Effect, Request, Scope};

/// The file that stands in a directory until its restore is finished.
pub(crate) const RESTORING: &str = "RESTORING";

/// Restores a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Where the backups are: a directory, or `s3://BUCKET/PREFIX`, `gs://…`, `az://…`.
    pub store: String,
    /// The directory to restore into: it must be empty, not there, or hold a restore that was not finished.
    pub dir: String,
    /// The backup; the newest one that serves if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The id of the database, if the store holds backups of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The last LSN to restore; that of the backup if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<Lsn>,
    /// The time to restore to, instead of an LSN: everything whose log time is not later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// A directory of keys of subjects to copy, such as the `keys` of the database that was backed up: they are in no
    /// backup, and are needed to restore to an LSN between two backups if a subject's writes are in that stretch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// A file that holds the key of a sealed store: 32 bytes, or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}

/// The answer to [`Restore`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// The id of the new database.
    pub database: String,
    /// The backup that its rows come from.
    pub backup: String,
    /// The LSN that it stands at.
    pub lsn: Lsn,
    /// Log time there.
    pub time: Timestamp,
    /// Files that were written.
    pub files: u64,
    /// Bytes in them, zeros at the ends of segments left out.
    pub bytes: u64,
}

impl Request for Restore {
    type Response = Restored;
    const ABOUT: About = About {
        name: "backup.restore",
        doc: "Restores a database into a new directory, as it was at a backup, at an LSN or at a time between two backups. Every chunk is checked. The new database has an id of its own; until it is whole, no handle opens it.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "backup.restore",
        resource: &["store", "dir"],
        sensitive: &[],
        errors: &[
            Code::BackupKey,
            Code::BackupPlace,
            Code::RestoreNotEmpty,
            Code::BackupPlaceTaken,
            Code::BackupStoreNotFound,
            Code::BackupNotFound,
            Code::RestorePointNotFound,
            Code::BackupStore,
            Code::BackupCorrupt,
            Code::KeyMissing,
        ],
    };
}

impl Backups {
    /// Restores a database into `request.dir`. `progress` hears how far it is.
    ///
    /// # Errors
    /// [`Code::BackupNotFound`], [`Code::BackupStoreNotFound`], [`Code::RestorePointNotFound`], [`Code::RestoreNotEmpty`],
    /// [`Code::BackupPlaceTaken`]; [`Code::BackupCorrupt`], also if a damaged manifest may be what leads to the target;
    /// [`Code::KeyMissing`], and what is wrong with a key, for a subject whose writes are to be replayed; those of files and
    /// of the store. What was written so far stays, and no handle opens it; the same restore may be begun again.
    pub fn restore(&self, request: &Restore, progress: &mut dyn FnMut(Progress)) -> Result<Restored> {
        let target = Target::of(request)?;
        self.vault.check_exists()?;
        let env = &self.vault.env;
        let dir = env.files.absolute(Path::new(&request.dir))?;
        place::check_restored(env, &dir)?;
        let chain = self.choose(request, target)?;
        let base = &chain[0];
        let files = self.union(&chain)?;
        check_empty(env, &dir)?;
        create_dir_durably(env, &dir)?;
        let _lock = env.files.lock(&dir.join("LOCK"))?;
        entries::make(&*env.files, &dir, RESTORING, || begin(env, &dir))?;
        let bytes = Writer { backups: self, dir: &dir, progress }.write(&files)?;
        if let Some(keys) = &request.keys {
            copy_keys(env, Path::new(keys), &dir.join("keys"))?;
        }
        let bound = match target {
            Target::Backup => Bound::Lsn(chain.last().map_or(base.backup.lsn, |tip| tip.backup.lsn)),
            Target::Lsn(lsn) => Bound::Lsn(lsn),
            Target::Time(time) => Bound::Time(time),
        };
        let log = dir.join("log");
        let end = cut(env, &log, bound, &first_entries)?;
        let wrong = |reason: &str| Err(self.vault.corrupt(&Manifest::object(&base.backup.name), reason));
        if matches!(bound, Bound::Lsn(lsn) if lsn != end.lsn) || end.lsn < base.backup.lsn {
            return wrong(&format!("the log that was restored ends at LSN {}", end.lsn));
        }
        if chain_at(env, &log, base.backup.lsn)?.is_none_or(|chain| chain.to_string() != base.backup.chain) {
            return wrong("the log that was restored does not go on from its rows");
        }
        check_keys(env, &dir, base.backup.lsn)?;
        let format = Format::create(env, &dir)?;
        env.files.remove(&dir.join(RESTORING))?;
        env.files.sync_dir(&dir)?;
        Ok(Restored {
            database: format.id,
            backup: base.backup.name.clone(),
            lsn: end.lsn,
            time: end.time.max(base.backup.time),
            files: files.len() as u64,
            bytes,
        })
    }

    /// The files of the first backup, and the log and the blobs of the others.
    fn union(&self, chain: &[Manifest]) -> Result<Index> {
        let mut files = Index::new();
        for (number, manifest) in chain.iter().enumerate() {
            for (path, entry) in manifest.files(&self.vault)? {
                // A segment of a later backup holds more.
                if number == 0 || !path.starts_with("rows/") {
                    files.insert(path, entry);
                }
            }
        }
        Ok(files)
    }
}

/// Refuses a directory that holds anything but a restore that was not finished.
fn check_empty(env: &Env, dir: &Path) -> Result<()> {
    if !env.files.exists(dir)? {
        return Ok(());
    }
    let names = env.files.list(dir)?;
    // `LOCK` is there before `RESTORING` is.
    let is_ours = |name: &String| name == "LOCK" || name.starts_with(RESTORING);
    if names.iter().all(is_ours) || names.iter().any(|name| name == RESTORING) {
        return Ok(());
    }
    Err(Error::new(Code::RestoreNotEmpty).with("path", dir.display()))
}

fn begin(env: &Env, dir: &Path) -> Result<()> {
    let mark = dir.join(RESTORING);
    if env.files.exists(&mark)? {
        // Made again, so that there is something to sync.
        env.files.remove(&mark)?;
    }
    env.files.open(&mark, OpenMode::CreateNew).map(drop)
}

/// Hears how many bytes were written, and whom to tell.
type Written<'a> = dyn FnMut(u64, &mut dyn FnMut(Progress)) + 'a;

/// Writes files into a new directory.
struct Writer<'a> {
    backups: &'a Backups,
    dir: &'a Path,
    progress: &'a mut dyn FnMut(Progress),
}

impl Writer<'_> {
    /// Writes all files, durably; returns the bytes in them.
    fn write(&mut self, files: &Index) -> Result<u64> {
        let env = &self.backups.vault.env;
        for name in ["log", "rows", "blobs", "keys"] {
            entries::ensure_dir(&*env.files, self.dir, name)?;
        }
        self.remove_others(files)?;
        let total = files.values().flat_map(|f| &f.chunks).map(|chunk| u64::from(chunk.bytes)).sum();
        let (mut done, mut dirs) = (0, BTreeSet::new());
        for (path, entry) in files {
            let path = self.make_dirs(path)?;
            dirs.extend(path.parent().map(Path::to_owned));
            self.file(&path, entry, &mut |bytes, progress| {
                done += bytes;
                progress(Progress { done, total, sent: 0 });
            })?;
        }
        let env = &self.backups.vault.env;
        dirs.iter().try_for_each(|dir| env.files.sync_dir(dir))?;
        Ok(done)
    }

    /// Removes what an unfinished restore to another target left among rows and log.
    fn remove_others(&self, files: &Index) -> Result<()> {
        let env = &self.backups.vault.env;
        for part in ["log", "rows"] {
            for name in env.files.list(&self.dir.join(part))? {
                if !files.contains_key(&format!("{part}/{name}")) {
                    env.files.remove(&self.dir.join(part).join(name))?;
                }
            }
        }
        Ok(())
    }

    /// Makes the directories of a file, durably.
    fn make_dirs(&self, path: &str) -> Result<PathBuf> {
        let files = &*self.backups.vault.env.files;
        let mut dir = self.dir.to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        let (name, parents) = parts.split_last().unwrap_or((&path, &[]));
        for parent in parents {
            entries::ensure_dir(files, &dir, parent)?;
            dir.push(parent);
        }
        Ok(dir.join(name))
    }

    fn file(&mut self, path: &Path, entry: &FileEntry, written: &mut Written<'_>) -> Result<()> {
        let vault = &self.backups.vault;
        if vault.env.files.exists(path)? {
            vault.env.files.remove(path)?;
        }
        let file = vault.env.files.open(path, OpenMode::CreateNew)?;
        let mut at = 0;
        for chunk in &entry.chunks {
            let contents = vault.chunk(&chunk.name).map_err(|err| err.with("files", path.display()))?;
            if contents.len() != chunk.bytes as usize {
                return Err(vault.corrupt(&chunk_object(&chunk.name), "its length is not that of the index"));
            }
            file.write_at(at, &contents)?;
            at += contents.len() as u64;
            written(contents.len() as u64, self.progress);
        }
        if at < entry.bytes {
            file.set_len(entry.bytes)?;
        }
        file.sync_data()
    }
}

/// Refuses what could not be opened: whatever is replayed behind the rows must open with the keys that are there.
fn check_keys(env: &Env, dir: &Path, rows: Lsn) -> Result<()> {
    let keys = Keyring::new(env, &dir.join("keys"));
    let checked = read_log(env, &dir.join("log"), &mut |group| {
        if group.last_lsn() <= rows {
            return Ok(());
        }
        let entries = mutation::entries(&group.body, group.count, group.first_lsn)?;
        for (lsn, entry) in (group.first_lsn.0..).map(Lsn).zip(entries) {
            for mutation in &entry.mutations {
                mutation.change(entry.subject.as_deref(), &keys).map_err(|err| err.with("lsn", lsn))?;
            }
        }
        Ok(())
    });
    checked.map(drop)
}

/// Copies the keys of subjects.
fn copy_keys(env: &Env, from: &Path, to: &Path) -> Result<()> {
    if !env.files.exists(from)? {
        return Err(Error::new(Code::InvalidValue)
            .with("field", "keys")
            .with("reason", format_args!("there is no directory {}", from.display())));
    }
    for name in env.files.list(from)?.into_iter().filter(|name| name.ends_with(".key")) {
        let (source, target) = (env.files.open(&from.join(&name), OpenMode::Read)?, to.join(&name));
        let mut bytes = vec![0; source.len()? as usize];
        let read = source.read_at(0, &mut bytes)?;
        if env.files.exists(&target)? {
            env.files.remove(&target)?;
        }
        let copy: std::sync::Arc<dyn File> = env.files.open(&target, OpenMode::CreateNew)?;
        copy.write_at(0, &bytes[..read])?;
        copy.sync_data()?;
    }
    env.files.sync_dir(to)
}

/// The body of a group's first entries.
fn first_entries(group: &Group, count: u32) -> Result<Vec<u8>> {
    let (mut reader, mut body) = (Reader(&group.body), Vec::new());
    for _ in 0..count {
        let entry = reader.bytes().ok_or_else(|| {
            Error::new(Code::LogCorrupt)
                .with("segment", "(a group whose checksum holds)")
                .with("offset", 0)
                .with("lsn", group.first_lsn)
                .with("reason", "an entry's length is malformed")
        })?;
        put_bytes(&mut body, entry);
    }
    Ok(body)
}
