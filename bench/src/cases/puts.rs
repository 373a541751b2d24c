//! Durable puts: as many as they go, and at half of that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{ROUNDS, key, open_all, value};
use crate::Store;
use crate::fdatasync::Fdatasync;
use crate::measure::{Results, Samples};
use crate::ours::Ours;

/// Keys that puts are spread over.
const KEYS: u64 = 1_000_000;
/// Bytes that a put adds to our log, about.
const PUT_BYTES: usize = 128;
/// Clients at half load.
const CLIENTS: usize = 64;

/// Makes the keys and values of each turn its own.
static TURN: AtomicU64 = AtomicU64::new(0);

/// How long a turn is.
#[derive(Clone, Copy)]
pub struct Times {
    pub turn: Duration,
    /// The whole of the case at half load, in as many parts as there are rounds.
    pub half_load: Duration,
}

pub fn saturated(dir: &Path, times: Times, results: &mut Results) -> Result<()> {
    let systems = open_all(dir)?;
    for (case, clients) in [("put 1 client", 1), ("put 8 clients", 8), ("put 64 clients", 64)] {
        for _ in 0..ROUNDS {
            for (name, store) in &systems {
                results.add_samples(case, name, &puts(&**store, clients, times.turn, None)?);
            }
        }
    }
    Ok(())
}

/// Half of what 64 clients do; the floor is the bare loop, in turns with us. The clients are tasks of an asynchronous
/// program first, then threads that block. A second floor is the same loop under the same load: what the waits for its
/// syncs come to if nothing else costs any time. A request falls the likelier into a sync the longer that takes, so even
/// these waits have a longer tail than the syncs.
pub fn half_load(dir: &Path, times: Times, results: &mut Results) -> Result<()> {
    let floor = Fdatasync::open(&dir.join("fdatasync"))?;
    let ours = Ours::open(&dir.join("ours"))?;
    let rate = tasks(&ours, CLIENTS, times.turn, None)?.per_second() / 2.0;
    let threads_rate = puts(&ours, CLIENTS, times.turn, None)?.per_second() / 2.0;
    let part = times.half_load / ROUNDS as u32;
    for _ in 0..ROUNDS {
        let bare = puts(&floor, 1, part / 2, None)?;
        let grouped = arrivals(&floor, part / 2, rate)?;
        let case = "put half load";
        results.add_samples(case, "fdatasync", &bare);
        results.add_samples(case, "fdatasync_group_commit", &grouped);
        results.add_samples(case, "ours", &tasks(&ours, CLIENTS, part, Some(rate))?);
        let case = "put half load, blocking threads";
        results.add_samples(case, "fdatasync", &bare);
        results.add_samples(case, "ours", &puts(&ours, CLIENTS, part / 2, Some(threads_rate))?);
    }
    Ok(())
}

/// Puts that arrive evenly and cost nothing but their share of a sync: the bare loop takes all that have arrived by the
/// time it writes.
fn arrivals(floor: &Fdatasync, time: Duration, rate: f64) -> Result<Samples> {
    let pause = Duration::from_secs_f64(1.0 / rate);
    let start = Instant::now();
    let mut due = start;
    let mut samples = Vec::new();
    while start.elapsed() < time {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (first, now) = (due, Instant::now());
        let arrived = (now - first).as_nanos() as usize / pause.as_nanos() as usize + 1;
        floor.write(arrived * PUT_BYTES)?;
        let ended = Instant::now();
        samples.extend((0..arrived).map(|n| (ended - first - pause * n as u32).as_nanos() as u64));
        due = first + pause * arrived as u32;
    }
    Ok(Samples::new(samples, start.elapsed().as_secs_f64()))
}

/// Puts for some time by tasks of one asynchronous thread, as fast as they go or at a rate in all.
fn tasks(store: &Ours, clients: usize, time: Duration, rate: Option<f64>) -> Result<Samples> {
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let pause = rate.map_or(Duration::ZERO, |r| Duration::from_secs_f64(clients as f64 / r));
    let start = Instant::now();
    // Each client's next put: when it is due, whose it is, its number.
    let mut due: BinaryHeap<Reverse<(Instant, u64)>> =
        (0..clients as u64).map(|n| Reverse((start + pause.mul_f64(n as f64 / clients as f64), n))).collect();
    let mut numbers: Vec<u64> = (0..clients as u64).map(|n| n * 1_000_003 + turn * 77_777).collect();
    let mut running = FuturesUnordered::new();
    let mut samples = Vec::new();
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    while start.elapsed() < time {
        let now = Instant::now();
        while let Some(Reverse((at, client))) = due.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            due.pop();
            let number = &mut numbers[client as usize];
            *number += 1;
            let (key, value) = (key(*number, KEYS), value(*number, turn));
            let began = Instant::now();
            let put = store.start(key, value);
            running.push(async move { put.await.map(|()| (at, client, began, Instant::now())) });
        }
        match running.poll_next_unpin(&mut context) {
            Poll::Ready(Some(done)) => {
                let (at, client, began, ended) = done?;
                samples.push((ended - began).as_nanos() as u64);
                due.push(Reverse((at + pause, client)));
            }
            _ => match due.peek() {
                Some(Reverse((at, _))) => {
                    std::thread::park_timeout(at.saturating_duration_since(Instant::now()))
                }
                None => std::thread::park(),
            },
        }
    }
    Ok(Samples::new(samples, start.elapsed().as_secs_f64()))
}

/// Wakes the thread of the tasks.
struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Puts for some time by several clients, as fast as they go or at a rate in all.
pub fn puts(store: &dyn Store, clients: usize, time: Duration, rate: Option<f64>) -> Result<Samples> {
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let client = |number: usize| -> Result<Vec<u64>> {
        let pause = rate.map(|r| Duration::from_secs_f64(clients as f64 / r));
        // Clients with a rate start spread over one pause.
        let mut due = start + pause.unwrap_or_default().mul_f64(number as f64 / clients as f64);
        let mut samples = Vec::new();
        let mut next = number as u64 * 1_000_003 + turn * 77_777;
        while !stop.load(Ordering::Relaxed) {
            if let Some(pause) = pause {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += pause;
            }
            let (key, value) = (key(next, KEYS), value(next, turn));
            let began = Instant::now();
            store.put(number, &key, &value)?;
            samples.push(began.elapsed().as_nanos() as u64);
            next += 1;
        }
        Ok(samples)
    };
    let samples = std::thread::scope(|scope| -> Result<Vec<u64>> {
        let client = &client;
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(move || client(number))).collect();
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
