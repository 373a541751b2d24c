//! A term in a part, with what its scores are made of.

use crate::bm25::{Scale, share, share_bound};
use crate::cursor::Cursor;
use crate::plan::Plan;
use crate::segment::Segment;

/// A cursor that scores.
pub(crate) struct Scorer<'a> {
    pub(crate) cursor: Cursor<'a>,
    pub(crate) leaf: usize,
    weight: f32,
    saturation: &'a [f32; 256],
    scale: Scale,
    /// The bound of a block, and which one it is.
    bound: i64,
    bound_of: usize,
}

impl<'a> Scorer<'a> {
    /// The scorer of a leaf in a part; none if the part does not have the term.
    pub(crate) fn new(plan: &'a Plan, leaf: usize, part: usize, segment: &'a Segment) -> Option<Self> {
        let of = &plan.leaves[leaf];
        let term = of.numbers[part]?;
        Some(Scorer {
            cursor: Cursor::new(segment, term as usize),
            leaf,
            weight: of.weight,
            saturation: plan.statistics.saturation(of.field),
            scale: plan.scale,
            bound: 0,
            bound_of: usize::MAX,
        })
    }

    /// The share of the entry at which the cursor is.
    #[inline]
    pub(crate) fn share(&mut self) -> i64 {
        let saturation = self.saturation[usize::from(self.cursor.norm())];
        self.scale.fixed(share(self.weight, saturation, self.cursor.frequency()))
    }

    /// The greatest share in the list.
    pub(crate) fn greatest(&mut self) -> i64 {
        let mut best = 0.0;
        let (weight, saturation) = (self.weight, self.saturation);
        self.cursor.impacts(|i| {
            best = f32::max(best, share_bound(weight, saturation[usize::from(i.norm)], i.frequency));
        });
        self.scale.fixed(best)
    }

    /// The greatest share in the block that the cursor moved to last, shallowly; 0 behind the last block.
    #[inline]
    pub(crate) fn block_bound(&mut self) -> i64 {
        let block = self.cursor.shallow_block();
        if self.bound_of == block { self.bound } else { self.compute_bound(block) }
    }

    fn compute_bound(&mut self, block: usize) -> i64 {
        let mut best = 0.0;
        let (weight, saturation) = (self.weight, self.saturation);
        self.cursor.block_impacts(|i| {
            best = f32::max(best, share_bound(weight, saturation[usize::from(i.norm)], i.frequency));
        });
        (self.bound, self.bound_of) = (self.scale.fixed(best), block);
        self.bound
    }
}
