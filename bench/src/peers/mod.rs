//! The stores that AgentDB is compared to.

mod lsm_tree;
mod redb;
mod sqlite;

use crate::store::Contender;

/// All peers.
pub const PEERS: [Contender; 4] = [sqlite::SHARED, sqlite::PER_THREAD, redb::DEFAULT, lsm_tree::BEHIND_A_LOG];

/// Memory that a peer may use for a cache.
const CACHE_BYTES: usize = 512 << 20;

/// Rows of a transaction when loading.
const LOAD_BATCH: usize = 16_384;
