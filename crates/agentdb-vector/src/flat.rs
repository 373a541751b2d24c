//! The exact index: every search scans every row, one writer appends, readers never wait for it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use agentdb_types::{Lsn, Result};

use crate::chunk::{Append, Chunk};
use crate::places::{Place, Places};
use crate::query::{BLOCK, Query};
use crate::top::Top;
use crate::{Dimension, Hit, Kernel, Metric};

/// The number by which the caller knows a vector.
pub type Slot = u64;

/// Rows of a chunk: at least, and at most.
const CHUNK_ROWS: (usize, usize) = (16, 1024);
/// Bytes of vectors in a chunk, at most (unless the fewest rows already need more).
const CHUNK_BYTES: usize = 4 << 20;
/// How many entries the prefetch of single ones runs ahead.
const AHEAD: usize = 4;

/// The exact index of one collection: vectors under slots, with the LSNs at which each was born and died.
///
/// A search at LSN *S* sees an entry if `born <= S < died`. The caller makes *S* known to readers only after every
/// change up to *S* has been applied here; changes beyond *S* may run at the same time and stay unseen. Writers
/// exclude each other; a search takes a lock for as long as it takes to clone an `Arc`. Rows never move while a
/// reader may see them.
///
/// Vectors are kept exactly as they were given: [`FlatIndex::get`] returns them bit for bit.
pub struct FlatIndex {
    dimension: Dimension,
    metric: Metric,
    kernel: Kernel,
    chunks: RwLock<Chunks>,
    writer: Mutex<Writer>,
}

/// All chunks but the last are full.
type Chunks = Arc<[Arc<Chunk>]>;

/// The writer's state: where the living entry of each slot is, and the number of entries stored.
#[derive(Default)]
struct Writer {
    places: Places,
    rows: usize,
}

impl FlatIndex {
    /// An empty index. It takes no memory for vectors until the first one comes.
    pub fn new(dimension: Dimension, metric: Metric) -> Self {
        Self::with_kernel(dimension, metric, Kernel::best())
    }

    /// An empty index that computes with the kernel given. The answers are the same with each.
    pub fn with_kernel(dimension: Dimension, metric: Metric, kernel: Kernel) -> Self {
        let chunks = RwLock::new(Arc::from([]));
        FlatIndex { dimension, metric, kernel, chunks, writer: Mutex::default() }
    }

    /// The dimension of the vectors.
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// What the scores mean.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Stores a vector as born at `lsn`. A living vector of the same slot dies at `lsn`: the slot is replaced.
    ///
    /// The LSNs of one slot must not go backwards; those of different slots may come in any order.
    ///
    /// # Errors
    /// As [`Dimension::check`]; the index is unchanged then.
    pub fn insert(&self, slot: Slot, lsn: Lsn, vector: &[f32]) -> Result<()> {
        let norm = self.dimension.measure(vector, self.metric)?;
        let scale = Query::scale(self.metric, norm);
        let mut writer = self.writer();
        let chunks = self.chunks();
        let place =
            self.append(&mut writer, chunks, Append { slot, born: lsn, died: None, norm, scale, vector });
        if let Some(old) = writer.places.insert(slot, place) {
            self.kill(old, lsn);
        }
        Ok(())
    }

    /// Marks the vector of a slot as dead from `lsn` on. Returns whether there was a living one; there being none
    /// is no error, so that changes can be applied again.
    pub fn delete(&self, slot: Slot, lsn: Lsn) -> bool {
        let mut writer = self.writer();
        match writer.places.remove(slot) {
            Some(place) => {
                self.kill(place, lsn);
                true
            }
            None => false,
        }
    }

    /// Frees the entries that died at or before `watermark`, and returns how many there were.
    ///
    /// No search may *start* at an LSN below `watermark` any more: it would miss them. A search that is running
    /// keeps the rows that it started with. Writers and [`FlatIndex::get`] wait meanwhile; searches do not.
    pub fn compact(&self, watermark: Lsn) -> usize {
        let mut writer = self.writer();
        let old = self.chunks();
        let dead = |chunk: &Chunk, row: usize| chunk.died(row).is_some_and(|died| died <= watermark);
        let full = self.chunk_rows_max();
        let whole = |c: &&Arc<Chunk>| c.len() == full && (0..full).all(|row| !dead(c, row));
        let count = |c: &Arc<Chunk>| (0..c.len()).filter(|row| dead(c, *row)).count();
        let dropped: usize = old.iter().map(count).sum();
        if dropped == 0 {
            return 0;
        }
        let mut chunks: Vec<Arc<Chunk>> = old.iter().filter(whole).cloned().collect();
        let mut left = writer.rows - dropped - chunks.len() * full;
        for chunk in old.iter().filter(|c| !whole(c)) {
            for row in (0..chunk.len()).filter(|row| !dead(chunk, *row)) {
                let target = match chunks.last() {
                    Some(last) if last.len() < last.capacity() => last,
                    _ => {
                        let capacity = left.next_multiple_of(CHUNK_ROWS.0).min(full);
                        chunks.push(Arc::new(Chunk::new(capacity, self.dimension)));
                        &chunks[chunks.len() - 1]
                    }
                };
                let vector = &chunk.block(row, 1)[..self.dimension.get()];
                let (slot, born, died) = (chunk.slot(row), chunk.born(row), chunk.died(row));
                let entry =
                    Append { slot, born, died, norm: chunk.norm(row), scale: chunk.scale(row), vector };
                // SAFETY: the target is new, and known to this thread alone.
                unsafe { target.append(entry) };
                left -= 1;
            }
        }
        writer.rows -= dropped;
        writer.places.clear();
        for (at, chunk) in chunks.iter().enumerate() {
            for row in (0..chunk.len()).filter(|row| chunk.died(*row).is_none()) {
                writer.places.insert(chunk.slot(row), Place::new(at, row));
            }
        }
        self.publish(chunks.into());
        dropped
    }

    /// The best `k` vectors at snapshot `at`, best first, ties by ascending slot. `filter` keeps the slots for
    /// which it returns true; it is asked only about visible entries that may enter the answer, at most once each.
    ///
    /// Fewer hits come back only when fewer are visible and pass the filter; `k = 0` gives none.
    ///
    /// # Errors
    /// As [`Dimension::check`], for the query.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        at: Lsn,
        filter: Option<&dyn Fn(Slot) -> bool>,
    ) -> Result<Vec<Hit>> {
        let norm = self.dimension.measure(query, self.metric)?;
        if k == 0 {
            return Ok(Vec::new());
        }
        let query = Query::new(self.kernel, self.dimension, self.metric, query, norm);
        let mut top = Top::new(self.metric, k);
        let mut threshold = None;
        for chunk in self.chunks().iter() {
            let len = chunk.len();
            for first in (0..len).step_by(BLOCK) {
                query.scan(chunk, first, BLOCK.min(len - first), &mut threshold, |row| {
                    let slot = chunk.slot(row);
                    if !chunk.visible(row, at) || !filter.is_none_or(|keep| keep(slot)) {
                        return None;
                    }
                    if top.offer(Hit { slot, score: query.score(chunk, row) }) {
                        top.threshold()
                    } else {
                        None
                    }
                });
            }
        }
        Ok(top.into_hits())
    }

    /// The same among the living vectors of these slots alone, by the latest change: for a caller who knows which slots are
    /// worth a look, and that nothing was changed about them since `at`. None if one of the slots has none: then something was.
    ///
    /// # Errors
    /// As [`Dimension::check`], for the query.
    pub fn search_among(&self, query: &[f32], k: usize, at: Lsn, slots: &[Slot]) -> Result<Option<Vec<Hit>>> {
        let norm = self.dimension.measure(query, self.metric)?;
        if k == 0 {
            return Ok(Some(Vec::new()));
        }
        let query = Query::new(self.kernel, self.dimension, self.metric, query, norm);
        let mut top = Top::new(self.metric, k);
        let writer = self.writer();
        let Some(places) = writer.places.get_all(slots) else { return Ok(None) };
        let chunks = self.chunks();
        drop(writer);
        let entry = |place: &Place| (&chunks[place.chunk as usize], place.row as usize);
        for (n, place) in places.iter().enumerate() {
            // They lie anywhere: what the next ones need is on its way meanwhile.
            if let Some((chunk, row)) = places.get(n + AHEAD).map(entry) {
                chunk.prefetch(row);
            }
            let (chunk, row) = entry(place);
            if chunk.visible(row, at) {
                top.offer(Hit { slot: chunk.slot(row), score: query.score(chunk, row) });
            }
        }
        Ok(Some(top.into_hits()))
    }

    /// The vector of a slot at snapshot `at`, bit for bit as it was inserted. The latest one of a slot is found at
    /// once; one that was deleted or replaced since `at`, by a walk over all entries.
    pub fn get(&self, slot: Slot, at: Lsn) -> Option<Vec<f32>> {
        let writer = self.writer();
        let chunks = self.chunks();
        let place = writer.places.get(slot);
        drop(writer);
        let vector = |chunk: &Chunk, row: usize| chunk.block(row, 1)[..self.dimension.get()].to_vec();
        if let Some(Place { chunk, row }) = place
            && let (chunk, row) = (&chunks[chunk as usize], row as usize)
            && chunk.visible(row, at)
        {
            return Some(vector(chunk, row));
        }
        chunks.iter().find_map(|chunk| {
            let row = (0..chunk.len()).find(|row| chunk.slot(*row) == slot && chunk.visible(*row, at))?;
            Some(vector(chunk, row))
        })
    }

    /// The number of living vectors, by the latest change.
    pub fn len(&self) -> usize {
        self.writer().places.len()
    }

    /// Whether there is no living vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of entries stored, the dead that await [`FlatIndex::compact`] included.
    pub fn rows(&self) -> usize {
        self.writer().rows
    }

    /// The memory that the index holds, in bytes: room for vectors to come included.
    pub fn memory_bytes(&self) -> usize {
        let places = self.writer().places.bytes();
        size_of::<Self>() + places + self.chunks().iter().map(|c| c.bytes()).sum::<usize>()
    }

    /// Appends to the last chunk, or to a new one that is twice as large.
    fn append(&self, writer: &mut Writer, chunks: Chunks, entry: Append<'_>) -> Place {
        // SAFETY: the caller holds the writer's lock: nobody else appends.
        if let Some(row) = chunks.last().and_then(|last| unsafe { last.append(entry) }) {
            writer.rows += 1;
            return Place::new(chunks.len() - 1, row);
        }
        let full = self.chunk_rows_max();
        let capacity = writer.rows.next_power_of_two().clamp(CHUNK_ROWS.0, full);
        let chunk = Chunk::new(capacity, self.dimension);
        // SAFETY: the chunk is new, and known to this thread alone.
        unsafe { chunk.append(entry) };
        self.publish(chunks.iter().cloned().chain([Arc::new(chunk)]).collect());
        writer.rows += 1;
        Place::new(chunks.len(), 0)
    }

    fn kill(&self, place: Place, lsn: Lsn) {
        self.chunks()[place.chunk as usize].kill(place.row as usize, lsn);
    }

    fn chunk_rows_max(&self) -> usize {
        let fitting = CHUNK_BYTES / (self.dimension.stride() * size_of::<f32>());
        fitting.clamp(CHUNK_ROWS.0, CHUNK_ROWS.1)
    }

    // A panic under one of these locks leaves both states whole, so that poison is passed over.

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chunks(&self) -> Chunks {
        self.chunks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, chunks: Chunks) {
        *self.chunks.write().unwrap_or_else(PoisonError::into_inner) = chunks;
    }
}

impl fmt::Debug for FlatIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("FlatIndex");
        s.field("dimension", &self.dimension.get()).field("metric", &self.metric);
        s.field("kernel", &self.kernel).field("len", &self.len()).finish()
    }
}
