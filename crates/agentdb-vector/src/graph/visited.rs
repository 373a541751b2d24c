//! The set of nodes that a walk has met: a bit for each node, small enough for the nearer caches.

use super::nodes::Node;

/// One bit per node. An array of epochs needs no clearing, but eight or sixteen times the cache; bits are cleared through the list of
/// the nodes met, or all at once where that is shorter.
#[derive(Default)]
pub(super) struct Visited {
    words: Vec<u64>,
    met: Vec<Node>,
}

impl Visited {
    /// Forgets everything, and takes nodes below `capacity` from now on.
    pub(super) fn reset(&mut self, capacity: usize) {
        if self.met.len() * 8 < self.words.len() {
            for node in &self.met {
                self.words[*node as usize / 64] = 0;
            }
        } else {
            self.words.fill(0);
        }
        self.met.clear();
        let words = capacity.div_ceil(64);
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
    }

    /// Adds a node below the capacity. Returns whether it is new; the caller passes the new ones to [`Visited::note`].
    #[inline(always)]
    pub(super) fn insert(&mut self, node: Node) -> bool {
        let word = &mut self.words[node as usize / 64];
        let bit = 1 << (node % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes note of nodes that were new, so that they are cleared.
    #[inline]
    pub(super) fn note(&mut self, nodes: &[Node]) {
        self.met.extend_from_slice(nodes);
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>() + self.met.capacity() * size_of::<Node>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_forgets_few_nodes_and_many() {
        let mut visited = Visited::default();
        for count in [3, 900] {
            visited.reset(1_000);
            for node in (0..count).map(|i| i * 37 % 1_000) {
                assert!(visited.insert(node));
                visited.note(&[node]);
                assert!(!visited.insert(node));
            }
        }
        visited.reset(2_000);
        assert!((0..2_000).all(|node| visited.insert(node)));
    }
}
