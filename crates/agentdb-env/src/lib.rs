//! The outside world as AgentDB sees it: a clock, randomness, files and threads, each behind a trait.
//!
//! [`Env::real`] is the machine. [`sim::World`] is a deterministic one for the simulator: a disk that keeps what was
//! synced and an arbitrary part of what was not, and a clock that moves when told to. No other crate calls the
//! operating system for any of these; a lint enforces it.

mod clock;
pub mod entries;
mod entropy;
mod env;
mod files;
mod real;
pub mod sim;
#[cfg(test)]
mod tests;
mod threads;

pub use clock::Clock;
pub use entropy::Entropy;
pub use env::Env;
pub use files::{File, Files, Lock, OpenMode};
pub use threads::{Join, Threads};
