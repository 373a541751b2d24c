//! To which record the vector in a slot belongs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Slots of a chunk.
const CHUNK: usize = 1024;
/// The ordinal of a slot that belongs to no record.
const NONE: u32 = u32::MAX;

/// From slots to ordinals. A slot, once it belongs to a record, does so for ever: a clone is cheap, and shows at least what
/// there was when it was made.
#[derive(Clone, Default)]
pub(crate) struct Slots {
    chunks: Arc<Vec<Option<Arc<[AtomicU32]>>>>,
    count: usize,
}

impl Slots {
    pub(super) fn insert(&mut self, slot: u64, ordinal: u32) {
        let (chunk, at) = place(slot);
        if self.chunks.get(chunk).is_none_or(Option::is_none) {
            let chunks = Arc::make_mut(&mut self.chunks);
            chunks.resize(chunks.len().max(chunk + 1), None);
            chunks[chunk] = Some((0..CHUNK).map(|_| AtomicU32::new(NONE)).collect());
        }
        let place = self.chunks[chunk].as_ref().map(|chunk| &chunk[at]);
        if place.is_some_and(|place| place.swap(ordinal, Ordering::Relaxed) == NONE) {
            self.count += 1;
        }
    }

    /// The record that the vector in a slot belongs to.
    pub(crate) fn get(&self, slot: u64) -> Option<u32> {
        let (chunk, at) = place(slot);
        let ordinal = self.chunks.get(chunk)?.as_ref()?[at].load(Ordering::Relaxed);
        (ordinal != NONE).then_some(ordinal)
    }

    /// How many slots belong to records, or did.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

/// Slots are numbers that count up: the chunk, and the place in it.
fn place(slot: u64) -> (usize, usize) {
    ((slot / CHUNK as u64) as usize, (slot % CHUNK as u64) as usize)
}
