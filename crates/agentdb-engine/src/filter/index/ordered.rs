//! Numbers and times of a field: by value for ranges, by ordinal for everything else.

use std::ops::Bound;

use roaring::RoaringBitmap;

use super::column::Column;
use super::number::Num;
use super::set::{Gather, bitmap_bytes};

/// The numbers of a field, one a record. Ordinals lie sorted by number and ordinal in blocks, and the numbers themselves only in
/// the column: 14 bytes a record. A range gathers whole blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Ordered {
    column: Column<Num>,
    blocks: Vec<Vec<u32>>,
    all: RoaringBitmap,
}

/// The ends of a range.
pub(super) type Ends<T> = (Bound<T>, Bound<T>);

/// A place among the blocks: a block and a place in it, or the one behind the last block.
type Place = (usize, usize);

/// Ordinals of a block before it is cut in two.
const BLOCK: usize = 1_024;

impl Ordered {
    /// Sets the number of an ordinal that has none.
    pub(super) fn insert(&mut self, ordinal: u32, number: Num) {
        self.column.set(ordinal, number);
        self.all.insert(ordinal);
        let (mut block, mut at) = self.seek(|n, o| (n, o) < (number, ordinal));
        if block == self.blocks.len() {
            // Behind everything: onto the last block, if it has room. Growing numbers fill their blocks.
            match self.blocks.last() {
                Some(last) if last.len() < BLOCK => (block, at) = (block - 1, last.len()),
                _ => self.blocks.push(Vec::new()),
            }
        }
        let ordinals = &mut self.blocks[block];
        ordinals.insert(at, ordinal);
        if ordinals.len() > BLOCK {
            let right = ordinals.split_off(BLOCK / 2);
            ordinals.shrink_to_fit();
            self.blocks.insert(block + 1, right);
        }
    }

    /// Takes the number of an ordinal out.
    pub(super) fn remove(&mut self, ordinal: u32) {
        let Some(number) = self.column.get(ordinal) else { return };
        let (block, at) = self.seek(|n, o| (n, o) < (number, ordinal));
        self.blocks[block].remove(at);
        self.column.unset(ordinal);
        self.all.remove(ordinal);
        let len = self.blocks[block].len();
        if len == 0 {
            self.blocks.remove(block);
        } else if self.blocks.get(block + 1).is_some_and(|next| len + next.len() <= BLOCK / 4) {
            let next = self.blocks.remove(block + 1);
            self.blocks[block].extend(next);
        }
    }

    /// Every ordinal that has a number.
    pub(super) fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    pub(super) fn get(&self, ordinal: u32) -> Option<Num> {
        self.column.get(ordinal)
    }

    /// How many ordinals have a number in the range.
    pub(super) fn count(&self, ends: Ends<Num>) -> u64 {
        let (from, to) = self.places(ends);
        if from.0 == to.0 {
            return to.1.saturating_sub(from.1) as u64;
        }
        let between = self.blocks.get(from.0..to.0).unwrap_or_default();
        (between.iter().map(Vec::len).sum::<usize>() + to.1).saturating_sub(from.1) as u64
    }

    /// The ordinals with a number in the range: gathered, or what is left without the others, whichever are fewer.
    pub(super) fn range(&self, ends: Ends<Num>) -> RoaringBitmap {
        let (from, to) = self.places(ends);
        let mut gather = Gather::default();
        if self.count(ends) * 2 <= self.all.len() {
            self.gather(from, to, &mut gather);
            return gather.finish();
        }
        self.gather((0, 0), from, &mut gather);
        self.gather(to, (self.blocks.len(), 0), &mut gather);
        &self.all - gather.finish()
    }

    /// Ordinals with their numbers, by number and ordinal, of numbers greater than `after`.
    pub(super) fn walk(&self, after: Option<Num>) -> impl Iterator<Item = (Num, u32)> + '_ {
        self.onwards(after.map_or((0, 0), |number| self.seek(|n, _| n <= number)))
    }

    /// The same, of numbers not less than `from`.
    pub(super) fn walk_from(&self, from: Option<Num>) -> impl Iterator<Item = (Num, u32)> + '_ {
        self.onwards(from.map_or((0, 0), |number| self.seek(|n, _| n < number)))
    }

    /// From the greatest number on, or from `from`, to the least, those of equal numbers by ordinal.
    pub(super) fn walk_back(&self, from: Option<Num>) -> impl Iterator<Item = (Num, u32)> + '_ {
        let (block, at) = from.map_or((self.blocks.len(), 0), |number| self.seek(|n, _| n <= number));
        let part = self.blocks.get(block).map(|b| &b[..at]).unwrap_or_default();
        let all = self.blocks[..block].iter().flatten().chain(part).rev().map(|o| (self.key(*o), *o));
        let mut all = all.peekable();
        let mut equal: Vec<(Num, u32)> = Vec::new();
        std::iter::from_fn(move || {
            if equal.is_empty() {
                equal.push(all.next()?);
                while let Some(next) = all.next_if(|(n, _)| *n == equal[0].0) {
                    equal.push(next);
                }
            }
            equal.pop()
        })
    }

    /// The numbers of these ordinals, in order, and how many ordinals have each.
    pub(super) fn runs(&self, within: &RoaringBitmap) -> Vec<(Num, u64)> {
        let mut numbers: Vec<Num> = if within.len() * 4 < self.all.len() {
            within.iter().filter_map(|o| self.column.get(o)).collect()
        } else {
            self.walk(None).filter(|(_, o)| within.contains(*o)).map(|(n, _)| n).collect()
        };
        if !numbers.is_sorted() {
            numbers.sort_unstable();
        }
        numbers.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|b| b.capacity() * 4).sum();
        self.column.bytes() + blocks + self.blocks.capacity() * 24 + bitmap_bytes(&self.all)
    }

    fn key(&self, ordinal: u32) -> Num {
        self.column.get(ordinal).unwrap_or_default()
    }

    /// The first place whose number and ordinal are not before what is sought.
    fn seek(&self, before: impl Fn(Num, u32) -> bool) -> Place {
        let before = |ordinal: u32| before(self.key(ordinal), ordinal);
        let block = self.blocks.partition_point(|b| b.last().is_some_and(|o| before(*o)));
        (block, self.blocks.get(block).map_or(0, |b| b.partition_point(|o| before(*o))))
    }

    fn places(&self, (lower, upper): Ends<Num>) -> (Place, Place) {
        let from = match lower {
            Bound::Included(number) => self.seek(|n, _| n < number),
            Bound::Excluded(number) => self.seek(|n, _| n <= number),
            Bound::Unbounded => (0, 0),
        };
        let to = match upper {
            Bound::Included(number) => self.seek(|n, _| n <= number),
            Bound::Excluded(number) => self.seek(|n, _| n < number),
            Bound::Unbounded => (self.blocks.len(), 0),
        };
        (from, to.max(from))
    }

    fn onwards(&self, (block, at): Place) -> impl Iterator<Item = (Num, u32)> + '_ {
        let first = self.blocks.get(block).map(|b| &b[at..]).unwrap_or_default();
        let rest = self.blocks.get(block + 1..).unwrap_or_default();
        first.iter().chain(rest.iter().flatten()).map(|o| (self.key(*o), *o))
    }

    fn gather(&self, from: Place, to: Place, into: &mut Gather) {
        if from.0 == to.0 {
            into.add(self.blocks.get(from.0).and_then(|b| b.get(from.1..to.1)).unwrap_or_default());
            return;
        }
        for (number, block) in self.blocks.iter().enumerate().take(to.0 + 1).skip(from.0) {
            let start = if number == from.0 { from.1 } else { 0 };
            let end = if number == to.0 { to.1 } else { block.len() };
            into.add(&block[start..end]);
        }
    }
}
