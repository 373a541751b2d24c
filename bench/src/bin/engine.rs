//! Measures the durable store against its peers, all in one run, in alternating rounds, on one disk.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use agentdb_bench::data::{self, Random};
use agentdb_bench::load::{self, Measured, Puts};
use agentdb_bench::report::Better::{Higher, Lower};
use agentdb_bench::report::{Metric, Report};
use agentdb_bench::samples::median_and_spread;
use agentdb_bench::store::{Contender, Store};
use agentdb_bench::{contenders, disk, process};
use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Parser, Subcommand};

const BARE: &str = "fdatasync";
const BARE_BYTES: u64 = 64 << 20;
const PUT_CASES: [(&str, usize); 3] = [("put 1 client", 1), ("put 8 clients", 8), ("put 64 clients", 64)];
const HALF_LOAD: &str = "put half load";

const P50: Metric = Metric("p50_us", "us", Lower);
const P99: Metric = Metric("p99_us", "us", Lower);
const P999: Metric = Metric("p999_us", "us", Lower);
const P99_DUE: Metric = Metric("p99_from_due_us", "us", Lower);
const RATE: Metric = Metric("ops_per_s", "1/s", Higher);
const OFFERED: Metric = Metric("offered_per_s", "1/s", Higher);
const CPU: Metric = Metric("cpu_us_per_op", "us", Lower);
const WRITTEN: Metric = Metric("written_bytes_per_op", "bytes", Lower);
const SECONDS: Metric = Metric("seconds", "s", Lower);
const BYTES: Metric = Metric("bytes", "bytes", Lower);

/// What the figures mean, where their names do not say it; published with them.
const NOTES: &[&str] = &[
    "Figures are medians over rounds that alternate between the contenders; spread has the smallest and the largest.",
    "Keys are 16 to 40 characters, values 150; puts and gets choose uniformly among the loaded rows.",
    "put half load: 64 clients, together at half of what the same store reached with 64 clients in this run; p99_us is \
     from the call, p99_from_due_us from the moment the call was due. fdatasync is a closed loop of one thread.",
    "sqlite: WAL, synchronous=FULL, prepared statements; measured with one connection behind a mutex and with one \
     connection a thread, and the better of the two counts, metric by metric.",
    "redb: a durable commit a put, a read transaction a get, default options but for a 512 MiB cache.",
    "lsm_tree: has no log, so the plainest group-commit log (one fdatasync a group) lies before it; nothing replays \
     that log, so it is not in reopen.",
    "reopen: killed with SIGKILL while 64 clients put, then opened to the first get with a warm page cache; every \
     acknowledged put is checked afterwards.",
    "memory: anonymous resident memory of a process that opened the loaded store, read 400,000 rows and put for 2 s.",
];

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<What>,
    #[command(flatten)]
    run: Run,
}

#[derive(Args)]
struct Run {
    /// Where the contenders keep their files, all on one disk; emptied first and removed at the end.
    #[arg(long, default_value = "/tmp/agentdb-bench/engine")]
    dir: PathBuf,
    /// Where the results go.
    #[arg(long, default_value = "results/engine.json")]
    out: PathBuf,
    /// Rows to load.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Alternating rounds.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// Seconds of each put case in a round.
    #[arg(long, default_value_t = 5.0)]
    put_seconds: f64,
    /// Seconds of half load for each contender, over all rounds.
    #[arg(long, default_value_t = 60.0)]
    half_seconds: f64,
    /// Clients of the half load.
    #[arg(long, default_value_t = 64)]
    half_clients: usize,
    /// Puts that are acknowledged before the kill, unless ten seconds pass first.
    #[arg(long, default_value_t = 100_000)]
    reopen_puts: usize,
    /// Only contenders whose way contains this.
    #[arg(long, default_value = "")]
    only: String,
}

#[derive(Subcommand)]
enum What {
    /// Puts from 64 clients until killed, telling what was acknowledged.
    #[command(hide = true)]
    ChildPut { way: String, dir: PathBuf, rows: u64, seed: u64 },
    /// Tells the memory that a store takes.
    #[command(hide = true)]
    ChildMemory { way: String, dir: PathBuf, rows: u64 },
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(What::ChildPut { way, dir, rows, seed }) => child_put(named(&way)?, &dir, rows, seed),
        Some(What::ChildMemory { way, dir, rows }) => child_memory(named(&way)?, &dir, rows),
        None => Bench::new(cli.run)?.run(),
    }
}

fn named(way: &str) -> Result<Contender> {
    contenders().into_iter().find(|c| c.way == way).with_context(|| format!("nobody is called {way}"))
}

/// A contender with its store open.
struct Open {
    contender: Contender,
    store: Box<dyn Store>,
}

struct Bench {
    run: Run,
    contenders: Vec<Contender>,
    report: Report,
    /// Makes every measurement put rows and versions of its own.
    seed: u64,
}

impl Bench {
    fn new(run: Run) -> Result<Self> {
        let mut contenders = contenders();
        contenders.retain(|c| c.way.contains(&run.only));
        ensure!(!contenders.is_empty(), "nobody to measure");
        disk::fresh_dir(&run.dir)?;
        Ok(Bench { run, contenders, report: Report::default(), seed: 1 })
    }

    fn run(mut self) -> Result<()> {
        let open = self.load()?;
        let saturation = self.rounds(&open)?;
        self.half_load(&open, &saturation)?;
        for Open { contender, store } in &open {
            store.settle()?;
            let bytes = disk::usage(&self.dir_of(contender))?;
            self.add("disk", Metric("bytes_after_puts", "bytes", Lower), contender, bytes as f64);
        }
        drop(open);
        for contender in self.contenders.clone() {
            self.memory(&contender)?;
        }
        self.reopen()?;
        std::fs::remove_dir_all(&self.run.dir)?;
        let command: Vec<String> = std::env::args().skip(1).collect();
        let command = format!("cargo run --release --bin engine -- {}", command.join(" "));
        self.report.publish(&self.run.out, command.trim(), &process::machine(), &process::today(), NOTES)
    }

    fn dir_of(&self, contender: &Contender) -> PathBuf {
        self.run.dir.join(contender.way)
    }

    fn add(&mut self, case: &'static str, metric: Metric, contender: &Contender, figure: f64) {
        self.report.add(case, metric, contender.name, contender.way, figure);
    }

    fn next_seed(&mut self) -> u64 {
        self.seed += 1;
        self.seed
    }

    /// "load 1M" and "disk". Leaves the stores of the last round open.
    fn load(&mut self) -> Result<Vec<Open>> {
        let mut open = Vec::new();
        for round in 0..self.run.rounds {
            open.clear();
            for contender in in_turn(&self.contenders, round) {
                let dir = self.dir_of(&contender);
                disk::fresh_dir(&dir)?;
                let store = (contender.open)(&dir)?;
                let (written, begin) = (process::written_bytes(), Instant::now());
                // Rows come in no order of keys, as they would from outside.
                store.load(&mut (0..self.run.rows).map(|row| (data::key(row), data::value(row, 0))))?;
                let seconds = begin.elapsed().as_secs_f64();
                store.settle()?;
                let rows = self.run.rows as f64;
                self.add("load 1M", RATE, &contender, rows / seconds);
                self.add("load 1M", SECONDS, &contender, seconds);
                self.add("load 1M", WRITTEN, &contender, (process::written_bytes() - written) as f64 / rows);
                self.add("disk", BYTES, &contender, disk::usage(&dir)? as f64);
                open.push(Open { contender, store });
            }
            eprintln!("load: round {} of {}", round + 1, self.run.rounds);
        }
        Ok(open)
    }

    /// The put cases in closed loops, the bare disk, and "get point". Returns what each reached with most clients.
    fn rounds(&mut self, open: &[Open]) -> Result<HashMap<&'static str, f64>> {
        let bare = disk::zero_filled(&self.run.dir.join("bare"), BARE_BYTES)?;
        let duration = Duration::from_secs_f64(self.run.put_seconds);
        let mut reached: HashMap<&'static str, Vec<f64>> = HashMap::new();
        for round in 0..self.run.rounds {
            for (case, clients) in PUT_CASES {
                if clients == 1 {
                    let measured = load::bare_syncs(&bare, BARE_BYTES, duration)?;
                    self.add_latencies(case, BARE, BARE, &measured);
                    self.report.add(case, RATE, BARE, BARE, measured.per_second());
                }
                for Open { contender, store } in in_turn_ref(open, round) {
                    let seed = self.next_seed();
                    let puts = Puts { clients, universe: self.run.rows, duration, per_second: None, seed };
                    let measured = load::put(store.as_ref(), puts)?;
                    store.settle()?;
                    let count = measured.calls.len() as f64;
                    self.add_latencies(case, contender.name, contender.way, &measured);
                    self.add(case, RATE, contender, measured.per_second());
                    self.add(case, CPU, contender, measured.cpu.as_secs_f64() * 1e6 / count);
                    self.add(case, WRITTEN, contender, measured.written as f64 / count);
                    if clients == 64 {
                        reached.entry(contender.way).or_default().push(measured.per_second());
                    }
                }
            }
            for Open { contender, store } in in_turn_ref(open, round) {
                let mut client = store.client()?;
                let seed = self.next_seed();
                // The first fills caches.
                load::get(client.as_mut(), self.run.rows, 400_000, seed)?;
                let measured = load::get(client.as_mut(), self.run.rows, 400_000, seed + 1_000)?;
                self.add_latencies("get point", contender.name, contender.way, &measured);
                self.add("get point", RATE, contender, measured.per_second());
            }
            eprintln!("puts and gets: round {} of {}", round + 1, self.run.rounds);
        }
        let median = |rates: Vec<f64>| median_and_spread(&rates).map_or(0.0, |(median, _)| median);
        Ok(reached.into_iter().map(|(way, rates)| (way, median(rates))).collect())
    }

    fn half_load(&mut self, open: &[Open], saturation: &HashMap<&'static str, f64>) -> Result<()> {
        let bare = disk::zero_filled(&self.run.dir.join("bare"), BARE_BYTES)?;
        let duration = Duration::from_secs_f64(self.run.half_seconds / self.run.rounds as f64);
        for round in 0..self.run.rounds {
            let measured = load::bare_syncs(&bare, BARE_BYTES, duration)?;
            self.add_half(BARE, BARE, &measured);
            for Open { contender, store } in in_turn_ref(open, round) {
                let rate = saturation.get(contender.way).copied().unwrap_or_default() / 2.0;
                let seed = self.next_seed();
                let clients = self.run.half_clients;
                let puts = Puts { clients, universe: self.run.rows, duration, per_second: Some(rate), seed };
                let measured = load::put(store.as_ref(), puts)?;
                store.settle()?;
                self.add_half(contender.name, contender.way, &measured);
                self.add(HALF_LOAD, OFFERED, contender, rate);
                self.add(HALF_LOAD, RATE, contender, measured.per_second());
            }
            eprintln!("half load: round {} of {}", round + 1, self.run.rounds);
        }
        Ok(())
    }

    fn add_half(&mut self, name: &'static str, way: &'static str, measured: &Measured) {
        self.add_latencies(HALF_LOAD, name, way, measured);
        let mut from_due = measured.from_due.clone();
        self.report.add(HALF_LOAD, P99_DUE, name, way, from_due.percentile_us(99.0));
    }

    fn add_latencies(&mut self, case: &'static str, name: &'static str, way: &'static str, measured: &Measured) {
        let mut calls = measured.calls.clone();
        for (metric, percent) in [(P50, 50.0), (P99, 99.0), (P999, 99.9)] {
            self.report.add(case, metric, name, way, calls.percentile_us(percent));
        }
    }

    fn memory(&mut self, contender: &Contender) -> Result<()> {
        let output = Command::new(std::env::current_exe()?)
            .args(["child-memory", contender.way])
            .arg(self.dir_of(contender))
            .arg(self.run.rows.to_string())
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "measuring the memory of {} failed", contender.way);
        let bytes: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
        self.add("memory", BYTES, contender, bytes);
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        for round in 0..self.run.rounds {
            for contender in in_turn(&self.contenders, round).filter(|c| c.recovers) {
                let dir = self.dir_of(&contender);
                let seed = 1_000_000 + self.next_seed();
                let acknowledged = put_and_kill(&contender, &dir, &self.run, seed)?;
                let begin = Instant::now();
                let store = (contender.open)(&dir)?;
                let mut value = Vec::new();
                let found = store.client()?.get(&data::key(0), &mut value)?;
                let seconds = begin.elapsed().as_secs_f64();
                ensure!(found, "{} lost a loaded row", contender.way);
                verify(store.as_ref(), &acknowledged.newest).with_context(|| contender.way)?;
                self.add("reopen", SECONDS, &contender, seconds);
                self.add("reopen", Metric("acknowledged_puts", "1", Higher), &contender, acknowledged.count as f64);
            }
            eprintln!("reopen: round {} of {}", round + 1, self.run.rounds);
        }
        Ok(())
    }
}

/// The contenders in their order in even rounds, in the reverse order in odd ones.
fn in_turn(contenders: &[Contender], round: u64) -> impl Iterator<Item = Contender> {
    let mut order = contenders.to_vec();
    if round % 2 == 1 {
        order.reverse();
    }
    order.into_iter()
}

fn in_turn_ref(open: &[Open], round: u64) -> impl Iterator<Item = &Open> {
    let mut order: Vec<&Open> = open.iter().collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order.into_iter()
}

/// What a killed child had acknowledged.
#[derive(Default)]
struct Acknowledged {
    count: usize,
    /// The newest version of each row.
    newest: HashMap<u64, u64>,
}

fn put_and_kill(contender: &Contender, dir: &Path, run: &Run, seed: u64) -> Result<Acknowledged> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["child-put", contender.way])
        .arg(dir)
        .args([run.rows.to_string(), seed.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().context("the child has no output")?;
    let acknowledged = Mutex::new(Acknowledged::default());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| listen(out, &acknowledged));
        let killed = kill_after(&mut child, &acknowledged, run.reopen_puts);
        reader.join().map_err(|_| anyhow!("the reader panicked"))??;
        killed
    })?;
    acknowledged.into_inner().map_err(|_| anyhow!("the reader panicked"))
}

fn listen(out: ChildStdout, acknowledged: &Mutex<Acknowledged>) -> Result<()> {
    for line in BufReader::new(out).lines() {
        let line = line?;
        // Versions have a fixed width: a line cut off by the kill says nothing.
        let Some((row, version)) = line.split_once(' ').filter(|(_, version)| version.len() == 16) else { continue };
        let (row, version) = (row.parse()?, u64::from_str_radix(version, 16)?);
        let mut acknowledged = acknowledged.lock().map_err(|_| anyhow!("another thread panicked"))?;
        acknowledged.count += 1;
        let newest = acknowledged.newest.entry(row).or_default();
        *newest = version.max(*newest);
    }
    Ok(())
}

fn kill_after(child: &mut Child, acknowledged: &Mutex<Acknowledged>, puts: usize) -> Result<()> {
    let begin = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let count = acknowledged.lock().map_err(|_| anyhow!("the reader panicked"))?.count;
        if count >= puts || begin.elapsed() > Duration::from_secs(10) {
            break;
        }
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Nothing acknowledged may be lost: each row has its newest acknowledged version, or one that was under way.
fn verify(store: &dyn Store, newest: &HashMap<u64, u64>) -> Result<()> {
    let mut client = store.client()?;
    let mut value = Vec::new();
    for (&row, &version) in newest {
        ensure!(client.get(&data::key(row), &mut value)?, "row {row} is lost");
        let stored = data::version_of(row, &value).with_context(|| format!("row {row} is damaged"))?;
        ensure!(stored >= version, "row {row} fell back from version {version} to {stored}");
    }
    Ok(())
}

fn child_put(contender: Contender, dir: &Path, rows: u64, seed: u64) -> Result<()> {
    let store = (contender.open)(dir)?;
    let store = store.as_ref();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..64).map(|client| scope.spawn(move || put_and_tell(store, rows, seed, client))).collect();
        clients.into_iter().try_for_each(|c| c.join().map_err(|_| anyhow!("a client panicked"))?)
    })
}

/// Puts to every 64th row, so that no two clients put to one row, and its versions ascend.
fn put_and_tell(store: &dyn Store, rows: u64, seed: u64, client: u64) -> Result<()> {
    let mut access = store.client()?;
    let mut random = Random::new(seed << 8 | client);
    let mut version = seed << 32;
    loop {
        version += 1;
        let row = random.below(rows / 64) * 64 + client;
        access.put_durable(&data::key(row), &data::value(row, version))?;
        writeln!(std::io::stdout(), "{row} {version:016x}")?;
    }
}

fn child_memory(contender: Contender, dir: &Path, rows: u64) -> Result<()> {
    let store = (contender.open)(dir)?;
    let duration = Duration::from_secs(2);
    load::get(store.client()?.as_mut(), rows, 400_000, 1)?;
    load::put(store.as_ref(), Puts { clients: 8, universe: rows, duration, per_second: None, seed: 500_000 })?;
    println!("{}", process::anonymous_bytes());
    Ok(())
}
