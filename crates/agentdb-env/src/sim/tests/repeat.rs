//! The same seed gives the same run; and a long run keeps what it synced, at any seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Random, World};
use crate::OpenMode;

const SEGMENT: u64 = 1 << 22;

/// What can be told of a run.
type Outcome = (u64, BTreeMap<&'static str, u64>, Vec<(PathBuf, Vec<u8>)>);

/// Works as a log does: fills segments with zeros, appends records and syncs them, under crashes, kills and failures.
fn run(seed: u64, steps: u64) -> World {
    let world = World::new(seed);
    let mut random = Random::new(seed);
    let mut synced = Vec::new();
    let (mut segment, mut at, mut file) = (0, SEGMENT, None);
    for step in 0..steps {
        let files = world.env().files;
        if at + 4_096 > SEGMENT {
            segment += 1;
            let path = format!("/{segment}");
            let new = files.open(Path::new(&path), OpenMode::CreateNew).unwrap();
            new.write_at(0, &vec![0; SEGMENT as usize]).unwrap();
            new.sync_data().unwrap();
            files.sync_dir(Path::new("/")).unwrap();
            (at, file, synced) = (0, Some(new), Vec::new());
        }
        let open = file.as_ref().unwrap();
        let record = vec![step as u8 | 1; 100 + random.below(3_000) as usize];
        open.write_at(at, &record).unwrap();
        at += record.len() as u64;
        if random.chance(1, 2) {
            open.sync_data().unwrap();
            let before = synced.len();
            synced.resize(at as usize, 0);
            open.read_at(before as u64, &mut synced[before..]).unwrap();
        }
        if random.chance(1, 40) {
            if random.chance(1, 2) {
                world.crash(&mut random)
            } else {
                world.process_kill()
            }
            let path = format!("/{segment}");
            let found = world.read_file(Path::new(&path)).unwrap();
            assert!(found[..synced.len()] == synced, "seed {seed}, step {step}: synced bytes were lost");
            file = Some(world.env().files.open(Path::new(&path), OpenMode::Write).unwrap());
        }
    }
    world
}

fn outcome(seed: u64) -> Outcome {
    let world = run(seed, 300);
    let files = world.list_all().into_iter().map(|p| (p.clone(), world.read_file(&p).unwrap())).collect();
    (world.trace_hash(), world.counters(), files)
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (a, b, c) = (outcome(1), outcome(1), outcome(2));
    assert!(a == b);
    assert_ne!(a.0, c.0);
}

#[test]
fn the_trace_tells_runs_apart() {
    let trace = |bytes: &[u8], at: u64| {
        let world = World::new(1);
        world.env().files.open(Path::new("/f"), OpenMode::CreateNew).unwrap().write_at(at, bytes).unwrap();
        world.trace_hash()
    };
    let all = [trace(b"ab", 0), trace(b"ab", 1), trace(b"ac", 0), trace(b"ab\0", 0), trace(&[0; 2], 0)];
    assert!(all.iter().enumerate().all(|(i, a)| !all[..i].contains(a)), "{all:?}");
}

#[test]
fn synced_bytes_survive_at_any_seed() {
    let seeds = std::env::var("AGENTDB_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    let mut fired = BTreeMap::new();
    for seed in 0..seeds {
        for (name, count) in run(seed, 500).counters() {
            *fired.entry(name).or_insert(0) += count;
        }
    }
    for name in ["crashes", "kills", "torn_writes", "lost_writes", "reordered_writes"] {
        assert!(fired[name] > 0, "{name} never happened: {fired:?}");
    }
}
