//! The best entries with any of some terms, by MAXSCORE over windows of blocks (Turtle and Flood, "Query Evaluation:
//! Strategies and Optimizations", 1995; Grand et al., ECIR 2020, for the blocks). Block-Max WAND was measured first: its
//! loop over the terms in order of their entries costs a third more. What may only equal the worst hit kept is looked at,
//! too, since ties are for the caller to break.

use super::leaf::Scorer;
use crate::cursor::END;
use crate::plan::Plan;
use crate::segment::Segment;
use crate::top::Top;

/// The scorers of a part.
struct Union<'a> {
    /// By the greatest share of the list, ascending.
    terms: Vec<Term<'a>>,
    /// In a window: the scorers by their bounds, ascending, each with the sum of the bounds up to its own.
    order: Vec<(usize, i64)>,
}

struct Term<'a> {
    scorer: Scorer<'a>,
    /// The greatest share in the list.
    greatest: i64,
    /// The greatest share in the window.
    bound: i64,
}

/// Entries from `start` to `end`, in which each term has one block at most.
struct Window {
    start: u32,
    end: u32,
    /// The sum of the bounds.
    bound: i64,
}

pub(super) fn search(
    plan: &Plan,
    leaves: &[usize],
    part: usize,
    segment: &Segment,
    admit: &dyn Fn(u32) -> bool,
    top: &mut Top<'_>,
) {
    let mut terms = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        if let Some(mut scorer) = Scorer::new(plan, *leaf, part, segment) {
            let greatest = scorer.greatest();
            terms.push(Term { scorer, greatest, bound: 0 });
        }
    }
    terms.sort_by_key(|term| term.greatest);
    let mut union = Union { order: Vec::with_capacity(terms.len()), terms };
    let mut start = 0;
    while let Some(window) = union.window(start, top.floor()) {
        if window.bound >= top.floor() {
            union.search(&window, segment, admit, top);
        }
        start = window.end + 1;
    }
}

impl Union<'_> {
    /// The next window that begins at `start`, with the bounds in it. Terms that cannot reach the floor even together
    /// have no part in where it ends. None if nothing from `start` on can reach the floor.
    fn window(&mut self, start: u32, floor: i64) -> Option<Window> {
        let (mut first, mut bound) = (0, 0);
        for term in &mut self.terms {
            if bound + term.greatest >= floor {
                break;
            }
            term.bound = term.greatest;
            bound += term.greatest;
            first += 1;
        }
        let mut end = END;
        for term in &mut self.terms[first..] {
            term.bound = 0;
            let cursor = &mut term.scorer.cursor;
            if cursor.doc() == END {
                continue;
            }
            let last = cursor.shallow(start.max(cursor.doc()));
            if last != END {
                end = end.min(last);
                term.bound = term.scorer.block_bound();
                bound += term.bound;
            }
        }
        (end != END).then_some(Window { start, end, bound })
    }

    fn search(&mut self, window: &Window, segment: &Segment, admit: &dyn Fn(u32) -> bool, top: &mut Top<'_>) {
        let essential = self.arrange(top.floor());
        for (term, _) in &self.order[essential..] {
            self.terms[*term].scorer.cursor.seek(window.start);
        }
        loop {
            // The next entry of an essential term; the next one behind it is found on the way.
            let docs = self.order[essential..].iter().map(|(term, _)| self.terms[*term].scorer.cursor.doc());
            let doc = docs.min().unwrap_or(END);
            if doc > window.end {
                return;
            }
            let mut sum = 0;
            for (term, _) in &self.order[essential..] {
                let scorer = &mut self.terms[*term].scorer;
                if scorer.cursor.doc() == doc {
                    sum += scorer.share();
                    scorer.cursor.advance();
                }
            }
            if self.complete(doc, &mut sum, essential, top.floor()) && sum >= top.floor() {
                top.offer(segment.slots[doc as usize], sum, || admit(doc));
            }
        }
    }

    /// Orders the terms by their bounds and returns how many of them, from the least on, cannot reach the floor together:
    /// only what has one of the others needs to be looked at.
    fn arrange(&mut self, floor: i64) -> usize {
        self.order.clear();
        self.order.extend((0..self.terms.len()).map(|term| (term, 0)));
        self.order.sort_by_key(|(term, _)| self.terms[*term].bound);
        let (mut sum, mut essential) = (0, 0);
        for (at, (term, up_to)) in self.order.iter_mut().enumerate() {
            sum += self.terms[*term].bound;
            *up_to = sum;
            if sum < floor {
                essential = at + 1;
            }
        }
        essential
    }

    /// Adds the shares of the other terms, the greatest bounds first, as long as the floor can be reached.
    #[inline]
    fn complete(&mut self, doc: u32, sum: &mut i64, essential: usize, floor: i64) -> bool {
        for (term, up_to) in self.order[..essential].iter().rev() {
            if *sum + up_to < floor {
                return false;
            }
            let scorer = &mut self.terms[*term].scorer;
            if scorer.cursor.seek(doc) == doc {
                *sum += scorer.share();
            }
        }
        true
    }
}
