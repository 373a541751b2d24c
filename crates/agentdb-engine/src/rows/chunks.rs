//! The memory that memory tables are made of: chunks, handed out from front to back and freed as a whole.
//!
//! A database that nobody writes to holds a small chunk; a table that grows takes ever larger ones. Those of full size go
//! back to a pool and into the next table, so that the system need not find, and clear, their pages anew.

use std::sync::{Arc, Mutex, PoisonError};

/// Words of eight bytes: what is allocated is a number of them, and aligned so.
type Chunk = Vec<u64>;

const FIRST_WORDS: usize = (8 << 10) / 8;
const FULL_WORDS: usize = (1 << 20) / 8;
/// Chunks that wait for the next table, at most: about a table of them.
const MOST_SPARE: usize = 36;
/// How many of those are let go at once while no table takes any.
const LET_GO: usize = 4;

/// Chunks of full size that no table uses.
#[derive(Default)]
pub(super) struct Spare(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    chunks: Vec<Chunk>,
    /// Whether a table asked for one since it was last asked.
    asked: bool,
}

impl Spare {
    fn take(&self) -> Option<Chunk> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.asked = true;
        shelf.chunks.pop()
    }

    fn put_back(&self, chunks: impl Iterator<Item = Chunk>) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_SPARE.saturating_sub(shelf.chunks.len());
        shelf.chunks.extend(chunks.filter(|chunk| chunk.capacity() == FULL_WORDS).take(room));
    }

    /// Lets go of some chunks, unless tables have asked for any since the last time.
    pub(super) fn shrink(&self) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut shelf.asked) {
            let kept = shelf.chunks.len().saturating_sub(LET_GO);
            let gone = shelf.chunks.split_off(kept);
            drop(shelf);
            drop(gone);
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).chunks.len()
    }
}

/// The chunks of one table.
pub(super) struct Arena {
    /// Nothing is ever in them but what was written through the pointers that were handed out: their length stays zero.
    chunks: Vec<Chunk>,
    next: *mut u64,
    left: usize,
    spare: Arc<Spare>,
}

// SAFETY: the pointer leads into a chunk that the arena itself owns.
unsafe impl Send for Arena {}

impl Arena {
    pub(super) fn new(spare: Arc<Spare>) -> Self {
        Arena { chunks: Vec::new(), next: std::ptr::dangling_mut(), left: 0, spare }
    }

    /// Memory of this many words, uninitialised and nobody else's; it stays where it is for as long as the arena lives.
    /// Besides, how many words that costs, the rest of a chunk that is left included.
    pub(super) fn allocate(&mut self, words: usize) -> (*mut u64, usize) {
        let mut cost = words;
        if words > self.left {
            if words > FULL_WORDS / 4 {
                // A chunk of its own; the current one goes on.
                return (self.add(Chunk::with_capacity(words)), words);
            }
            cost += self.left;
            let last = self.chunks.last().map_or(FIRST_WORDS / 2, Chunk::capacity);
            let size = (2 * last).clamp(FIRST_WORDS, FULL_WORDS).max(words);
            let spare = if size == FULL_WORDS { self.spare.take() } else { None };
            self.next = self.add(spare.unwrap_or_else(|| Chunk::with_capacity(size)));
            self.left = size;
        }
        let at = self.next;
        self.next = at.wrapping_add(words);
        self.left -= words;
        (at, cost)
    }

    fn add(&mut self, mut chunk: Chunk) -> *mut u64 {
        let start = chunk.as_mut_ptr();
        self.chunks.push(chunk);
        start
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.spare.put_back(self.chunks.drain(..));
    }
}
