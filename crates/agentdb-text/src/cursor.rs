//! Walking the postings of a term: entry by entry, or by leaps over whole blocks.

use crate::builder::{ROW, VARINTS};
use crate::codec::{BLOCK, packed_len, skip_varints, unpack, unpack_sorted, varint};
use crate::impact::Impact;
use crate::segment::{Segment, TermInfo};

/// Behind the last entry.
pub(crate) const END: u32 = u32::MAX;

/// A place in the postings of a term, on the first entry to begin with.
pub(crate) struct Cursor<'a> {
    posts: &'a [u8],
    positions: &'a [u8],
    norms: &'a [u8],
    info: TermInfo,
    /// The table of blocks; empty for a short list.
    table: &'a [u8],
    whole: &'a [u8],
    block: usize,
    blocks: usize,
    docs: Box<[u32; BLOCK]>,
    frequencies: Box<[u32; BLOCK]>,
    len: usize,
    at: usize,
    /// Where the packed frequencies begin, if they were not unpacked yet, and their width.
    packed: Option<(usize, u8)>,
    /// The block that the last bound was asked of.
    shallow: usize,
    /// The last entry of that block.
    shallow_last: u32,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(segment: &'a Segment, term: usize) -> Self {
        let info = segment.infos[term];
        let (posts, positions) = segment.posts_of(info);
        let norms = &segment.fields[segment.field_of(term)].norms;
        let docs = info.docs as usize;
        let (table, whole, blocks): (&[u8], &[u8], _) = if docs < BLOCK {
            (&[], &[], 1)
        } else {
            let blocks = docs.div_ceil(BLOCK);
            let table = 1 + usize::from(posts[0]) * 2;
            (&posts[table..table + blocks * ROW], &posts[1..table], blocks)
        };
        let mut cursor = Cursor {
            posts,
            positions,
            norms,
            info,
            table,
            whole,
            block: 0,
            blocks,
            docs: Box::new([0; BLOCK]),
            frequencies: Box::new([0; BLOCK]),
            len: 0,
            at: 0,
            packed: None,
            shallow: 0,
            shallow_last: 0,
        };
        cursor.load(0);
        cursor.shallow_last = cursor.docs[cursor.len - 1];
        cursor
    }

    /// The entry at which the cursor is, or [`END`].
    #[inline]
    pub(crate) fn doc(&self) -> u32 {
        if self.at < self.len { self.docs[self.at] } else { END }
    }

    /// How many entries have the term, the dead included.
    pub(crate) fn cost(&self) -> u32 {
        self.info.docs
    }

    /// How often the entry has the term.
    #[inline]
    pub(crate) fn frequency(&mut self) -> u32 {
        if let Some((start, bits)) = self.packed.take() {
            unpack(&self.posts[start..], bits, &mut self.frequencies);
        }
        self.frequencies[self.at]
    }

    /// The length of the entry's field, as a norm.
    #[inline]
    pub(crate) fn norm(&self) -> u8 {
        self.norms[self.docs[self.at] as usize]
    }

    /// To the next entry.
    #[inline]
    pub(crate) fn advance(&mut self) -> u32 {
        self.at += 1;
        if self.at < self.len {
            return self.docs[self.at];
        }
        if self.block + 1 < self.blocks {
            self.load(self.block + 1);
        }
        self.doc()
    }

    /// To the first entry that is not below `target`; the cursor never goes back.
    #[inline]
    pub(crate) fn seek(&mut self, target: u32) -> u32 {
        if self.doc() >= target {
            return self.doc();
        }
        // The last entry of the block at hand tells whether it is in it.
        if self.docs[self.len - 1] < target {
            return self.seek_block(target);
        }
        self.at += 1;
        if self.docs[self.at] < target {
            let rest = &self.docs[self.at + 1..self.len];
            self.at += 1 + rest.partition_point(|doc| *doc < target);
        }
        self.docs[self.at]
    }

    /// To the first entry that is not below `target`, which is behind the block at hand.
    fn seek_block(&mut self, target: u32) -> u32 {
        let block = self.block_of(target, (self.block + 1).max(self.shallow.min(self.blocks)));
        if block == self.blocks {
            (self.block, self.at, self.len) = (block, 0, 0);
            return END;
        }
        self.load(block);
        self.at = self.docs[..self.len].partition_point(|doc| *doc < target);
        self.doc()
    }

    /// Moves to the block in which `target` would be, without loading it, for the bounds; returns its last entry, or
    /// [`END`] behind the last block.
    #[inline]
    pub(crate) fn shallow(&mut self, target: u32) -> u32 {
        if target <= self.shallow_last { self.shallow_last } else { self.shallow_on(target) }
    }

    fn shallow_on(&mut self, target: u32) -> u32 {
        if self.table.is_empty() {
            return END;
        }
        self.shallow = self.block_of(target, self.shallow.max(self.block));
        self.shallow_last = if self.shallow < self.blocks { self.last_doc(self.shallow) } else { END };
        self.shallow_last
    }

    /// The number of the block that [`Cursor::shallow`] moved to.
    #[inline]
    pub(crate) fn shallow_block(&self) -> usize {
        self.shallow
    }

    /// Tells the impacts of that block.
    pub(crate) fn block_impacts(&mut self, each: impl FnMut(Impact)) {
        if self.table.is_empty() {
            return self.short_impacts(each);
        }
        if self.shallow < self.blocks {
            let row = &self.table[self.shallow * ROW..][..ROW];
            let start = read(row, 12) as usize;
            pairs(&self.posts[start..start + usize::from(row[18]) * 2]).for_each(each);
        }
    }

    /// Tells the impacts of the whole list. The cursor has not moved yet.
    pub(crate) fn impacts(&mut self, each: impl FnMut(Impact)) {
        if self.table.is_empty() { self.short_impacts(each) } else { pairs(self.whole).for_each(each) }
    }

    /// The positions of the term in the entry at which the cursor is.
    pub(crate) fn positions(&mut self, out: &mut Vec<u32>) {
        out.clear();
        let count = self.frequency();
        let mut at = if self.table.is_empty() { 0 } else { read(self.table, self.block * ROW + 8) as usize };
        let before = self.frequencies[..self.at].iter().sum();
        skip_varints(self.positions, &mut at, before);
        let mut position = 0;
        for _ in 0..count {
            position += varint(self.positions, &mut at);
            out.push(position);
        }
    }

    /// The encoded positions of the entry, when entries are read one after the other from the first on; `at` is where
    /// those of the entry before ended.
    pub(crate) fn position_bytes(&mut self, at: &mut usize) -> &'a [u8] {
        let count = self.frequency();
        let start = *at;
        skip_varints(self.positions, at, count);
        &self.positions[start..*at]
    }

    fn short_impacts(&mut self, mut each: impl FnMut(Impact)) {
        for at in 0..self.len {
            each(Impact::new(self.norms[self.docs[at] as usize], self.frequencies[at]));
        }
    }

    #[inline]
    fn last_doc(&self, block: usize) -> u32 {
        read(self.table, block * ROW)
    }

    /// The first block from `from` on whose last entry is not below `target`: by doubling steps, then halving.
    #[inline]
    fn block_of(&self, target: u32, from: usize) -> usize {
        let (mut low, mut step) = (from, 1);
        while low + step <= self.blocks && self.last_doc(low + step - 1) < target {
            low += step;
            step *= 2;
        }
        let mut high = self.blocks.min(low + step - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.last_doc(middle) < target { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn load(&mut self, block: usize) {
        (self.block, self.at) = (block, 0);
        let docs = self.info.docs as usize;
        self.len = BLOCK.min(docs - block * BLOCK);
        if self.table.is_empty() {
            return self.load_pairs(0, 0);
        }
        let before = if block == 0 { 0 } else { self.last_doc(block - 1) };
        let row = &self.table[block * ROW..][..ROW];
        let (data, bits, frequency_bits) = (read(row, 4) as usize, row[16], row[17]);
        if bits == VARINTS {
            return self.load_pairs(data, before);
        }
        unpack_sorted(&self.posts[data..], before, bits, &mut self.docs);
        self.packed = Some((data + packed_len(bits), frequency_bits));
    }

    fn load_pairs(&mut self, mut at: usize, mut before: u32) {
        self.packed = None;
        for i in 0..self.len {
            before += varint(self.posts, &mut at);
            self.docs[i] = before;
            self.frequencies[i] = varint(self.posts, &mut at);
        }
    }
}

#[inline]
fn read(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = Impact> {
    bytes.chunks_exact(2).map(|pair| Impact { norm: pair[0], frequency: pair[1] })
}
