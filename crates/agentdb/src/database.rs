//! An open database.

use std::path::Path;
use std::sync::Arc;

use agentdb_engine::modules::backup;
use agentdb_engine::modules::database::{LogEntry, Progress, Report};
use agentdb_engine::modules::job::{Compact, Compacted};
use agentdb_engine::{Engine, Operation, Segment, Stats, StoredFile, TextEncoder};
use agentdb_types::{Code, Lsn, Result};

use crate::{Backups, Job, Jobs, Namespace, Namespaces, OpenOptions};

/// An open database. Clones share it; it is closed when the last clone and the last [`Namespace`] go.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
}

impl Database {
    pub(crate) fn new(engine: Engine) -> Self {
        Database { engine }
    }

    /// Opens the database in a directory, creating it if the directory holds none.
    ///
    /// # Errors
    /// [`Code::Locked`] if another handle has it open, [`Code::ReadOnly`], [`Code::DiskFull`], and the codes of damage.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// assert!(agentdb::Database::open(dir.path()).is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::default().open(path)
    }

    /// Options to open with.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let missing = agentdb::Database::options().create(false).open(dir.path().join("none"));
    /// assert_eq!(missing.err().unwrap().code(), agentdb::Code::DatabaseNotFound);
    /// ```
    pub fn options() -> OpenOptions {
        OpenOptions::default()
    }

    /// A namespace that exists; `default` always does.
    ///
    /// # Errors
    /// [`Code::NamespaceNotFound`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// assert!(db.namespace("default").is_ok() && db.namespace("team").is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        Ok(Namespace::new(self.engine.clone(), self.engine.namespace(name)?))
    }

    /// A namespace, created durably if it does not exist.
    ///
    /// # Errors
    /// [`Code::InvalidName`], and those of a write.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// let team = db.ensure_namespace("team")?;
    /// assert_eq!(team.id(), db.ensure_namespace("team")?.id());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ensure_namespace(&self, name: &str) -> Result<Namespace> {
        match self.namespace(name) {
            Err(err) if err.code() == Code::NamespaceNotFound => {}
            other => return other,
        }
        match self.namespaces().create(name).wait() {
            Err(err) if err.code() != Code::NamespaceExists => Err(err),
            _ => self.namespace(name),
        }
    }

    /// The namespaces: create, get, list, delete.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// db.namespaces().create("team").wait()?;
    /// assert!(db.namespaces().get("team")?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn namespaces(&self) -> Namespaces {
        Namespaces::new(self.engine.clone())
    }

    /// The database's id, made when it was created.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// assert_eq!(agentdb::Database::open(dir.path())?.id().len(), 36);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn id(&self) -> &str {
        self.engine.id()
    }

    /// The database's directory.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// assert_eq!(agentdb::Database::open(dir.path())?.dir(), dir.path());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn dir(&self) -> &Path {
        self.engine.dir()
    }

    /// The LSN of the last write that readers see.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// let put = db.namespace("default")?.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert_eq!(db.lsn(), put.lsn);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn lsn(&self) -> Lsn {
        self.engine.lsn()
    }

    /// Calls `visit` with every batch that was committed from an LSN on, or from the earliest that the log still holds,
    /// until it returns false or the end is reached. What was written is not shown, only which rows.
    ///
    /// # Errors
    /// [`Code::LogTrimmed`] if the log no longer reaches back to `from`; [`Code::LogCorrupt`]; what `visit` returns.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// db.namespace("default")?.state("agent-7").put("plan", json!(1)).wait()?;
    /// let mut operations = Vec::new();
    /// db.read_log(None, &mut |entry| {
    ///     operations.push(entry.operation);
    ///     Ok(true)
    /// })?;
    /// assert_eq!(operations, ["state.put"]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn read_log(&self, from: Option<Lsn>, visit: &mut dyn FnMut(LogEntry) -> Result<bool>) -> Result<()> {
        self.engine.read_log(from, visit)
    }

    /// The segments of the log, in order, with the LSNs that they hold.
    ///
    /// # Errors
    /// Errors of files.
    ///
    /// ```
    /// # use agentdb::{Lsn, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// db.namespace("default")?.state("agent-7").put("plan", json!(1)).wait()?;
    /// let segments = db.segments()?;
    /// assert_eq!((segments[0].first_lsn, segments[0].last_lsn), (Some(Lsn(1)), Some(Lsn(1))));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn segments(&self) -> Result<Vec<Segment>> {
        self.engine.segments()
    }

    /// The files of the database with their sizes, those of blobs counted together.
    ///
    /// # Errors
    /// Errors of files.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let files = agentdb::Database::open(dir.path())?.files()?;
    /// assert!(files.iter().any(|file| file.path == "FORMAT" && file.bytes > 0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn files(&self) -> Result<Vec<StoredFile>> {
        self.engine.files()
    }

    /// Gives an open database an encoder that makes vectors of texts, unless it has one: vectors of two encoders do not
    /// compare, so the first one stays. Returns whether this is the one.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # struct Lengths;
    /// # impl agentdb::TextEncoder for Lengths {
    /// #     fn id(&self) -> &str { "lengths" }
    /// #     fn dimension(&self) -> usize { 1 }
    /// #     fn encode(&self, texts: &[&str]) -> agentdb::Result<Vec<Vec<f32>>> {
    /// #         Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
    /// #     }
    /// # }
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// assert!(db.use_text_encoder(Arc::new(Lengths)) && !db.use_text_encoder(Arc::new(Lengths)));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn use_text_encoder(&self, encoder: Arc<dyn TextEncoder>) -> bool {
        self.engine.set_text_encoder(encoder.clone());
        self.engine.text_encoder().is_some_and(|own| Arc::ptr_eq(own, &encoder))
    }

    /// Figures of the database.
    ///
    /// # Errors
    /// Errors of files.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// assert_eq!(agentdb::Database::open(dir.path())?.stats()?.lsn, agentdb::Lsn(0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn stats(&self) -> Result<Stats> {
        self.engine.stats()
    }

    /// Checks everything stored, as a [job](Database::jobs): the log's chain, every row's checksum, digests, blobs. Reports all that
    /// is wrong.
    ///
    /// # Errors
    /// What keeps the check itself from being done.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let report = agentdb::Database::open(dir.path())?.verify(&mut |_progress| {})?;
    /// assert!(report.problems.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
        self.engine.verify_as_job(progress)
    }

    /// Takes a backup while the database is used, as a [job](Database::jobs); what the store has already is not sent again. `full` sends everything,
    /// to mend a store whose chunks are damaged. `keys/` is not in a backup: it needs a copy of its own.
    ///
    /// # Errors
    /// [`Code::BackupPlaceTaken`] if database and backups would lie in one another; [`Code::BackupsBusy`] while old backups
    /// are deleted there, [`Code::BackupStore`]; damage that is met.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path().join("db"))?;
    /// let backups = agentdb::Backups::open(dir.path().join("backups").to_str().unwrap(), None)?;
    /// let taken = db.backup(&backups, false, &mut |_progress| {})?;
    /// assert_eq!(taken.database, db.id());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn backup(
        &self,
        backups: &Backups,
        full: bool,
        progress: &mut dyn FnMut(backup::Progress),
    ) -> Result<backup::Backup> {
        self.engine.backup_as_job(backups.engine(), full, progress)
    }

    /// Begins to merge the runs of rows into their deepest level: what was replaced or deleted takes no space then, and reads
    /// look into few runs. The database does that by itself as it grows; this does all of it at once, in the background.
    ///
    /// # Errors
    /// Those of a write.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// # db.namespace("default")?.state("agent-7").put("plan", agentdb::json!(1)).wait()?;
    /// let compact = agentdb::modules::job::Compact { trim_log: true };
    /// let compacted = db.compact(&compact)?.wait(&mut |_progress| {})?;
    /// assert_eq!(compacted.runs, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn compact(&self, request: &Compact) -> Result<Job<Compacted>> {
        Ok(Job::new(self.engine.clone(), self.engine.begin_compaction(request)?))
    }

    /// The jobs: get, list, pause, resume, cancel.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// assert!(db.jobs().list(Default::default())?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.engine.clone())
    }

    /// Sends the log behind the last backup or archive there, and the blobs that were put since: every LSN in it can be
    /// restored then. Only what is new is sent, so it may be called each minute; if that is more than 16 MiB, it is a
    /// [job](Database::jobs).
    ///
    /// `hold` keeps the log from now on, for later handles, too: no segment goes that was not sent to this place, until
    /// [`Database::release_log`]. It grows while nothing is sent; `database.info` tells by how much.
    ///
    /// # Errors
    /// [`Code::BackupStoreNotFound`] and [`Code::ArchiveGap`] if a backup has to be taken first; those of
    /// [`Database::backup`].
    ///
    /// ```
    /// # use agentdb::{Backups, Database, json};
    /// # use agentdb::modules::backup::Restore;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (place, new) = (dir.path().join("backups"), dir.path().join("new").display().to_string());
    /// let db = Database::open(dir.path().join("db"))?;
    /// let backups = Backups::open(place.to_str().unwrap(), None)?;
    /// db.backup(&backups, false, &mut |_progress| {})?;
    /// db.namespace("default")?.state("agent-7").put("plan", json!(1)).wait()?;
    /// let archived = db.archive(&backups, true, &mut |_progress| {})?;
    /// assert_eq!((archived.lsn, archived.new), (db.lsn(), true));
    /// let restore = Restore { dir: new, lsn: Some(archived.lsn), ..Restore::default() };
    /// assert_eq!(backups.restore(&restore, &mut |_progress| {})?.lsn, archived.lsn);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn archive(
        &self,
        backups: &Backups,
        hold: bool,
        progress: &mut dyn FnMut(backup::Progress),
    ) -> Result<backup::Archived> {
        self.engine.archive_as_job(backups.engine(), hold, progress)
    }

    /// Lets go of a log that [`Database::archive`] holds; returns the place that it was held for.
    ///
    /// # Errors
    /// Errors of files.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path().join("db"))?;
    /// let backups = agentdb::Backups::open(dir.path().join("backups").to_str().unwrap(), None)?;
    /// db.backup(&backups, false, &mut |_progress| {})?;
    /// db.archive(&backups, true, &mut |_progress| {})?;
    /// assert!(db.release_log()?.is_some() && db.release_log()?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn release_log(&self) -> Result<Option<String>> {
        self.engine.release_log()
    }

    /// The operation table.
    ///
    /// ```
    /// assert!(agentdb::Database::operations().iter().any(|o| o.about.name == "state.put"));
    /// ```
    pub fn operations() -> &'static [Operation] {
        Engine::operations()
    }

    /// The engine itself, for the project's own tests and benchmarks.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// assert!(!agentdb::Database::open(dir.path())?.engine().id().is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[doc(hidden)]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Closes in order: what is queued is committed and synced, and rows in memory go into their files, so that the
    /// next open is quick. Dropping the handle commits and syncs too, and leaves the rest to the next open.
    ///
    /// Clones and namespaces that live on are not cut off: they read and write as before, and the directory stays locked
    /// until the last of them goes.
    ///
    /// # Errors
    /// Whatever the last writes met.
    ///
    /// ```
    /// # use agentdb::{Database, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path())?;
    /// let ns = db.namespace("default")?;
    /// db.close()?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert_eq!(Database::open(dir.path()).err().unwrap().code(), agentdb::Code::Locked);
    /// drop(ns);
    /// Database::open(dir.path())?.close()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn close(self) -> Result<()> {
        self.engine.close()
    }
}
