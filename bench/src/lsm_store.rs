//! lsm-tree, the other candidate for the row store. It has no log of its own: a put is durable by a bare one in front of
//! it, and a memory table goes to the disk when it is full.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use lsm_tree::compaction::Leveled;
use lsm_tree::{AbstractTree, AnyTree, Cache, Config, SequenceNumberCounter};

use crate::Store;
use crate::fdatasync::Fdatasync;

/// Bytes of a memory table, as in AgentDB.
const MEMTABLE: u64 = 32 << 20;

pub struct Lsm {
    tree: AnyTree,
    sequence: AtomicU64,
    log: Fdatasync,
    /// One thread flushes and compacts.
    flushing: Mutex<()>,
}

impl Lsm {
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (sequence, visible) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
        let cache = Arc::new(Cache::with_capacity_bytes(256 << 20));
        let tree = Config::new(dir.join("tree"), sequence, visible).use_cache(cache).open()?;
        let next = tree.get_highest_seqno().map_or(1, |s| s + 1);
        let log = Fdatasync::open(&dir.join("log"))?;
        Ok(Lsm { tree, sequence: AtomicU64::new(next), log, flushing: Mutex::new(()) })
    }

    fn insert(&self, key: &str, value: &str) -> u64 {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        self.tree.insert(key, value, sequence).1
    }

    fn flush_if(&self, bytes: u64) -> Result<()> {
        if bytes < MEMTABLE {
            return Ok(());
        }
        let Ok(_one) = self.flushing.try_lock() else { return Ok(()) };
        self.drain()
    }

    /// Brings the memory table to the disk, durably, and keeps the levels in shape.
    pub fn drain(&self) -> Result<()> {
        let watermark = self.sequence.load(Ordering::Relaxed);
        self.tree.flush_active_memtable(watermark)?;
        self.tree.compact(Arc::new(Leveled::default()), watermark)?;
        Ok(())
    }
}

impl Store for Lsm {
    fn put(&self, client: usize, key: &str, value: &str) -> Result<()> {
        self.log.put(client, key, value)?;
        let bytes = self.insert(key, value);
        self.flush_if(bytes)
    }

    fn load(&self, pairs: &[(String, String)]) -> Result<()> {
        self.log.write(pairs.iter().map(|(k, v)| k.len() + v.len()).sum())?;
        let bytes = pairs.iter().map(|(k, v)| self.insert(k, v)).max().unwrap_or_default();
        self.flush_if(bytes)
    }

    fn get(&self, key: &str) -> Result<Option<String>> {
        let value = self.tree.get(key, u64::MAX >> 1)?;
        Ok(value.map(|v| String::from_utf8_lossy(&v).into_owned()))
    }

    fn settle(&self) -> Result<()> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        self.drain()
    }
}
