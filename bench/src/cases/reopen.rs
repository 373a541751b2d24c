//! Opening after `kill -9` under load, with many mutations that are not in the row file yet.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{ROUNDS, key, value};
use crate::Store;
use crate::measure::Results;
use crate::ours::Ours;

/// Mutations that the database has beyond its row file, at least.
const UNDRAINED: u64 = 100_000;

/// `dir` holds a loaded database.
pub fn run(dir: &Path, rows: u64, results: &mut Results) -> Result<()> {
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
        let found = store.get(&key(rows / 2, rows))?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(found.is_some(), "a loaded row is missing");
        let stats = store.db.stats()?;
        ensure!(stats.lsn.0 >= acknowledged, "LSN {acknowledged} was acknowledged, {} is there", stats.lsn);
        results.add("reopen", "seconds", "s", false, "ours", seconds);
        results.add("reopen", "undrained_lsns", "1", true, "ours", (stats.lsn.0 - stats.drained.0) as f64);
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
                    if store.put(0, &key(number, 1_000_000), &value(number, 1)).is_err() {
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
