//! The cases, a file each, and the data that all systems get.

pub mod checkpoint;
pub mod cranfield;
pub mod load;
pub mod puts;
pub mod reopen;
pub mod retrieval;
pub mod row_store;

use std::path::Path;

use anyhow::Result;

use crate::Store;
use crate::fdatasync::Fdatasync;
use crate::lsm_store::Lsm;
use crate::ours::Ours;
use crate::redb_store::Redb;
use crate::sqlite::Sqlite;

/// Rounds in which the systems take turns; the median counts.
pub const ROUNDS: usize = 3;

pub type System = (&'static str, Box<dyn Store>);

/// 150 bytes, different for each number and turn: a store that notices equal values has nothing to notice.
pub fn value(number: u64, turn: u64) -> String {
    let mut value = format!("{number:012} {turn:06} ");
    value.extend(std::iter::repeat_n('x', 150 - value.len()));
    value
}

/// Keys in an order that is not theirs.
pub fn key(number: u64, of: u64) -> String {
    format!("key{:09}", number.wrapping_mul(0x9e37_79b9) % of)
}

pub fn open_all(dir: &Path) -> Result<Vec<System>> {
    Ok(vec![
        ("fdatasync", Box::new(Fdatasync::open(&dir.join("fdatasync"))?)),
        ("ours", Box::new(Ours::open(&dir.join("ours"))?)),
        ("sqlite", Box::new(Sqlite::open(&dir.join("sqlite"))?)),
        ("redb", Box::new(Redb::open(&dir.join("redb"))?)),
        ("lsm-tree + log", Box::new(Lsm::open(&dir.join("lsm"))?)),
    ])
}
