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

/// The prefix of a key.
pub fn prefix(row: u64) -> [u8; PREFIX_BYTES] {
    scatter(row / ROWS_PER_PREFIX).to_be_bytes()
}

/// The key of a row: its prefix and 8 to 32 random bytes. Distinct rows have distinct keys.
pub fn key(row: u64) -> Vec<u8> {
    let mut key = prefix(row).to_vec();
    key.extend_from_slice(&scatter(!row).to_be_bytes());
    let more = scatter(row ^ 0xA5A5) % 25;
    let mut seed = row;
    while (key.len() as u64) < 16 + more {
        seed = scatter(seed);
        let left = 16 + more as usize - key.len();
        key.extend_from_slice(&seed.to_be_bytes()[..left.min(8)]);
    }
    key
}

/// The value of a row at a version: incompressible, so that no peer gains by compression.
pub fn value(row: u64, version: u64) -> Vec<u8> {
    let mut random = scatter(row ^ version.rotate_left(32));
    let mut value = Vec::with_capacity(VALUE_BYTES + 8);
    while value.len() < VALUE_BYTES {
        value.extend_from_slice(&random.to_le_bytes());
        random = scatter(random);
    }
    value.truncate(VALUE_BYTES);
    value
}
