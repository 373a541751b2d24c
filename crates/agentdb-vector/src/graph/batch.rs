//! Nodes whose codes are compared with one: their codes are asked for some ahead, so that the memory works while the last ones are
//! compared. It does *not* know where the nodes come from.

use super::candidates::Candidate;
use super::nodes::{NONE, Node, View};
use crate::codes::CodeKernel;

/// The greatest degree of a graph, and the room of a batch.
pub(super) const DEGREE_MAX: usize = 128;
/// Codes that are asked for before the first of a batch is compared.
const AHEAD: usize = 16;
/// Codes that are compared with one call.
const GROUP: usize = 4;

/// Nodes whose codes are compared together.
pub(super) struct Batch {
    nodes: [Node; DEGREE_MAX],
    rows: [*const u8; DEGREE_MAX],
    distances: [u32; DEGREE_MAX],
    len: usize,
}

/// The distance of two codes with these tails. Tails of bytes that were not verified may be anything.
#[inline(always)]
pub(super) fn with_tails(distance: u32, a: u32, b: u32) -> u32 {
    distance.saturating_add(a).saturating_add(b)
}

impl Batch {
    pub(super) fn new() -> Self {
        let rows = [std::ptr::null(); DEGREE_MAX];
        Batch { nodes: [NONE; DEGREE_MAX], rows, distances: [0; DEGREE_MAX], len: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a node that `view` has; there is room for [`DEGREE_MAX`].
    #[inline(always)]
    pub(super) fn push(&mut self, view: &View, node: Node) {
        if self.len < AHEAD {
            view.prefetch_code(node);
        }
        self.nodes[self.len] = node;
        self.rows[self.len] = view.code(node);
        self.len += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes[..self.len]
    }

    /// The nodes with the distances that [`Batch::compare`] found.
    #[inline]
    pub(super) fn found(&self) -> impl Iterator<Item = Candidate> {
        let pairs = self.distances[..self.len].iter().zip(&self.nodes[..self.len]);
        pairs.map(|(distance, node)| Candidate::new(*distance, *node))
    }

    /// Finds the distances of the batch from a code with a tail.
    #[inline(always)]
    pub(super) fn compare(&mut self, view: &View, kernel: CodeKernel, (code, tail): (&[u8], u32)) {
        let mut at = 0;
        while at < self.len {
            let end = (at + GROUP).min(self.len);
            for ahead in (at + AHEAD..end + AHEAD).take_while(|ahead| *ahead < self.len) {
                view.prefetch_code(self.nodes[ahead]);
            }
            // SAFETY: the rows are codes of nodes that this thread found through entries, links or slots: they were written before,
            // and are not again while the view is held.
            unsafe { kernel.distances(code, &self.rows[at..end], &mut self.distances[at..end]) };
            at = end;
        }
        if view.shape.tails {
            for (distance, node) in self.distances[..self.len].iter_mut().zip(&self.nodes) {
                *distance = with_tails(*distance, tail, view.tail(*node));
            }
        }
    }
}
