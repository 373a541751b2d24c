//! The graph index from outside: against the exact index, under churn and concurrency, through its snapshot.
#![expect(clippy::unwrap_used, reason = "tests")]

mod churn;
mod concurrent;
mod edges;
mod filters;
mod golden;
mod model;
mod snapshot;
mod world;
