//! A block of a run: some 4 KiB of rows in key order, read and checked as a whole. In the file it may be
//! [packed](super::packed). Format version 1:
//!
//! | part | |
//! | --- | --- |
//! | prefix | length `varint`, then what all keys of the block start with |
//! | entries | each: length of the key's rest `varint`, the rest, LSN `u64`, CRC-32C of key, LSN and body `u32`, kind `u8` (0 deleted, 1 row), the body up to the next entry |
//! | offsets | where each entry starts, `u32` each |
//! | count | `u32` |
//! | checksum | CRC-32C of everything before it, `u32` |
//!
//! Integers are little-endian. A read checks the block's checksum when it comes from the disk; a row's own is checked
//! whenever the row moves to another run, and by a verification, which names the rows of a damaged block by it.

use agentdb_types::Lsn;

use super::memtable::Version;
use crate::codec::{self, Reader};
use crate::common;

const DELETED: u8 = 0;
const ROW: u8 = 1;
const TRAILER: usize = 8;

/// A block, its structure checked.
pub(super) struct Block {
    bytes: Box<[u8]>,
    prefix: std::ops::Range<usize>,
    /// Where the offsets start.
    offsets: usize,
    count: usize,
}

/// An entry of a block; no body is a deleted row.
pub(super) struct Entry<'a> {
    pub(super) lsn: Lsn,
    pub(super) body: Option<&'a [u8]>,
    pub(super) rest: &'a [u8],
    pub(super) checksum: u32,
}

/// Encodes rows in key order, at least one, as a block.
pub(super) fn encode(rows: &[Version], out: &mut Vec<u8>) {
    let start = out.len();
    let prefix = common_prefix(rows);
    let entries = rows.iter().map(|(key, lsn, body)| {
        let (body, rest) = (body.as_deref(), &key[prefix.len()..]);
        Entry { lsn: *lsn, body, rest, checksum: row_checksum(key, *lsn, body) }
    });
    encode_entries(prefix, entries, rows.len(), out);
    out.extend_from_slice(&crc32c::crc32c(&out[start..]).to_le_bytes());
}

/// What the keys of all rows start with.
pub(super) fn common_prefix(rows: &[Version]) -> &[u8] {
    match (rows.first(), rows.last()) {
        (Some((first, ..)), Some((last, ..))) => &first[..common::at_start(first, last)],
        _ => &[],
    }
}

/// Appends a block but for its checksum.
fn encode_entries<'a>(
    prefix: &[u8],
    entries: impl Iterator<Item = Entry<'a>>,
    count: usize,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    codec::put_bytes(out, prefix);
    let mut offsets = Vec::with_capacity(count);
    for entry in entries {
        offsets.push((out.len() - start) as u32);
        codec::put_bytes(out, entry.rest);
        out.extend_from_slice(&entry.lsn.0.to_le_bytes());
        out.extend_from_slice(&entry.checksum.to_le_bytes());
        out.push(if entry.body.is_some() { ROW } else { DELETED });
        out.extend_from_slice(entry.body.unwrap_or_default());
    }
    offsets.iter().for_each(|offset| out.extend_from_slice(&offset.to_le_bytes()));
    out.extend_from_slice(&(offsets.len() as u32).to_le_bytes());
}

pub(super) fn row_checksum(key: &[u8], lsn: Lsn, body: Option<&[u8]>) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &lsn.0.to_le_bytes());
    match body {
        Some(body) => crc32c::crc32c_append(crc, body),
        // No row has the checksum of its absence.
        None => !crc,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

impl Block {
    /// Takes bytes for a block; `None` if they are not what [`encode`] wrote.
    pub(super) fn decode(bytes: Box<[u8]>) -> Option<Block> {
        let (fields, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        Self::of(bytes)
    }

    /// The block of entries in key order, from bytes that were checked as they lay in the file: it has no checksum.
    pub(super) fn of_entries<'a>(
        prefix: &[u8],
        entries: impl Iterator<Item = Entry<'a>>,
        count: usize,
        bodies: usize,
    ) -> Option<Block> {
        const ABOUT: usize = 48;
        let mut bytes = Vec::with_capacity(bodies + count * ABOUT + prefix.len() + TRAILER);
        encode_entries(prefix, entries, count, &mut bytes);
        bytes.extend_from_slice(&[0; 4]);
        Self::of(bytes.into())
    }

    /// The block that the bytes look like, whether or not their checksum holds: to name what is damaged.
    pub(super) fn of(bytes: Box<[u8]>) -> Option<Block> {
        let end = bytes.len().checked_sub(TRAILER)?;
        let count = u32_at(&bytes, end)? as usize;
        let offsets = end.checked_sub(count.checked_mul(4)?)?;
        let mut reader = Reader(&bytes[..offsets]);
        let prefix = reader.bytes()?.len();
        let prefix_end = offsets - reader.0.len();
        (count > 0).then_some(Block { prefix: prefix_end - prefix..prefix_end, offsets, count, bytes })
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Bytes that it takes in memory.
    pub(super) fn weight(&self) -> u64 {
        self.bytes.len() as u64 + 64
    }

    fn prefix(&self) -> &[u8] {
        &self.bytes[self.prefix.clone()]
    }

    /// The entry at an index; `None` if the block is damaged there.
    pub(super) fn entry(&self, index: usize) -> Option<Entry<'_>> {
        let mut reader = Reader(self.bytes[..self.offsets].get(self.range(index)?)?);
        let rest = reader.bytes()?;
        let lsn = Lsn(u64::from_le_bytes(*reader.take(8)?.first_chunk()?));
        let checksum = u32_at(reader.take(4)?, 0)?;
        let body = match reader.byte()? {
            DELETED if reader.is_empty() => None,
            ROW => Some(reader.0),
            _ => return None,
        };
        Some(Entry { lsn, body, rest, checksum })
    }

    /// Where an entry lies.
    fn range(&self, index: usize) -> Option<std::ops::Range<usize>> {
        let at = |i: usize| match i < self.count {
            true => u32_at(&self.bytes, self.offsets + 4 * i).map(|o| o as usize),
            false => Some(self.offsets),
        };
        Some(at(index)?..at(index + 1)?)
    }

    /// The whole key of the entry at an index, as far as it can be read.
    pub(super) fn key_at(&self, index: usize) -> Option<Vec<u8>> {
        let rest = Reader(self.bytes[..self.offsets].get(self.range(index)?)?).bytes()?;
        Some([self.prefix(), rest].concat())
    }

    /// Where an entry lies, and the rest of its key in it.
    #[cfg(test)]
    pub(super) fn place(&self, index: usize) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
        let range = self.range(index)?;
        let mut reader = Reader(self.bytes.get(range.clone())?);
        let rest = reader.bytes()?.len();
        let end = range.end - reader.0.len();
        Some((range, end - rest..end))
    }

    /// The whole key of an entry.
    pub(super) fn key(&self, entry: &Entry<'_>) -> Vec<u8> {
        [self.prefix(), entry.rest].concat()
    }

    /// Whether the entry's own checksum holds.
    pub(super) fn is_whole(&self, entry: &Entry<'_>) -> bool {
        entry.checksum == row_checksum(&self.key(entry), entry.lsn, entry.body)
    }

    /// The index of the first entry whose key is at or after `key`, and whether it is that key.
    pub(super) fn find(&self, key: &[u8]) -> Option<(usize, bool)> {
        let prefix = self.prefix();
        let rest = match key.strip_prefix(prefix) {
            Some(rest) => rest,
            None => return Some((if key < prefix { 0 } else { self.count }, false)),
        };
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            match self.entry(middle)?.rest.cmp(rest) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some((middle, true)),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Some((low, false))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = Vec<Version>> {
        let key = prop::collection::vec(0u8..3, 0..6);
        let body = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
        prop::collection::btree_map(key, (any::<u64>(), body), 1..12).prop_map(|rows| {
            rows.into_iter().map(|(key, (lsn, body))| (key, Lsn(lsn), body.map(Arc::from))).collect()
        })
    }

    proptest! {
        #[test]
        fn rows_come_back_and_are_found(rows in rows(), probe in prop::collection::vec(0u8..3, 0..6)) {
            let mut bytes = Vec::new();
            encode(&rows, &mut bytes);
            let block = Block::decode(bytes.into()).unwrap();
            prop_assert_eq!(block.len(), rows.len());
            for (index, (key, lsn, body)) in rows.iter().enumerate() {
                let entry = block.entry(index).unwrap();
                prop_assert_eq!((&block.key(&entry), entry.lsn, entry.body), (key, *lsn, body.as_deref()));
                prop_assert!(block.is_whole(&entry));
                prop_assert_eq!(block.find(key), Some((index, true)));
            }
            let expected = rows.partition_point(|(key, ..)| *key < probe);
            let found = rows.get(expected).is_some_and(|(key, ..)| *key == probe);
            prop_assert_eq!(block.find(&probe), Some((expected, found)));
        }

        #[test]
        fn a_flipped_bit_is_noticed(rows in rows(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = Vec::new();
            encode(&rows, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Block::decode(bytes.into()).is_none());
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(block) = Block::of(bytes.into()) {
                for index in 0..block.len().min(100) {
                    if let Some(entry) = block.entry(index) {
                        let _ = (block.is_whole(&entry), block.key(&entry));
                    }
                }
                let _ = block.find(b"ab");
            }
        }
    }
}
