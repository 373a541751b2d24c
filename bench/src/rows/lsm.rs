use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use lsm_tree::compaction::Leveled;
use lsm_tree::{AbstractTree, AnyTree, Cache, Config, Guard, SequenceNumberCounter};

use super::{Row, RowReader, RowStore};

/// Sorts before every key of [`crate::data`], which start with eight scattered bytes.
const POSITION: &[u8] = b"\0";

/// How lsm-tree is run.
#[derive(Clone, Copy, Debug)]
pub struct LsmOptions {
    /// Bytes of its block cache.
    pub cache_bytes: u64,
    /// Size of a table that compaction aims at; level 1 holds four of them.
    pub table_bytes: u64,
}

impl Default for LsmOptions {
    fn default() -> Self {
        LsmOptions { cache_bytes: 256 << 20, table_bytes: 64 << 20 }
    }
}

/// Rows in an LSM tree: one memory table flushed to a table file a drain, then the compaction that it calls for.
///
/// The tree takes sequence numbers of its own for versions of its manifest, out of the counter of the rows: the
/// position is therefore a row.
pub struct LsmRows {
    tree: AnyTree,
    next: SequenceNumberCounter,
    visible: SequenceNumberCounter,
    strategy: Arc<Leveled>,
}

impl LsmRows {
    /// Opens or creates the directory.
    pub fn open(path: &Path, options: LsmOptions) -> Result<Self> {
        let (next, visible) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
        let tree = Config::new(path, next.clone(), visible.clone())
            .use_cache(Arc::new(Cache::with_capacity_bytes(options.cache_bytes)))
            .open()?;
        let end = tree.get_highest_persisted_seqno().map_or(0, |n| n + 1);
        next.set(end);
        visible.set(end);
        let strategy = Arc::new(Leveled::default().with_table_target_size(options.table_bytes));
        Ok(LsmRows { tree, next, visible, strategy })
    }
}

impl RowStore for LsmRows {
    fn drain(&self, rows: &[Row], position: u64) -> Result<()> {
        let seqno = self.next.next();
        // A read below what is kept panics inside the tree; the benchmark's readers are far shorter than five drains.
        let needed = seqno.saturating_sub(16);
        for (key, value) in rows {
            self.tree.insert(&key[..], &value[..], seqno);
        }
        self.tree.insert(POSITION, position.to_be_bytes(), seqno);
        {
            let lock = self.tree.get_flush_lock();
            self.tree.rotate_memtable();
            self.tree.flush(&lock, needed)?;
        }
        self.visible.fetch_max(seqno + 1);
        self.tree.compact(self.strategy.clone(), needed)?;
        Ok(())
    }

    fn position(&self) -> Result<u64> {
        let position = self.tree.get(POSITION, self.visible.get())?;
        Ok(position.and_then(|p| Some(u64::from_be_bytes(p[..].try_into().ok()?))).unwrap_or(0))
    }

    fn reader(&self) -> Result<Box<dyn RowReader>> {
        Ok(Box::new(Reader { tree: self.tree.clone(), at: self.visible.get() }))
    }

    fn get_once(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.tree.get(key, self.visible.get())?.map(|v| v.len()))
    }
}

struct Reader {
    tree: AnyTree,
    at: u64,
}

impl RowReader for Reader {
    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.tree.get(key, self.at)?.map(|v| v.len()))
    }

    fn scan(&self, prefix: &[u8], limit: usize) -> Result<usize> {
        let mut count = 0;
        for entry in self.tree.prefix(prefix, self.at, None).take(limit) {
            let (key, value) = entry.into_inner()?;
            std::hint::black_box((key.len(), value.len()));
            count += 1;
        }
        Ok(count)
    }
}
