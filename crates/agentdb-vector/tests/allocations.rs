//! A search allocates nothing once one like it has run: an allocator that counts says so.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use agentdb_types::{Lsn, Result};
use agentdb_vector::{
    Dimension, Entry, Graph, GraphFilter, GraphQuery, GraphSettings, Metric, Plan, Slot, Vectors,
};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator; the counter is a plain cell of the thread, and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract; the memory came from the same allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Rows(Vec<[f32; 12]>);

impl Vectors for Rows {
    fn vector(&self, entry: Entry) -> Result<&[f32]> {
        Ok(&self.0[entry.slot as usize])
    }
}

#[test]
fn a_search_allocates_nothing_after_one_like_it() {
    let mut state = 9u64;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let rows = Rows((0..3_000).map(|_| std::array::from_fn(|_| next())).collect());
    let sample = rows.0.iter().map(<[f32; 12]>::as_slice);
    let dimension = Dimension::new(12).unwrap();
    let graph = Graph::new(dimension, Metric::Cosine, GraphSettings::default(), sample).unwrap();
    for (slot, row) in rows.0.iter().enumerate() {
        graph.insert(slot as Slot, Lsn(1), row).unwrap();
    }
    let keep_half = |slot: Slot| slot.is_multiple_of(2);
    let half = |each: &mut dyn FnMut(Slot)| (0..1_500).for_each(|i| each(i * 2));
    let keep_few = |slot: Slot| slot.is_multiple_of(100);
    let few = |each: &mut dyn FnMut(Slot)| (0..30).for_each(|i| each(i * 100));
    let filters = [
        (Plan::Nearest, None),
        (Plan::Matching, Some(GraphFilter { keep: &keep_half, matches: 1_500, slots: &half })),
        (Plan::Scan, Some(GraphFilter { keep: &keep_few, matches: 30, slots: &few })),
    ];
    let mut hits = Vec::with_capacity(64);
    for (plan, filter) in filters {
        let mut round = || {
            for row in &rows.0[..50] {
                let query = GraphQuery { vector: row, k: 10, ef: 20, rerank: 20, at: Lsn(1), filter };
                let report = graph.search(&query, &rows, &mut hits).unwrap();
                assert_eq!((hits.len(), report.plan), (10, plan));
            }
        };
        round();
        let before = COUNT.get();
        round();
        assert_eq!(COUNT.get(), before, "{plan:?}");
    }
    let before = COUNT.get();
    drop(std::hint::black_box(Box::new(before)));
    assert!(COUNT.get() > before, "the allocator counts");
}
