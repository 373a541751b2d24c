//! The cases.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::Store;
use crate::fdatasync::Fdatasync;
use crate::measure::{Results, Samples};
use crate::ours::Ours;
use crate::redb_store::Redb;
use crate::sqlite::Sqlite;

const ROUNDS: usize = 3;
const LOAD_BATCH: u64 = 1_000;
/// Rows that the reopened database has beyond its row file, at least.
const UNDRAINED: u64 = 100_000;

type System = (&'static str, Box<dyn Store>);

fn value() -> String {
    "x".repeat(150)
}

/// Keys in an order that is not theirs.
fn key(number: u64, of: u64) -> String {
    format!("key{:09}", number.wrapping_mul(0x9e37_79b9) % of)
}

fn open_all(dir: &Path) -> Result<Vec<System>> {
    Ok(vec![
        ("fdatasync", Box::new(Fdatasync::open(&dir.join("fdatasync"))?)),
        ("ours", Box::new(Ours::open(&dir.join("ours"))?)),
        ("sqlite", Box::new(Sqlite::open(&dir.join("sqlite"))?)),
        ("redb", Box::new(Redb::open(&dir.join("redb"))?)),
    ])
}

pub fn run(dir: &Path, seconds: u64, half_seconds: u64, rows: u64) -> Result<Results> {
    let mut results = Results::default();
    let _ = std::fs::remove_dir_all(dir);
    let systems = open_all(dir)?;
    let time = Duration::from_secs(seconds);
    for (case, clients) in [("put 1 client", 1), ("put 8 clients", 8), ("put 64 clients", 64)] {
        for _ in 0..ROUNDS {
            for (name, store) in &systems {
                results.add_samples(case, name, &puts(&**store, clients, time, None)?);
            }
        }
    }
    // Half of what we did with 64 clients; the floor is the bare loop in turns with us.
    let rate = puts(&*systems[1].1, 64, time, None)?.per_second() / 2.0;
    for _ in 0..ROUNDS {
        let part = Duration::from_secs(half_seconds.div_ceil(ROUNDS as u64));
        results.add_samples("put half load", "fdatasync", &puts(&*systems[0].1, 1, time, None)?);
        results.add_samples("put half load", "ours", &puts(&*systems[1].1, 64, part, Some(rate))?);
    }
    drop(systems);
    std::fs::remove_dir_all(dir)?;
    load_and_get(dir, rows, &mut results)?;
    reopen(dir, &mut results)?;
    Ok(results)
}

/// Puts for some time by several clients, as fast as they go or at a rate in all.
fn puts(store: &dyn Store, clients: usize, time: Duration, rate: Option<f64>) -> Result<Samples> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let client = |number: usize| -> Result<Vec<u64>> {
        let value = value();
        let pause = rate.map(|r| Duration::from_secs_f64(clients as f64 / r));
        // Clients with a rate start spread over one pause.
        let mut due = start + pause.unwrap_or_default().mul_f64(number as f64 / clients as f64);
        let mut samples = Vec::new();
        let mut next = number as u64 * 1_000_003;
        while !stop.load(Ordering::Relaxed) {
            if let Some(pause) = pause {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += pause;
            }
            let began = Instant::now();
            store.put(number, &key(next, 1_000_000), &value)?;
            samples.push(began.elapsed().as_nanos() as u64);
            next += 1;
        }
        Ok(samples)
    };
    let samples = std::thread::scope(|scope| -> Result<Vec<u64>> {
        let threads: Vec<_> = (0..clients).map(|n| scope.spawn(move || client_of(&client, n))).collect();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().expect("a client")?);
        }
        Ok(all)
    })?;
    Ok(Samples::new(samples, start.elapsed().as_secs_f64()))
}

fn client_of(client: &(dyn Fn(usize) -> Result<Vec<u64>> + Sync), number: usize) -> Result<Vec<u64>> {
    client(number)
}

fn load_and_get(dir: &Path, rows: u64, results: &mut Results) -> Result<()> {
    let systems = open_all(dir)?;
    let stores: Vec<&System> = systems.iter().filter(|(_, s)| s.is_store()).collect();
    for (name, store) in &stores {
        let start = Instant::now();
        for first in (0..rows).step_by(LOAD_BATCH as usize) {
            let pairs: Vec<_> = (first..(first + LOAD_BATCH).min(rows)).map(|n| (key(n, rows), value())).collect();
            store.load(&pairs)?;
        }
        results.add("load 1M", "ops_per_s", "1/s", true, name, rows as f64 / start.elapsed().as_secs_f64());
    }
    // Let background work end, and caches fill.
    for (_, store) in &stores {
        reads(&**store, rows, 100_000)?;
    }
    for _ in 0..ROUNDS {
        for (name, store) in &stores {
            results.add_samples("get point", name, &reads(&**store, rows, 200_000)?);
        }
    }
    drop(systems);
    for name in ["ours", "sqlite", "redb"] {
        results.add("disk", "bytes_per_row", "B", false, name, bytes(&dir.join(name))? as f64 / rows as f64);
    }
    Ok(())
}

fn reads(store: &dyn Store, rows: u64, count: u64) -> Result<Samples> {
    let start = Instant::now();
    let mut samples = Vec::with_capacity(count as usize);
    for number in 0..count {
        let key = key(number.wrapping_mul(7919) % rows, rows);
        let began = Instant::now();
        let found = store.get(&key)?;
        samples.push(began.elapsed().as_nanos() as u64);
        ensure!(found.is_some(), "{key} is missing");
    }
    Ok(Samples::new(samples, start.elapsed().as_secs_f64()))
}

fn bytes(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return Ok(path.metadata()?.len());
    }
    std::fs::read_dir(path)?.map(|entry| bytes(&entry?.path())).sum()
}

/// Reopens a loaded database after `kill -9` under load, with many mutations that are not in its row file yet.
fn reopen(dir: &Path, results: &mut Results) -> Result<()> {
    let ours = dir.join("ours");
    for _ in 0..ROUNDS {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program).arg("--fill").arg(&ours).stdout(Stdio::piped()).spawn()?;
        let mut acknowledged = 0u64;
        for line in BufReader::new(child.stdout.take().context("its output")?).lines() {
            if let Ok(number) = line?.parse() {
                acknowledged = number;
                child.kill()?;
            }
        }
        child.wait()?;
        let start = Instant::now();
        let store = Ours::open(&ours)?;
        let seconds = start.elapsed().as_secs_f64();
        let stats = store.db.stats()?;
        ensure!(stats.lsn.0 >= acknowledged, "LSN {acknowledged} was acknowledged, {} is there", stats.lsn);
        results.add("reopen", "seconds", "s", false, "ours", seconds);
        results.add("reopen", "undrained_lsns", "1", true, "ours", (stats.lsn.0 - stats.drained.0) as f64);
        results.add("memory", "rss_mib", "MiB", false, "ours", resident()?);
    }
    Ok(())
}

/// The process that is killed: puts until far more is in memory than in the row file, then says so and goes on.
pub fn fill_until_killed(dir: &Path) -> Result<()> {
    let store = Ours::open(dir)?;
    let mut said = false;
    std::thread::scope(|scope| -> Result<()> {
        for client in 0..32u64 {
            let store = &store;
            scope.spawn(move || {
                for number in client * 10_000_000.. {
                    if store.put(0, &key(number, 1_000_000), &value()).is_err() {
                        return;
                    }
                }
            });
        }
        loop {
            std::thread::sleep(Duration::from_millis(5));
            let stats = store.db.stats()?;
            if !said && stats.lsn.0 - stats.drained.0 >= UNDRAINED {
                println!("{}", stats.synced.0);
                said = true;
            }
        }
    })
}

fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().next().context("kB")?.parse::<f64>()? / 1024.0)
}
