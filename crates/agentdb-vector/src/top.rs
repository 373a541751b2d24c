//! The best k of a stream of scored slots, with ties in slot order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::{Metric, Slot};

/// One answer of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The slot that the caller gave to the vector.
    pub slot: Slot,
    /// The score, as the [`Metric`] defines it: for the Euclidean metric lower is better.
    pub score: f32,
}

/// A bounded heap whose root is the worst hit kept.
pub(crate) struct Top {
    metric: Metric,
    k: usize,
    heap: BinaryHeap<Ranked>,
}

/// A hit with its rank: the greatest is the worst. `rank` is the score, negated where higher is better.
struct Ranked {
    rank: f32,
    hit: Hit,
}

impl Top {
    /// Keeps the best `k` hits; `k` is positive.
    pub(crate) fn new(metric: Metric, k: usize) -> Self {
        Top { metric, k, heap: BinaryHeap::new() }
    }

    /// Keeps the hit if it is among the best so far. Returns whether the threshold may have changed.
    pub(crate) fn offer(&mut self, hit: Hit) -> bool {
        let rank = if self.metric.higher_is_better() { -hit.score } else { hit.score };
        let ranked = Ranked { rank, hit };
        if self.heap.len() < self.k {
            self.heap.push(ranked);
            return self.heap.len() == self.k;
        }
        match self.heap.peek_mut() {
            Some(mut worst) if ranked < *worst => {
                *worst = ranked;
                true
            }
            _ => false,
        }
    }

    /// The worst score kept, once k hits are: a hit that scores worse cannot enter (an equal one may).
    pub(crate) fn threshold(&self) -> Option<f32> {
        if self.heap.len() < self.k { None } else { self.heap.peek().map(|r| r.hit.score) }
    }

    /// The hits kept, best first.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|r| r.hit).collect()
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank).then(self.hit.slot.cmp(&other.hit.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_at_the_threshold_go_to_the_smaller_slot() {
        let mut top = Top::new(Metric::Euclidean, 2);
        for slot in [5, 9, 3, 4] {
            top.offer(Hit { slot, score: 1.0 });
        }
        assert_eq!(top.threshold(), Some(1.0));
        assert!(top.offer(Hit { slot: 7, score: 0.5 }));
        assert!(!top.offer(Hit { slot: 1, score: 1.5 }));
        let slots: Vec<Slot> = top.into_hits().iter().map(|h| h.slot).collect();
        assert_eq!(slots, [7, 3]);
    }
}
