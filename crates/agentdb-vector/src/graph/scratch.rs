//! The memory of one walk, kept between walks so that none of them allocates.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use super::block::Block;
use super::candidates::{Candidate, Candidates};
use super::nodes::Node;
use super::visited::Visited;

/// Scratches that are kept when nobody uses them.
const KEPT: usize = 64;

/// Where a walk has been, and the best that it found.
#[derive(Default)]
pub(super) struct Trail {
    pub(super) candidates: Candidates,
    pub(super) visited: Visited,
    /// Of a walk that collects what a predicate accepts: the nodes to expand, nearest first, and those accepted.
    pub(super) frontier: BinaryHeap<Reverse<Candidate>>,
    pub(super) matches: Candidates,
}

/// What a walk, and the choice of links after it, needs beside the graph.
pub(super) struct Scratch {
    pub(super) trail: Trail,
    /// The code of what is looked for.
    pub(super) code: Line,
    /// Candidates for the links of a node, nearest first, and those that were chosen.
    pub(super) ranked: Vec<Candidate>,
    pub(super) chosen: Vec<Node>,
    pub(super) links: Vec<Node>,
}

/// A code at the beginning of a cache line.
pub(super) struct Line(Block);

impl Line {
    pub(super) fn get(&self) -> &[u8] {
        // SAFETY: the block is our own, as long as it says, and was written as a whole when it was made; only `get_mut`
        // gives access for writing, and borrows from the whole.
        unsafe { std::slice::from_raw_parts(self.0.start().as_ptr(), self.0.len()) }
    }

    pub(super) fn get_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the borrow is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.0.start().as_ptr(), self.0.len()) }
    }
}

/// Scratches that nobody uses.
#[derive(Default)]
pub(super) struct Scratches(Mutex<Vec<Scratch>>);

impl Scratch {
    fn new(stride: usize) -> Self {
        Scratch {
            trail: Trail::default(),
            code: Line(Block::zeroed(stride)),
            ranked: Vec::new(),
            chosen: Vec::new(),
            links: Vec::new(),
        }
    }
}

impl Scratches {
    /// Calls `f` with a scratch for codes of `stride` bytes, the same for every call.
    pub(super) fn with<T>(&self, stride: usize, f: impl FnOnce(&mut Scratch) -> T) -> T {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_else(|| Scratch::new(stride));
        let result = f(&mut scratch);
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(scratch);
        }
        result
    }

    /// Bytes that scratches hold while nobody uses them.
    pub(super) fn bytes(&self) -> usize {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().map(|s| size_of::<Scratch>() + s.trail.visited.bytes()).sum()
    }
}
