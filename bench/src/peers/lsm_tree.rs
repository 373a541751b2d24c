//! lsm-tree, which has no log of its own: the plainest log with group commit lies before it. Nothing replays that log, so
//! that it takes no part in opening after a crash.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use lsm_tree::compaction::Leveled;
use lsm_tree::{AbstractTree, AnyTree, Cache, Config, SequenceNumberCounter};

use super::CACHE_BYTES;
use crate::group_log::GroupLog;
use crate::store::{Client, Contender, Row, Store};

/// lsm-tree with a log before it.
pub const BEHIND_A_LOG: Contender = Contender { name: "lsm_tree", way: "lsm-tree", open, recovers: false };

const LOG_BYTES: u64 = 256 << 20;
const MEMTABLE_BYTES: u64 = 32 << 20;

fn open(dir: &Path) -> Result<Box<dyn Store>> {
    let (next, visible) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
    let tree = Config::new(dir.join("tree"), next.clone(), visible.clone())
        .use_cache(Arc::new(Cache::with_capacity_bytes(CACHE_BYTES as u64)))
        .open()?;
    let end = tree.get_highest_persisted_seqno().map_or(0, |n| n + 1);
    next.set(end);
    visible.set(end);
    let log = GroupLog::create(&dir.join("log"), LOG_BYTES)?;
    let shared = Arc::new(Shared { tree, next, visible, log, flushing: AtomicBool::new(false), failure: Mutex::default() });
    let (wake, woken) = sync_channel::<()>(1);
    let background = {
        let shared = shared.clone();
        std::thread::spawn(move || {
            while woken.recv().is_ok() {
                if let Err(err) = shared.flush() {
                    *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(err);
                }
                shared.flushing.store(false, Ordering::Release);
            }
        })
    };
    Ok(Box::new(LsmTree { shared, wake: Some(wake), background: Some(background) }))
}

struct Shared {
    tree: AnyTree,
    next: SequenceNumberCounter,
    visible: SequenceNumberCounter,
    log: GroupLog,
    flushing: AtomicBool,
    failure: Mutex<Option<anyhow::Error>>,
}

impl Shared {
    fn flush(&self) -> Result<()> {
        let needed = self.visible.get().saturating_sub(1_000);
        {
            let lock = self.tree.get_flush_lock();
            self.tree.rotate_memtable();
            self.tree.flush(&lock, needed)?;
        }
        // Level 1 then holds 32 MiB: the shape that this much data needs.
        self.tree.compact(Arc::new(Leveled::default().with_table_target_size(8 << 20)), needed)?;
        Ok(())
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> u64 {
        let seqno = self.next.next();
        let (_, memtable_bytes) = self.tree.insert(key, value, seqno);
        self.visible.fetch_max(seqno + 1);
        memtable_bytes
    }
}

struct LsmTree {
    shared: Arc<Shared>,
    wake: Option<SyncSender<()>>,
    background: Option<JoinHandle<()>>,
}

impl LsmTree {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.shared.log.append(key, value)?;
        if self.shared.insert(key, value) > MEMTABLE_BYTES
            && let Some(wake) = &self.wake
            && !self.shared.flushing.swap(true, Ordering::AcqRel)
            && let Err(TrySendError::Disconnected(())) = wake.try_send(())
        {
            anyhow::bail!("the flushing thread is gone");
        }
        Ok(())
    }
}

impl Drop for LsmTree {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(background) = self.background.take() {
            // A panic there has been printed, and there is nobody else to tell.
            let _ = background.join();
        }
    }
}

impl Store for LsmTree {
    fn client(&self) -> Result<Box<dyn Client + '_>> {
        Ok(Box::new(LsmClient(self)))
    }

    fn load(&self, rows: &mut dyn Iterator<Item = Row>) -> Result<()> {
        for (key, value) in rows {
            if self.shared.insert(&key, &value) > MEMTABLE_BYTES {
                self.shared.flush()?;
            }
        }
        self.shared.flush()
    }

    fn settle(&self) -> Result<()> {
        while self.shared.flushing.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(err) => Err(err),
            None => Ok(()),
        }
    }
}

struct LsmClient<'a>(&'a LsmTree);

impl Client for LsmClient<'_> {
    fn put_durable(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.put(key, value)
    }

    fn get(&mut self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let shared = &self.0.shared;
        let Some(found) = shared.tree.get(key, shared.visible.get())? else { return Ok(false) };
        value.clear();
        value.extend_from_slice(&found);
        Ok(true)
    }
}
