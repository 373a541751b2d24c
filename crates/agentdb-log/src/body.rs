//! The body of a group as it is stored: as it is, or packed (an LZ4 block), if that saves an eighth.
//!
//! Bodies of small entries are left as they are: they gain little, and whoever writes many of them waits for the one thread
//! that appends.

use lz4_flex::block::{self, CompressTable};

use crate::NewGroup;

/// Bytes that an entry has on the average where a body is packed.
const ENTRY: usize = 512;
/// Bytes of a body that is packed, at most: what a reader makes room for because a frame says so.
const MOST: usize = 1 << 20;
/// What LZ4 makes at most of a byte.
const LZ4_RATIO: usize = 255;

/// A body as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) bytes: &'a [u8],
    /// Bytes of the body if this is packed.
    pub(crate) unpacked: Option<u32>,
}

/// Packs bodies.
#[derive(Default)]
pub(crate) struct Packer(CompressTable);

impl Packer {
    /// Whether the body of so many entries may be packed.
    pub(crate) fn is_for(count: u32, body: &[u8]) -> bool {
        count > 0 && body.len() <= MOST && body.len() / ENTRY >= count as usize
    }

    /// The body of a group; what is packed goes into `out`.
    pub(crate) fn pack<'a>(&mut self, group: &NewGroup<'a>, out: &'a mut Vec<u8>) -> Stored<'a> {
        let plain = Stored { bytes: group.body, unpacked: None };
        if !Self::is_for(group.count, group.body) {
            return plain;
        }
        out.resize(block::get_maximum_output_size(group.body.len()), 0);
        match block::compress_into_with_table(group.body, out, &mut self.0) {
            Ok(len) if len <= group.body.len() - group.body.len() / 8 => {
                Stored { bytes: &out[..len], unpacked: Some(group.body.len() as u32) }
            }
            _ => plain,
        }
    }
}

/// The body of these bytes, which must have this length. No more room is made than LZ4 could fill.
pub(crate) fn unpack(bytes: &[u8], len: u32) -> Option<Vec<u8>> {
    let len = len as usize;
    if len > MOST.min(bytes.len().saturating_mul(LZ4_RATIO)) {
        return None;
    }
    let mut body = vec![0; len];
    let written = block::decompress_into(bytes, &mut body).ok()?;
    (written == len).then_some(body)
}

#[cfg(test)]
mod tests {
    use agentdb_types::{Lsn, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn group(count: u32, body: &[u8]) -> NewGroup<'_> {
        NewGroup { epoch: 1, expected_head: Lsn(0), count, time: Timestamp::from_micros(1).unwrap(), body }
    }

    proptest! {
        #[test]
        fn a_body_comes_back(word in prop::collection::vec(any::<u8>(), 1..40), times in 1usize..400, count in 1u32..4) {
            let body = word.repeat(times);
            let (mut packer, mut out) = (Packer::default(), vec![7; 3]);
            // The table is used again, and makes the same of the same.
            let first = packer.pack(&group(1, b"something else that goes before, something else"), &mut out);
            prop_assert!(first.unpacked.is_none());
            let mut outs = [Vec::new(), vec![9; 5000]];
            let [a, b] = &mut outs;
            let (a, b) = (packer.pack(&group(count, &body), a), Packer::default().pack(&group(count, &body), b));
            prop_assert_eq!((a.bytes, a.unpacked), (b.bytes, b.unpacked));
            match a.unpacked {
                Some(len) => prop_assert!(unpack(a.bytes, len).as_deref() == Some(&body[..])),
                None => prop_assert_eq!(a.bytes, &body[..]),
            }
        }

        #[test]
        fn any_bytes_unpack_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), len in 0u32..400) {
            prop_assert!(unpack(&bytes, len).is_none_or(|body| body.len() == len as usize));
        }
    }

    #[test]
    fn what_is_packed_and_what_is_not() {
        let text = b"agents know what they were told ".repeat(64);
        let packed =
            |count: u32, body: &[u8]| Packer::default().pack(&group(count, body), &mut Vec::new()).unpacked;
        assert_eq!(packed(1, &text), Some(2048));
        assert_eq!(packed(4, &text), Some(2048));
        // Small entries; a stamp; what does not repeat itself; more than a reader makes room for.
        assert_eq!(packed(5, &text), None);
        assert_eq!(packed(0, &text), None);
        let noise: Vec<u8> = (0..64u8).flat_map(|n| *blake3::hash(&[n]).as_bytes()).collect();
        assert_eq!(packed(1, &noise), None);
        assert_eq!(packed(1, &vec![0; MOST]), Some(MOST as u32));
        assert_eq!(packed(1, &vec![0; MOST + 1]), None);
    }

    #[test]
    fn a_length_that_is_not_that_of_the_body_is_refused() {
        let packed = block::compress(&[0; 1000]);
        assert_eq!(unpack(&packed, 1000), Some(vec![0; 1000]));
        for len in [0, 999, 1001, 1 << 20, u32::MAX] {
            assert_eq!(unpack(&packed, len), None, "{len}");
        }
        assert_eq!(unpack(&block::compress(&vec![0; MOST + 1]), MOST as u32 + 1), None);
    }
}
