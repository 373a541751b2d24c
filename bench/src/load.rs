//! Clients on threads: closed loops, loops at a fixed rate, and the bare disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::data::{self, Random};
use crate::pace::Pace;
use crate::process;
use crate::samples::Samples;
use crate::store::{Client, Store};

/// What a number of clients did for a while.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// How long each call took.
    pub calls: Samples,
    /// How long each call took from when it was due, late starts included; equals `calls` in a closed loop.
    pub from_due: Samples,
    /// From the first call to the end.
    pub elapsed: Duration,
    /// Processor time of the whole process meanwhile.
    pub cpu: Duration,
    /// Bytes that went to the disk meanwhile.
    pub written: u64,
}

impl Measured {
    /// Calls per second.
    pub fn per_second(&self) -> f64 {
        self.calls.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// A measurement of puts.
#[derive(Clone, Copy, Debug)]
pub struct Puts {
    /// Threads.
    pub clients: usize,
    /// Rows that they put to are below this.
    pub universe: u64,
    /// How long.
    pub duration: Duration,
    /// Puts per second of all clients together; none is as fast as possible.
    pub per_second: Option<f64>,
    /// Sets the rows that are chosen.
    pub seed: u64,
}

/// Puts random rows from several threads.
pub fn put(store: &dyn Store, puts: Puts) -> Result<Measured> {
    let start = Barrier::new(puts.clients);
    let (written, cpu) = (process::written_bytes(), process::process_cpu());
    let results: Vec<Result<(Samples, Samples, Duration)>> = std::thread::scope(|scope| {
        let start = &start;
        let threads: Vec<_> =
            (0..puts.clients).map(|client| scope.spawn(move || put_from_one(store, puts, client, start))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(anyhow!("a client panicked")))).collect()
    });
    let mut measured = Measured { cpu: process::process_cpu() - cpu, ..Measured::default() };
    measured.written = process::written_bytes() - written;
    for result in results {
        let (calls, from_due, elapsed) = result?;
        measured.calls.merge(&calls);
        measured.from_due.merge(&from_due);
        measured.elapsed = measured.elapsed.max(elapsed);
    }
    Ok(measured)
}

fn put_from_one(store: &dyn Store, puts: Puts, client: usize, start: &Barrier) -> Result<(Samples, Samples, Duration)> {
    process::sharpen_sleep();
    let mut random = Random::new(puts.seed << 16 | client as u64);
    let made = store.client();
    // Whoever fails must not leave the others waiting.
    start.wait();
    let mut access = made?;
    let share = puts.per_second.map(|all| all / puts.clients as f64);
    let mut pace = share.map(|rate| Pace::new(rate, client as f64 / puts.clients as f64));
    let (mut calls, mut from_due) = (Samples::default(), Samples::default());
    let begin = Instant::now();
    let mut version = puts.seed << 32;
    while begin.elapsed() < puts.duration {
        version += 1;
        let row = random.below(puts.universe);
        let (key, value) = (data::key(row), data::value(row, version));
        let due = pace.as_mut().map(Pace::wait);
        let now = Instant::now();
        access.put_durable(&key, &value)?;
        calls.push(now.elapsed());
        from_due.push(due.unwrap_or(now).elapsed());
    }
    Ok((calls, from_due, begin.elapsed()))
}

/// Gets `count` random rows from one thread; each must exist.
pub fn get(client: &mut dyn Client, universe: u64, count: usize, seed: u64) -> Result<Measured> {
    let mut random = Random::new(seed);
    let keys: Vec<Vec<u8>> = (0..count).map(|_| data::key(random.below(universe))).collect();
    let mut value = Vec::new();
    let mut measured = Measured::default();
    let begin = Instant::now();
    for key in &keys {
        let now = Instant::now();
        let found = client.get(key, &mut value)?;
        measured.calls.push(now.elapsed());
        ensure!(found && value.len() == data::VALUE_BYTES, "a row is missing or has the wrong length");
    }
    measured.elapsed = begin.elapsed();
    Ok(measured)
}

/// 512 bytes written in place into a zero-filled file and synced, again and again: what no durable write can undercut.
pub fn bare_syncs(file: &File, bytes: u64, duration: Duration) -> Result<Measured> {
    let mut measured = Measured::default();
    let begin = Instant::now();
    for at in (0..bytes).step_by(512).cycle() {
        measured.elapsed = begin.elapsed();
        if measured.elapsed >= duration {
            break;
        }
        let now = Instant::now();
        file.write_all_at(&[1; 512], at)?;
        file.sync_data()?;
        measured.calls.push(now.elapsed());
    }
    measured.from_due = measured.calls.clone();
    Ok(measured)
}
