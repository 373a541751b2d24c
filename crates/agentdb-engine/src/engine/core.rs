//! What every part of an open database shares, and the steps of its own work.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use agentdb_env::{Env, Lock};
use agentdb_log::{Head, Log, SegmentPreparer};
use agentdb_types::{Code, Error, Lsn, Result, Timestamp, limits};

use super::{Options, Stats, Task};
use crate::completion::WaitingRoom;
use crate::forks::Forks;
use crate::format::Format;
use crate::history::{self, Moments, Trimmer};
use crate::key::NamespaceId;
use crate::keyring::Keyring;
use crate::log_clock::LogClock;
use crate::modules::backup::{LogHold, OwnLeases};
use crate::modules::blob::{self, Blobs};
use crate::modules::checkpoint::RecentContents;
use crate::modules::job::{self, Jobs};
use crate::mutation::{self, Mutation};
use crate::pins::Pins;
use crate::planted::{self, Bug};
use crate::queue::Queue;
use crate::record_index::RecordIndexes;
use crate::retain::{self, Retainer};
use crate::rows::{Drained, Position, Rows};
use crate::sequencer::Sequencer;
use crate::signal::Signal;
use crate::sweep::Sweeper;
use crate::tx::Host;
use crate::vectors::Vectors;
use crate::watchers::Watchers;
use crate::{Snapshot, TextEncoder, sweep};

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
    pub(crate) own_leases: OwnLeases,
    pub(crate) log_hold: LogHold,
    pub(crate) waiting: WaitingRoom,
    pub(crate) watchers: Watchers,
    pub(crate) preparer: SegmentPreparer,
    pub(crate) clock: LogClock,
    pub(crate) keyring: Keyring,
    pub(crate) vectors: Vectors,
    pub(crate) records: RecordIndexes,
    pub(crate) pins: Pins,
    pub(crate) encoder: OnceLock<Arc<dyn TextEncoder>>,
    pub(crate) blobs: Blobs,
    pub(crate) synced: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) driver: Signal,
    pub(crate) drainer: Signal,
    pub(crate) merger: Signal,
    pub(crate) maintenance: Signal,
    pub(crate) worker: Signal,
    pub(crate) indexer: Signal,
    /// Set when the handle is closed: the threads that only help end.
    pub(crate) stop: AtomicBool,
    /// Set when they have: the thread that commits ends, for whose answers they may have waited.
    pub(crate) stop_committing: AtomicBool,
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
    pub(crate) retainer: Retainer,
    pub(crate) forks: Forks,
    recent: RecentContents,
}

/// Counts since opening.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    /// Put, delete, add, splice.
    pub(crate) mutations: [AtomicU64; 4],
}

/// What was loaded of a database's directory.
pub(super) struct Parts {
    pub(super) lock: Lock,
    pub(super) format: Format,
    pub(super) rows: Rows,
    pub(super) sequencer: Sequencer,
    pub(super) blobs: Blobs,
    pub(super) log_hold: LogHold,
}

impl Core {
    pub(super) fn new(env: &Env, dir: &Path, options: Options, parts: Parts) -> Self {
        let Parts { lock, format, rows, sequencer, blobs, log_hold } = parts;
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
            lock: Mutex::new(Some(lock)),
            trimming: Mutex::default(),
            backups: AtomicUsize::new(0),
            own_leases: OwnLeases::new(env, dir),
            log_hold,
            waiting: WaitingRoom::default(),
            watchers: Watchers::default(),
            keyring: Keyring::new(env, &dir.join("keys")),
            blobs,
            vectors: Vectors::default(),
            records: RecordIndexes::default(),
            pins: Pins::default(),
            encoder: OnceLock::new(),
            counters: Counters::default(),
            driver: Signal::default(),
            drainer: Signal::default(),
            merger: Signal::default(),
            maintenance: Signal::default(),
            worker: Signal::default(),
            indexer: Signal::default(),
            stop: AtomicBool::new(false),
            stop_committing: AtomicBool::new(false),
            failed: OnceLock::new(),
            dead: RwLock::default(),
            dead_count: AtomicUsize::new(0),
            published_us: AtomicI64::new(0),
            sweeper: Sweeper::default(),
            moments: Moments::default(),
            trimmer: Trimmer::default(),
            jobs: Jobs::default(),
            retainer: Retainer::default(),
            forks: Forks::default(),
            recent: RecentContents::default(),
        }
    }
}

impl Core {
    /// Applies what the log holds beyond the base.
    pub(super) fn replay(&self) -> Result<()> {
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
                    {
                        self.rows.keep(&mutation.key, lsn, &before);
                    }
                    self.apply(&mutation.key, lsn, after);
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

    pub(super) fn load_dead(&self) -> Result<()> {
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
            if let Some(gone) = sweep::discarded_by(key) {
                self.vectors.discard(gone);
                self.records.discard(gone);
            }
            self.sweeper.note(key, lsn);
            if self.jobs.note(key, lsn) {
                self.worker.set();
            }
        }
        self.retainer.changed.note(key, lsn);
        self.vectors.begin(lsn);
        self.rows.apply(key, lsn, body.clone());
        let noted = self.forks.note(key, lsn, body.as_ref());
        let indexed = noted
            .and_then(|()| self.vectors.apply(key, lsn, body.as_deref()))
            .and_then(|()| self.records.apply(self, key, lsn, body.as_ref()));
        if let Err(err) = indexed {
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
        self.recent.clear();
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
            Task::Retain => self.check_failed().and_then(|()| retain::step(self)),
            Task::Index => self.check_failed().and_then(|()| self.records.step(self)),
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
            self.trim(self.rows.persisted().lsn, self.options.log_retention_bytes)?;
            self.merger.set();
            if self.options.background {
                self.maintenance.set();
            } else {
                self.pins.let_go(self);
                self.rows.free_unread();
            }
        }
        Ok(drained != Drained::Nothing)
    }

    /// Lets go of log segments below an LSN that exceed these bytes. Writers do not wait for it.
    fn trim(&self, below: Lsn, kept_bytes: u64) -> Result<()> {
        let _one_at_a_time = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_backed_up() {
            let archived = self.log_hold.archived().filter(|_| !planted::is(Bug::TrimmedUnarchived));
            let below = archived.unwrap_or(below).min(below);
            let old = {
                let log = &mut self.lock_sequencer().log;
                if log.bytes() > kept_bytes { log.let_go(below) } else { None }
            };
            match old {
                Some(old) => old.remove()?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Lets go of all of the log that no view needs, and goes on in a segment that is as short as the first one.
    pub(crate) fn shrink_log(&self) -> Result<()> {
        self.guard(|| {
            let mut sequencer = self.lock_sequencer();
            sequencer.close(self)?;
            sequencer.log.begin_anew()?;
            self.synced.fetch_max(sequencer.log.synced().0, Ordering::AcqRel);
            Ok(())
        })?;
        self.trim(self.rows.persisted().lsn.next(), 0)
    }

    /// Trims the log after something that kept it. A failure poisons the handle, and takes nothing back of what was done.
    pub(crate) fn trim_what_was_held(&self) {
        let _ = self.guard(|| {
            self.check_lock()
                .and_then(|()| self.trim(self.rows.persisted().lsn, self.options.log_retention_bytes))
        });
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

    /// Appends the open group to the log; returns the log's end.
    pub(crate) fn close_group(&self) -> Result<Head> {
        self.guard(|| {
            let mut sequencer = self.lock_sequencer();
            sequencer.close(self)?;
            Ok(sequencer.log.head())
        })
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
            record_index_bytes: self.records.bytes() as u64,
            base_bytes: base.file_bytes,
            base_runs: base.runs,
            log_bytes: self.lock_sequencer().log.bytes(),
            held_for: self.log_hold.place().zip(self.log_hold.archived()),
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
        self.rows.why_not_drained().map_or(Ok(()), Err)
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

impl Host for Core {
    fn random(&self, out: &mut [u8]) {
        self.env.entropy.fill(out);
    }

    fn recent(&self) -> &RecentContents {
        &self.recent
    }
}
