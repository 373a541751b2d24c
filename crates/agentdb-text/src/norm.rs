//! The length of a field in one byte, as Lucene and tantivy keep it: exact to 40, within an eighth above.

/// Lengths below this number are kept exactly, before the code with three bits of mantissa begins.
const EXACT: u32 = 24;

/// The length that a byte stands for: the greatest that is not above the true one.
pub(crate) const fn length(norm: u8) -> u32 {
    if (norm as u32) < EXACT {
        return norm as u32;
    }
    let code = norm as u32 - EXACT;
    let (bits, exponent) = (code & 7, code >> 3);
    EXACT + if exponent == 0 { bits } else { (bits | 8) << (exponent - 1) }
}

/// The byte for a length.
pub(crate) fn norm(tokens: u32) -> u8 {
    const LENGTHS: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            table[at] = length(at as u8);
            at += 1;
        }
        table
    };
    (LENGTHS.partition_point(|l| *l <= tokens) - 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_order_and_the_known_values() {
        for at in 0..=255u8 {
            assert_eq!(norm(length(at)), at);
        }
        // The end of the table that Lucene and tantivy share.
        assert_eq!((length(40), length(41), length(255)), (40, 42, 2_013_265_944));
        assert_eq!((norm(41), norm(u32::MAX)), (40, 255));
    }
}
