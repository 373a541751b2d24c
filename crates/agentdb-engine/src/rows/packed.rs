//! A block as it lies in the file: as it is in memory, or packed, if that saves something. Format version 1 of a packed one:
//!
//! | part | |
//! | --- | --- |
//! | prefix | as in a [block](super::block) |
//! | count | of the rows, `varint` |
//! | heads | each: length of the key's rest `varint`, the rest, LSN `u64`, CRC-32C of key, LSN and body `u32`, 0 (deleted) or the length of the body plus one `u32` |
//! | bodies | one after another, compressed: an LZ4 block |
//! | checksum | CRC-32C of everything before it, `u32` |
//!
//! Keys are not compressed, so that damage is told by the names of the rows that it hit. How a block lies in the file, the
//! run's index tells.

use agentdb_types::Lsn;

use super::block::{self, Block, Entry};
use super::memtable::Version;
use crate::codec::{self, Reader};

/// Bodies that are packed have at least so many bytes together: few of them repeat anything.
const LEAST: usize = 256;
/// And at most so many.
const MOST: usize = 4 << 20;
/// What LZ4 makes at most of a byte.
const LZ4_RATIO: usize = 255;

/// A block as read from the file.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) bytes: Box<[u8]>,
    pub(super) packed: bool,
}

/// Appends rows in key order, at least one, as a block; returns whether it is packed.
pub(super) fn encode(rows: &[Version], out: &mut Vec<u8>) -> bool {
    let bodies: usize = rows.iter().filter_map(|(.., body)| body.as_ref()).map(|body| body.len()).sum();
    if (LEAST..=MOST).contains(&bodies)
        && let Some(packed) = pack(rows, bodies)
    {
        out.extend_from_slice(&packed);
        return true;
    }
    block::encode(rows, out);
    false
}

/// The packed block, if that saves an eighth of the bodies.
fn pack(rows: &[Version], bytes: usize) -> Option<Vec<u8>> {
    let mut bodies = Vec::with_capacity(bytes);
    rows.iter().filter_map(|(.., body)| body.as_deref()).for_each(|body| bodies.extend_from_slice(body));
    let bodies = lz4_flex::block::compress(&bodies);
    if bodies.len() > bytes - bytes / 8 {
        return None;
    }
    let mut out = Vec::with_capacity(bodies.len() + rows.len() * 64);
    let prefix = block::common_prefix(rows);
    codec::put_bytes(&mut out, prefix);
    codec::put_varint(&mut out, rows.len() as u64);
    for (key, lsn, body) in rows {
        codec::put_bytes(&mut out, &key[prefix.len()..]);
        out.extend_from_slice(&lsn.0.to_le_bytes());
        out.extend_from_slice(&block::row_checksum(key, *lsn, body.as_deref()).to_le_bytes());
        out.extend_from_slice(&body.as_ref().map_or(0, |body| body.len() as u32 + 1).to_le_bytes());
    }
    out.extend_from_slice(&bodies);
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    Some(out)
}

/// The head of a row in a packed block.
struct Head<'a> {
    rest: &'a [u8],
    lsn: Lsn,
    checksum: u32,
    /// The length of the body; none if the row is deleted.
    body: Option<usize>,
}

/// A packed block without its checksum, taken apart.
struct Parts<'a> {
    prefix: &'a [u8],
    heads: Vec<Head<'a>>,
    /// Bytes of the bodies, unpacked.
    bytes: usize,
    bodies: &'a [u8],
}

impl<'a> Parts<'a> {
    /// `None` if the bytes are no packed block.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let prefix = reader.bytes()?;
        let count =
            usize::try_from(reader.varint()?).ok().filter(|count| (1..bytes.len()).contains(count))?;
        let (mut heads, mut bytes) = (Vec::with_capacity(count), 0usize);
        for _ in 0..count {
            let rest = reader.bytes()?;
            let lsn = Lsn(u64::from_le_bytes(*reader.take(8)?.first_chunk()?));
            let checksum = u32::from_le_bytes(*reader.take(4)?.first_chunk()?);
            let body = (u32::from_le_bytes(*reader.take(4)?.first_chunk()?) as usize).checked_sub(1);
            bytes = bytes.checked_add(body.unwrap_or_default())?;
            heads.push(Head { rest, lsn, checksum, body });
        }
        Some(Parts { prefix, heads, bytes, bodies: reader.0 })
    }

    /// The bodies. No more room is made than LZ4 could fill.
    fn unpack(&self) -> Option<Vec<u8>> {
        if self.bytes > MOST.min(self.bodies.len() * LZ4_RATIO) {
            return None;
        }
        let mut bodies = vec![0; self.bytes];
        let written = lz4_flex::block::decompress_into(self.bodies, &mut bodies).ok()?;
        (written == bodies.len()).then_some(bodies)
    }

    /// The block, of these bodies.
    fn block(&self, bodies: &[u8]) -> Option<Block> {
        let mut from = 0;
        let entries = self.heads.iter().map(|head| {
            let body = head.body.map(|len| &bodies[from..from + len]);
            from += head.body.unwrap_or_default();
            Entry { rest: head.rest, lsn: head.lsn, checksum: head.checksum, body }
        });
        Block::of_entries(self.prefix, entries, self.heads.len(), self.bytes)
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        self.heads.iter().map(|head| [self.prefix, head.rest].concat()).collect()
    }
}

impl Stored {
    /// The block; `None` if the bytes are not what [`encode`] wrote.
    pub(super) fn decode(self) -> Option<Block> {
        if !self.packed {
            return Block::decode(self.bytes);
        }
        let (fields, crc) = self.bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        let parts = Parts::of(fields)?;
        parts.block(&parts.unpack()?)
    }

    /// The keys of the rows of a damaged block that do not hold, as far as they can be told. Where bodies cannot be
    /// unpacked, that is all of them.
    pub(super) fn damaged_keys(self) -> Vec<Vec<u8>> {
        let block = if self.packed {
            let fields = self.bytes.split_last_chunk::<4>().map_or(&[][..], |(fields, _)| fields);
            let Some(parts) = Parts::of(fields) else { return Vec::new() };
            match parts.unpack() {
                Some(bodies) => parts.block(&bodies),
                None => return parts.keys(),
            }
        } else {
            Block::of(self.bytes)
        };
        let Some(block) = block else { return Vec::new() };
        let damaged = |at: &usize| !block.entry(*at).is_some_and(|entry| block.is_whole(&entry));
        (0..block.len()).filter(damaged).filter_map(|at| block.key_at(at)).collect()
    }

    /// Where the head of a row lies in a packed block, the rest of the key in it, and where the bodies are.
    #[cfg(test)]
    pub(super) fn place(&self, key: &[u8]) -> Option<[std::ops::Range<usize>; 3]> {
        let fields = self.bytes.split_last_chunk::<4>()?.0;
        let parts = Parts::of(fields)?;
        let at = |part: &[u8]| part.as_ptr().addr() - fields.as_ptr().addr();
        let bodies = at(parts.bodies)..fields.len();
        let index = parts.keys().iter().position(|k| k == key)?;
        let rest = at(parts.heads[index].rest)..at(parts.heads[index].rest) + parts.heads[index].rest.len();
        let end = parts.heads.get(index + 1).map_or(bodies.start, |next| {
            let mut len = Vec::new();
            codec::put_varint(&mut len, next.rest.len() as u64);
            at(next.rest) - len.len()
        });
        let mut len = Vec::new();
        codec::put_varint(&mut len, rest.len() as u64);
        Some([rest.start - len.len()..end, rest, bodies])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// Rows whose bodies repeat each other, mostly.
    fn rows() -> impl Strategy<Value = Vec<Version>> {
        let key = prop::collection::vec(0u8..3, 0..6);
        let body = prop::option::of((prop::collection::vec(any::<u8>(), 0..4), 0usize..200));
        prop::collection::btree_map(key, (any::<u64>(), body), 1..12).prop_map(|rows| {
            let body = |(bytes, times): (Vec<u8>, usize)| Arc::from(bytes.repeat(times));
            rows.into_iter().map(|(key, (lsn, b))| (key, Lsn(lsn), b.map(body))).collect()
        })
    }

    fn stored(rows: &[Version]) -> Stored {
        let mut bytes = Vec::new();
        let packed = encode(rows, &mut bytes);
        Stored { bytes: bytes.into(), packed }
    }

    fn repetitive() -> Vec<Version> {
        let body = |n: u8| Some(Arc::from(format!("what was said in turn {n}").repeat(5).into_bytes()));
        (0..9).map(|n| (vec![1, 2, n], Lsn(n.into()), body(n).filter(|_| n != 4))).collect()
    }

    proptest! {
        #[test]
        fn rows_come_back_packed_or_not(rows in rows()) {
            let stored = stored(&rows);
            let plain: usize = rows.iter().map(|(.., body)| body.as_ref().map_or(0, |body| body.len())).sum();
            prop_assert!(!stored.packed || stored.bytes.len() < plain + rows.len() * 32 + 16);
            let block = stored.decode().unwrap();
            prop_assert_eq!(block.len(), rows.len());
            for (index, (key, lsn, body)) in rows.iter().enumerate() {
                let entry = block.entry(index).unwrap();
                prop_assert_eq!((&block.key(&entry), entry.lsn, entry.body), (key, *lsn, body.as_deref()));
                prop_assert!(block.is_whole(&entry));
                prop_assert_eq!(block.find(key), Some((index, true)));
            }
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for packed in [false, true] {
                let stored = Stored { bytes: bytes.clone().into(), packed };
                let _ = (stored.clone().damaged_keys(), stored.decode());
            }
        }
    }

    #[test]
    fn what_repeats_itself_is_packed_and_what_does_not_is_left() {
        let stored = stored(&repetitive());
        assert!(stored.packed);
        let mut plain = Vec::new();
        block::encode(&repetitive(), &mut plain);
        assert!(stored.bytes.len() * 2 < plain.len(), "{} {}", stored.bytes.len(), plain.len());
        let noise = |n: u8| Some(Arc::from(blake3::hash(&[n]).to_hex().as_bytes()));
        let mut bytes = vec![0; 4 * LEAST];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        assert!(!encode(&[(vec![1], Lsn(1), Some(Arc::from(bytes)))], &mut Vec::new()));
        // What is too little is not tried.
        let rows: Vec<Version> = (0..3).map(|n| (vec![n], Lsn(1), noise(1))).collect();
        assert!(!encode(&rows, &mut Vec::new()));
    }

    #[test]
    fn a_flipped_bit_is_noticed_and_rows_are_named() {
        let rows = repetitive();
        let whole = stored(&rows);
        for at in 0..whole.bytes.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped.bytes[at] ^= 1 << bit;
                assert!(flipped.clone().decode().is_none(), "bit {bit} of byte {at}");
                let [.., bodies] = whole.place(&rows[0].0).unwrap();
                // What hits nothing but a body names a row, unless the bodies come out the same.
                if bodies.contains(&at) {
                    let parts = Parts::of(&flipped.bytes[..whole.bytes.len() - 4]).unwrap();
                    let same = Parts::of(&whole.bytes[..whole.bytes.len() - 4]).unwrap().unpack();
                    assert!(parts.unpack() == same || !flipped.damaged_keys().is_empty());
                }
            }
        }
    }

    /// A block may say of its bodies what it likes: nothing is allocated that LZ4 could not have made of them.
    #[test]
    fn bodies_that_say_too_much_are_refused() {
        let claim = |len: u32, bodies: &[u8]| {
            let mut bytes = Vec::new();
            codec::put_bytes(&mut bytes, b"k");
            codec::put_varint(&mut bytes, 1);
            codec::put_bytes(&mut bytes, b"");
            bytes.extend_from_slice(&[0; 12]);
            bytes.extend_from_slice(&(len + 1).to_le_bytes());
            bytes.extend_from_slice(bodies);
            bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
            Stored { bytes: bytes.into(), packed: true }
        };
        let zeros = |len: usize| lz4_flex::block::compress(&vec![0; len]);
        assert!(claim(1000, &zeros(1000)).decode().is_some());
        for len in [999, 1001, 1 << 20, u32::MAX - 1] {
            assert!(claim(len, &zeros(1000)).decode().is_none(), "{len}");
        }
        assert!(claim(MOST as u32, &zeros(MOST)).decode().is_some());
        assert!(claim(MOST as u32 + 1, &zeros(MOST + 1)).decode().is_none());
    }
}
