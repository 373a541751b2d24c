//! Readers beside the writer and the compaction: each sees exactly what was committed at its snapshot.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::array;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use agentdb_types::Lsn;
use agentdb_vector::{Dimension, FlatIndex, Metric};

const COMMITS: u64 = 4_000_000;
const WINDOW: u64 = 700;
const READERS: usize = 3;
const UNPINNED: u64 = u64::MAX;

/// The vector of a slot; the first component alone tells it.
fn vector(slot: u64) -> [f32; 24] {
    array::from_fn(|i| if i == 0 { slot as f32 } else { (slot % 7) as f32 })
}

struct Shared {
    index: FlatIndex,
    committed: AtomicU64,
    watermark: AtomicU64,
    pins: [AtomicU64; READERS],
    done: AtomicBool,
}

/// Commit `n` inserts slot `n` and deletes slot `n - WINDOW`: a snapshot at `n` has the last `WINDOW` slots.
/// Returns how many entries the compactions on the way dropped.
fn write(shared: &Shared) -> usize {
    let mut dropped = 0;
    for lsn in 1..=COMMITS {
        shared.index.insert(lsn, Lsn(lsn), &vector(lsn)).unwrap();
        if lsn > WINDOW {
            assert!(shared.index.delete(lsn - WINDOW, Lsn(lsn)));
        }
        shared.committed.store(lsn, SeqCst);
        if lsn % 1_500 == 0 {
            let oldest = || shared.pins.iter().map(|p| p.load(SeqCst)).min().unwrap().min(lsn);
            let watermark = oldest();
            shared.watermark.fetch_max(watermark, SeqCst);
            // A reader that pinned an older snapshot in between keeps the compaction from running.
            if oldest() >= watermark {
                dropped += shared.index.compact(Lsn(watermark));
            }
        }
    }
    shared.done.store(true, SeqCst);
    dropped
}

/// Searches at the newest snapshot until the writer is done. Returns how often.
fn read(shared: &Shared, reader: usize) -> u64 {
    let mut searches = 0;
    while searches == 0 || !shared.done.load(SeqCst) {
        let at = shared.committed.load(SeqCst);
        shared.pins[reader].store(at, SeqCst);
        if shared.watermark.load(SeqCst) <= at {
            check(&shared.index, at);
            searches += 1;
        }
        shared.pins[reader].store(UNPINNED, SeqCst);
    }
    searches
}

fn check(index: &FlatIndex, at: u64) {
    let hits = index.search(&vector(0), 2 * WINDOW as usize, Lsn(at), None).unwrap();
    let mut slots: Vec<u64> = hits.iter().map(|h| h.slot).collect();
    slots.sort_unstable();
    let first = at.saturating_sub(WINDOW) + 1;
    assert!(slots.iter().copied().eq(first..=at), "snapshot {at}: {:?}..{:?}", slots.first(), slots.last());
    if at > 0 {
        assert_eq!(index.get(first, Lsn(at)).unwrap(), vector(first));
        assert_eq!(index.get(at, Lsn(at)).unwrap(), vector(at));
    }
    assert!(index.get(at + 1, Lsn(at)).is_none());
}

#[test]
fn a_snapshot_is_exact_while_the_writer_runs() {
    let shared = Shared {
        index: FlatIndex::new(Dimension::new(24).unwrap(), Metric::Euclidean),
        committed: AtomicU64::new(0),
        watermark: AtomicU64::new(0),
        pins: array::from_fn(|_| AtomicU64::new(UNPINNED)),
        done: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|r| {
                scope.spawn({
                    let s = &shared;
                    move || read(s, r)
                })
            })
            .collect();
        assert!(write(&shared) > 0);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    check(&shared.index, COMMITS);
    shared.index.compact(Lsn(COMMITS));
    check(&shared.index, COMMITS);
    assert_eq!(shared.index.rows(), WINDOW as usize);
}
