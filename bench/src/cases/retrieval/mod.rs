//! Collections: ingest, search by words, filtered and hybrid search, a search after each put. Peers are tantivy bare and SQLite's FTS5, for
//! words; LanceDB, qdrant-edge and Chroma, for what each offers. All get the same records in batches of 1,000 (`data.rs`), and all answer
//! the same queries, in turns. Before anything is timed, their answers are compared with ours.

mod data;
mod fts;
mod ours;
mod peer;
mod system;
mod tantivy;

use std::path::Path;
use std::rc::Rc;

use agentdb::json;
use anyhow::{Result, ensure};

use self::data::{Data, QUERIES};
use self::system::{Alternated, Answers, BATCH, Search, System};
use super::ROUNDS;
use crate::measure::{Results, Samples};

const ALTERNATIONS: usize = 10_000;
/// Chroma takes so long that it answers the first of the queries only.
const CHROMA_QUERIES: u64 = 60;
/// Those whose vectors are compared exactly must find what ours finds, but for scores that are equal in all but the last digits.
const EXACT: [&str; 2] = ["lancedb", "qdrant-edge"];

/// With these peers, or all of them.
pub fn run(dir: &Path, rows: u64, peers: Option<&[String]>, results: &mut Results) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let data = Rc::new(Data::made(rows));
    let files = dir.join("data");
    data.write(&files)?;
    let wanted = |name: &str| peers.is_none_or(|peers| peers.iter().any(|peer| peer == name));
    let mut systems: Vec<Box<dyn System>> = vec![Box::new(ours::Ours::open(dir, &data)?)];
    if wanted("tantivy") {
        systems.push(Box::new(tantivy::Tantivy::open(dir, &data)?));
    }
    if wanted("sqlite_fts5") {
        systems.push(Box::new(fts::Fts::open(dir, &data)?));
    }
    let others = [("lancedb", QUERIES), ("qdrant-edge", QUERIES), ("chroma", CHROMA_QUERIES)];
    for (name, queries) in others.into_iter().filter(|(name, _)| wanted(name)) {
        systems.push(Box::new(peer::Peer::start(name, queries, dir, &files)?));
    }
    ingest(&mut systems, rows as usize, results)?;
    let price = |below: u64| json!({"price": {"$lt": below}});
    let cases = [
        ("bm25 top10", Search::Words),
        ("bm25 top10, with records", Search::Records),
        ("filter 1%", Search::Vector(price(10))),
        ("filter 50%", Search::Vector(price(500))),
        ("filter 0.1%", Search::Vector(json!({"category": "c3", "price": {"$lt": 10}}))),
        ("hybrid", Search::Hybrid(price(500))),
    ];
    for (case, search) in &cases {
        eprintln!("answers compared: {case}");
        compare(&mut systems, case, search, results)?;
    }
    for round in 1..=ROUNDS {
        for (case, search) in &cases {
            eprintln!("round {round}: {case}");
            for system in &mut systems {
                if let Some(answers) = system.search(search)? {
                    results.add_samples(case, system.name(), &samples(answers.took));
                }
            }
        }
    }
    for system in &systems {
        if let Some(bytes) = system.index_bytes()? {
            let each = bytes as f64 / rows as f64;
            results.add("memory of words and payloads", "bytes_per_row", "B", false, system.name(), each);
        }
    }
    for system in &mut systems {
        eprintln!("alternate put search: {}", system.name());
        if let Some(Alternated { puts, searches }) = system.alternate(ALTERNATIONS)? {
            results.add_samples("alternate put search", system.name(), &samples(searches));
            results.add_samples("alternate put search, the put", system.name(), &samples(puts));
        }
    }
    Ok(())
}

fn samples(took: Vec<u64>) -> Samples {
    let seconds = took.iter().sum::<u64>() as f64 / 1e9;
    Samples::new(took, seconds)
}

/// Everyone in turns, a third of the records each time; then indexes, and how fast all of it was until searches could begin.
fn ingest(systems: &mut [Box<dyn System>], rows: usize, results: &mut Results) -> Result<()> {
    let mut total = vec![0; systems.len()];
    let third = rows.div_ceil(ROUNDS).next_multiple_of(BATCH);
    let rate = |rows: usize, took: u64| rows as f64 / (took as f64 / 1e9);
    for round in 0..ROUNDS {
        eprintln!("ingest {}", round + 1);
        let range = (round * third).min(rows)..((round + 1) * third).min(rows);
        for (system, total) in systems.iter_mut().zip(&mut total) {
            for (case, durable) in [("ingest rows", true), ("ingest rows, not synced", false)] {
                if let Some(took) = system.load(range.clone(), durable)? {
                    results.add(case, "ops_per_s", "1/s", true, system.name(), rate(range.len(), took));
                    *total += if durable { took } else { 0 };
                }
            }
        }
    }
    for (system, total) in systems.iter_mut().zip(&total) {
        let took = system.index()?;
        results.add("index made", "seconds", "s", false, system.name(), took as f64 / 1e9);
        results.add(
            "ingest rows, searchable",
            "ops_per_s",
            "1/s",
            true,
            system.name(),
            rate(rows, total + took),
        );
    }
    Ok(())
}

/// Which share of our best hits the others find: of exact searches all of them. Words may differ where scores are nearly equal, and the hits of
/// several queries with the number that each query finds.
fn compare(
    systems: &mut [Box<dyn System>],
    case: &str,
    search: &Search,
    results: &mut Results,
) -> Result<()> {
    let mut ours: Option<Answers> = None;
    for system in systems {
        let Some(answers) = system.search(search)? else { continue };
        let Some(ours) = &ours else {
            ours = Some(answers);
            continue;
        };
        let (mut shared, mut all) = (0, 0);
        for (own, theirs) in ours.found.iter().zip(&answers.found) {
            shared += own.iter().filter(|id| theirs.contains(id)).count();
            all += own.len();
        }
        let (name, share) = (system.name(), shared as f64 / all as f64);
        match search {
            Search::Words if name == "tantivy" => {
                ensure!(share >= 0.95, "{share} of our best hits are tantivy's, too")
            }
            Search::Vector(_) if EXACT.contains(&name) => {
                ensure!(share >= 0.999, "{name} finds {share} of our hits")
            }
            _ => {}
        }
        results.add(case, "percent_of_our_hits", "%", true, name, share * 100.0);
    }
    Ok(())
}
