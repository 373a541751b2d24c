//! Measures the candidates for the row store: see docs/decisions/0001-row-store.md for what came out.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agentdb_bench::data::{self, Random};
use agentdb_bench::drain::{self, Draining, Load, Outcome};
use agentdb_bench::group_log::Segment;
use agentdb_bench::redb_file::Treatment;
use agentdb_bench::rows::{LsmOptions, LsmRows, RedbOptions, RedbRows, Row, RowStore};
use agentdb_bench::samples::Samples;
use agentdb_bench::{disk, process};
use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};

const MIB: u64 = 1 << 20;
const LOADED_ROWS: u64 = 1_000_000;
const LOG_BYTES: u64 = 256 * MIB;

#[derive(Parser)]
struct Args {
    /// Where the files go; emptied first by `prepare`.
    #[arg(long, default_value = "/tmp/adb-bench/rows")]
    dir: PathBuf,
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Loads 1,000,000 rows into each candidate: time, bytes on disk, bytes written, memory.
    Prepare,
    /// Log latency with each way of draining, in alternating rounds.
    Stalls {
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Seconds per arm and round, two of which do not count.
        #[arg(long, default_value_t = 12)]
        seconds: u64,
        /// Rows of a group.
        #[arg(long, default_value_t = 8)]
        group: usize,
        /// Groups per second; default is half of what a closed loop reaches.
        #[arg(long)]
        rate: Option<f64>,
        /// Only arms whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
        /// Begin with empty stores and new keys: files grow.
        #[arg(long)]
        growing: bool,
    },
    /// Rows per second of a drain that never waits, over 1,000,000 loaded rows.
    Capacity {
        #[arg(long, default_value_t = 6)]
        seconds: u64,
    },
    /// Point reads and prefix scans over 1,000,000 rows, alone and while a drain runs.
    Reads,
    /// Opening after `kill -9` in the middle of a drain.
    Reopen {
        #[arg(long, default_value_t = 5)]
        kills: usize,
    },
    /// Drains without end, for `reopen` to kill.
    #[command(hide = true)]
    Child { store: String, path: PathBuf },
}

fn main() -> Result<()> {
    let args = Args::parse();
    match args.command {
        What::Prepare => prepare(&args.dir),
        What::Stalls { rounds, seconds, group, rate, only, growing } => {
            stalls(&args.dir, rounds, Duration::from_secs(seconds), group, rate, &only, growing)
        }
        What::Capacity { seconds } => capacity(&args.dir, Duration::from_secs(seconds)),
        What::Reads => reads(&args.dir),
        What::Reopen { kills } => reopen(&args.dir, kills),
        What::Child { store, path } => child(&store, &path),
    }
}

/// A candidate as it is opened.
#[derive(Clone, Copy)]
enum Candidate {
    Redb(RedbOptions),
    Lsm(LsmOptions),
}

impl Candidate {
    fn redb() -> Self {
        Candidate::Redb(RedbOptions::default())
    }

    fn lsm(table_bytes: u64) -> Self {
        Candidate::Lsm(LsmOptions { table_bytes, ..LsmOptions::default() })
    }

    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "redb" => Candidate::redb(),
            "redb-slow-repair" => Candidate::Redb(RedbOptions { quick_repair: false, ..RedbOptions::default() }),
            "lsm-64m" => Candidate::lsm(64 * MIB),
            "lsm-4m" => Candidate::lsm(4 * MIB),
            _ => bail!("no candidate is called {name}"),
        })
    }

    fn open(self, path: &Path) -> Result<Box<dyn RowStore>> {
        Ok(match self {
            Candidate::Redb(options) => Box::new(RedbRows::open(path, options)?),
            Candidate::Lsm(options) => Box::new(LsmRows::open(path, options)?),
        })
    }
}

const STORES: [&str; 3] = ["redb", "lsm-64m", "lsm-4m"];

fn batch(rows: impl Iterator<Item = u64>, version: u64) -> Vec<Row> {
    let mut batch: Vec<Row> = rows.map(|row| (data::key(row), data::value(row, version))).collect();
    batch.sort_unstable();
    batch.dedup_by(|a, b| a.0 == b.0);
    batch
}

fn prepare(dir: &Path) -> Result<()> {
    disk::fresh_dir(dir)?;
    println!("| store | load s | rows/s | disk MiB | written MiB | payload MiB | RSS MiB (anon) |");
    for name in STORES {
        let path = dir.join(name);
        let (written, begin, mut payload) = (process::written_bytes(), Instant::now(), 0);
        let store = Candidate::named(name)?.open(&path)?;
        for first in (0..LOADED_ROWS).step_by(16_384) {
            let rows = batch(first..LOADED_ROWS.min(first + 16_384), 0);
            payload += rows.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
            store.drain(&rows, first)?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "| {name} | {seconds:.1} | {:.0} | {} | {} | {} | {} |",
            LOADED_ROWS as f64 / seconds,
            disk::usage(&path)? / MIB,
            (process::written_bytes() - written) / MIB,
            payload as u64 / MIB,
            process::anonymous_bytes() / MIB,
        );
    }
    Ok(())
}

/// One way of draining.
struct Arm {
    name: String,
    /// The store's name, and how it is opened; none is no drain.
    store: Option<(&'static str, Candidate)>,
    draining: Draining,
}

fn arms() -> Vec<Arm> {
    let arm = |name: &str, store, draining| Arm { name: name.into(), store: Some(store), draining };
    let redb = |options| ("redb", Candidate::Redb(options));
    let plain = RedbOptions::default();
    let small_cache = RedbOptions { cache_bytes: 64 << 20, ..plain };
    let ahead = |bytes| RedbOptions { treatment: Treatment { write_back_every: bytes, pre_grown: 0 }, ..plain };
    let mut arms = vec![Arm { name: "drainer paused".into(), store: None, draining: Draining::whole(16_384) }];
    for rows in [1_024, 4_096, 16_384, 65_536] {
        arms.push(arm(&format!("redb {rows}"), redb(plain), Draining::whole(rows)));
        arms.push(arm(&format!("lsm-64m {rows}"), ("lsm-64m", Candidate::lsm(64 * MIB)), Draining::whole(rows)));
        arms.push(arm(&format!("lsm-4m {rows}"), ("lsm-4m", Candidate::lsm(4 * MIB)), Draining::whole(rows)));
    }
    let whole = Draining::whole(16_384);
    arms.push(arm("redb 16384 unsorted", redb(plain), Draining { sorted: false, ..whole }));
    arms.push(arm("redb 16384 cache 64 MiB", redb(small_cache), whole));
    arms.push(arm("redb 16384 write-back each 256 KiB", redb(ahead(256 << 10)), whole));
    arms.push(arm("redb 16384 write-back each 1 MiB", redb(ahead(1 << 20)), whole));
    let paced = |commit_rows, millis| Draining { commit_rows, pause: Duration::from_millis(millis), ..whole };
    arms.push(arm("redb 16384 in 1024s, 5 ms apart", redb(plain), paced(1_024, 5)));
    arms.push(arm("redb 16384 in 2048s, 20 ms apart", redb(plain), paced(2_048, 20)));
    arms.push(arm("redb 65536 in 4096s, write-back 256 KiB", redb(ahead(256 << 10)), Draining { table_rows: 65_536, commit_rows: 4_096, ..whole }));
    arms
}

fn growing_arms() -> Vec<Arm> {
    let pre_grown = RedbOptions {
        treatment: Treatment { pre_grown: 1024 * MIB, write_back_every: 0 },
        ..RedbOptions::default()
    };
    let whole = Draining::whole(16_384);
    vec![
        Arm { name: "drainer paused".into(), store: None, draining: whole },
        Arm { name: "redb growing".into(), store: Some(("grow", Candidate::redb())), draining: whole },
        Arm { name: "redb pre-grown".into(), store: Some(("pre", Candidate::Redb(pre_grown))), draining: whole },
        Arm { name: "lsm-64m growing".into(), store: Some(("lsm-grow", Candidate::lsm(64 * MIB))), draining: whole },
    ]
}

fn stalls(dir: &Path, rounds: usize, duration: Duration, group: usize, rate: Option<f64>, only: &str, growing: bool) -> Result<()> {
    let mut log = Segment::create(&dir.join("log"), LOG_BYTES)?;
    let warm_up = Duration::from_secs(2);
    let universe = if growing { 1 << 40 } else { LOADED_ROWS };
    let flat_out = Load { group, groups_per_s: None, universe, duration: Duration::from_secs(4), warm_up: Duration::from_secs(1) };
    let saturated = drain::run(&mut log, flat_out, Draining::whole(16_384), None, 7)?;
    let saturation = saturated.log.len() as f64 / saturated.elapsed.as_secs_f64();
    let rate = rate.unwrap_or(saturation / 2.0);
    println!("saturation {saturation:.0} groups/s of {group}; load {rate:.0} groups/s, {:.0} rows/s", rate * group as f64);
    let load = Load { groups_per_s: Some(rate), duration, warm_up, ..flat_out };

    let mut arms = if growing { growing_arms() } else { arms() };
    arms.retain(|arm| arm.store.is_none() || arm.name.contains(only));
    let mut outcomes = vec![Outcome::default(); arms.len()];
    let mut bare = Samples::default();
    for round in 0..rounds {
        bare.merge(&bare_loop(&dir.join("bare"), duration - warm_up)?);
        for (arm, total) in arms.iter().zip(&mut outcomes) {
            let store = arm.store.map(|(name, candidate)| {
                let path = dir.join(name);
                if growing {
                    if path.is_dir() { std::fs::remove_dir_all(&path)? } else if path.exists() { std::fs::remove_file(&path)? }
                }
                candidate.open(&path)
            });
            let store = store.transpose()?;
            total.merge(&drain::run(&mut log, load, arm.draining, store.as_deref(), round as u64)?);
        }
        eprintln!("round {} of {rounds}", round + 1);
    }

    println!("| arm | p50 µs | p99 µs | p99.9 µs | max ms | p99 from due µs | drained/logged | rows/s drained | backlog | CPU µs/row | write amp |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let p = |s: &mut Samples| {
        let max = s.percentile_us(100.0) / 1000.0;
        format!("{:.0} | {:.0} | {:.0} | {max:.1}", s.percentile_us(50.0), s.percentile_us(99.0), s.percentile_us(99.9))
    };
    println!("| bare fdatasync loop | {} |  |  |  |  |  |  |", p(&mut bare));
    for (arm, o) in arms.iter().zip(&mut outcomes) {
        let log_bytes = o.logged as f64 * (150.0 + 28.0 + 8.0);
        println!(
            "| {} | {} | {:.0} | {:.2} | {:.0} | {} | {:.1} | {:.1} |",
            arm.name,
            p(&mut o.log),
            o.log_from_due.percentile_us(99.0),
            o.drained as f64 / o.logged as f64,
            o.drained as f64 / o.elapsed.as_secs_f64(),
            o.backlog,
            o.drain_cpu.as_secs_f64() * 1e6 / o.drained.max(1) as f64,
            (o.written as f64 - log_bytes).max(0.0) / o.payload.max(1) as f64,
        );
    }
    Ok(())
}

/// 512 bytes written in place and synced, again and again.
fn bare_loop(path: &Path, duration: Duration) -> Result<Samples> {
    use std::os::unix::fs::FileExt;
    let file = disk::zero_filled(path, 64 * MIB)?;
    let (mut samples, begin) = (Samples::default(), Instant::now());
    for at in (0..64 * MIB).step_by(512).cycle() {
        if begin.elapsed() >= duration {
            break;
        }
        let now = Instant::now();
        file.write_all_at(&[1; 512], at)?;
        file.sync_data()?;
        samples.push(now.elapsed());
    }
    Ok(samples)
}

fn capacity(dir: &Path, duration: Duration) -> Result<()> {
    println!("| store | commit rows | rows/s | p50 ms a commit | max ms | CPU µs/row | write amp |");
    for rows in [1_024, 4_096, 16_384, 65_536] {
        for name in STORES {
            let store = Candidate::named(name)?.open(&dir.join(name))?;
            let mut random = Random::new(rows);
            let mut commits = Samples::default();
            let (mut payload, mut count, mut spent) = (0, 0, Duration::ZERO);
            let (written, cpu, begin) = (process::written_bytes(), process::thread_cpu(), Instant::now());
            while begin.elapsed() < duration {
                let cpu = process::thread_cpu();
                let batch = batch((0..rows).map(|_| random.below(LOADED_ROWS)), count);
                spent += process::thread_cpu() - cpu;
                payload += batch.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
                count += batch.len() as u64;
                let now = Instant::now();
                store.drain(&batch, count)?;
                commits.push(now.elapsed());
            }
            let used = process::thread_cpu() - cpu - spent;
            println!(
                "| {name} | {rows} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} |",
                count as f64 / (begin.elapsed() - spent).as_secs_f64(),
                commits.percentile_us(50.0) / 1000.0,
                commits.percentile_us(100.0) / 1000.0,
                used.as_secs_f64() * 1e6 / count as f64,
                (process::written_bytes() - written) as f64 / payload as f64,
            );
        }
    }
    Ok(())
}

fn reads(dir: &Path) -> Result<()> {
    println!("| store | cache MiB | get p50 µs | p99 | with a reader of its own p50 | scan of 100 p50 µs | anon MiB | get while draining p50 µs | p99 | max ms |");
    for cache in [64_u64, 256, 1024] {
        for name in STORES {
            let candidate = match Candidate::named(name)? {
                Candidate::Redb(options) => Candidate::Redb(RedbOptions { cache_bytes: (cache * MIB) as usize, ..options }),
                Candidate::Lsm(options) => Candidate::Lsm(LsmOptions { cache_bytes: cache * MIB, ..options }),
            };
            let before = process::anonymous_bytes();
            let store = candidate.open(&dir.join(name))?;
            let reader = store.reader()?;
            let mut random = Random::new(3);
            // Fills the cache.
            for _ in 0..400_000 {
                ensure!(reader.get(&data::key(random.below(LOADED_ROWS)))?.is_some(), "a row is missing");
            }
            let mut kept = timed(300_000, &mut random, |key| Ok(reader.get(key)?.is_some()))?;
            let mut single = timed(100_000, &mut random, |key| Ok(store.get_once(key)?.is_some()))?;
            let mut scan = timed(10_000, &mut random, |key| Ok(reader.scan(&key[..data::PREFIX_BYTES], 100)? == 100))?;
            let memory = (process::anonymous_bytes().saturating_sub(before)) / MIB;
            drop(reader);
            let mut busy = while_draining(store.as_ref())?;
            println!(
                "| {name} | {cache} | {:.2} | {:.2} | {:.2} | {:.1} | {memory} | {:.2} | {:.2} | {:.1} |",
                kept.percentile_us(50.0),
                kept.percentile_us(99.0),
                single.percentile_us(50.0),
                scan.percentile_us(50.0),
                busy.percentile_us(50.0),
                busy.percentile_us(99.0),
                busy.percentile_us(100.0) / 1000.0,
            );
        }
    }
    Ok(())
}

/// Times reads of random rows.
fn timed(count: usize, random: &mut Random, mut read: impl FnMut(&[u8]) -> Result<bool>) -> Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..count {
        let key = data::key(random.below(LOADED_ROWS));
        let now = Instant::now();
        let found = read(&key)?;
        samples.push(now.elapsed());
        ensure!(found, "a read found less than was written");
    }
    Ok(samples)
}

/// Times point reads while 4,096 rows are drained every 50 ms.
fn while_draining(store: &dyn RowStore) -> Result<Samples> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let drainer = scope.spawn(|| -> Result<()> {
            let mut random = Random::new(11);
            let mut version = 1;
            while !stop.load(Ordering::Relaxed) {
                version += 1;
                store.drain(&batch((0..4_096).map(|_| random.below(LOADED_ROWS)), version), version)?;
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        });
        let begin = Instant::now();
        let (mut samples, mut random) = (Samples::default(), Random::new(12));
        while begin.elapsed() < Duration::from_secs(5) {
            samples.merge(&timed(1_000, &mut random, |key| Ok(store.get_once(key)?.is_some()))?);
        }
        stop.store(true, Ordering::Relaxed);
        drainer.join().map_err(|_| anyhow::anyhow!("the drainer panicked"))??;
        Ok(samples)
    })
}

fn child(name: &str, path: &Path) -> Result<()> {
    let store = Candidate::named(name)?.open(path)?;
    let mut random = Random::new(std::process::id().into());
    let mut position = store.position()?;
    let mut out = std::io::stdout().lock();
    loop {
        position += 1;
        store.drain(&batch((0..16_384).map(|_| random.below(LOADED_ROWS)), position), position)?;
        writeln!(out, "{position}")?;
        out.flush()?;
    }
}

fn reopen(dir: &Path, kills: usize) -> Result<()> {
    println!("| store | opened after kill ms, in the order of kills (page cache dropped) |");
    for name in ["redb", "redb-slow-repair", "lsm-64m", "lsm-4m"] {
        let path = dir.join(if name == "redb-slow-repair" { "redb" } else { name });
        let mut times = Vec::new();
        for kill in 0..kills {
            let acknowledged = drain_and_kill(name, &path, Duration::from_millis(1_500 + 137 * kill as u64))?;
            disk::forget_cached(&path)?;
            let begin = Instant::now();
            let store = Candidate::named(name)?.open(&path)?;
            let position = store.position()?;
            ensure!(store.get_once(&data::key(5))?.is_some(), "a row is missing");
            times.push(format!("{:.1}", begin.elapsed().as_secs_f64() * 1000.0));
            ensure!(
                position == acknowledged || position == acknowledged + 1,
                "{name} is at {position} after acknowledging {acknowledged}"
            );
        }
        println!("| {name} | {} |", times.join(", "));
    }
    Ok(())
}

/// Runs a child that drains, kills it, and returns the last position that it said was durable.
fn drain_and_kill(name: &str, path: &Path, after: Duration) -> Result<u64> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["child", name])
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the child")?;
    let out = child.stdout.take().context("the child has no output")?;
    let lines = std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).last());
    std::thread::sleep(after);
    child.kill()?;
    child.wait()?;
    let last = lines.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    last.context("the child drained nothing")?.parse().context("the child spoke gibberish")
}
