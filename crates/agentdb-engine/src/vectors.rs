//! The vector view: one exact index in memory for each collection that was searched since opening.
//!
//! An index is filled from the rows as of the LSN that was applied last when it was registered; what the sequencer applies
//! meanwhile is collected and follows. A search at an earlier LSN than that (its *floor*) scans the rows themselves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};

use agentdb_types::{Code, Error, Lsn, Result};
use agentdb_vector::{Dimension, FlatIndex, Hit, Metric};

use crate::Table;
use crate::codec::{self, Reader};
use crate::key::{Key, NamespaceId};
use crate::planted::{self, Bug};
use crate::rows::{Direction, Reader as RowReader};

/// A vector's row: the id of the record that it belongs to, the encoder that made it, and the vector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VectorRow {
    pub(crate) record: String,
    pub(crate) encoder: String,
    pub(crate) vector: Vec<f32>,
}

const ROW_VERSION: u8 = 1;

impl VectorRow {
    #[cfg(any(test, feature = "decoders"))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        VectorRow::encoded(&self.record, &self.encoder, &self.vector)
    }

    /// The row of these.
    pub(crate) fn encoded(record: &str, encoder: &str, vector: &[f32]) -> Vec<u8> {
        let texts = codec::bytes_len(record.len()) + codec::bytes_len(encoder.len());
        let mut out = Vec::with_capacity(1 + texts + 4 * vector.len());
        out.push(ROW_VERSION);
        codec::put_bytes(&mut out, record.as_bytes());
        codec::put_bytes(&mut out, encoder.as_bytes());
        let start = out.len();
        out.resize(start + 4 * vector.len(), 0);
        for (bytes, x) in out[start..].as_chunks_mut().0.iter_mut().zip(vector) {
            *bytes = x.to_le_bytes();
        }
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self> {
        let malformed = || Error::new(Code::RowsCorrupt).with("reason", "a vector's row is malformed");
        let mut reader = Reader(body);
        match reader.byte() {
            Some(ROW_VERSION) => {}
            Some(version) => {
                return Err(Error::new(Code::FormatTooNew)
                    .with("path", "a vector's row")
                    .with("actual", version)
                    .with("supported", ROW_VERSION));
            }
            None => return Err(malformed()),
        }
        let mut text = || {
            let bytes = reader.bytes().ok_or_else(malformed)?;
            String::from_utf8(bytes.to_vec()).map_err(|_| malformed())
        };
        let (record, encoder) = (text()?, text()?);
        let (components, rest) = reader.0.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(malformed());
        }
        Ok(VectorRow { record, encoder, vector: components.iter().map(|c| f32::from_le_bytes(*c)).collect() })
    }
}

/// A change of an index: a slot's vector, or its end.
type Change = (Lsn, u64, Option<Vec<f32>>);

/// Which index: a collection of a namespace, both by number.
pub(crate) type CollectionId = (NamespaceId, u64);

#[derive(Default)]
pub(crate) struct Vectors {
    /// The LSN of the newest change that was, or is being, applied.
    applied: AtomicU64,
    /// In an order of its own, so that the one that is compacted first does not depend on chance.
    indexes: Mutex<BTreeMap<CollectionId, Arc<Index>>>,
}

struct Index {
    flat: FlatIndex,
    /// Searches below this LSN are not answered by the index. Held for reading while one searches.
    floor: RwLock<Lsn>,
    /// What was applied while the index is being filled; `None` once it is.
    waiting: Mutex<Option<Vec<Change>>>,
    filled: Condvar,
}

/// What is searched for.
pub(crate) struct Query<'a> {
    pub(crate) collection: CollectionId,
    pub(crate) dimension: Dimension,
    pub(crate) metric: Metric,
    pub(crate) vector: &'a [f32],
    pub(crate) limit: usize,
    pub(crate) filter: Option<&'a dyn Fn(u64) -> bool>,
}

fn key_of(key: &[u8]) -> Option<(CollectionId, u64)> {
    if Key::table_of(key)? != Table::Vector as u8 {
        return None;
    }
    let namespace = Key::namespace_of(key)?;
    let key = Key::from_bytes(key.to_vec());
    let mut parts = key.components();
    Some(((namespace, parts.u64().ok()?), parts.u64().ok()?))
}

impl Vectors {
    /// Takes over a change that the sequencer applied; in the order of LSNs, before it is published.
    pub(crate) fn apply(&self, key: &[u8], lsn: Lsn, body: Option<&[u8]>) -> Result<()> {
        let Some((collection, slot)) = key_of(key) else { return Ok(()) };
        let index = self.indexes.lock().unwrap_or_else(PoisonError::into_inner).get(&collection).cloned();
        let Some(index) = index else { return Ok(()) };
        let vector = body.map(VectorRow::decode).transpose()?.map(|row| row.vector);
        let mut waiting = index.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waiting {
            Some(changes) => changes.push((lsn, slot, vector)),
            None => index.change(lsn, slot, vector.as_deref())?,
        }
        Ok(())
    }

    /// Notes that a change of this LSN is about to be applied to rows and indexes.
    pub(crate) fn begin(&self, lsn: Lsn) {
        self.applied.store(lsn.0, Ordering::Release);
    }

    /// The LSN of the newest change that was, or is being, applied.
    pub(crate) fn applied(&self) -> Lsn {
        Lsn(self.applied.load(Ordering::Acquire))
    }

    /// The same among the vectors in these slots, about which nothing was changed since the LSN of `rows`. The query's filter
    /// is not asked. None if something was changed about one of them.
    pub(crate) fn search_among(
        &self,
        query: &Query<'_>,
        rows: &RowReader,
        latest: &dyn Fn() -> RowReader,
        slots: &[u64],
    ) -> Result<Option<Vec<Hit>>> {
        let index = self.index(query, latest)?;
        index.flat.search_among(query.vector, query.limit, rows.at(), slots)
    }

    /// The best hits as of the LSN of `rows`. `latest` gives a reader that sees everything applied.
    pub(crate) fn search(
        &self,
        query: &Query<'_>,
        rows: &RowReader,
        latest: &dyn Fn() -> RowReader,
    ) -> Result<Vec<Hit>> {
        let index = self.index(query, latest)?;
        let floor = index.floor.read().unwrap_or_else(PoisonError::into_inner);
        if rows.at() >= *floor {
            let at = if planted::is(Bug::SearchIgnoresSnapshot) { latest().at() } else { rows.at() };
            return index.flat.search(query.vector, query.limit, at, query.filter);
        }
        drop(floor);
        let own = FlatIndex::new(query.dimension, query.metric);
        fill(&own, query.collection, rows)?;
        own.search(query.vector, query.limit, rows.at(), query.filter)
    }

    /// The best hits among the vectors in these slots: for callers who know which are worth a look, and that they are few.
    pub(crate) fn among(
        query: &Query<'_>,
        slots: impl Iterator<Item = u64>,
        rows: &RowReader,
    ) -> Result<Vec<Hit>> {
        let own = FlatIndex::new(query.dimension, query.metric);
        let (namespace, number) = query.collection;
        for slot in slots {
            let key = Key::new(namespace, Table::Vector).u64(number).u64(slot);
            if let Some(row) = rows.get(key.as_bytes())? {
                own.insert(slot, row.lsn, &VectorRow::decode(&row.body)?.vector)?;
            }
        }
        own.search(query.vector, query.limit, rows.at(), query.filter)
    }

    /// The index of a collection; the first caller fills it, others wait.
    fn index(&self, query: &Query<'_>, latest: &dyn Fn() -> RowReader) -> Result<Arc<Index>> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = indexes.get(&query.collection).cloned() {
            drop(indexes);
            let mut waiting = index.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.is_some() {
                waiting = index.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            drop(waiting);
            return Ok(index);
        }
        let index = Arc::new(Index {
            flat: FlatIndex::new(query.dimension, query.metric),
            floor: RwLock::default(),
            waiting: Mutex::new(Some(Vec::new())),
            filled: Condvar::new(),
        });
        indexes.insert(query.collection, index.clone());
        let applied = Lsn(self.applied.load(Ordering::Acquire));
        drop(indexes);
        let result = index.load(query.collection, &latest().at_most(applied), applied);
        if result.is_err() {
            self.forget(query.collection);
        }
        index.filled.notify_all();
        result.map(|()| index)
    }

    /// Drops what has no collection any more: the number that was discarded, or all of a namespace.
    pub(crate) fn discard(&self, (namespace, number): (NamespaceId, Option<u64>)) {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.retain(|(of, n), _| *of != namespace || number.is_some_and(|number| number != *n));
    }

    /// Drops the index of a collection.
    pub(crate) fn forget(&self, collection: CollectionId) {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner).remove(&collection);
    }

    /// Lets go of the dead entries of one index that has at least `least` entries, most of them dead; returns whether
    /// there was one. Searches at LSNs before `visible` scan the rows from then on.
    pub(crate) fn compact(&self, visible: Lsn, least: usize) -> bool {
        let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let worth = |index: &&Arc<Index>| {
            let rows = index.flat.rows();
            rows >= least && index.flat.len() * 2 < rows && index.is_filled()
        };
        let Some(index) = indexes.values().find(worth).cloned() else { return false };
        drop(indexes);
        let mut floor = index.floor.write().unwrap_or_else(PoisonError::into_inner);
        let watermark = visible.max(*floor);
        if !planted::is(Bug::CompactedUnderReaders) {
            *floor = watermark;
        }
        index.flat.compact(watermark) > 0
    }
}

impl Index {
    fn is_filled(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn change(&self, lsn: Lsn, slot: u64, vector: Option<&[f32]>) -> Result<()> {
        match vector {
            Some(vector) => self.flat.insert(slot, lsn, vector),
            None => {
                self.flat.delete(slot, lsn);
                Ok(())
            }
        }
    }

    fn load(&self, collection: CollectionId, rows: &RowReader, applied: Lsn) -> Result<()> {
        let filled = fill(&self.flat, collection, rows);
        *self.floor.write().unwrap_or_else(PoisonError::into_inner) = applied;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let collected = waiting.take().unwrap_or_default();
        filled?;
        for (lsn, slot, vector) in collected {
            self.change(lsn, slot, vector.as_deref())?;
        }
        Ok(())
    }
}

/// Inserts the vectors of a collection, with the LSNs at which they were put.
fn fill(index: &FlatIndex, (namespace, number): CollectionId, rows: &RowReader) -> Result<()> {
    let from = Key::new(namespace, Table::Vector).u64(number);
    let to = from.after_prefix();
    for entry in rows.scan(from.as_bytes(), to.as_ref().map(Key::as_bytes), Direction::Forward) {
        let (key, row) = entry?;
        let Some((_, slot)) = key_of(&key) else { continue };
        index.insert(slot, row.lsn, &VectorRow::decode(&row.body)?.vector)?;
    }
    Ok(())
}
