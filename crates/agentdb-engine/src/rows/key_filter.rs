//! The filter of a run's keys: a blocked Bloom filter (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom
//! Filters", 2007) over XXH3, so that a key that is not there costs one cache line.

use xxhash_rust::xxh3::xxh3_64;

const BITS_PER_KEY: usize = 10;
const PROBES: usize = 6;
/// A block of the filter is a cache line.
const LINE: usize = 64;
/// Odd numbers that spread a hash over the bits of a line (as in Apache Parquet's split block filters).
const SALTS: [u32; PROBES] = [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b];

/// The hash of a key that filters take.
pub(super) fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The filter of the keys with these hashes.
pub(super) fn build(hashes: &[u64]) -> Box<[u8]> {
    let lines = (hashes.len() * BITS_PER_KEY).div_ceil(8 * LINE).max(1);
    let mut filter = vec![0u8; lines * LINE].into_boxed_slice();
    for &hash in hashes {
        let line = line_of(hash, lines);
        for bit in bits(hash) {
            filter[line * LINE + bit / 8] |= 1 << (bit % 8);
        }
    }
    filter
}

/// False only if no key with this hash was added. An empty filter, or one of no whole lines, holds everything.
pub(super) fn may_hold(filter: &[u8], hash: u64) -> bool {
    let lines = filter.len() / LINE;
    if lines == 0 {
        return true;
    }
    let line = line_of(hash, lines);
    let line = &filter[line * LINE..(line + 1) * LINE];
    bits(hash).into_iter().all(|bit| line[bit / 8] & 1 << (bit % 8) != 0)
}

fn line_of(hash: u64, lines: usize) -> usize {
    (((hash >> 32) * lines as u64) >> 32) as usize
}

fn bits(hash: u64) -> [usize; PROBES] {
    SALTS.map(|salt| ((hash as u32).wrapping_mul(salt) >> 23) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_held_and_most_else_is_not() {
        let key = |i: u32| hash(format!("owner\u{0}key{i:08}").as_bytes());
        for keys in [1, 1_000, 100_000] {
            let filter = build(&(0..keys).map(key).collect::<Vec<_>>());
            assert!((0..keys).all(|i| may_hold(&filter, key(i))));
            let wrong = (keys..keys + 100_000).filter(|i| may_hold(&filter, key(*i))).count();
            assert!(wrong < 2_500, "{wrong} of 100,000 beside {keys}");
        }
        assert!(may_hold(&[], 7));
    }
}
