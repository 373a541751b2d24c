//! The bundle of the four.

use std::sync::Arc;

use crate::{Clock, Entropy, Files, Threads, real};

/// Everything that code may ask of the outside world. Cloning shares the same world.
#[derive(Clone)]
pub struct Env {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The file system.
    pub files: Arc<dyn Files>,
    /// Threads.
    pub threads: Arc<dyn Threads>,
}

impl Env {
    /// The machine itself.
    pub fn real() -> Self {
        real::env()
    }
}
