//! The row file: the durable home of rows up to one LSN, a redb database over our own files.
//!
//! A stored row is its LSN (`u64`), the CRC-32C of key, LSN and body (`u32`), both little-endian, and the body. Beside
//! the rows lie the position (LSN, chain hash, log time) and the set hash of each namespace, changed in the same commit.

use std::io;
use std::path::Path;
use std::sync::Arc;

use agentdb_env::{Env, File, OpenMode};
use agentdb_types::{ChainHash, Code, Error, Lsn, Result, Timestamp};
use redb::{Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use super::Row;
use super::memtable::Version;
use crate::digest::SetHash;
use crate::key::{Key, NamespaceId};
use crate::planted::{self, Bug};

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const HASHES: TableDefinition<u64, &[u8]> = TableDefinition::new("hashes");
const POSITION: &str = "position";
const FORMAT: &str = "format";
const FORMAT_VERSION: u32 = 1;
const HEAD_BYTES: usize = 12;
pub(super) const FILE: &str = "rows.redb";
/// A row file in the making.
pub(super) const NEW_FILE: &str = "rows.new";

/// Where the row file stands in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) lsn: Lsn,
    pub(crate) chain: ChainHash,
    pub(crate) time: Timestamp,
}

/// How much memory the row file may use.
#[derive(Clone, Copy, Debug)]
pub struct BaseLoad {
    /// Bytes of the page cache.
    pub cache_bytes: usize,
}

/// What the row file takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BaseStats {
    /// Bytes of the file.
    pub file_bytes: u64,
}

pub(crate) struct Base {
    db: redb::Database,
    file: Arc<dyn File>,
}

impl Base {
    /// Opens or creates the row file in `dir`.
    pub(crate) fn open(env: &Env, dir: &Path, load: BaseLoad) -> Result<Self> {
        let path = dir.join(FILE);
        if env.files.exists(&path)? {
            return Self::load(env.files.open(&path, OpenMode::Write)?, load);
        }
        // The file appears under its name only when it is whole: redb's own beginning is not atomic.
        let new = dir.join(NEW_FILE);
        if env.files.exists(&new)? {
            env.files.remove(&new)?;
        }
        let base = Self::load(env.files.open(&new, OpenMode::CreateNew)?, load)?;
        env.files.rename(&new, &path)?;
        env.files.sync_dir(dir)?;
        Ok(base)
    }

    pub(super) fn load(file: Arc<dyn File>, load: BaseLoad) -> Result<Self> {
        let db = redb::Builder::new()
            .set_cache_size(load.cache_bytes)
            .create_with_backend(Backend { file: file.clone() })
            .map_err(from_redb)?;
        let base = Base { db, file };
        base.initialise()?;
        Ok(base)
    }

    /// Refuses unless every row and the digest of every namespace holds.
    pub(crate) fn check_whole(&self) -> Result<()> {
        let snapshot = self.snapshot()?;
        for namespace in snapshot.namespaces()? {
            let mut damaged = None;
            let computed = snapshot.check(namespace, &mut |row| {
                damaged = damaged.take().or(row.err());
            })?;
            if let Some(err) = damaged {
                return Err(err);
            }
            if computed != snapshot.hash(namespace)? {
                return Err(corrupt(format_args!("the digest of namespace {} does not hold", namespace.0)));
            }
        }
        Ok(())
    }

    fn initialise(&self) -> Result<()> {
        let read = self.db.begin_read().map_err(from_redb)?;
        let format = match read.open_table(META) {
            Ok(meta) => meta.get(FORMAT).map_err(from_redb)?.map(|v| v.value().to_vec()),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(err) => return Err(from_redb(err)),
        };
        match format {
            None => {
                let mut tx = self.db.begin_write().map_err(from_redb)?;
                tx.set_quick_repair(true);
                tx.open_table(ROWS).map_err(from_redb)?;
                tx.open_table(HASHES).map_err(from_redb)?;
                let mut meta = tx.open_table(META).map_err(from_redb)?;
                meta.insert(FORMAT, &FORMAT_VERSION.to_le_bytes()[..]).map_err(from_redb)?;
                meta.insert(POSITION, &encode_position(&Position::default())[..]).map_err(from_redb)?;
                drop(meta);
                tx.commit().map_err(from_redb)
            }
            Some(bytes) if bytes == FORMAT_VERSION.to_le_bytes() => Ok(()),
            Some(bytes) => match bytes[..].try_into().map(u32::from_le_bytes) {
                Ok(newer) if newer > FORMAT_VERSION => Err(Error::new(Code::FormatTooNew)
                    .with("path", "the row file")
                    .with("actual", newer)
                    .with("supported", FORMAT_VERSION)),
                _ => Err(corrupt("its format version is none")),
            },
        }
    }

    /// Makes `versions` (ascending keys, one version each) durable together with the position that they lead to.
    pub(crate) fn commit(&self, versions: impl Iterator<Item = Version>, position: Position) -> Result<()> {
        let mut tx = self.db.begin_write().map_err(from_redb)?;
        tx.set_durability(Durability::Immediate).map_err(from_redb)?;
        tx.set_quick_repair(true);
        {
            let mut rows = tx.open_table(ROWS).map_err(from_redb)?;
            let mut hashes = tx.open_table(HASHES).map_err(from_redb)?;
            let mut current: Option<(NamespaceId, SetHash)> = None;
            for (key, lsn, body) in versions {
                let namespace = Key::namespace_of(&key).ok_or_else(|| corrupt("a key without namespace"))?;
                if current.as_ref().is_none_or(|(n, _)| *n != namespace) {
                    store_hash(&mut hashes, current.take())?;
                    current = Some((namespace, load_hash(&hashes, namespace)?));
                }
                let Some((_, hash)) = &mut current else { continue };
                if body.is_none() && planted::is(Bug::DeleteForgotten) {
                    continue;
                }
                let before = match &body {
                    Some(body) => {
                        hash.add(&key, lsn, body);
                        rows.insert(&key[..], &encode_row(&key, lsn, body)[..]).map_err(from_redb)?
                    }
                    None => rows.remove(&key[..]).map_err(from_redb)?,
                };
                if let Some(before) = before {
                    let row = decode_row(&key, before.value())?;
                    hash.remove(&key, row.lsn, &row.body);
                }
            }
            store_hash(&mut hashes, current)?;
            let mut meta = tx.open_table(META).map_err(from_redb)?;
            meta.insert(POSITION, &encode_position(&position)[..]).map_err(from_redb)?;
        }
        tx.commit().map_err(from_redb)
    }

    /// The rows as of the last commit, for as long as the snapshot lives.
    pub(crate) fn snapshot(&self) -> Result<BaseSnapshot> {
        let tx = self.db.begin_read().map_err(from_redb)?;
        let rows = tx.open_table(ROWS).map_err(from_redb)?;
        let hashes = tx.open_table(HASHES).map_err(from_redb)?;
        let meta = tx.open_table(META).map_err(from_redb)?;
        let position = meta.get(POSITION).map_err(from_redb)?;
        let position = position.as_ref().and_then(|p| decode_position(p.value()));
        let position = position.ok_or_else(|| corrupt("the position is missing or malformed"))?;
        Ok(BaseSnapshot { rows, hashes, position })
    }

    pub(crate) fn stats(&self) -> Result<BaseStats> {
        Ok(BaseStats { file_bytes: self.file.len()? })
    }
}

fn load_hash(hashes: &impl ReadableTable<u64, &'static [u8]>, namespace: NamespaceId) -> Result<SetHash> {
    match hashes.get(namespace.0).map_err(from_redb)? {
        None => Ok(SetHash::default()),
        Some(bytes) => {
            SetHash::from_bytes(bytes.value()).ok_or_else(|| corrupt("a set hash has the wrong size"))
        }
    }
}

fn store_hash(
    hashes: &mut redb::Table<'_, u64, &'static [u8]>,
    entry: Option<(NamespaceId, SetHash)>,
) -> Result<()> {
    if let Some((namespace, hash)) = entry {
        hashes.insert(namespace.0, &hash.to_bytes()[..]).map_err(from_redb)?;
    }
    Ok(())
}

/// The row file as of one commit.
pub(crate) struct BaseSnapshot {
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
    hashes: ReadOnlyTable<u64, &'static [u8]>,
    pub(crate) position: Position,
}

impl BaseSnapshot {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Row>> {
        match self.rows.get(key).map_err(from_redb)? {
            Some(stored) => decode_row(key, stored.value()).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn scan(&self, from: &[u8], to: Option<&[u8]>, back: bool) -> Result<BaseIter> {
        let range = match to {
            Some(to) if to <= from => self.rows.range::<&[u8]>(from..from),
            Some(to) => self.rows.range::<&[u8]>(from..to),
            None => self.rows.range::<&[u8]>(from..),
        };
        Ok(BaseIter { range: range.map_err(from_redb)?, back })
    }

    /// Reads all rows of a namespace and finds each again by its key: `visit` is told the key, or what is damaged.
    /// Returns the set hash of what is whole.
    pub(crate) fn check(
        &self,
        namespace: NamespaceId,
        visit: &mut dyn FnMut(Result<&[u8]>),
    ) -> Result<SetHash> {
        let (from, to) = (namespace.0.to_be_bytes(), (namespace.0 + 1).to_be_bytes());
        let mut computed = SetHash::default();
        let mut last = Vec::new();
        for entry in self.rows.range::<&[u8]>(&from[..]..&to[..]).map_err(from_redb)? {
            let (key, stored) = entry.map_err(from_redb)?;
            let (key, stored) = (key.value(), stored.value());
            let found = self.rows.get(key).map_err(from_redb)?;
            let row = decode_row(key, stored).and_then(|row| {
                if found.is_some_and(|found| found.value() == stored) && last.as_slice() < key {
                    Ok(row)
                } else {
                    Err(corrupt(format_args!("row {} is out of its place", crate::inspect::describe(key))))
                }
            });
            last = key.to_vec();
            match row {
                Ok(row) => {
                    computed.add(key, row.lsn, &row.body);
                    visit(Ok(key));
                }
                Err(err) => visit(Err(err)),
            }
        }
        Ok(computed)
    }

    pub(crate) fn hash(&self, namespace: NamespaceId) -> Result<SetHash> {
        load_hash(&self.hashes, namespace)
    }

    /// The namespaces that have a set hash.
    pub(crate) fn namespaces(&self) -> Result<Vec<NamespaceId>> {
        let iter = self.hashes.iter().map_err(from_redb)?;
        iter.map(|entry| Ok(NamespaceId(entry.map_err(from_redb)?.0.value()))).collect()
    }
}

pub(crate) struct BaseIter {
    range: redb::Range<'static, &'static [u8], &'static [u8]>,
    back: bool,
}

impl Iterator for BaseIter {
    type Item = Result<(Vec<u8>, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = if self.back { self.range.next_back() } else { self.range.next() }?;
        Some(entry.map_err(from_redb).and_then(|(key, stored)| {
            let key = key.value().to_vec();
            let row = decode_row(&key, stored.value())?;
            Ok((key, row))
        }))
    }
}

pub(crate) fn row_checksum(key: &[u8], lsn: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(key), lsn), body)
}

pub(crate) fn encode_row(key: &[u8], lsn: Lsn, body: &[u8]) -> Vec<u8> {
    let lsn = lsn.0.to_le_bytes();
    let mut out = Vec::with_capacity(HEAD_BYTES + body.len());
    out.extend_from_slice(&lsn);
    out.extend_from_slice(&row_checksum(key, &lsn, body).to_le_bytes());
    out.extend_from_slice(body);
    out
}

pub(crate) fn decode_row(key: &[u8], stored: &[u8]) -> Result<Row> {
    let parts = stored.split_first_chunk::<8>().and_then(|(lsn, rest)| {
        let (crc, body) = rest.split_first_chunk::<4>()?;
        (row_checksum(key, lsn, body) == u32::from_le_bytes(*crc)).then_some((lsn, body))
    });
    match parts {
        Some((lsn, body)) => Ok(Row { lsn: Lsn(u64::from_le_bytes(*lsn)), body: body.into() }),
        None => {
            Err(corrupt(format_args!("the checksum of row {} does not hold", crate::inspect::describe(key))))
        }
    }
}

pub(crate) fn encode_position(position: &Position) -> Vec<u8> {
    let mut out = Vec::with_capacity(52);
    out.extend_from_slice(&position.lsn.0.to_le_bytes());
    out.extend_from_slice(&position.chain.0);
    out.extend_from_slice(&position.time.micros().to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

pub(crate) fn decode_position(bytes: &[u8]) -> Option<Position> {
    let (fields, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (lsn, rest) = fields.split_first_chunk()?;
    let (chain, time) = rest.split_first_chunk()?;
    let time = Timestamp::from_micros(i64::from_le_bytes(time.try_into().ok()?)).ok()?;
    Some(Position { lsn: Lsn(u64::from_le_bytes(*lsn)), chain: ChainHash(*chain), time })
}

fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::new(Code::RowsCorrupt).with("reason", reason)
}

/// An error of redb: one of our own files' error if it carries one, else damage.
fn from_redb(err: impl Into<redb::Error>) -> Error {
    match err.into() {
        redb::Error::Io(err) => match err.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(ours) => ours.clone(),
            None => corrupt(err),
        },
        err => corrupt(err),
    }
}

/// redb's view of our file.
struct Backend {
    file: Arc<dyn File>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backend")
    }
}

fn to_io(err: Error) -> io::Error {
    io::Error::other(err)
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len().map_err(to_io)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.file.read_at(offset, out).map_err(to_io)? == out.len() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the row file ended"))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).map_err(to_io)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(to_io)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, data).map_err(to_io)
    }
}
