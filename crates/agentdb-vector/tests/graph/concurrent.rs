//! Searches beside writers and repairs: each sees only what was committed at its snapshot, with the right scores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use agentdb_types::{Lsn, Result};
use agentdb_vector::{Dimension, Entry, Graph, GraphQuery, GraphSettings, Hit, Metric, Slot, Vectors};

use super::world::Noise;

const DIMENSION: usize = 24;
const SLOTS: u64 = 600;
const COMMITS: u64 = 16_000;
/// Commits by which a writer may be ahead of the repair.
const BACKLOG: u64 = 2_000;
const READERS: usize = 2;
const WRITERS: u64 = 2;
const UNPINNED: u64 = u64::MAX;

/// Commit `n` puts version `n` into slot `n % SLOTS`, or deletes it when `n` is a multiple of 7. Everything follows from the LSN, so
/// that readers can tell what they must see.
fn deletes(lsn: u64) -> bool {
    lsn.is_multiple_of(7)
}

fn vector(lsn: u64) -> Vec<f32> {
    Noise::new(lsn).vector(DIMENSION)
}

/// The commit whose vector a slot has at a snapshot.
fn version(slot: Slot, at: u64) -> Option<u64> {
    let newest = (at / SLOTS * SLOTS + slot).checked_sub(if at % SLOTS < slot { SLOTS } else { 0 })?;
    (newest > 0 && !deletes(newest)).then_some(newest)
}

/// The full vectors of all commits.
struct Full(Vec<Vec<f32>>);

impl Vectors for Full {
    fn vector(&self, entry: Entry) -> Result<&[f32]> {
        // A node that was used again under a search's feet would have another slot than its birth says.
        assert_eq!(entry.born.0 % SLOTS, entry.slot);
        Ok(&self.0[entry.born.0 as usize])
    }
}

struct Shared {
    graph: Graph,
    full: Full,
    /// What each writer has applied; a snapshot is the least of them.
    applied: [AtomicU64; WRITERS as usize],
    watermark: AtomicU64,
    /// What had died up to here has been taken out.
    repaired: AtomicU64,
    pins: [AtomicU64; READERS],
    done: AtomicBool,
}

impl Shared {
    fn committed(&self) -> u64 {
        self.applied.iter().map(|a| a.load(SeqCst)).min().unwrap()
    }

    /// Writer `w` applies the commits to its slots: those with this remainder.
    fn write(&self, w: u64) {
        for lsn in (1..=COMMITS).filter(|lsn| lsn % SLOTS % WRITERS == w) {
            while lsn > self.repaired.load(SeqCst) + BACKLOG {
                thread::yield_now();
            }
            if deletes(lsn) {
                self.graph.delete(lsn % SLOTS, Lsn(lsn));
            } else {
                self.graph.insert(lsn % SLOTS, Lsn(lsn), &self.full.0[lsn as usize]).unwrap();
            }
            // The other writer's commits in between are not this one's to wait for.
            self.applied[w as usize].store(lsn, SeqCst);
        }
        self.applied[w as usize].store(COMMITS, SeqCst);
    }

    /// Repairs behind the oldest pinned snapshot until everything is written. Returns how many nodes it took out.
    fn repair(&self) -> usize {
        let (mut removed, mut begun) = (0, None);
        while self.committed() < COMMITS {
            let oldest = || self.pins.iter().map(|p| p.load(SeqCst)).min().unwrap().min(self.committed());
            let watermark = oldest();
            self.watermark.fetch_max(watermark, SeqCst);
            // A reader that pinned an older snapshot in between keeps a pass from beginning with this one.
            if oldest() >= watermark {
                let began = *begun.get_or_insert(watermark);
                let progress = self.graph.repair(Lsn(watermark), 500);
                removed += progress.removed;
                if progress.left == 0 {
                    self.repaired.store(began, SeqCst);
                    begun = None;
                }
            }
            thread::yield_now();
        }
        self.done.store(true, SeqCst);
        removed
    }

    fn read(&self, reader: usize) -> (f64, f64) {
        let (mut found, mut wanted) = (0.0, 0.0);
        let mut hits: Vec<Hit> = Vec::new();
        let mut noise = Noise::new(reader as u64 + 77);
        while wanted == 0.0 || !self.done.load(SeqCst) {
            let at = self.committed();
            self.pins[reader].store(at, SeqCst);
            if self.watermark.load(SeqCst) <= at && at > SLOTS {
                // Looked for is a vector that is there, so that it is known what must be found.
                let slot = noise.next() % SLOTS;
                if let Some(version) = version(slot, at) {
                    let vector = &self.full.0[version as usize];
                    let query = GraphQuery { vector, k: 10, ef: 50, rerank: 20, at: Lsn(at), filter: None };
                    self.graph.search(&query, &self.full, &mut hits).unwrap();
                    self.check(&hits, vector, at);
                    found += f64::from(u8::from(hits.iter().any(|hit| hit.slot == slot)));
                    wanted += 1.0;
                }
            }
            self.pins[reader].store(UNPINNED, SeqCst);
        }
        (found, wanted)
    }

    fn check(&self, hits: &[Hit], query: &[f32], at: u64) {
        let kernel = agentdb_vector::Kernel::best();
        for hit in hits {
            let version = version(hit.slot, at).unwrap_or_else(|| panic!("{hit:?} is not there at {at}"));
            let score = kernel.exact_squared_euclidean(query, &self.full.0[version as usize]).sqrt() as f32;
            assert_eq!(hit.score, score, "{hit:?} at {at}: another version than {version}");
        }
    }
}

#[test]
fn a_snapshot_is_what_was_committed_while_writers_and_repairs_run() {
    let full = Full((0..=COMMITS).map(vector).collect());
    let settings = GraphSettings { degree: 16, links: 12, ef: 40, slack: 1.0 };
    let sample = full.0[..500].iter().map(Vec::as_slice);
    let dimension = Dimension::new(DIMENSION).unwrap();
    let shared = Shared {
        graph: Graph::new(dimension, Metric::Euclidean, settings, sample).unwrap(),
        full,
        applied: Default::default(),
        watermark: AtomicU64::new(0),
        repaired: AtomicU64::new(0),
        pins: std::array::from_fn(|_| AtomicU64::new(UNPINNED)),
        done: AtomicBool::new(false),
    };
    let removed = thread::scope(|scope| {
        let shared = &shared;
        for writer in 0..WRITERS {
            scope.spawn(move || shared.write(writer));
        }
        let readers: Vec<_> = (0..READERS).map(|reader| scope.spawn(move || shared.read(reader))).collect();
        let removed = shared.repair();
        for reader in readers {
            let (found, wanted) = reader.join().unwrap();
            assert!(found / wanted > 0.95, "{found} of {wanted}");
        }
        removed
    });
    assert!(removed > 1_000, "{removed}");
    assert!(removed > COMMITS as usize / 2, "{removed}");
    // Numbers were used again: without it there would be a node for each insertion.
    assert!(shared.graph.nodes() < COMMITS as usize / 2, "{}", shared.graph.nodes());
}
