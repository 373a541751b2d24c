//! Texts of a field, each once, in order, with the ordinals that have it.

use super::ordered::Ends;
use super::set::Set;
use std::ops::Bound;

/// Distinct texts by number and by order. Numbers lie sorted by their texts in blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Dictionary {
    entries: Vec<Entry>,
    /// Numbers that are free for new texts.
    free: Vec<u32>,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
struct Entry {
    text: Box<str>,
    ordinals: Set,
}

#[derive(Clone, Debug, Default)]
struct Block {
    numbers: Vec<u32>,
    /// Ordinals of all its texts, one that has several counted so often.
    ordinals: u64,
}

/// A place among the blocks: a block and a place in it, or the one behind the last block.
pub(super) type Place = (usize, usize);

/// Texts of a block before it is cut in two.
const BLOCK: usize = 256;

impl Dictionary {
    /// Adds a text of an ordinal; the number of the text.
    pub(super) fn insert(&mut self, text: &str, ordinal: u32) -> u32 {
        let (mut block, mut at) = self.seek(|t| t < text);
        if let Some(number) = self.at((block, at)).filter(|n| self.text(*n) == text) {
            let added = self.entries[number as usize].ordinals.insert(ordinal);
            self.blocks[block].ordinals += u64::from(added);
            return number;
        }
        let number = self.number(Entry { text: text.into(), ordinals: Set::One(ordinal) });
        if block == self.blocks.len() {
            match self.blocks.last() {
                Some(last) if last.numbers.len() < BLOCK => (block, at) = (block - 1, last.numbers.len()),
                _ => self.blocks.push(Block::default()),
            }
        }
        self.blocks[block].numbers.insert(at, number);
        self.blocks[block].ordinals += 1;
        if self.blocks[block].numbers.len() > BLOCK {
            self.split(block);
        }
        number
    }

    /// Takes a text of an ordinal out.
    pub(super) fn remove(&mut self, text: &str, ordinal: u32) {
        let (block, at) = self.seek(|t| t < text);
        let Some(number) = self.at((block, at)).filter(|n| self.text(*n) == text) else { return };
        let entry = &mut self.entries[number as usize];
        self.blocks[block].ordinals -= u64::from(entry.ordinals.remove(ordinal));
        if entry.ordinals.is_empty() {
            *entry = Entry { text: Box::default(), ordinals: Set::default() };
            self.free.push(number);
            self.blocks[block].numbers.remove(at);
            if self.blocks[block].numbers.is_empty() {
                self.blocks.remove(block);
            }
        }
    }

    pub(super) fn text(&self, number: u32) -> &str {
        &self.entries[number as usize].text
    }

    pub(super) fn ordinals(&self, number: u32) -> &Set {
        &self.entries[number as usize].ordinals
    }

    /// The ordinals of a text.
    pub(super) fn find(&self, text: &str) -> Option<&Set> {
        let number = self.at(self.seek(|t| t < text)).filter(|n| self.text(*n) == text)?;
        Some(self.ordinals(number))
    }

    /// How many texts there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The places of the texts in a range.
    pub(super) fn range(&self, (lower, upper): Ends<&str>) -> (Place, Place) {
        let from = match lower {
            Bound::Included(text) => self.seek(|t| t < text),
            Bound::Excluded(text) => self.seek(|t| t <= text),
            Bound::Unbounded => (0, 0),
        };
        let to = match upper {
            Bound::Included(text) => self.seek(|t| t <= text),
            Bound::Excluded(text) => self.seek(|t| t < text),
            Bound::Unbounded => self.end(),
        };
        (from, to.max(from))
    }

    /// The places of the texts that begin so.
    pub(super) fn prefix(&self, prefix: &str) -> (Place, Place) {
        (self.seek(|t| t < prefix), self.seek(|t| t < prefix || t.starts_with(prefix)))
    }

    /// The places of all texts.
    pub(super) fn everything(&self) -> (Place, Place) {
        ((0, 0), self.end())
    }

    /// Ordinals of the texts between two places, one that has several counted so often.
    pub(super) fn count(&self, (from, to): (Place, Place)) -> u64 {
        let partly = |block: usize, start: usize, end: usize| -> u64 {
            let numbers = self.blocks.get(block).and_then(|b| b.numbers.get(start..end)).unwrap_or_default();
            numbers.iter().map(|n| self.ordinals(*n).len()).sum()
        };
        if from.0 == to.0 {
            return partly(from.0, from.1, to.1);
        }
        let before = partly(from.0, 0, from.1);
        let between = self.blocks.get(from.0..to.0).unwrap_or_default();
        between.iter().map(|b| b.ordinals).sum::<u64>() - before + partly(to.0, 0, to.1)
    }

    /// The numbers of the texts between two places, in order.
    pub(super) fn between(&self, (from, to): (Place, Place)) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let end = (to.0 + 1).min(self.blocks.len());
        self.blocks[from.0.min(end)..end].iter().enumerate().flat_map(move |(i, block)| {
            let number = from.0 + i;
            let start = if number == from.0 { from.1 } else { 0 };
            let end = if number == to.0 { to.1 } else { block.numbers.len() };
            block.numbers[start.min(end)..end].iter().copied()
        })
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        // An allocation of a text takes 16 bytes more, about.
        let entry = |e: &Entry| e.ordinals.bytes() + if e.text.is_empty() { 0 } else { e.text.len() + 16 };
        let blocks: usize = self.blocks.iter().map(|b| b.numbers.capacity() * 4).sum();
        self.entries.iter().map(entry).sum::<usize>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.free.capacity() * 4
            + self.blocks.capacity() * size_of::<Block>()
            + blocks
    }

    fn at(&self, (block, at): Place) -> Option<u32> {
        self.blocks.get(block)?.numbers.get(at).copied()
    }

    fn end(&self) -> Place {
        (self.blocks.len(), 0)
    }

    /// The first place whose text is not before what is sought.
    fn seek(&self, before: impl Fn(&str) -> bool) -> Place {
        let before = |number: u32| before(self.text(number));
        let block = self.blocks.partition_point(|b| b.numbers.last().is_some_and(|n| before(*n)));
        (block, self.blocks.get(block).map_or(0, |b| b.numbers.partition_point(|n| before(*n))))
    }

    fn number(&mut self, entry: Entry) -> u32 {
        if let Some(number) = self.free.pop() {
            self.entries[number as usize] = entry;
            return number;
        }
        self.entries.push(entry);
        // There are no more texts than ordinals and members, and those are fewer than 2^32 long before memory ends.
        (self.entries.len() - 1) as u32
    }

    fn split(&mut self, block: usize) {
        let left = &mut self.blocks[block];
        let numbers = left.numbers.split_off(BLOCK / 2);
        left.numbers.shrink_to_fit();
        let ordinals = numbers.iter().map(|n| self.entries[*n as usize].ordinals.len()).sum();
        left.ordinals -= ordinals;
        self.blocks.insert(block + 1, Block { numbers, ordinals });
    }
}
