//! redb as it comes: a durable commit a put, a read transaction a get.

use std::path::Path;

use anyhow::Result;
use redb::{Database, ReadableDatabase, TableDefinition};

use super::{CACHE_BYTES, LOAD_BATCH};
use crate::store::{Client, Contender, Row, Store};

/// redb's defaults, but for the size of its cache.
pub const DEFAULT: Contender = Contender { name: "redb", way: "redb", open, recovers: true };

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");

fn open(dir: &Path) -> Result<Box<dyn Store>> {
    let db = redb::Builder::new().set_cache_size(CACHE_BYTES).create(dir.join("rows.redb"))?;
    let tx = db.begin_write()?;
    tx.open_table(ROWS)?;
    tx.commit()?;
    Ok(Box::new(Redb(db)))
}

struct Redb(Database);

impl Redb {
    fn commit(&self, rows: impl Iterator<Item = Row>) -> Result<()> {
        let tx = self.0.begin_write()?;
        {
            let mut table = tx.open_table(ROWS)?;
            for (key, value) in rows {
                table.insert(&key[..], &value[..])?;
            }
        }
        tx.commit()?;
        Ok(())
    }
}

impl Store for Redb {
    fn client(&self) -> Result<Box<dyn Client + '_>> {
        Ok(Box::new(RedbClient(&self.0)))
    }

    fn load(&self, rows: &mut dyn Iterator<Item = Row>) -> Result<()> {
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            self.commit(rows.by_ref().take(LOAD_BATCH))?;
        }
        Ok(())
    }
}

struct RedbClient<'a>(&'a Database);

impl Client for RedbClient<'_> {
    fn put_durable(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let tx = self.0.begin_write()?;
        tx.open_table(ROWS)?.insert(key, value)?;
        tx.commit()?;
        Ok(())
    }

    fn get(&mut self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let table = self.0.begin_read()?.open_table(ROWS)?;
        let Some(found) = table.get(key)? else { return Ok(false) };
        value.clear();
        value.extend_from_slice(found.value());
        Ok(true)
    }
}
