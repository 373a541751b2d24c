//! The ids of records, by ordinal.

use std::sync::{Arc, OnceLock};

/// Ids of a chunk.
const CHUNK: usize = 1024;

type Chunk = Arc<[OnceLock<Arc<str>>]>;

/// From ordinals to ids. An ordinal has its id for ever: a clone is cheap, and shows at least what there was when it was made.
#[derive(Clone, Default)]
pub(crate) struct Ids {
    chunks: Arc<Vec<Chunk>>,
    count: usize,
}

impl Ids {
    /// Gives an id the next ordinal.
    pub(super) fn push(&mut self, id: Arc<str>) -> u32 {
        let (ordinal, at) = (self.count, self.count % CHUNK);
        if at == 0 {
            Arc::make_mut(&mut self.chunks).push((0..CHUNK).map(|_| OnceLock::new()).collect());
        }
        // Nobody else pushes: the place is free.
        let _ = self.chunks[ordinal / CHUNK][at].set(id);
        self.count += 1;
        ordinal as u32
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The id of a record; empty for an ordinal that there is not.
    pub(crate) fn get(&self, ordinal: u32) -> &str {
        let ordinal = ordinal as usize;
        let chunk = self.chunks.get(ordinal / CHUNK);
        chunk.and_then(|chunk| chunk[ordinal % CHUNK].get()).map_or("", |id| id)
    }
}
