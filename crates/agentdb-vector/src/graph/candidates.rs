//! The nearest nodes that a walk has met, in order, and which of them it has expanded.

use super::nodes::Node;

/// A node with its distance, in one word that orders by distance and then by number: distance in the upper half, the number
/// above the lowest bit, which says whether the node was expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate(u64);

impl Candidate {
    /// `node` is below 2^31.
    #[inline(always)]
    pub(super) fn new(distance: u32, node: Node) -> Self {
        Candidate(u64::from(distance) << 32 | u64::from(node) << 1)
    }

    #[inline(always)]
    pub(super) fn node(self) -> Node {
        (self.0 as u32) >> 1
    }

    #[inline(always)]
    pub(super) fn distance(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Sorts candidates for the links of `owner` by distance. Which of several at one distance comes first differs from owner to owner: if it
/// were the same one for all, of many equal vectors nobody would link to the last.
pub(super) fn sort_for(owner: Node, candidates: &mut [Candidate]) {
    let chance = |c: &Candidate| mix(u64::from(owner) << 32 | u64::from(c.node()));
    candidates
        .sort_unstable_by(|a, b| a.distance().cmp(&b.distance()).then_with(|| chance(a).cmp(&chance(b))));
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(super) fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The best `limit` candidates, best first: a sorted array, whose short moves cost less than the branches of two heaps.
#[derive(Default)]
pub(super) struct Candidates {
    sorted: Vec<Candidate>,
    limit: usize,
    /// Everything before this one was expanded.
    next: usize,
}

impl Candidates {
    /// Forgets everything, and keeps the best `limit` from now on; `limit` is positive.
    pub(super) fn reset(&mut self, limit: usize) {
        self.sorted.clear();
        self.sorted.reserve(limit + 1);
        self.limit = limit;
        self.next = 0;
    }

    /// A candidate at this distance or beyond is not kept.
    #[inline(always)]
    pub(super) fn bound(&self) -> u32 {
        if self.sorted.len() < self.limit { u32::MAX } else { self.sorted[self.limit - 1].distance() }
    }

    /// The distance of the `n`-th candidate, `n` positive, if there are as many.
    #[inline]
    pub(super) fn bound_of(&self, n: usize) -> u32 {
        self.sorted.get(n - 1).map_or(u32::MAX, |c| c.distance())
    }

    /// Keeps a candidate that was not offered before, if it is below the bound. Returns its rank if it was kept.
    #[inline]
    pub(super) fn offer(&mut self, new: Candidate) -> Option<usize> {
        if new.distance() >= self.bound() {
            return None;
        }
        let rank = self.sorted.partition_point(|c| *c < new);
        if self.sorted.len() == self.limit {
            self.sorted.pop();
        }
        self.sorted.insert(rank, new);
        self.next = self.next.min(rank);
        Some(rank)
    }

    /// The nearest candidate that was not expanded; it counts as expanded from now on.
    #[inline]
    pub(super) fn expand(&mut self) -> Option<Candidate> {
        let rest = &mut self.sorted[self.next..];
        let Some(ahead) = rest.iter().position(|c| c.0 & 1 == 0) else {
            self.next = self.sorted.len();
            return None;
        };
        let found = rest[ahead];
        rest[ahead].0 |= 1;
        self.next += ahead + 1;
        Some(found)
    }

    /// The candidate that [`Candidates::expand`] would give.
    #[inline]
    pub(super) fn peek(&self) -> Option<Candidate> {
        self.sorted[self.next..].iter().copied().find(|c| c.0 & 1 == 0)
    }

    /// What was kept, best first.
    pub(super) fn sorted(&self) -> &[Candidate] {
        &self.sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_in_order_and_each_is_expanded_once() {
        let mut candidates = Candidates::default();
        candidates.reset(4);
        for (distance, node) in [(50, 1), (10, 2), (40, 3), (30, 4)] {
            assert!(candidates.offer(Candidate::new(distance, node)).is_some());
        }
        assert_eq!(candidates.expand().map(Candidate::node), Some(2));
        assert_eq!(candidates.bound(), 50);
        assert_eq!(candidates.offer(Candidate::new(50, 9)), None);
        // Nearer than all: it is expanded next, and the farthest has gone.
        assert_eq!(candidates.offer(Candidate::new(5, (1 << 31) - 2)), Some(0));
        let order: Vec<Node> = std::iter::from_fn(|| candidates.expand().map(Candidate::node)).collect();
        assert_eq!(order, [(1 << 31) - 2, 4, 3]);
        let sorted: Vec<u32> = candidates.sorted().iter().map(|c| c.distance()).collect();
        assert_eq!(sorted, [5, 10, 30, 40]);
    }
}
