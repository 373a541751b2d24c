//! The best entries with any of some terms, by Block-Max WAND (Ding and Suel, "Faster Top-k Document Retrieval Using
//! Block-Max Indexes", SIGIR 2011). Unlike there, what may only equal the worst hit kept is looked at, too, since ties
//! are for the caller to break.

use super::leaf::Scorer;
use crate::cursor::END;
use crate::plan::Plan;
use crate::segment::Segment;
use crate::top::Top;

/// Scorers, and the order of the entries at which they are.
struct Union<'a> {
    scorers: Vec<Scorer<'a>>,
    /// By entry, ascending.
    order: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    doc: u32,
    scorer: u32,
    /// The greatest share in the scorer's list.
    greatest: i64,
}

pub(super) fn search(
    plan: &Plan,
    leaves: &[usize],
    part: usize,
    segment: &Segment,
    admit: &dyn Fn(u32) -> bool,
    top: &mut Top<'_>,
) {
    let scorers: Vec<_> = leaves.iter().filter_map(|leaf| Scorer::new(plan, *leaf, part, segment)).collect();
    if scorers.is_empty() {
        return;
    }
    let mut union = Union::new(scorers);
    while let Some((before, len)) = union.pivot(top.floor()) {
        let doc = union.order[before].doc;
        let (bound, ends) = union.bound(doc, len);
        if bound < top.floor() {
            union.leap(len, ends);
            continue;
        }
        if !union.align(doc, before) {
            continue;
        }
        let sum = union.sum(len);
        if sum >= top.floor() {
            top.offer(segment.slots[doc as usize], sum, || admit(doc));
        }
        union.advance(len);
    }
}

impl<'a> Union<'a> {
    fn new(mut scorers: Vec<Scorer<'a>>) -> Self {
        let place = |(scorer, s): (u32, &mut Scorer<'_>)| Place {
            doc: s.cursor.doc(),
            scorer,
            greatest: s.greatest(),
        };
        let mut order: Vec<Place> = (0..).zip(scorers.iter_mut()).map(place).collect();
        order.sort_by_key(|p| p.doc);
        Union { scorers, order }
    }

    /// The first entry that can reach the floor: how many scorers are before it in order, and how many are
    /// before or at it.
    /// None if there is no such entry.
    #[inline]
    fn pivot(&self, floor: i64) -> Option<(usize, usize)> {
        let mut sum = 0;
        let mut before = 0;
        loop {
            let place = self.order.get(before)?;
            sum += place.greatest;
            if sum >= floor {
                break;
            }
            before += 1;
        }
        let doc = self.order[before].doc;
        let at = self.order[before..].iter().take_while(|p| p.doc == doc).count();
        (doc != END).then_some((before, before + at))
    }

    /// The sum of the bounds of the blocks in which the pivot would be, and the least of their last entries.
    #[inline]
    fn bound(&mut self, doc: u32, len: usize) -> (i64, u32) {
        let (mut sum, mut ends) = (0, END);
        for place in &self.order[..len] {
            let scorer = &mut self.scorers[place.scorer as usize];
            let last = scorer.cursor.shallow(doc);
            if last != END {
                ends = ends.min(last);
                sum += scorer.block_bound();
            }
        }
        (sum, ends)
    }

    /// Nothing up to the least end of the blocks can enter: moves the scorer with the greatest shares behind it, or to
    /// where the next scorer is.
    fn leap(&mut self, len: usize, ends: u32) {
        let next = self.order.get(len).map_or(END, |p| p.doc);
        let target = next.min(ends.saturating_add(1));
        let mut chosen = len - 1;
        for at in (0..len - 1).rev() {
            if self.order[at].greatest > self.order[chosen].greatest {
                chosen = at;
            }
        }
        self.seek(chosen, target);
    }

    /// Moves the scorers before the pivot to it. False as soon as one does not have it.
    #[inline]
    fn align(&mut self, doc: u32, before: usize) -> bool {
        for at in (0..before).rev() {
            let place = &mut self.order[at];
            place.doc = self.scorers[place.scorer as usize].cursor.seek(doc);
            if place.doc != doc {
                self.restore(at);
                return false;
            }
        }
        true
    }

    #[inline]
    fn sum(&mut self, len: usize) -> i64 {
        self.order[..len].iter().map(|p| self.scorers[p.scorer as usize].share()).sum()
    }

    fn advance(&mut self, len: usize) {
        for place in &mut self.order[..len] {
            place.doc = self.scorers[place.scorer as usize].cursor.advance();
        }
        for at in (0..len).rev() {
            self.restore(at);
        }
        while self.order.last().is_some_and(|p| p.doc == END) {
            self.order.pop();
        }
    }

    fn seek(&mut self, at: usize, target: u32) -> u32 {
        let place = &mut self.order[at];
        place.doc = self.scorers[place.scorer as usize].cursor.seek(target);
        let doc = place.doc;
        self.restore(at);
        doc
    }

    /// Puts a scorer that moved on into its place again.
    #[inline]
    fn restore(&mut self, mut at: usize) {
        let moved = self.order[at];
        while at + 1 < self.order.len() && self.order[at + 1].doc < moved.doc {
            self.order[at] = self.order[at + 1];
            at += 1;
        }
        self.order[at] = moved;
    }
}
