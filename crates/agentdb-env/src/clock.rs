//! The clock.

use agentdb_types::Timestamp;

/// Wall time and elapsed time.
pub trait Clock: Send + Sync {
    /// The wall clock. It may jump either way.
    fn wall(&self) -> Timestamp;

    /// Microseconds since some fixed moment; never goes back and does not jump with the wall clock.
    fn monotonic_us(&self) -> u64;
}
