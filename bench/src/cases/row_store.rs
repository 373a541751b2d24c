//! The two candidates for the row store in the role that it has: full memory tables of rows in key order, made durable one
//! after another, beside a log that is synced all the time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::load::{bytes, reads, written_mib};
use super::{key, value};
use crate::Store;
use crate::fdatasync::Fdatasync;
use crate::lsm_store::Lsm;
use crate::measure::{Results, Samples};
use crate::redb_store::Redb;

/// Rows of a memory table of 32 MiB.
const TABLE: u64 = 100_000;
/// The pause between two syncs of the log beside the drain.
const LOG_PAUSE: Duration = Duration::from_micros(200);

/// A store that takes a whole memory table.
trait RowStore: Store {
    fn drain(&self, rows: &[(String, String)]) -> Result<()>;
}

impl RowStore for Redb {
    fn drain(&self, rows: &[(String, String)]) -> Result<()> {
        self.load(rows)
    }
}

impl RowStore for Lsm {
    fn drain(&self, rows: &[(String, String)]) -> Result<()> {
        self.load(rows)?;
        Lsm::drain(self)
    }
}

pub fn run(dir: &Path, rows: u64, results: &mut Results) -> Result<()> {
    let log = Fdatasync::open(&dir.join("log"))?;
    results.add_samples("log alone", "redb", &beside(&log, || std::thread::sleep(Duration::from_secs(5)))?);
    type Open = fn(&Path) -> Result<Box<dyn RowStore>>;
    let candidates: [(&'static str, Open); 2] =
        [("redb", |dir| Ok(Box::new(Redb::open(dir)?))), ("lsm-tree", |dir| Ok(Box::new(Lsm::open(dir)?)))];
    for (name, open) in candidates {
        let dir = dir.join(name);
        let store = open(&dir)?;
        let (written, start) = (written_mib(&dir)?, Instant::now());
        let mut failed = Ok(());
        let samples = beside(&log, || {
            // The rows once, in tables of random keys; then as many updates.
            failed = (0..2 * rows / TABLE).try_for_each(|table| {
                let numbers = table * TABLE..(table + 1) * TABLE;
                let mut pairs: Vec<_> = numbers.map(|n| (key(n, rows), value(n, table))).collect();
                pairs.sort();
                store.drain(&pairs)
            });
        })?;
        failed?;
        let tables = (2 * rows / TABLE) as f64;
        results.add("drain 100k rows", "seconds", "s", false, name, start.elapsed().as_secs_f64() / tables);
        results.add(
            "drain 100k rows",
            "written_mib",
            "MiB",
            false,
            name,
            (written_mib(&dir)? - written) / tables,
        );
        results.add_samples("log beside drains", name, &samples);
        reads(&*store, rows, rows)?;
        results.add_samples("get point, drained", name, &reads(&*store, rows, 200_000)?);
        drop(store);
        results.add("disk", "bytes_per_row", "B", false, name, bytes(&dir)? as f64 / rows as f64);
        let start = Instant::now();
        let store = open(&dir)?;
        store.get(&key(1, rows))?;
        results.add("reopen, drained", "seconds", "s", false, name, start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Latencies of a log that is synced again and again while `work` is done.
fn beside(log: &Fdatasync, work: impl FnOnce()) -> Result<Samples> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| -> Result<Vec<u64>> {
            let mut samples = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                log.write(512)?;
                samples.push(began.elapsed().as_nanos() as u64);
                std::thread::sleep(LOG_PAUSE);
            }
            Ok(samples)
        });
        work();
        stop.store(true, Ordering::Relaxed);
        let samples = syncing.join().expect("the log")?;
        Ok(Samples::new(samples, start.elapsed().as_secs_f64()))
    })
}
