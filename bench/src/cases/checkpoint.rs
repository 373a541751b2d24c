//! What LangGraph asks of a checkpointer in a conversation of 200 turns, played to its own SQLite saver and to this
//! database. A graph is run once and its calls recorded; both get the same ones, one client, each write durable. The saver's
//! time contains Python and its serializer, which encodes a whole checkpoint for a put; the peer `sqlite_saver, encoded` is
//! without the encoding of puts. Ours gets the bytes that the serializer made of each value that is new.

use std::path::Path;
use std::time::Instant;

use agentdb::modules::checkpoint::{Get, Put, PutWrites};
use agentdb::modules::job::Compact;
use agentdb::{Code, Database, Namespace};
use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::ROUNDS;
use super::load::bytes;
use crate::measure::{Results, Samples};
use crate::python::{Packages, output};

const TURNS: &str = "200";
const MIB: f64 = 1024.0 * 1024.0;
/// After `database.compact` without the log, and after SQLite's `VACUUM`.
const COMPACTED: &str = "storage, 200 turns, compacted";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/langgraph_saver.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/requirements.txt");

enum Call {
    Put(Box<Put>),
    PutWrites(PutWrites),
    Get(Get),
}

#[derive(Deserialize)]
struct Replayed {
    took: Took,
    bytes: u64,
    synchronous: u8,
}

#[derive(Deserialize)]
struct Took {
    put: Vec<u64>,
    put_writes: Vec<u64>,
    get_tuple: Vec<u64>,
    serializer: Vec<u64>,
}

pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let packages = Packages::installed(dir, "langgraph", REQUIREMENTS)?;
    let calls = dir.join("calls.jsonl");
    output(packages.script(SCRIPT).arg("record").arg(&calls).arg(TURNS))?;
    let recorded = std::fs::read_to_string(&calls)?;
    for round in 0..ROUNDS {
        let file = dir.join(format!("{round}.db"));
        let saver = output(packages.script(SCRIPT).arg("replay").arg(&calls).arg(&file))?;
        let saver: Replayed = serde_json::from_str(&saver)?;
        ensure!(saver.synchronous == 2, "the saver does not sync");
        add_saver(&saver, results);
        results.add(COMPACTED, "mib", "MiB", false, "sqlite_saver", vacuumed(&file)? as f64 / MIB);
        ours(&dir.join(format!("ours-{round}")), &recorded, results)?;
    }
    Ok(())
}

fn samples(nanoseconds: &[u64]) -> Samples {
    Samples::new(nanoseconds.to_vec(), nanoseconds.iter().sum::<u64>() as f64 / 1e9)
}

fn add_saver(saver: &Replayed, results: &mut Results) {
    let took = &saver.took;
    results.add_samples("checkpoint put", "sqlite_saver", &samples(&took.put));
    let encoded: Vec<u64> =
        took.put.iter().zip(&took.serializer).map(|(all, of)| all.saturating_sub(*of)).collect();
    results.add_samples("checkpoint put", "sqlite_saver, encoded", &samples(&encoded));
    results.add_samples("checkpoint put_writes", "sqlite_saver", &samples(&took.put_writes));
    results.add_samples("checkpoint get latest", "sqlite_saver", &samples(&took.get_tuple));
    results.add("storage, 200 turns", "mib", "MiB", false, "sqlite_saver", saver.bytes as f64 / MIB);
}

/// The bytes of a file of SQLite that holds nothing in vain.
fn vacuumed(file: &Path) -> Result<u64> {
    rusqlite::Connection::open(file)?.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(std::fs::metadata(file)?.len())
}

fn ours(dir: &Path, recorded: &str, results: &mut Results) -> Result<()> {
    let db = Database::open(dir)?;
    let ns = db.namespace("default")?;
    let (mut puts, mut writes, mut gets) = (Vec::new(), Vec::new(), Vec::new());
    for call in parse(recorded)? {
        let began = Instant::now();
        let took = match call {
            Call::Put(put) => (ns.write(*put).wait().map(drop), &mut puts),
            Call::PutWrites(put) => (ns.write(put).wait().map(drop), &mut writes),
            Call::Get(get) => (read(&ns, get), &mut gets),
        };
        let nanoseconds = began.elapsed().as_nanos() as u64;
        took.0?;
        took.1.push(nanoseconds);
    }
    results.add_samples("checkpoint put", "ours", &samples(&puts));
    results.add_samples("checkpoint put_writes", "ours", &samples(&writes));
    results.add_samples("checkpoint get latest", "ours", &samples(&gets));
    drop(ns);
    db.close()?;
    let mib = |path: &Path| bytes(path).map(|bytes| bytes as f64 / MIB);
    results.add("storage, 200 turns", "mib", "MiB", false, "ours", mib(dir)?);
    results.add("storage, 200 turns, without the log", "mib", "MiB", false, "ours", mib(&dir.join("rows"))?);
    let db = Database::open(dir)?;
    db.compact(&Compact { trim_log: true })?.wait(&mut |_progress| {})?;
    db.close()?;
    results.add(COMPACTED, "mib", "MiB", false, "ours", mib(dir)?);
    Ok(())
}

fn read(ns: &Namespace, get: Get) -> agentdb::Result<()> {
    match ns.read(get) {
        // Before the first turn there is none.
        Err(err) if err.code() != Code::CheckpointNotFound => Err(err),
        _ => Ok(()),
    }
}

fn parse(recorded: &str) -> Result<Vec<Call>> {
    recorded
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line)?;
            let request = line["request"].take();
            Ok(match line["op"].as_str() {
                Some("checkpoint.put") => Call::Put(serde_json::from_value(request)?),
                Some("checkpoint.put_writes") => Call::PutWrites(serde_json::from_value(request)?),
                _ => Call::Get(serde_json::from_value(request)?),
            })
        })
        .collect()
}
