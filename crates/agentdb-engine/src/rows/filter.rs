//! A Bloom filter (B. H. Bloom, 1970) of the keys in a memory table: most reads need not search a table at all.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of a filter: at 170,000 keys (a full table of small rows) one absent key in twelve is searched in vain.
const BITS: usize = 1 << 20;
const SECOND_SEED: u32 = 0x9e37_79b9;

pub(super) struct Filter(Box<[AtomicU64]>);

impl Default for Filter {
    fn default() -> Self {
        Filter((0..BITS / 64).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Filter {
    /// Adds a key. A reader that learns of the key's LSN afterwards sees it.
    pub(super) fn add(&self, key: &[u8]) {
        for bit in bits(key) {
            self.0[bit / 64].fetch_or(1 << (bit % 64), Ordering::Relaxed);
        }
    }

    /// False only if the key was never added.
    pub(super) fn may_hold(&self, key: &[u8]) -> bool {
        bits(key).into_iter().all(|bit| self.0[bit / 64].load(Ordering::Relaxed) & 1 << (bit % 64) != 0)
    }
}

fn bits(key: &[u8]) -> [usize; 2] {
    let first = crc32c::crc32c(key);
    // A second CRC of the same key would be the first one in disguise: CRCs are linear. A multiplication is not.
    let second = (u64::from(first) ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let second = second as u32 ^ crc32c::crc32c_append(SECOND_SEED, &key[key.len() / 2..]);
    [first as usize % BITS, second as usize % BITS]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_held_and_most_else_is_not() {
        let filter = Filter::default();
        let key = |i: u32| format!("owner\u{0}key{i:08}").into_bytes();
        (0..170_000).for_each(|i| filter.add(&key(i)));
        assert!((0..170_000).all(|i| filter.may_hold(&key(i))));
        let wrong = (170_000..270_000).filter(|i| filter.may_hold(&key(*i))).count();
        assert!(wrong < 12_000, "{wrong} of 100,000");
    }
}
