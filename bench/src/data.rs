//! The rows that every benchmark writes and reads: 16 to 40 byte keys, 150-byte values, both functions of a number.

/// Bytes of a value.
pub const VALUE_BYTES: usize = 150;

/// Rows that share a key prefix of [`PREFIX_BYTES`].
pub const ROWS_PER_PREFIX: u64 = 100;

/// Bytes of the prefix.
pub const PREFIX_BYTES: usize = 8;

/// A step of SplitMix64: a bijection that scatters its input.
pub fn scatter(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A sequence of pseudo-random numbers, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence.
    pub fn new(seed: u64) -> Self {
        Random(scatter(seed))
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        scatter(self.0) % bound
    }
}

/// 64 characters: keys and values are text, so that stores of text take them as they are.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn push_text(out: &mut Vec<u8>, mut seed: u64, len: usize) {
    while out.len() < len {
        for byte in seed.to_be_bytes().into_iter().take(len - out.len()) {
            out.push(ALPHABET[usize::from(byte & 63)]);
        }
        seed = scatter(seed);
    }
}

/// The prefix of a key.
pub fn prefix(row: u64) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(PREFIX_BYTES);
    push_text(&mut prefix, scatter(row / ROWS_PER_PREFIX), PREFIX_BYTES);
    prefix
}

/// The key of a row: its prefix and 8 to 32 random characters. Distinct rows have distinct keys.
pub fn key(row: u64) -> Vec<u8> {
    let more = scatter(row ^ 0xA5A5) % 25;
    let mut key = prefix(row);
    push_text(&mut key, scatter(!row), 16 + more as usize);
    key
}

/// The value of a row at a version: the version in hexadecimal, then text that compresses to three quarters at best.
pub fn value(row: u64, version: u64) -> Vec<u8> {
    let mut value = format!("{version:016x}").into_bytes();
    push_text(&mut value, scatter(row ^ version.rotate_left(32)), VALUE_BYTES);
    value
}

/// The version that a value was made of, if it is whole.
pub fn version_of(row: u64, stored: &[u8]) -> Option<u64> {
    let version = u64::from_str_radix(std::str::from_utf8(stored.get(..16)?).ok()?, 16).ok()?;
    (value(row, version) == stored).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_its_version() {
        assert_eq!(version_of(7, &value(7, 99)), Some(99));
        assert_eq!(version_of(8, &value(7, 99)), None);
        assert_eq!(value(7, 99).len(), VALUE_BYTES);
    }

    #[test]
    fn keys_are_distinct_and_of_the_stated_lengths() {
        let keys: std::collections::HashSet<_> = (0..50_000).map(key).collect();
        assert_eq!(keys.len(), 50_000);
        assert!(keys.iter().all(|k| (16..=40).contains(&k.len())));
    }
}
