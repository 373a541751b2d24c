//! `make bench`: durable puts, point reads, a load and a reopen, against SQLite, redb and a bare `fdatasync` loop, in one
//! run on one disk. Systems take turns, several rounds; the median of the rounds counts, the spread is kept beside it.

mod cases;
mod fdatasync;
mod measure;
mod ours;
mod redb_store;
mod sqlite;

use std::path::PathBuf;

use anyhow::Result;

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
}

fn main() -> Result<()> {
    let argument = |name: &str| {
        let mut arguments = std::env::args().skip_while(|a| a != name);
        arguments.nth(1)
    };
    if let Some(dir) = argument("--fill") {
        return cases::fill_until_killed(&PathBuf::from(dir));
    }
    let dir = PathBuf::from(argument("--dir").unwrap_or_else(|| "bench-data".to_owned()));
    let seconds: u64 = argument("--seconds").map_or(Ok(5), |s| s.parse())?;
    let half: u64 = argument("--half-seconds").map_or(Ok(60), |s| s.parse())?;
    let rows: u64 = argument("--rows").map_or(Ok(1_000_000), |s| s.parse())?;
    let out = argument("--out").unwrap_or_else(|| "bench/results/engine.json".to_owned());
    let results = cases::run(&dir, seconds, half, rows)?;
    std::fs::remove_dir_all(&dir)?;
    results.write(&out)
}
