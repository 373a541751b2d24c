//! SQLite: WAL, `synchronous = FULL`, prepared statements, memory-mapped reads.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension};

use super::{CACHE_BYTES, LOAD_BATCH};
use crate::store::{Client, Contender, Row, Store};

/// One connection behind a mutex: no thread ever finds the database busy.
pub const SHARED: Contender = Contender { name: "sqlite", way: "sqlite-shared", open: open_shared, recovers: true };

/// A connection a thread: SQLite's own locks decide who writes.
pub const PER_THREAD: Contender =
    Contender { name: "sqlite", way: "sqlite-per-thread", open: open_per_thread, recovers: true };

const PUT: &str = "INSERT INTO rows (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
const GET: &str = "SELECT value FROM rows WHERE key = ?1";

fn open_shared(dir: &Path) -> Result<Box<dyn Store>> {
    Ok(Box::new(Shared(Mutex::new(connect(&dir.join("rows.sqlite"))?))))
}

fn open_per_thread(dir: &Path) -> Result<Box<dyn Store>> {
    let path = dir.join("rows.sqlite");
    // Kept open so that the last client to leave does not remove the WAL.
    let first = Mutex::new(connect(&path)?);
    Ok(Box::new(PerThread { path, first }))
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -((CACHE_BYTES / 8 / 1024) as i64))?;
    connection.pragma_update(None, "mmap_size", 2 * CACHE_BYTES as i64)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    )?;
    Ok(connection)
}

fn put(connection: &Connection, key: &[u8], value: &[u8]) -> Result<()> {
    connection.prepare_cached(PUT)?.execute((key, value))?;
    Ok(())
}

fn get(connection: &Connection, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
    let mut statement = connection.prepare_cached(GET)?;
    let found = statement.query_row([key], |row| {
        value.clear();
        value.extend_from_slice(row.get_ref(0)?.as_blob()?);
        Ok(())
    });
    Ok(found.optional()?.is_some())
}

fn load(connection: &mut Connection, rows: &mut dyn Iterator<Item = Row>) -> Result<()> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let transaction = connection.transaction()?;
        for (key, value) in rows.by_ref().take(LOAD_BATCH) {
            put(&transaction, &key, &value)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Moves the WAL into the database, as SQLite does by itself every 1,000 pages.
fn checkpoint(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(())
}

struct Shared(Mutex<Connection>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Shared {
    fn client(&self) -> Result<Box<dyn Client + '_>> {
        Ok(Box::new(SharedClient(self)))
    }

    fn load(&self, rows: &mut dyn Iterator<Item = Row>) -> Result<()> {
        load(&mut self.lock(), rows)
    }

    fn settle(&self) -> Result<()> {
        checkpoint(&self.lock())
    }
}

struct SharedClient<'a>(&'a Shared);

impl Client for SharedClient<'_> {
    fn put_durable(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        put(&self.0.lock(), key, value)
    }

    fn get(&mut self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        get(&self.0.lock(), key, value)
    }
}

struct PerThread {
    path: PathBuf,
    first: Mutex<Connection>,
}

impl Store for PerThread {
    fn client(&self) -> Result<Box<dyn Client + '_>> {
        Ok(Box::new(OwnConnection(connect(&self.path)?)))
    }

    fn load(&self, rows: &mut dyn Iterator<Item = Row>) -> Result<()> {
        load(&mut self.first.lock().unwrap_or_else(PoisonError::into_inner), rows)
    }

    fn settle(&self) -> Result<()> {
        checkpoint(&self.first.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct OwnConnection(Connection);

impl Client for OwnConnection {
    fn put_durable(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        put(&self.0, key, value)
    }

    fn get(&mut self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        get(&self.0, key, value)
    }
}
