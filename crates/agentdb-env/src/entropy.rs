//! Randomness.

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `out` with bytes that cannot be predicted (from the real source) or that the seed determines (from the
    /// simulated one).
    fn fill(&self, out: &mut [u8]);
}
