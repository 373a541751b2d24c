//! The engine: opening, the shared core, and the steps that threads, or the simulator, drive.

mod core;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentdb_env::{Env, Lock, entries};
use agentdb_log::{LocalLog, Log, Opened};
use agentdb_types::{Code, Error, Lsn, Result, Timestamp};

use crate::Snapshot;
use crate::background::Background;
use crate::format::Format;
use crate::history::Point;
use crate::key::{Key, NamespaceId};
use crate::modules::backup::{LogHold, RESTORING, check_new_database};
use crate::modules::blob::Blobs;
use crate::read::Read;
use crate::rows::{Base, BaseOptions, Rows};
use crate::sequencer::Sequencer;

pub(crate) use self::core::Core;
use self::core::Parts;

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether a directory that holds no database becomes one.
    pub create: bool,
    /// Whether threads of the engine's own drain, sweep and commit. Without them someone must call [`Engine::step`].
    pub background: bool,
    /// Bytes of a memory table before it is handed to the base.
    pub memtable_bytes: usize,
    /// The base of the rows: its cache, and how it uses the disk.
    pub rows: BaseOptions,
    /// Entries of a vector index from which on it is worth letting go of the dead ones.
    pub compact_entries: usize,
    /// Bytes of log to keep although every view has moved past them.
    pub log_retention_bytes: u64,
    /// The segments of the log.
    pub log: agentdb_log::Options,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            create: true,
            background: true,
            memtable_bytes: 32 << 20,
            rows: BaseOptions::default(),
            compact_entries: 1024,
            log_retention_bytes: 1 << 30,
            log: agentdb_log::Options::default(),
        }
    }
}

/// A piece of the engine's own work, for whoever drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Decide what has queued, into the group that is open.
    Decide,
    /// Decide what has queued and commit it: append, sync, publish, answer.
    Sequence,
    /// Sync what was acknowledged as written.
    Sync,
    /// Stamp the last sync into an idle log.
    Stamp,
    /// Hand the active memory table over, however small.
    Freeze,
    /// Move a piece of a frozen memory table into the base of the rows.
    Drain,
    /// Merge a piece of the base's runs.
    Merge,
    /// Make the next segment of the log.
    PrepareSegment,
    /// Delete what has expired, and what deleted namespaces, sessions and collections left.
    Sweep,
    /// Remove files of blobs that nothing refers to any more.
    Collect,
    /// Take a piece of what was written into the indexes of collections.
    Index,
    /// Let go of dead entries of a vector index.
    Compact,
    /// Let go of history that is kept long enough.
    Trim,
    /// Go on with a job.
    Work,
    /// Delete what the retention of a noun keeps no longer.
    Retain,
}

impl Task {
    /// Every task.
    pub const ALL: [Task; 15] = [
        Task::Decide,
        Task::Sequence,
        Task::Sync,
        Task::Stamp,
        Task::Freeze,
        Task::Drain,
        Task::Merge,
        Task::PrepareSegment,
        Task::Sweep,
        Task::Collect,
        Task::Index,
        Task::Compact,
        Task::Trim,
        Task::Work,
        Task::Retain,
    ];
}

/// An open database, as the facade uses it. Clones share it; when the last one goes, it is closed.
#[derive(Clone)]
pub struct Engine {
    pub(crate) core: Arc<Core>,
    _background: Arc<Background>,
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Engine>();
};

/// Figures of an open database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The last published LSN.
    pub lsn: Lsn,
    /// The LSN up to which the log is durable.
    pub synced: Lsn,
    /// The LSN up to which the base of the rows holds everything.
    pub drained: Lsn,
    /// Bytes of rows in memory tables.
    pub memory_bytes: u64,
    /// Bytes that the payloads of collections take that were filtered or searched, about.
    pub record_index_bytes: u64,
    /// Bytes of the base of the rows.
    pub base_bytes: u64,
    /// How many runs, the files of the base, there are.
    pub base_runs: u64,
    /// Bytes of the log's segments.
    pub log_bytes: u64,
    /// The place that the log is held for, if it is, and the LSN up to which this handle knows it to be there.
    pub held_for: Option<(String, Lsn)>,
    /// Groups committed since opening.
    pub groups: u64,
    /// Mutations committed since opening, by kind: put, delete, add, splice.
    pub mutations: [u64; 4],
}

impl Engine {
    /// Opens the database in `dir`.
    ///
    /// # Errors
    /// [`Code::DatabaseNotFound`], [`Code::Locked`], [`Code::FormatTooNew`], [`Code::ReadOnly`], [`Code::DiskFull`];
    /// [`Code::BackupPlaceTaken`] for a new database in a store of backups;
    /// every kind of damage: [`Code::FormatCorrupt`], [`Code::LogCorrupt`], [`Code::RowsCorrupt`], [`Code::ViewAhead`],
    /// [`Code::KeyMissing`].
    pub fn open(env: &Env, dir: &Path, options: Options) -> Result<Self> {
        let dir = &*env.files.absolute(dir)?;
        let (lock, format) = load_directory(env, dir, options)?;
        let (rows, sequencer) = load_views(env, dir, options)?;
        let blobs = Blobs::open(env, &dir.join("blobs"))?;
        let log_hold = LogHold::open(env, dir, &sequencer.log)?;
        let parts = Parts { lock, format, rows, sequencer, blobs, log_hold };
        let core = Arc::new(Core::new(env, dir, options, parts));
        // Nobody is told a time before the log is read.
        let stored =
            Snapshot::new(core.clone(), core.rows.reader(), NamespaceId::SYSTEM, Timestamp::default());
        core.moments.load(&stored, stored.lsn());
        core.retainer.load(&stored);
        drop(stored);
        core.replay()?;
        core.load_dead()?;
        core.forks.load(&core.rows.latest())?;
        let background = Background::start(&core)?;
        Ok(Engine { core, _background: Arc::new(background) })
    }

    /// Does one piece of work; returns whether there was any.
    ///
    /// # Errors
    /// Whatever stopped it. A failed write or sync has poisoned the handle.
    pub fn step(&self, task: Task) -> Result<bool> {
        self.core.step(task)
    }

    /// Ends the handle in order: what is queued is committed and synced, rows in memory go into the base.
    ///
    /// # Errors
    /// Whatever the last writes met. The database is closed nevertheless.
    pub fn close(self) -> Result<()> {
        self.core.flush()
    }

    /// The last published LSN.
    pub fn lsn(&self) -> Lsn {
        self.core.rows.visible()
    }

    /// The database's id.
    pub fn id(&self) -> &str {
        &self.core.format.id
    }

    /// The database's directory.
    pub fn dir(&self) -> &Path {
        &self.core.dir
    }

    /// The world that the database lives in.
    pub fn env(&self) -> &Env {
        &self.core.env
    }

    /// Figures.
    ///
    /// # Errors
    /// Errors of files.
    pub fn stats(&self) -> Result<Stats> {
        self.core.stats()
    }

    /// Mutations committed since opening, by kind: put, delete, add, splice.
    pub fn mutations(&self) -> [u64; 4] {
        std::array::from_fn(|i| self.core.counters.mutations[i].load(Ordering::Relaxed))
    }

    /// A consistent view of a namespace at the newest LSN.
    ///
    /// # Errors
    /// [`Code::NamespaceNotFound`] if it was deleted.
    pub fn snapshot(&self, namespace: NamespaceId) -> Result<Snapshot> {
        self.core.snapshot(namespace)
    }

    /// The same, once this handle has reached `min_lsn`.
    ///
    /// # Errors
    /// [`Code::SnapshotNotReached`] besides those of [`Engine::snapshot`].
    pub fn snapshot_at_least(&self, namespace: NamespaceId, min_lsn: Lsn) -> Result<Snapshot> {
        let snapshot = self.snapshot(namespace)?;
        if snapshot.lsn() < min_lsn {
            return Err(Error::new(Code::SnapshotNotReached)
                .with("actual", snapshot.lsn())
                .with("expected", min_lsn));
        }
        Ok(snapshot)
    }
}

impl Engine {
    /// A view of a namespace as it was at an earlier point: of the nouns that have a history ([`HistoryNoun`]), as far as
    /// that is kept. Reads of anything else are refused.
    ///
    /// # Errors
    /// [`Code::PointAhead`] for an LSN or a time that is still to come, [`Code::HistoryTrimmed`]; those of
    /// [`Engine::snapshot`].
    ///
    /// [`HistoryNoun`]: crate::HistoryNoun
    pub fn snapshot_as_of(&self, namespace: NamespaceId, point: impl Into<Point>) -> Result<Snapshot> {
        self.snapshot(namespace)?.as_of(point)
    }
}

/// The lock, then the files that make the directory a database.
fn load_directory(env: &Env, dir: &Path, options: Options) -> Result<(Lock, Format)> {
    let (files, log) = (&env.files, dir.join("log"));
    let not_found = || Err(Error::new(Code::DatabaseNotFound).with("path", dir.display()));
    check_restored(env, dir)?;
    if !files.exists(&dir.join("FORMAT"))? && !LocalLog::exists(env, &log)? {
        if !options.create {
            return not_found();
        }
        check_new_database(env, dir)?;
    }
    create_dir_durably(env, dir)?;
    let lock = files.lock(&dir.join("LOCK"))?;
    entries::settle(&**files, dir)?;
    check_restored(env, dir)?;
    let format = Format::read(env, dir)?;
    for name in ["log", "rows", "blobs", "keys"] {
        entries::ensure_dir(&**files, dir, name)?;
    }
    let corrupt = |path: &Path, reason: &str| {
        Err(Error::new(Code::FormatCorrupt).with("path", path.display()).with("reason", reason))
    };
    match format {
        // The first segment is made before FORMAT: a database without one has lost it.
        Some(_) if files.list(&log)?.is_empty() => corrupt(&log, "the segments of the log are gone"),
        Some(format) => Ok((lock, format)),
        None => {
            let head = LocalLog::open(env, &log, options.log, Lsn::ZERO)?.log.head();
            if head.lsn > Lsn::ZERO {
                return corrupt(&dir.join("FORMAT"), "it is missing beside a log");
            }
            if !options.create {
                return not_found();
            }
            let format = Format::create(env, dir)?;
            Ok((lock, format))
        }
    }
}

/// Refuses a directory into which a restore was begun and not finished.
fn check_restored(env: &Env, dir: &Path) -> Result<()> {
    if env.files.exists(&dir.join(RESTORING))? {
        return Err(Error::new(Code::RestoreUnfinished).with("path", dir.display()));
    }
    Ok(())
}

/// Creates a directory so that it survives, with those above it.
pub(crate) fn create_dir_durably(env: &Env, dir: &Path) -> Result<()> {
    let parents = dir.ancestors().filter_map(|dir| Some((dir.parent()?, dir.file_name()?)));
    for (parent, name) in parents.collect::<Vec<_>>().into_iter().rev() {
        entries::ensure_dir(&*env.files, parent, name)?;
    }
    Ok(())
}

/// The base of the rows, and the log behind it, which must contain where the base stands.
fn load_views(env: &Env, dir: &Path, options: Options) -> Result<(Rows, Sequencer)> {
    let rows = Rows::open(Base::open(env, &dir.join("rows"), options.rows)?)?;
    let persisted = rows.persisted();
    let Opened { log, chain_at, first_lsn } =
        LocalLog::open(env, &dir.join("log"), options.log, persisted.lsn)?;
    let why = match chain_at {
        Some(chain) if chain == persisted.chain => None,
        Some(_) => Some("the log has another chain hash there"),
        None if persisted.lsn > log.head().lsn => Some("the log ends before it"),
        None if persisted.lsn.next() < first_lsn => Some("the log begins after it"),
        None => Some("the log has no group that ends there"),
    };
    if let Some(reason) = why {
        return Err(Error::new(Code::ViewAhead)
            .with("rows", persisted.lsn)
            .with("rows_chain", persisted.chain)
            .with("reason", reason));
    }
    Ok((rows, Sequencer::new(log)))
}

impl Engine {
    /// The digest of a namespace's rows at the newest LSN, and that LSN.
    ///
    /// # Errors
    /// [`Code::RowsCorrupt`], errors of files.
    pub fn digest(&self, namespace: NamespaceId) -> Result<(Lsn, crate::Digest)> {
        let snapshot = self.snapshot(namespace)?;
        Ok((snapshot.lsn(), snapshot.digest()?))
    }

    /// The key of a row, for tests that look at rows directly.
    #[doc(hidden)]
    pub fn raw_row(&self, namespace: NamespaceId, key: &Key) -> Result<Option<crate::Row>> {
        self.snapshot(namespace)?.get(key)
    }
}
