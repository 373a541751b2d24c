//! Numbers as bytes: varints, and blocks of 128 packed to the width of the widest.

use bitpacking::{BitPacker, BitPacker4x};

/// Numbers of a block.
pub(crate) const BLOCK: usize = BitPacker4x::BLOCK_LEN;

/// Appends a number in groups of seven bits, the lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number and moves on behind it. Beyond the end of the bytes it reads zeros: what is read was verified when
/// the segment was opened.
pub(crate) fn varint(bytes: &[u8], at: &mut usize) -> u32 {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = bytes.get(*at).copied().unwrap_or(0);
        *at += 1;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// Moves behind as many numbers.
pub(crate) fn skip_varints(bytes: &[u8], at: &mut usize, count: u32) {
    for _ in 0..count {
        while bytes.get(*at).is_some_and(|b| *b >= 0x80) {
            *at += 1;
        }
        *at += 1;
    }
}

/// Packs ascending numbers, none below `before`; returns their width in bits.
pub(crate) fn pack_sorted(out: &mut Vec<u8>, before: u32, block: &[u32; BLOCK]) -> u8 {
    let packer = BitPacker4x::new();
    let bits = packer.num_bits_sorted(before, block);
    let start = out.len();
    out.resize(start + BitPacker4x::compressed_block_size(bits), 0);
    packer.compress_sorted(before, block, &mut out[start..], bits);
    bits
}

/// Packs numbers of any order; returns their width in bits.
pub(crate) fn pack(out: &mut Vec<u8>, block: &[u32; BLOCK]) -> u8 {
    let packer = BitPacker4x::new();
    let bits = packer.num_bits(block);
    let start = out.len();
    out.resize(start + BitPacker4x::compressed_block_size(bits), 0);
    packer.compress(block, &mut out[start..], bits);
    bits
}

/// Unpacks what [`pack_sorted`] packed; returns the bytes read.
pub(crate) fn unpack_sorted(bytes: &[u8], before: u32, bits: u8, block: &mut [u32; BLOCK]) -> usize {
    BitPacker4x::new().decompress_sorted(before, bytes, block, bits)
}

/// Unpacks what [`pack`] packed; returns the bytes read.
pub(crate) fn unpack(bytes: &[u8], bits: u8, block: &mut [u32; BLOCK]) -> usize {
    BitPacker4x::new().decompress(bytes, block, bits)
}

/// The bytes of a packed block.
pub(crate) fn packed_len(bits: u8) -> usize {
    BitPacker4x::compressed_block_size(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip() {
        let values = [0, 1, 127, 128, 16_383, 16_384, u32::MAX - 1, u32::MAX];
        let mut bytes = Vec::new();
        values.iter().for_each(|v| put_varint(&mut bytes, *v));
        let mut at = 0;
        assert!(values.iter().all(|v| varint(&bytes, &mut at) == *v));
        assert_eq!(at, bytes.len());
        let mut at = 0;
        skip_varints(&bytes, &mut at, 8);
        assert_eq!(at, bytes.len());
    }

    #[test]
    fn blocks_round_trip() {
        let sorted: [u32; BLOCK] = std::array::from_fn(|at| 5 + (at * at) as u32);
        let mut bytes = Vec::new();
        let bits = pack_sorted(&mut bytes, 5, &sorted);
        let wide = pack(&mut bytes, &sorted);
        let mut block = [0; BLOCK];
        let len = unpack_sorted(&bytes, 5, bits, &mut block);
        assert_eq!((len, block), (packed_len(bits), sorted));
        unpack(&bytes[len..], wide, &mut block);
        assert_eq!(block, sorted);
    }
}
