//! `make bench`: durable puts, point reads, a load and a reopen, against SQLite, redb, lsm-tree and a bare `fdatasync` loop;
//! and checkpoints, against LangGraph's SQLite saver; in one run on one disk. Systems take turns, several rounds; the median of the rounds counts, the spread is kept beside
//! it.

mod cases;
mod fdatasync;
mod lsm_store;
mod measure;
mod ours;
mod python;
mod redb_store;
mod sqlite;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::cases::puts::Times;
use crate::measure::Results;

/// The allocator of the project's own programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A key-value store with durable puts, as each competitor is.
pub trait Store: Send + Sync {
    /// Stores a value; it is durable when this returns.
    fn put(&self, client: usize, key: &str, value: &str) -> Result<()>;
    /// Stores several values at once; they are durable when this returns.
    fn load(&self, pairs: &[(String, String)]) -> Result<()>;
    /// Reads a value.
    fn get(&self, key: &str) -> Result<Option<String>>;
    /// Whether it can do more than put.
    fn is_store(&self) -> bool {
        true
    }
    /// Waits for work in the background to end.
    fn settle(&self) -> Result<()> {
        Ok(())
    }
}

/// Arguments, each with a value. `--peers`, names or `none`, limits those of retrieval: give another `--out` with it.
const ARGUMENTS: [&str; 8] =
    ["--dir", "--out", "--only", "--rows", "--seconds", "--half-seconds", "--fill", "--peers"];

fn main() -> Result<()> {
    if let Some(unknown) = std::env::args().skip(1).step_by(2).find(|a| !ARGUMENTS.contains(&a.as_str())) {
        bail!("there is no argument {unknown}: {}", ARGUMENTS.join(", "));
    }
    let argument = |name: &str| {
        let mut arguments = std::env::args().skip_while(|a| a != name);
        arguments.nth(1)
    };
    if let Some(dir) = argument("--fill") {
        return cases::reopen::fill_until_killed(&PathBuf::from(dir));
    }
    let dir = PathBuf::from(argument("--dir").unwrap_or_else(|| "bench-data".to_owned()));
    let number = |name: &str, default: u64| argument(name).map_or(Ok(default), |s| s.parse());
    let times = Times {
        turn: Duration::from_secs(number("--seconds", 5)?),
        half_load: Duration::from_secs(number("--half-seconds", 60)?),
    };
    let rows = number("--rows", 1_000_000)?;
    let out = PathBuf::from(argument("--out").unwrap_or_else(|| "bench/results".to_owned()));
    let peers: Option<Vec<String>> =
        argument("--peers").map(|names| names.split(',').map(str::to_owned).collect());
    for name in
        argument("--only").unwrap_or_else(|| "puts,half,load,row-store,checkpoint".to_owned()).split(',')
    {
        let mut results = Results::default();
        let _ = std::fs::remove_dir_all(&dir);
        match name {
            "puts" => cases::puts::saturated(&dir, times, &mut results)?,
            "half" => cases::puts::half_load(&dir, times, &mut results)?,
            "load" => {
                cases::load::run(&dir, rows, &mut results)?;
                cases::reopen::run(&dir, rows, &mut results)?;
            }
            "row-store" => cases::row_store::run(&dir, rows, &mut results)?,
            "checkpoint" => cases::checkpoint::run(&dir, &mut results)?,
            "retrieval" => {
                cases::retrieval::run(&dir, rows.min(100_000), peers.as_deref(), &mut results)?;
            }
            "cranfield" => cases::cranfield::run(&dir, &mut results)?,
            other => bail!(
                "there is no case {other}: puts, half, load, row-store, checkpoint, retrieval, cranfield"
            ),
        }
        let (file, command) = match name {
            "row-store" => ("row_store.json", "make bench"),
            "checkpoint" => ("checkpoint.json", "make bench"),
            "retrieval" | "cranfield" => ("retrieval.json", "make bench-retrieval"),
            _ => ("engine.json", "make bench"),
        };
        results.write(&out.join(file), "ours", command)?;
    }
    let _ = std::fs::remove_dir_all(Path::new(&dir));
    Ok(())
}
