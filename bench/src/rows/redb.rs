use std::path::Path;

use anyhow::Result;
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};

use super::{Row, RowReader, RowStore};
use crate::redb_file::{TreatedFile, Treatment};

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const POSITION: &str = "position";

/// How redb is run.
#[derive(Clone, Copy, Debug)]
pub struct RedbOptions {
    /// Bytes of its page cache.
    pub cache_bytes: usize,
    /// Write the allocator state with each commit, so that opening after a crash walks nothing.
    pub quick_repair: bool,
    /// What its file goes through.
    pub treatment: Treatment,
}

impl Default for RedbOptions {
    fn default() -> Self {
        RedbOptions { cache_bytes: 256 << 20, quick_repair: true, treatment: Treatment::default() }
    }
}

/// Rows in a redb table: one durable commit a drain.
pub struct RedbRows {
    db: Database,
    quick_repair: bool,
}

impl RedbRows {
    /// Opens or creates the file.
    pub fn open(path: &Path, options: RedbOptions) -> Result<Self> {
        let file = TreatedFile::open(path, options.treatment)?;
        let db = redb::Builder::new().set_cache_size(options.cache_bytes).create_with_backend(file)?;
        let store = RedbRows { db, quick_repair: options.quick_repair };
        if store.position().is_err() {
            store.drain(&[], 0)?;
        }
        Ok(store)
    }
}

impl RowStore for RedbRows {
    fn drain(&self, rows: &[Row], position: u64) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_quick_repair(self.quick_repair);
        {
            let mut table = tx.open_table(ROWS)?;
            for (key, value) in rows {
                table.insert(&key[..], &value[..])?;
            }
            tx.open_table(META)?.insert(POSITION, position)?;
        }
        tx.commit()?;
        Ok(())
    }

    fn position(&self) -> Result<u64> {
        let meta = self.db.begin_read()?.open_table(META)?;
        Ok(meta.get(POSITION)?.map_or(0, |p| p.value()))
    }

    fn reader(&self) -> Result<Box<dyn RowReader>> {
        Ok(Box::new(Reader { rows: self.db.begin_read()?.open_table(ROWS)? }))
    }

    fn get_once(&self, key: &[u8]) -> Result<Option<usize>> {
        let rows = self.db.begin_read()?.open_table(ROWS)?;
        Ok(rows.get(key)?.map(|v| v.value().len()))
    }
}

struct Reader {
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl RowReader for Reader {
    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.rows.get(key)?.map(|v| v.value().len()))
    }

    fn scan(&self, prefix: &[u8], limit: usize) -> Result<usize> {
        let mut count = 0;
        for entry in self.rows.range(prefix..)?.take(limit) {
            let (key, value) = entry?;
            if !key.value().starts_with(prefix) {
                break;
            }
            std::hint::black_box(value.value().len());
            count += 1;
        }
        Ok(count)
    }
}
