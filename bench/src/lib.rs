//! What AgentDB is measured with: the peers it is compared to, and the harness that runs them side by side.
//!
//! Two programs use it. `engine` measures the durable store against its peers and writes `results/engine.json`;
//! `rowstore` measured the candidates for the row store (docs/decisions/0001-row-store.md).
//!
//! Every figure comes from rounds that alternate between the peers, on one disk, in one run: a shared or noisy machine
//! then disturbs all of them alike. Latencies are kept sample by sample, and percentiles are exact.

pub mod data;
pub mod disk;
pub mod drain;
pub mod group_log;
pub mod load;
pub mod pace;
pub mod peers;
pub mod process;
pub mod redb_file;
pub mod report;
pub mod rows;
pub mod samples;
pub mod store;

/// Everybody who takes part.
pub fn contenders() -> Vec<store::Contender> {
    peers::PEERS.to_vec()
}
