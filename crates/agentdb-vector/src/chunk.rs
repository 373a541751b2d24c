//! A fixed number of entries: their vectors in one block, and what the search needs beside them.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use agentdb_types::Lsn;

use crate::kernel;
use crate::rows::Rows;
use crate::{Dimension, Slot};

/// Cache lines of a vector that are fetched ahead.
const PREFETCHED_LINES: usize = 8;
/// The died LSN of an entry that lives.
const NEVER: u64 = u64::MAX;

/// Entries `0..len()` are published and immutable, but for the LSN at which each died. One writer appends.
pub(crate) struct Chunk {
    rows: Rows,
    entries: Box<[Entry]>,
    /// A number per entry for the scan's threshold test, apart from the rest so that it streams.
    scales: Box<[AtomicU32]>,
    published: AtomicUsize,
}

/// What is kept beside a vector. The atomics but `died` are written before publication only.
#[derive(Default)]
struct Entry {
    slot: AtomicU64,
    born: AtomicU64,
    died: AtomicU64,
    norm: AtomicU64,
}

/// An entry as it is appended.
#[derive(Clone, Copy)]
pub(crate) struct Append<'a> {
    pub(crate) slot: Slot,
    pub(crate) born: Lsn,
    /// The LSN at which it died, if it did (compaction moves entries that a snapshot still needs).
    pub(crate) died: Option<Lsn>,
    pub(crate) norm: f64,
    pub(crate) scale: f32,
    pub(crate) vector: &'a [f32],
}

impl Chunk {
    /// An empty chunk with room for `capacity` vectors.
    pub(crate) fn new(capacity: usize, dimension: Dimension) -> Self {
        Chunk {
            rows: Rows::new(capacity, dimension.stride()),
            entries: (0..capacity).map(|_| Entry::default()).collect(),
            scales: (0..capacity).map(|_| AtomicU32::new(0)).collect(),
            published: AtomicUsize::new(0),
        }
    }

    /// Appends an entry and publishes it. Returns its row, or none if the chunk is full.
    ///
    /// # Safety
    /// No other thread appends to this chunk at the same time.
    pub(crate) unsafe fn append(&self, new: Append<'_>) -> Option<usize> {
        let row = self.published.load(Ordering::Relaxed);
        let entry = self.entries.get(row)?;
        entry.slot.store(new.slot, Ordering::Relaxed);
        entry.born.store(new.born.0, Ordering::Relaxed);
        entry.died.store(new.died.map_or(NEVER, |lsn| lsn.0), Ordering::Relaxed);
        entry.norm.store(new.norm.to_bits(), Ordering::Relaxed);
        self.scales[row].store(new.scale.to_bits(), Ordering::Relaxed);
        // SAFETY: readers stay below `published`, which this row is not; the caller excludes other writers.
        unsafe { self.rows.write(row, new.vector) };
        self.published.store(row + 1, Ordering::Release);
        Some(row)
    }

    /// Marks an entry as dead from `lsn` on.
    pub(crate) fn kill(&self, row: usize, lsn: Lsn) {
        self.entries[row].died.store(lsn.0, Ordering::Relaxed);
    }

    /// The number of published entries.
    pub(crate) fn len(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// The number of entries that there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.rows.capacity()
    }

    /// The size in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let beside = size_of::<Entry>() + size_of::<AtomicU32>();
        size_of::<Self>() + self.rows.bytes() + self.entries.len() * beside
    }

    /// The vectors of `count` entries from `first`, with their padding.
    pub(crate) fn block(&self, first: usize, count: usize) -> &[f32] {
        assert!(first + count <= self.len(), "rows {first}+{count} of {}", self.len());
        // SAFETY: the rows are below `published`, loaded with acquire: they were written before, and are never again.
        unsafe { self.rows.block(first, count) }
    }

    /// Has the CPU fetch what a look at an entry and its score will read.
    pub(crate) fn prefetch(&self, row: usize) {
        kernel::prefetch(std::slice::from_ref(&self.entries[row]), 1);
        kernel::prefetch(self.block(row, 1), PREFETCHED_LINES);
    }

    /// The scales of `count` entries from `first`, as the bits of `f32`.
    pub(crate) fn scales(&self, first: usize, count: usize) -> &[AtomicU32] {
        &self.scales[first..first + count]
    }

    /// The slot of an entry.
    pub(crate) fn slot(&self, row: usize) -> Slot {
        self.entries[row].slot.load(Ordering::Relaxed)
    }

    /// The L2 norm of an entry's vector.
    pub(crate) fn norm(&self, row: usize) -> f64 {
        f64::from_bits(self.entries[row].norm.load(Ordering::Relaxed))
    }

    /// The scale of an entry.
    pub(crate) fn scale(&self, row: usize) -> f32 {
        f32::from_bits(self.scales[row].load(Ordering::Relaxed))
    }

    /// The LSN of the commit that inserted an entry.
    pub(crate) fn born(&self, row: usize) -> Lsn {
        Lsn(self.entries[row].born.load(Ordering::Relaxed))
    }

    /// The LSN of the commit that deleted or replaced an entry, if one did.
    pub(crate) fn died(&self, row: usize) -> Option<Lsn> {
        let lsn = self.entries[row].died.load(Ordering::Relaxed);
        (lsn != NEVER).then_some(Lsn(lsn))
    }

    /// Whether a snapshot at `at` contains the entry.
    pub(crate) fn visible(&self, row: usize, at: Lsn) -> bool {
        self.born(row) <= at && self.died(row).is_none_or(|died| at < died)
    }
}
