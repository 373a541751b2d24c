//! The simulator: the real engine over simulated files, clock and schedule, with every fault a machine has, checked
//! answer by answer and crash by crash against a plain model.
//!
//! [`run`] plays one seed. A failure says which, so that it can be played again:
//! `AGENTDB_SEED=17 cargo test -p agentdb-sim replay -- --nocapture`.

mod check;
mod generate;
mod ids;
mod ledger;
mod model;
mod report;
mod run;

pub use report::{Failure, Report};
pub use run::{Plan, run};

#[cfg(test)]
mod tests;
