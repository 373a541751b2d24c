//! The write path of the engine in miniature: one thread appends groups to a log and syncs it, and puts the rows into a
//! memory table; another drains full tables into a row store.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use crossbeam_skiplist::SkipMap;

use crate::data::{self, Random};
use crate::group_log::Segment;
use crate::pace::Pace;
use crate::process;
use crate::rows::{Row, RowStore};
use crate::samples::Samples;

/// Rows that may wait for the drainer. Beyond, the writer drops them, and the run tells that the drain fell behind.
const MAX_BACKLOG: u64 = 3_000_000;

type Memtable = SkipMap<(Vec<u8>, Reverse<u64>), Vec<u8>>;

/// What the writer does.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Rows of a group.
    pub group: usize,
    /// Groups per second; none is as fast as possible.
    pub groups_per_s: Option<f64>,
    /// Keys are those of rows below this.
    pub universe: u64,
    /// How long, and how much of it in the beginning does not count.
    pub duration: Duration,
    /// The part that does not count.
    pub warm_up: Duration,
}

/// How tables go into the row store.
#[derive(Clone, Copy, Debug)]
pub struct Draining {
    /// Rows of a memory table when it is frozen.
    pub table_rows: usize,
    /// Rows of one commit; a table takes several if it is smaller.
    pub commit_rows: usize,
    /// Pause between two commits.
    pub pause: Duration,
    /// Sort a commit by key; if not, it has the order of arrival.
    pub sorted: bool,
}

impl Draining {
    /// Each table in one sorted commit.
    pub fn whole(rows: usize) -> Self {
        Draining { table_rows: rows, commit_rows: rows, pause: Duration::ZERO, sorted: true }
    }
}

/// What came of it, the warm-up left out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How long the log took for each group.
    pub log: Samples,
    /// The same, from the moment when the group was due.
    pub log_from_due: Samples,
    /// Rows that the log took.
    pub logged: u64,
    /// Rows that the drainer took.
    pub drained: u64,
    /// The longest backlog in rows.
    pub backlog: u64,
    /// Processor time of the drainer.
    pub drain_cpu: Duration,
    /// Bytes that went to the disk, the log's included.
    pub written: u64,
    /// Bytes of keys and values that the drainer took.
    pub payload: u64,
    /// How long it all took.
    pub elapsed: Duration,
}

impl Outcome {
    /// Adds what another run of the same arm gave.
    pub fn merge(&mut self, other: &Outcome) {
        self.log.merge(&other.log);
        self.log_from_due.merge(&other.log_from_due);
        self.logged += other.logged;
        self.drained += other.drained;
        self.backlog = self.backlog.max(other.backlog);
        self.drain_cpu += other.drain_cpu;
        self.written += other.written;
        self.payload += other.payload;
        self.elapsed += other.elapsed;
    }
}

/// Runs the write path. Without a store, memory tables are dropped when full: the drainer is paused.
pub fn run(log: &mut Segment, load: Load, draining: Draining, store: Option<&dyn RowStore>, seed: u64) -> Result<Outcome> {
    let (frozen, tables) = mpsc::channel::<Memtable>();
    let (drained, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (counter, stopped) = (&drained, &stop);
        let drainer = scope.spawn(move || drain_all(tables, draining, store, counter, stopped, load.warm_up));
        let outcome = write_all(log, load, draining, frozen, &drained, seed);
        stop.store(true, Ordering::Relaxed);
        let (cpu, payload) = drainer.join().map_err(|_| anyhow!("the drainer panicked"))??;
        let mut outcome = outcome?;
        outcome.drain_cpu = cpu;
        outcome.payload = payload;
        Ok(outcome)
    })
}

fn write_all(
    log: &mut Segment,
    load: Load,
    draining: Draining,
    frozen: mpsc::Sender<Memtable>,
    drained: &AtomicU64,
    seed: u64,
) -> Result<Outcome> {
    process::sharpen_sleep();
    let mut random = Random::new(seed);
    let mut pace = load.groups_per_s.map(|rate| Pace::new(rate, 0.0));
    let mut table = Memtable::new();
    let mut outcome = Outcome::default();
    let mut start: Option<(Instant, u64, u64)> = None;
    let (mut lsn, mut handed, begin) = (0_u64, 0_u64, Instant::now());
    while begin.elapsed() < load.duration {
        if start.is_none() && begin.elapsed() >= load.warm_up {
            start = Some((Instant::now(), process::written_bytes(), drained.load(Ordering::Relaxed)));
            outcome = Outcome::default();
        }
        let group: Vec<Row> = (0..load.group as u64)
            .map(|i| {
                let row = random.below(load.universe);
                (data::key(row), data::value(row, lsn + i))
            })
            .collect();
        let due = pace.as_mut().map(Pace::wait);
        let now = Instant::now();
        group.iter().for_each(|(key, value)| log.add(key, value));
        log.commit()?;
        outcome.log.push(now.elapsed());
        outcome.log_from_due.push(due.unwrap_or(now).elapsed());
        outcome.logged += load.group as u64;
        for (key, value) in group {
            lsn += 1;
            table.insert((key, Reverse(lsn)), value);
        }
        let backlog = handed - drained.load(Ordering::Relaxed);
        outcome.backlog = outcome.backlog.max(backlog);
        if table.len() >= draining.table_rows {
            let full = std::mem::take(&mut table);
            if backlog < MAX_BACKLOG {
                handed += full.len() as u64;
                frozen.send(full).context("the drainer is gone")?;
            }
        }
    }
    if let Some((since, written, before)) = start {
        outcome.elapsed = since.elapsed();
        outcome.written = process::written_bytes() - written;
        outcome.drained = drained.load(Ordering::Relaxed) - before;
    }
    Ok(outcome)
}

/// Drains until the writer is gone; what is left then is dropped. Returns processor time and payload after the warm-up.
fn drain_all(
    tables: mpsc::Receiver<Memtable>,
    draining: Draining,
    store: Option<&dyn RowStore>,
    drained: &AtomicU64,
    stop: &AtomicBool,
    warm_up: Duration,
) -> Result<(Duration, u64)> {
    let begin = Instant::now();
    let mut position = 0;
    let mut payload = 0;
    let mut cpu_before = None;
    while let Ok(table) = tables.recv() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if begin.elapsed() >= warm_up && cpu_before.is_none() {
            cpu_before = Some(process::thread_cpu());
        }
        let len = table.len() as u64;
        let mut rows = newest(table);
        if !draining.sorted {
            rows.sort_unstable_by_key(|(lsn, _)| *lsn);
        }
        position += len;
        let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
        for part in rows.chunks(draining.commit_rows) {
            if let Some(store) = store {
                store.drain(part, position)?;
            }
            if cpu_before.is_some() {
                payload += part.iter().map(|(k, v)| (k.len() + v.len()) as u64).sum::<u64>();
            }
            std::thread::sleep(draining.pause);
        }
        drained.fetch_add(len, Ordering::Relaxed);
    }
    let cpu = cpu_before.map_or(Duration::ZERO, |before| process::thread_cpu() - before);
    Ok((cpu, payload))
}

/// The newest version of each key, by key.
fn newest(table: Memtable) -> Vec<(u64, Row)> {
    let mut rows: Vec<(u64, Row)> = Vec::with_capacity(table.len());
    for ((key, Reverse(lsn)), value) in table {
        if rows.last().is_none_or(|(_, (last, _))| *last != key) {
            rows.push((lsn, (key, value)));
        }
    }
    rows
}
