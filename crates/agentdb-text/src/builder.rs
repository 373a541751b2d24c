//! Writing a segment: entries first, then term by term, in order.
//!
//! The postings of a term that fewer than 128 entries have are pairs of varints: the distance to the entry before, and
//! the frequency. Those of other terms are blocks of 128, packed, the last one varints; before them stand the
//! [impacts](crate::impact) of the whole list and a table with a row for each block:
//!
//! ```text
//! impacts: u8 count, (u8 norm, u8 frequency)*
//! row:     u32 last entry, u32 data, u32 positions, u32 impacts, u8 bits of entries, u8 bits of frequencies,
//!          u8 number of impacts, u8 zero        (offsets from the beginning of the term's postings and positions)
//! ```

use std::sync::atomic::AtomicU64;

use crate::codec::{BLOCK, pack, pack_sorted, put_varint};
use crate::impact::{self, Impact};
use crate::segment::{Lengths, Segment, TermInfo};

/// Bytes of a row of the table of blocks.
pub(crate) const ROW: usize = 20;
/// The bits of entries that tell a block of varints.
pub(crate) const VARINTS: u8 = 255;

/// A segment in the making.
pub(crate) struct Builder {
    segment: Segment,
    docs: Vec<u32>,
    frequencies: Vec<u32>,
    /// Where the positions of each block of the term begin.
    block_positions: Vec<u32>,
    positions_start: usize,
}

impl Builder {
    pub(crate) fn new(fields: usize) -> Self {
        let fields = (0..fields).map(|_| Lengths::default()).collect();
        Builder {
            segment: Segment { fields, ..Segment::default() },
            docs: Vec::new(),
            frequencies: Vec::new(),
            block_positions: Vec::new(),
            positions_start: 0,
        }
    }

    /// Adds an entry. All entries come before the first term.
    pub(crate) fn entry(&mut self, slot: u64, born: u64, died: u64, lengths: impl Iterator<Item = u32>) {
        let segment = &mut self.segment;
        segment.slots.push(slot);
        segment.born.push(born);
        segment.died.push(AtomicU64::new(died));
        segment.max_born = segment.max_born.max(born);
        segment.fields.iter_mut().zip(lengths).for_each(|(field, length)| field.push(length));
    }

    /// Adds an entry to the term at hand; its positions are encoded already.
    pub(crate) fn post(&mut self, doc: u32, frequency: u32, positions: &[u8]) {
        if self.docs.len().is_multiple_of(BLOCK) {
            self.block_positions.push((self.segment.positions.len() - self.positions_start) as u32);
        }
        self.docs.push(doc);
        self.frequencies.push(frequency);
        self.segment.positions.extend_from_slice(positions);
    }

    /// Ends the term at hand, if any entry has it. Keys come in ascending order.
    pub(crate) fn term(&mut self, key: &[u8]) {
        if self.docs.is_empty() {
            return;
        }
        let segment = &mut self.segment;
        segment.infos.push(TermInfo {
            docs: self.docs.len() as u32,
            posts: segment.posts.len() as u32,
            positions: self.positions_start as u32,
        });
        segment.terms.push(key);
        if self.docs.len() < BLOCK {
            put_pairs(&mut segment.posts, 0, &self.docs, &self.frequencies);
        } else {
            self.blocks(usize::from(key[0]));
        }
        self.docs.clear();
        self.frequencies.clear();
        self.block_positions.clear();
        self.positions_start = self.segment.positions.len();
    }

    pub(crate) fn finish(mut self) -> Segment {
        let s = &mut self.segment;
        s.slots.shrink_to_fit();
        s.born.shrink_to_fit();
        s.died.shrink_to_fit();
        s.terms.shrink_to_fit();
        s.infos.shrink_to_fit();
        s.posts.shrink_to_fit();
        s.positions.shrink_to_fit();
        for field in &mut s.fields {
            field.lengths.shrink_to_fit();
            field.norms.shrink_to_fit();
        }
        self.segment
    }

    fn blocks(&mut self, field: usize) {
        let segment = &mut self.segment;
        let norms = &segment.fields[field].norms;
        let impacts = |range: std::ops::Range<usize>| {
            let pairs = self.docs[range.clone()].iter().zip(&self.frequencies[range]);
            impact::frontier(pairs.map(|(doc, f)| Impact::new(norms[*doc as usize], *f)))
        };
        let start = segment.posts.len();
        let count = self.docs.len().div_ceil(BLOCK);
        let per_block: Vec<_> = (0..count)
            .map(|block| impacts(block * BLOCK..self.docs.len().min((block + 1) * BLOCK)))
            .collect();
        let whole = impact::frontier(per_block.iter().flatten().copied());
        segment.posts.push(whole.len() as u8);
        put_impacts(&mut segment.posts, &whole);
        let table = segment.posts.len();
        segment.posts.resize(table + count * ROW, 0);
        let mut before = 0;
        for (block, impacts) in per_block.iter().enumerate() {
            let range = block * BLOCK..self.docs.len().min((block + 1) * BLOCK);
            let (docs, frequencies) = (&self.docs[range.clone()], &self.frequencies[range]);
            let at_impacts = segment.posts.len() - start;
            put_impacts(&mut segment.posts, impacts);
            let data = segment.posts.len() - start;
            let (doc_bits, frequency_bits) =
                match (<&[u32; BLOCK]>::try_from(docs), <&[u32; BLOCK]>::try_from(frequencies)) {
                    (Ok(docs), Ok(frequencies)) => {
                        let bits = pack_sorted(&mut segment.posts, before, docs);
                        (bits, pack(&mut segment.posts, frequencies))
                    }
                    _ => {
                        put_pairs(&mut segment.posts, before, docs, frequencies);
                        (VARINTS, 0)
                    }
                };
            before = docs[docs.len() - 1];
            let row = &mut segment.posts[table + block * ROW..][..ROW];
            let numbers = [before, data as u32, self.block_positions[block], at_impacts as u32];
            for (bytes, number) in row.chunks_exact_mut(4).zip(numbers) {
                bytes.copy_from_slice(&number.to_le_bytes());
            }
            row[16..19].copy_from_slice(&[doc_bits, frequency_bits, impacts.len() as u8]);
        }
    }
}

fn put_pairs(out: &mut Vec<u8>, mut before: u32, docs: &[u32], frequencies: &[u32]) {
    for (doc, frequency) in docs.iter().zip(frequencies) {
        put_varint(out, doc - before);
        put_varint(out, *frequency);
        before = *doc;
    }
}

fn put_impacts(out: &mut Vec<u8>, impacts: &[Impact]) {
    out.extend(impacts.iter().flat_map(|i| [i.norm, i.frequency]));
}
