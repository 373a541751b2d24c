//! SQLite: WAL, `synchronous=FULL`, prepared statements, one connection behind a mutex. (A connection for each client was
//! slower wherever there were several: they contend for the write lock.)

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension};

use crate::Store;

pub struct Sqlite(Mutex<Connection>);

impl Sqlite {
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let connection = Connection::open(dir.join("bench.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -262_144)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS kv (k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID",
        )?;
        Ok(Sqlite(Mutex::new(connection)))
    }
}

const PUT: &str = "INSERT INTO kv VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v";

impl Store for Sqlite {
    fn put(&self, _: usize, key: &str, value: &str) -> Result<()> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection.prepare_cached(PUT)?.execute([key, value])?;
        Ok(())
    }

    fn load(&self, pairs: &[(String, String)]) -> Result<()> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(PUT)?;
            for (key, value) in pairs {
                put.execute([key, value])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &str) -> Result<Option<String>> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut get = connection.prepare_cached("SELECT v FROM kv WHERE k = ?1")?;
        Ok(get.query_row([key], |row| row.get(0)).optional()?)
    }
}
