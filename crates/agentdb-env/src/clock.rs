//! The clock.

use agentdb_types::Timestamp;

/// Wall time and elapsed time.
pub trait Clock: Send + Sync {
    /// The wall clock. It may jump either way.
    fn wall(&self) -> Timestamp;

    /// Microseconds since some fixed moment; never goes back, does not jump with the wall clock, and goes on while the
    /// machine sleeps.
    fn monotonic_us(&self) -> u64;
}
