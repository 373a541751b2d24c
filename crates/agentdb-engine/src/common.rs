//! What two byte strings have in common at their start and at their end.

/// Bytes that are compared at once.
const PIECE: usize = 64;

/// How many bytes they start with that are the same.
pub(crate) fn at_start(a: &[u8], b: &[u8]) -> usize {
    let pieces = a.chunks_exact(PIECE).zip(b.chunks_exact(PIECE)).take_while(|(a, b)| a == b);
    let whole = PIECE * pieces.count();
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

/// How many bytes they end with that are the same.
pub(crate) fn at_end(a: &[u8], b: &[u8]) -> usize {
    let pieces = a.rchunks_exact(PIECE).zip(b.rchunks_exact(PIECE)).take_while(|(a, b)| a == b);
    let whole = PIECE * pieces.count();
    let (a, b) = (&a[..a.len() - whole], &b[..b.len() - whole]);
    whole + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_many_as_byte_by_byte(
            shared in prop::collection::vec(any::<u8>(), 0..200),
            a in prop::collection::vec(0u8..2, 0..140),
            b in prop::collection::vec(0u8..2, 0..140),
        ) {
            for (a, b) in [([&shared[..], &a].concat(), [&shared[..], &b].concat()), (a.clone(), b.clone())] {
                let count = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
                prop_assert_eq!(at_start(&a, &b), count);
                let back = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
                prop_assert_eq!(at_end(&back(&a), &back(&b)), count);
            }
        }
    }
}
