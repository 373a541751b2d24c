//! Words at their places.

use crate::bm25::{Scale, share};
use crate::cursor::{Cursor, END};
use crate::plan::{self, Plan};
use crate::segment::Segment;

/// The entries of a part in which a phrase is.
pub(crate) struct Phrase<'a> {
    /// The cursors of the words, with their places in the phrase; empty if the part lacks a word.
    words: Vec<(Cursor<'a>, u32)>,
    positions: Vec<Vec<u32>>,
    slop: u32,
    pub(crate) leaf: usize,
    weight: f32,
    saturation: &'a [f32; 256],
    scale: Scale,
    doc: u32,
    frequency: u32,
}

impl<'a> Phrase<'a> {
    pub(crate) fn new(plan: &'a Plan, phrase: &plan::Phrase, part: usize, segment: &'a Segment) -> Self {
        let word = |(numbers, place): &(plan::Numbers, u32)| {
            Some((Cursor::new(segment, numbers[part]? as usize), *place))
        };
        let words: Vec<_> = phrase.words.iter().map(word).collect::<Option<_>>().unwrap_or_default();
        let leaf = &plan.leaves[phrase.leaf];
        Phrase {
            positions: vec![Vec::new(); words.len()],
            doc: if words.is_empty() { END } else { 0 },
            words,
            slop: phrase.slop,
            leaf: phrase.leaf,
            weight: leaf.weight,
            saturation: plan.statistics.saturation(leaf.field),
            scale: plan.scale,
            frequency: 0,
        }
    }

    pub(crate) fn doc(&self) -> u32 {
        self.doc
    }

    pub(crate) fn frequency(&self) -> u32 {
        self.frequency
    }

    pub(crate) fn norm(&self) -> u8 {
        self.words[0].0.norm()
    }

    /// To the first entry from `target` on in which the phrase is.
    pub(crate) fn seek(&mut self, mut target: u32) -> u32 {
        if self.words.is_empty() {
            return END;
        }
        loop {
            self.doc = self.common(target);
            if self.doc == END {
                return END;
            }
            for ((cursor, place), positions) in self.words.iter_mut().zip(&mut self.positions) {
                cursor.positions(positions);
                // Where the phrase would begin, moved so that it is never below 0.
                positions.iter_mut().for_each(|p| *p = *p + PLACES - *place);
            }
            self.frequency = occurrences(&self.positions, self.slop).count() as u32;
            if self.frequency > 0 {
                return self.doc;
            }
            target = self.doc + 1;
        }
    }

    pub(crate) fn share(&self) -> i64 {
        let saturation = self.saturation[usize::from(self.norm())];
        self.scale.fixed(share(self.weight, saturation, self.frequency))
    }

    /// The first entry from `target` on that has all words.
    fn common(&mut self, mut target: u32) -> u32 {
        'next: loop {
            for (cursor, _) in &mut self.words {
                let doc = cursor.seek(target);
                if doc != target {
                    if doc == END {
                        return END;
                    }
                    target = doc;
                    // All are asked again; those that are there answer at once.
                    continue 'next;
                }
            }
            return target;
        }
    }
}

/// More than a place in a phrase can be.
pub(crate) const PLACES: u32 = 1 << 20;

/// The places of the first word at which the phrase is: each list has the positions of a word less its place, ascending;
/// a phrase is where a window as wide as the slop has one of each.
pub(crate) fn occurrences(positions: &[Vec<u32>], slop: u32) -> impl Iterator<Item = usize> {
    let near = |list: &[u32], low: u32| {
        let at = list.partition_point(|p| *p < low);
        list.get(at).copied()
    };
    let first = positions.first().map_or(&[][..], |list| list);
    let found = move |at: &u32| {
        // Windows begin where some word is, from `slop` before the first word on.
        let mut start = at.saturating_sub(slop);
        loop {
            // For each word the first place from the start on; the window must reach the last of them.
            let mut end = *at;
            let mut least = *at;
            for list in &positions[1..] {
                let Some(place) = near(list, start) else { return false };
                end = end.max(place);
                least = least.min(place);
            }
            if end - least <= slop {
                return true;
            }
            if least == *at {
                return false;
            }
            start = least + 1;
        }
    };
    first.iter().enumerate().filter(move |(_, at)| found(at)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(positions: &[&[u32]], slop: u32) -> usize {
        let lists: Vec<Vec<u32>> = positions.iter().map(|l| l.to_vec()).collect();
        occurrences(&lists, slop).count()
    }

    #[test]
    fn a_window_as_wide_as_the_slop_has_one_of_each() {
        assert_eq!(count(&[&[5, 9], &[5, 8]], 0), 1);
        assert_eq!(count(&[&[5, 9], &[5, 8]], 1), 2);
        assert_eq!(count(&[&[5], &[3], &[7]], 3), 0);
        assert_eq!(count(&[&[5], &[3], &[7]], 4), 1);
        assert_eq!(count(&[&[5], &[3, 6], &[7]], 2), 1);
        assert_eq!(count(&[&[5], &[]], 9), 0);
    }
}
