//! The engine: opening, the shared core, and the steps that threads, or the simulator, drive.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use agentdb_env::{Env, Lock, entries};
use agentdb_log::{Head, LocalLog, Log, Opened, SegmentPreparer};
use agentdb_types::{Code, Error, Lsn, Result, Timestamp, limits};

use crate::background::Background;
use crate::completion::WaitingRoom;
use crate::forks::Forks;
use crate::format::Format;
use crate::history::{self, Moments, Point, Trimmer};
use crate::key::{Key, NamespaceId};
use crate::keyring::Keyring;
use crate::log_clock::LogClock;
use crate::modules::backup::RESTORING;
use crate::modules::blob::{self, Blobs};
use crate::modules::job::{self, Jobs};
use crate::mutation::{self, Mutation};
use crate::planted::{self, Bug};
use crate::queue::Queue;
use crate::read::Read;
use crate::rows::{Base, BaseOptions, Drained, Position, Rows};
use crate::sequencer::Sequencer;
use crate::signal::Signal;
use crate::sweep::Sweeper;
use crate::tx::IdSource;
use crate::vectors::Vectors;
use crate::watchers::Watchers;
use crate::{Snapshot, TextEncoder, sweep};

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
    /// Let go of dead entries of a vector index.
    Compact,
    /// Let go of history that is kept long enough.
    Trim,
    /// Go on with a job.
    Work,
}

impl Task {
    /// Every task.
    pub const ALL: [Task; 13] = [
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
        Task::Compact,
        Task::Trim,
        Task::Work,
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

/// What every part of an open database shares.
pub(crate) struct Core {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) format: Format,
    pub(crate) rows: Rows,
    pub(crate) queue: Queue,
    pub(crate) sequencer: Mutex<Sequencer>,
    /// Held by the thread that commits; the sequencer's lock is free while the log is synced.
    pub(crate) committing: Mutex<()>,
    /// The lock on the directory, until the threads have ended.
    lock: Mutex<Option<Lock>>,
    /// Held by whoever removes old segments of the log.
    trimming: Mutex<()>,
    /// Backups under way: nothing is trimmed or collected meanwhile.
    pub(crate) backups: AtomicUsize,
    pub(crate) waiting: WaitingRoom,
    pub(crate) watchers: Watchers,
    pub(crate) preparer: SegmentPreparer,
    pub(crate) clock: LogClock,
    pub(crate) keyring: Keyring,
    pub(crate) vectors: Vectors,
    pub(crate) encoder: OnceLock<Arc<dyn TextEncoder>>,
    pub(crate) blobs: Blobs,
    pub(crate) synced: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) driver: Signal,
    pub(crate) drainer: Signal,
    pub(crate) merger: Signal,
    pub(crate) maintenance: Signal,
    pub(crate) worker: Signal,
    pub(crate) stop: AtomicBool,
    pub(crate) failed: OnceLock<Error>,
    /// Numbers of namespaces that were deleted, and the LSNs that did it.
    dead: RwLock<HashMap<u64, Lsn>>,
    dead_count: AtomicUsize,
    /// Log time of what is published.
    pub(crate) published_us: AtomicI64,
    pub(crate) sweeper: Sweeper,
    pub(crate) moments: Moments,
    pub(crate) trimmer: Trimmer,
    pub(crate) jobs: Jobs,
    pub(crate) forks: Forks,
}

/// Counts since opening.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    /// Put, delete, add, splice.
    pub(crate) mutations: [AtomicU64; 4],
}

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
    /// Bytes of the base of the rows.
    pub base_bytes: u64,
    /// How many runs, the files of the base, there are.
    pub base_runs: u64,
    /// Bytes of the log's segments.
    pub log_bytes: u64,
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
    /// every kind of damage: [`Code::FormatCorrupt`], [`Code::LogCorrupt`], [`Code::RowsCorrupt`], [`Code::ViewAhead`],
    /// [`Code::KeyMissing`].
    pub fn open(env: &Env, dir: &Path, options: Options) -> Result<Self> {
        let dir = &*env.files.absolute(dir)?;
        let (lock, format) = load_directory(env, dir, options)?;
        let (rows, sequencer) = load_views(env, dir, options)?;
        let blobs = Blobs::open(env, &dir.join("blobs"))?;
        let core = Arc::new(assemble(env, dir, options, format, rows, sequencer, blobs));
        core.lock.lock().unwrap_or_else(PoisonError::into_inner).replace(lock);
        // Nobody is told a time before the log is read.
        let stored =
            Snapshot::new(core.clone(), core.rows.reader(), NamespaceId::SYSTEM, Timestamp::default());
        core.moments.load(&stored, stored.lsn());
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
    /// [`Code::SnapshotNotReached`] for an LSN that is still to come, [`Code::InvalidValue`] for such a time,
    /// [`Code::HistoryTrimmed`]; those of [`Engine::snapshot`].
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
    if !options.create && !files.exists(&dir.join("FORMAT"))? && !LocalLog::exists(env, &log)? {
        return not_found();
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

fn assemble(
    env: &Env,
    dir: &Path,
    options: Options,
    format: Format,
    rows: Rows,
    sequencer: Sequencer,
    blobs: Blobs,
) -> Core {
    let head = sequencer.log.head();
    Core {
        env: env.clone(),
        dir: dir.to_owned(),
        options,
        format,
        clock: LogClock::new(env, head.time.max(rows.persisted().time)),
        rows,
        queue: Queue::default(),
        preparer: sequencer.log.preparer(),
        synced: AtomicU64::new(head.lsn.0),
        sequencer: Mutex::new(sequencer),
        committing: Mutex::default(),
        lock: Mutex::default(),
        trimming: Mutex::default(),
        backups: AtomicUsize::new(0),
        waiting: WaitingRoom::default(),
        watchers: Watchers::default(),
        keyring: Keyring::new(env, &dir.join("keys")),
        blobs,
        vectors: Vectors::default(),
        encoder: OnceLock::new(),
        counters: Counters::default(),
        driver: Signal::default(),
        drainer: Signal::default(),
        merger: Signal::default(),
        maintenance: Signal::default(),
        worker: Signal::default(),
        stop: AtomicBool::new(false),
        failed: OnceLock::new(),
        dead: RwLock::default(),
        dead_count: AtomicUsize::new(0),
        published_us: AtomicI64::new(0),
        sweeper: Sweeper::default(),
        moments: Moments::default(),
        trimmer: Trimmer::default(),
        jobs: Jobs::default(),
        forks: Forks::default(),
    }
}

impl Core {
    /// Applies what the log holds beyond the base.
    fn replay(&self) -> Result<()> {
        let from = self.rows.persisted().lsn.next();
        let (head, groups) = {
            let sequencer = self.lock_sequencer();
            (sequencer.log.head().lsn, sequencer.log.reader(from))
        };
        for group in groups {
            let group = group?;
            if planted::is(Bug::LostTail) && group.last_lsn() == head {
                return Ok(());
            }
            let at = |lsn: Lsn| move |err: Error| err.with("lsn", lsn);
            let entries = mutation::entries(&group.body, group.count, group.first_lsn)?;
            if group.count > 0 {
                self.note_moment(group.first_lsn, group.time);
            }
            for (lsn, entry) in (group.first_lsn.0..).map(Lsn).zip(entries) {
                let half = if planted::is(Bug::HalfABatch) { entry.mutations.len() / 2 } else { usize::MAX };
                for mutation in entry.mutations.iter().take(half) {
                    let change = mutation.change(entry.subject.as_deref(), &self.keyring).map_err(at(lsn))?;
                    let before = self.rows.latest().get(&mutation.key)?;
                    let mut after = change.apply(before.as_ref().map(|r| &r.body[..])).map_err(at(lsn))?;
                    if planted::is(Bug::AppliedTwice) && matches!(change, mutation::Change::Add(_)) {
                        after = change.apply(after.as_deref())?;
                    }
                    if let Some(before) = before.filter(|_| mutation.keeps)
                        && !planted::is(Bug::HistoryNotRecovered)
                        && let Some(version) = history::version_key(&mutation.key, lsn)
                    {
                        self.apply(version.as_bytes(), lsn, Some(history::encode(&before).into()));
                    }
                    self.apply(&mutation.key, lsn, after.map(Into::into));
                }
            }
            let end = Position { lsn: group.last_lsn(), chain: group.chain, time: group.time };
            self.publish(Head { lsn: end.lsn, chain: end.chain, time: end.time, epoch: group.epoch });
            if self.rows.active_bytes() >= self.options.memtable_bytes {
                self.rows.freeze(end);
            }
        }
        Ok(())
    }

    fn load_dead(&self) -> Result<()> {
        let snapshot = self.rows.reader();
        for number in sweep::dead_namespaces(&snapshot)? {
            self.bury(number, Lsn::ZERO);
        }
        Ok(())
    }

    /// Applies a decided change to the views. LSNs ascend; one thread at a time.
    pub(crate) fn apply(&self, key: &[u8], lsn: Lsn, body: Option<Arc<[u8]>>) {
        if body.is_some()
            && let Some(number) = sweep::buried_by(key)
        {
            self.bury(number, lsn);
        }
        if body.is_some() {
            self.sweeper.note(key, lsn);
            if self.jobs.note(key, lsn) {
                self.worker.set();
            }
        }
        self.vectors.begin(lsn);
        self.rows.apply(key, lsn, body.clone());
        let noted = self.forks.note(key, lsn, body.as_ref());
        if let Err(err) = noted.and_then(|()| self.vectors.apply(key, lsn, body.as_deref())) {
            self.fail(&err);
        }
    }

    /// Keeps the log time of the batches from this LSN on.
    pub(crate) fn note_moment(&self, lsn: Lsn, time: Timestamp) {
        if let Some((key, body)) = self.moments.note(lsn, time) {
            self.apply(key.as_bytes(), lsn, Some(body));
        }
    }

    /// Lets readers see the log up to here.
    pub(crate) fn publish(&self, head: Head) {
        self.rows.publish(head.lsn);
        self.published_us.fetch_max(head.time.micros(), Ordering::AcqRel);
    }

    fn bury(&self, number: u64, lsn: Lsn) {
        self.dead.write().unwrap_or_else(PoisonError::into_inner).entry(number).or_insert(lsn);
        self.dead_count.fetch_add(1, Ordering::Release);
    }

    /// Refuses work in a namespace that was deleted at this LSN or before.
    pub(crate) fn check_alive(&self, namespace: NamespaceId, at: Lsn) -> Result<()> {
        let buried = || {
            let dead = self.dead.read().unwrap_or_else(PoisonError::into_inner);
            dead.get(&namespace.number()).is_some_and(|lsn| *lsn <= at)
        };
        if self.dead_count.load(Ordering::Acquire) > 0 && buried() {
            return Err(Error::new(Code::NamespaceNotFound)
                .with("name", format_args!("number {}", namespace.number())));
        }
        Ok(())
    }

    pub(crate) fn snapshot(self: &Arc<Self>, namespace: NamespaceId) -> Result<Snapshot> {
        let rows = self.rows.reader();
        self.check_alive(namespace, rows.at())?;
        Ok(Snapshot::new(self.clone(), rows, namespace, self.clock.read()))
    }

    pub(crate) fn count_mutations(&self, mutations: &[Mutation]) {
        for mutation in mutations {
            let kind = match &mutation.body {
                mutation::Body::Clear(change) => change.kind(),
                mutation::Body::Sealed(kind, _) => *kind,
            };
            self.counters.mutations[usize::from(kind) - 1].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn lock_sequencer(&self) -> MutexGuard<'_, Sequencer> {
        // A panic inside poisons the handle itself (see `guard`); the mutex need not tell again.
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn step(self: &Arc<Self>, task: Task) -> Result<bool> {
        match task {
            Task::Decide => self.guard(|| self.lock_sequencer().decide_queued(self)),
            Task::Sequence => self.guard(|| self.commit()),
            Task::Sync => self.guard(|| self.sync()),
            Task::Stamp => self.guard(|| self.stamp()),
            Task::Freeze => self.guard(|| self.lock_sequencer().freeze(self).map(|()| true)),
            Task::Drain => self.guard(|| self.drain()),
            Task::Merge => self.guard(|| self.check_lock().and_then(|()| self.rows.compact())),
            // The log makes the segment itself if this fails: no reason to stop.
            Task::PrepareSegment => {
                self.check_failed().and_then(|()| self.check_lock()).and_then(|()| self.preparer.step())
            }
            Task::Sweep => self.check_failed().and_then(|()| sweep::step(self)),
            Task::Trim => self.check_failed().and_then(|()| history::step(self)),
            Task::Work => self.check_failed().and_then(|()| job::step(self)),
            Task::Collect => self.check_failed().and_then(|()| blob::step(self)),
            Task::Compact => self
                .check_failed()
                .map(|()| self.vectors.compact(self.rows.visible(), self.options.compact_entries)),
        }
    }

    /// Whether the directory is still ours. Its lock keeps nobody out once the file is removed, replaced or moved: whatever
    /// were written from then on would be lost, or destroy what another handle writes.
    pub(crate) fn check_lock(&self) -> Result<()> {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.as_ref().is_some_and(Lock::is_in_place) {
            return Ok(());
        }
        let path = self.dir.join("LOCK");
        let reason =
            format_args!("{} was removed, replaced or moved while the database was open", path.display());
        Err(Error::new(Code::Poisoned).with("reason", reason))
    }

    pub(crate) fn release_lock(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn drain(&self) -> Result<bool> {
        self.check_lock()?;
        // What is drained must be durable in the log, and no reader may still be given an LSN before it.
        let settled = if planted::is(Bug::ViewBeyondLog) { Lsn(u64::MAX) } else { self.settled_lsn() };
        let drained = self.rows.drain(settled)?;
        if drained == Drained::Table {
            self.trim(self.options.log_retention_bytes)?;
            self.merger.set();
            if self.options.background {
                self.maintenance.set();
            } else {
                self.rows.free_drained();
            }
        }
        Ok(drained != Drained::Nothing)
    }

    /// Lets go of log segments that no view needs and that exceed these bytes. Writers do not wait for it.
    pub(crate) fn trim(&self, kept_bytes: u64) -> Result<()> {
        let _one_at_a_time = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        let drained = self.rows.persisted().lsn;
        while !self.is_backed_up() {
            let old = {
                let log = &mut self.lock_sequencer().log;
                if log.bytes() > kept_bytes { log.let_go(drained) } else { None }
            };
            match old {
                Some(old) => old.remove()?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether a backup is being taken: it reads old segments, and files of blobs that may be deleted meanwhile.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.backups.load(Ordering::SeqCst) > 0 && !planted::is(Bug::BackupHoldsNothing)
    }

    /// Waits until nobody removes segments of the log.
    pub(crate) fn wait_for_trimming(&self) {
        drop(self.trimming.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Makes room while memory tables are far behind: the threads that drain have the lowest priority, and a machine that
    /// is busy with writers would never let them.
    pub(crate) fn make_room(&self) -> Result<()> {
        const FAR_BEHIND: u64 = limits::UNDRAINED_BYTES as u64 / 2;
        if self.options.background && self.rows.undrained_bytes() > FAR_BEHIND && !self.drain()? {
            self.rows.compact()?;
        }
        Ok(())
    }

    /// Queues a write, if there is room.
    pub(crate) fn check_room(&self) -> Result<()> {
        let undrained = self.rows.undrained_bytes();
        if undrained > limits::UNDRAINED_BYTES as u64 {
            return Err(Error::new(Code::RowsBehind)
                .with("actual", undrained)
                .with("limit", limits::UNDRAINED_BYTES));
        }
        Ok(())
    }

    pub(crate) fn signal_driver(&self) {
        self.driver.set();
    }

    pub(crate) fn signal_drain(&self) {
        self.drainer.set();
        self.maintenance.set();
    }

    pub(crate) fn stats(&self) -> Result<Stats> {
        let (counters, base) = (&self.counters, self.rows.stats());
        Ok(Stats {
            lsn: self.rows.visible(),
            synced: self.synced_lsn(),
            drained: self.rows.persisted().lsn,
            memory_bytes: self.rows.undrained_bytes(),
            base_bytes: base.file_bytes,
            base_runs: base.runs,
            log_bytes: self.lock_sequencer().log.bytes(),
            groups: counters.groups.load(Ordering::Relaxed),
            mutations: std::array::from_fn(|i| counters.mutations[i].load(Ordering::Relaxed)),
        })
    }

    /// Commits, syncs and drains everything.
    pub(crate) fn flush(self: &Arc<Self>) -> Result<()> {
        while self.step(Task::Sequence)? {}
        self.step(Task::Sync)?;
        self.step(Task::Stamp)?;
        self.step(Task::Freeze)?;
        while self.step(Task::Drain)? || (self.rows.has_frozen() && self.step(Task::Merge)?) {}
        Ok(())
    }

    /// The LSN up to which the log is durable.
    pub(crate) fn synced_lsn(&self) -> Lsn {
        Lsn(self.synced.load(Ordering::Acquire))
    }

    /// The LSN up to which everything is durable and visible: nothing of it can be lost, and a read sees it.
    pub(crate) fn settled_lsn(&self) -> Lsn {
        self.synced_lsn().min(self.rows.visible())
    }

    /// The name of a namespace to its number.
    pub(crate) fn find_namespace(self: &Arc<Self>, name: &str) -> Result<NamespaceId> {
        let snapshot = self.snapshot(NamespaceId::SYSTEM)?;
        crate::modules::namespace::find(&snapshot, name)
    }
}

impl IdSource for Core {
    fn random(&self, out: &mut [u8]) {
        self.env.entropy.fill(out);
    }
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
