//! A load of many small values, point reads of them, and what they take.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{ROUNDS, System, key, open_all, value};
use crate::Store;
use crate::measure::{Results, Samples};

const BATCH: u64 = 1_000;
const READS: u64 = 200_000;

pub fn run(dir: &Path, rows: u64, results: &mut Results) -> Result<()> {
    let systems = open_all(dir)?;
    let stores: Vec<&System> = systems.iter().filter(|(_, s)| s.is_store()).collect();
    for (name, store) in &stores {
        let before = resident()?;
        let (written, start) = (written_mib(dir)?, Instant::now());
        for first in (0..rows).step_by(BATCH as usize) {
            let numbers = first..(first + BATCH).min(rows);
            let pairs: Vec<_> = numbers.map(|n| (key(n, rows), value(n, 0))).collect();
            store.load(&pairs)?;
        }
        results.add("load 1M", "ops_per_s", "1/s", true, name, rows as f64 / start.elapsed().as_secs_f64());
        store.settle()?;
        results.add("load 1M", "written_mib", "MiB", false, name, written_mib(dir)? - written);
        results.add("load 1M", "settled_s", "s", false, name, start.elapsed().as_secs_f64());
        results.add("memory", "rss_mib", "MiB", false, name, resident()? - before);
    }
    for (_, store) in &stores {
        // Caches fill.
        reads(&**store, rows, rows)?;
    }
    for _ in 0..ROUNDS {
        for (name, store) in &stores {
            results.add_samples("get point", name, &reads(&**store, rows, READS)?);
        }
    }
    drop(systems);
    for (name, dir) in [
        ("ours", dir.join("ours")),
        ("sqlite", dir.join("sqlite")),
        ("redb", dir.join("redb")),
        ("lsm-tree + log", dir.join("lsm/tree")),
    ] {
        results.add("disk", "bytes_per_row", "B", false, name, bytes(&dir)? as f64 / rows as f64);
    }
    let rows_alone = bytes(&dir.join("ours/rows"))? as f64 / rows as f64;
    results.add("disk, without the log", "bytes_per_row", "B", false, "ours", rows_alone);
    Ok(())
}

pub fn reads(store: &dyn Store, rows: u64, count: u64) -> Result<Samples> {
    let start = Instant::now();
    let mut samples = Vec::with_capacity(count as usize);
    for number in 0..count {
        let key = key(number.wrapping_mul(7919) % rows, rows);
        let began = Instant::now();
        let found = store.get(&key)?;
        samples.push(began.elapsed().as_nanos() as u64);
        ensure!(found.is_some_and(|v| v.len() == 150), "{key} is missing");
    }
    Ok(Samples::new(samples, start.elapsed().as_secs_f64()))
}

/// Bytes that a file or a directory takes on the disk, holes left out.
pub fn bytes(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    if !path.is_dir() {
        return Ok(path.metadata()?.blocks() * 512);
    }
    std::fs::read_dir(path)?.map(|entry| bytes(&entry?.path())).sum()
}

/// MiB of memory that the process has.
pub fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().next().context("kB")?.parse::<f64>()? / 1024.0)
}

/// MiB that were written to the disk that a directory is on, by everyone: the device's own count of sectors, once
/// everything dirty is written. A process's
/// count of bytes would not do: it takes a change of 512 bytes in the page cache for one of the whole folio.
pub fn written_mib(dir: &Path) -> Result<f64> {
    use std::os::unix::fs::MetadataExt;
    ensure!(std::process::Command::new("sync").status()?.success(), "sync failed");
    let device = std::fs::metadata(dir)?.dev();
    let path = format!("/sys/dev/block/{}:{}/stat", device >> 8 & 0xfff, device & 0xff);
    let stat = std::fs::read_to_string(&path).with_context(|| path)?;
    let sectors: f64 = stat.split_whitespace().nth(6).context("sectors written")?.parse()?;
    Ok(sectors * 512.0 / f64::from(1 << 20))
}
