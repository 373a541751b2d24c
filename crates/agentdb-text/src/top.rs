//! The best hits of a stream.

use std::cmp::Ordering;

use crate::bm25::Scale;
use crate::index::Slot;

/// One answer of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The slot that the caller gave to the entry.
    pub slot: Slot,
    /// BM25, summed over the terms; higher is better.
    pub score: f32,
}

/// A bounded heap with the worst hit kept at its root. Hits of equal score are compared by the caller's order.
pub(crate) struct Top<'a> {
    limit: usize,
    tie: &'a dyn Fn(Slot, Slot) -> Ordering,
    scale: Scale,
    heap: Vec<Hit>,
    /// No sum below this can enter; an equal one may.
    floor: i64,
    /// The least score that the caller wants.
    threshold: f32,
}

impl<'a> Top<'a> {
    /// Keeps the best `limit` hits, which is positive, that score `threshold` at least.
    pub(crate) fn new(
        limit: usize,
        threshold: Option<f32>,
        scale: Scale,
        tie: &'a dyn Fn(Slot, Slot) -> Ordering,
    ) -> Self {
        let floor = threshold.map_or(i64::MIN, |t| scale.floor(t));
        let threshold = threshold.unwrap_or(f32::NEG_INFINITY);
        Top { limit, tie, scale, heap: Vec::new(), floor, threshold }
    }

    #[inline]
    pub(crate) fn floor(&self) -> i64 {
        self.floor
    }

    /// Keeps the hit if it is among the best so far. `admit` says whether it is one at all, and is asked last.
    pub(crate) fn offer(&mut self, slot: Slot, sum: i64, admit: impl FnOnce() -> bool) {
        let hit = Hit { slot, score: self.scale.score(sum) };
        let full = self.heap.len() == self.limit;
        if hit.score < self.threshold || full && !self.before(&hit, &self.heap[0]) || !admit() {
            return;
        }
        if full {
            self.heap[0] = hit;
            self.sink();
        } else {
            self.heap.push(hit);
            self.rise();
        }
        if self.heap.len() == self.limit {
            self.floor = self.floor.max(self.scale.floor(self.heap[0].score));
        }
    }

    /// The hits kept, best first.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        let tie = self.tie;
        let mut hits = self.heap;
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| tie(a.slot, b.slot)));
        hits
    }

    fn before(&self, a: &Hit, b: &Hit) -> bool {
        b.score.total_cmp(&a.score).then_with(|| (self.tie)(a.slot, b.slot)) == Ordering::Less
    }

    fn rise(&mut self) {
        let mut at = self.heap.len() - 1;
        while at > 0 && self.before(&self.heap[(at - 1) / 2], &self.heap[at]) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self) {
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= self.heap.len() {
                return;
            }
            let worse = if right < self.heap.len() && self.before(&self.heap[left], &self.heap[right]) {
                right
            } else {
                left
            };
            if !self.before(&self.heap[at], &self.heap[worse]) {
                return;
            }
            self.heap.swap(at, worse);
            at = worse;
        }
    }
}
