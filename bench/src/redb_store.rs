//! redb, the row store's engine, bare: a durable commit for each put or batch.

use std::path::Path;

use anyhow::Result;
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::Store;

const KV: TableDefinition<&str, &str> = TableDefinition::new("kv");

pub struct Redb(Database);

impl Redb {
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let db = redb::Builder::new().set_cache_size(256 << 20).create(dir.join("bench.redb"))?;
        let tx = db.begin_write()?;
        tx.open_table(KV)?;
        tx.commit()?;
        Ok(Redb(db))
    }
}

impl Store for Redb {
    fn put(&self, _: usize, key: &str, value: &str) -> Result<()> {
        let mut tx = self.0.begin_write()?;
        tx.set_quick_repair(true);
        tx.open_table(KV)?.insert(key, value)?;
        Ok(tx.commit()?)
    }

    fn load(&self, pairs: &[(String, String)]) -> Result<()> {
        let mut tx = self.0.begin_write()?;
        tx.set_quick_repair(true);
        {
            let mut table = tx.open_table(KV)?;
            for (key, value) in pairs {
                table.insert(key.as_str(), value.as_str())?;
            }
        }
        Ok(tx.commit()?)
    }

    fn get(&self, key: &str) -> Result<Option<String>> {
        let table = self.0.begin_read()?.open_table(KV)?;
        Ok(table.get(key)?.map(|v| v.value().to_owned()))
    }
}
