//! A load under way: rows of a file into segments, segments into the log.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use agentdb_types::{Code, Error, Lsn, Result, limits};
use agentdb_vector::Metric;
use xxhash_rust::xxh3::xxh3_128;

use super::mark::Mark;
use super::segment::Segment;
use super::{Counts, Load, Loaded, Row, Rows};
use crate::encoder::Encoded;
use crate::modules::collection::{self, VectorSettings};
use crate::modules::transfer::make_room;
use crate::planted::{self, Bug};
use crate::request::WriteOptions;
use crate::{Engine, NamespaceId};

/// Bytes of rows that one segment takes.
const SEGMENT_BYTES: usize = 16 << 20;
/// Bytes of texts of a segment that are to be encoded, which takes some seconds.
const ENCODED_BYTES: usize = 64 << 10;
/// Texts that are encoded in one go.
const ENCODED_AT_ONCE: usize = 32;
/// Rows, and bytes, that one step passes over of what was loaded before.
const PASSED_ROWS: usize = 50_000;
const PASSED_BYTES: u64 = 64 << 20;

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows that are loaded, or were before.
    pub rows: u64,
    /// Bytes of the file that are read.
    pub bytes: u64,
}

/// A load under way. Dropped before its end, it leaves what its segments have committed, and the next one of the same name
/// goes on there.
pub struct LoadJob<'a> {
    engine: Engine,
    namespace: NamespaceId,
    load: Load,
    source: String,
    options: WriteOptions,
    file: Box<dyn Rows + 'a>,
    /// Rows that were read and are not committed, the next first.
    ahead: VecDeque<Row>,
    /// Whether the file has no more rows.
    ended: bool,
    /// Hashes of the ids that were read.
    ids: HashSet<u128>,
    /// Rows that were read.
    read: u64,
    stage: Stage,
    resumed_behind: Option<u64>,
    /// The version of the mark that is stored; 0 if there is none.
    version: Lsn,
    /// The mark of what is loaded.
    mark: Mark,
    /// What the rows that are loaded hash to.
    hasher: blake3::Hasher,
    /// Rows, and mutations, of one segment.
    most_rows: usize,
    most: usize,
}

/// What a load does next.
enum Stage {
    /// It compares the first segment with what was loaded before.
    First(Mark),
    /// It passes over what was loaded before.
    Passing(Mark),
    Loading,
}

impl Engine {
    /// Begins a load of rows; [`LoadJob::step`] goes on with it. The name of the load is that of the request, or else `file`.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`]; [`Code::InvalidValue`] for an idempotency key; [`Code::IdEmpty`], [`Code::IdTooLong`] for
    /// the name.
    pub fn begin_load<'a>(
        &self,
        namespace: NamespaceId,
        load: &Load,
        file: &str,
        rows: Box<dyn Rows + 'a>,
        options: WriteOptions,
    ) -> Result<LoadJob<'a>> {
        if options.idempotency_key.is_some() {
            let reason = "a load is many batches, and goes on by itself";
            return Err(Error::new(Code::InvalidValue)
                .with("field", "idempotency_key")
                .with("reason", reason));
        }
        let source = load.source.as_deref().unwrap_or(file);
        agentdb_types::Id::check("source", source)?;
        let snapshot = self.snapshot(namespace)?;
        let head = match collection::find(&snapshot, &load.collection) {
            Err(err) if err.code() == Code::CollectionNotFound && load.create => None,
            found => Some(found?),
        };
        let found = head.map(|head| Mark::find(&snapshot, head.number, source)).transpose()?.flatten();
        let version = found.as_ref().map_or(Lsn::ZERO, |(version, _)| *version);
        let before = found.map(|(_, mark)| mark).filter(|_| !load.anew);
        Ok(LoadJob {
            engine: self.clone(),
            namespace,
            load: load.clone(),
            source: source.to_owned(),
            options,
            file: rows,
            ahead: VecDeque::new(),
            ended: false,
            ids: HashSet::new(),
            read: 0,
            stage: before.map_or(Stage::Loading, Stage::First),
            resumed_behind: None,
            version,
            mark: Mark::default(),
            hasher: blake3::Hasher::new(),
            most_rows: usize::MAX,
            most: limits::BATCH_MUTATIONS,
        })
    }
}

impl LoadJob<'_> {
    /// With segments of so many rows at most.
    #[must_use]
    pub fn segment_rows(mut self, rows: usize) -> Self {
        self.most_rows = rows.max(1);
        self
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress { rows: self.mark.rows, bytes: self.file.bytes_read() }
    }

    /// Loads the next segment, or passes over some of what was loaded before; tells what was loaded when it is done. It must not
    /// be stepped after that, or after an error.
    ///
    /// # Errors
    /// Those that [`Load`] tells; they name the row. Nothing of the segment is loaded then, and another load of the same name
    /// goes on there.
    pub fn step(&mut self) -> Result<Option<Loaded>> {
        let stepped = match std::mem::replace(&mut self.stage, Stage::Loading) {
            Stage::First(mark) => self.compare_first(mark).map(|()| None),
            Stage::Passing(mark) => self.pass(mark),
            Stage::Loading if self.engine.core.check_room().is_err() => {
                make_room(&self.engine).map(|()| None)
            }
            Stage::Loading => self.load_segment(),
        };
        stepped.map_err(|err| match err.code() {
            Code::LoadChanged | Code::LoadMoved => err,
            _ => err.after_loaded(self.mark.rows),
        })
    }

    /// Compares the first segment. A load that is done, and of which another file has the name now, begins anew.
    fn compare_first(&mut self, mark: Mark) -> Result<()> {
        let mut rows = VecDeque::new();
        while (rows.len() as u64) < mark.first_rows
            && let Some(row) = self.next_row()?
        {
            rows.push_back(row);
        }
        let hasher = hashed(&blake3::Hasher::new(), rows.make_contiguous());
        if rows.len() as u64 == mark.first_rows && hash(&hasher) == mark.first_hash {
            (self.hasher, self.mark.rows) = (hasher, mark.first_rows);
            self.stage = Stage::Passing(mark);
        } else if mark.done.is_some() {
            self.ahead = rows;
        } else {
            return Err(self.changed(&mark, "they have another hash"));
        }
        Ok(())
    }

    /// Passes over rows that were loaded before, a piece at a time.
    fn pass(&mut self, mark: Mark) -> Result<Option<Loaded>> {
        let (bytes, mut rows) = (self.file.bytes_read() + PASSED_BYTES, Vec::new());
        let left = (mark.rows - self.mark.rows).min(PASSED_ROWS as u64) as usize;
        while rows.len() < left && self.file.bytes_read() < bytes {
            match self.next_row()? {
                Some(row) => rows.push(row),
                None => return Err(self.changed(&mark, "there are fewer")),
            }
        }
        self.hasher = hashed(&self.hasher, &rows);
        self.mark.rows += rows.len() as u64;
        if self.mark.rows < mark.rows {
            self.stage = Stage::Passing(mark);
            return Ok(None);
        }
        if hash(&self.hasher) != mark.hash {
            return Err(self.changed(&mark, "they have another hash"));
        }
        self.resumed_behind = Some(mark.rows);
        if let Some(lsn) = mark.done {
            if self.next_row()?.is_some() {
                return Err(self.changed(&mark, "the load was done, and there are more now"));
            }
            return Ok(Some(self.loaded(lsn, mark.counts)));
        }
        self.mark = mark;
        Ok(None)
    }

    fn changed(&self, mark: &Mark, reason: &str) -> Error {
        Error::new(Code::LoadChanged)
            .with("source", &self.source)
            .with("collection", &self.load.collection)
            .with("row", mark.rows)
            .with("reason", reason)
    }

    fn loaded(&self, lsn: Lsn, counts: Counts) -> Loaded {
        Loaded { lsn, rows: self.mark.rows, resumed_behind: self.resumed_behind, counts }
    }

    /// The next row, as it will be stored.
    fn next_row(&mut self) -> Result<Option<Row>> {
        if let Some(row) = self.ahead.pop_front() {
            return Ok(Some(row));
        }
        if self.ended {
            return Ok(None);
        }
        let Some(mut row) = self.file.next_row()? else {
            self.ended = true;
            return Ok(None);
        };
        self.read += 1;
        let (number, line) = (self.read, row.line);
        if let Some(id) = &row.record
            && !self.ids.insert(xxh3_128(id.as_bytes()))
        {
            let id = id.clone();
            return Err(Error::new(Code::LoadRow)
                .with("row", number)
                .with("column", self.load.id.as_deref().unwrap_or("id"))
                .with("reason", format_args!("a row before has the id {id:?}, too"))
                .with("id", id)
                .on_line(line));
        }
        row.seal().map_err(|err| err.at_row(number, line))?;
        Ok(Some(row))
    }

    /// Reads rows until a segment is full, and commits it.
    fn load_segment(&mut self) -> Result<Option<Loaded>> {
        let (mut rows, mut room) = (Vec::new(), Room { mutations: self.most, ..Room::default() });
        while let Some(row) = self.next_row()? {
            let fits = rows.len() < self.most_rows && room.takes(&row);
            // A row that is too large for any segment is told of as such.
            if !fits && !rows.is_empty() {
                self.ahead.push_front(row);
                break;
            }
            rows.push(row);
        }
        self.encode(&mut rows)?;
        let last = self.ended && self.ahead.is_empty();
        let rows = Arc::new(rows);
        match self.commit(&rows, last, room.bytes) {
            // They replace records with more vectors than they bring.
            Err(err) if err.code() == Code::BatchTooLarge && rows.len() > 1 => {
                self.most = (self.most / 2).max(1);
                let rows = Arc::try_unwrap(rows).unwrap_or_else(|rows| (*rows).clone());
                rows.into_iter().rev().for_each(|row| self.ahead.push_front(row));
                Ok(None)
            }
            committed => committed.map(|lsn| last.then(|| self.loaded(lsn, self.mark.counts))),
        }
    }

    fn commit(&mut self, rows: &Arc<Vec<Row>>, last: bool, bytes: usize) -> Result<Lsn> {
        let hasher = hashed(&self.hasher, rows);
        let (hash, count) = (hash(&hasher), rows.len() as u64);
        let (first_rows, first_hash) = match self.mark.rows {
            0 => (count, hash.clone()),
            _ => (self.mark.first_rows, self.mark.first_hash.clone()),
        };
        let mark = Mark { rows: self.mark.rows + count, hash, first_rows, first_hash, ..self.mark.clone() };
        let segment = Segment {
            collection: self.load.collection.clone(),
            source: self.source.clone(),
            create: (self.load.create && self.mark.rows == 0).then(|| self.create(rows)),
            existing: self.load.existing,
            ttl_us: self.load.ttl_us,
            expected: self.version,
            mark: mark.clone(),
            after: self.mark.rows,
            rows: rows.clone(),
            last,
            bytes,
        };
        let mark_alone = (planted::is(Bug::LoadMarkedApart) && !last).then(|| segment.without_rows());
        let mut committed = self.engine.write(self.namespace, segment, self.options.clone())?.wait()?;
        let counts = committed.response.counts;
        if let Some(alone) = mark_alone {
            committed = self.engine.write(self.namespace, alone, self.options.clone())?.wait()?;
        }
        (self.mark, self.hasher, self.version) = (Mark { counts, ..mark }, hasher, committed.lsn);
        Ok(committed.lsn)
    }

    /// The collection that takes these rows.
    fn create(&self, rows: &[Row]) -> collection::Create {
        let metric = self.load.metric;
        let mut create = collection::Create { metric, ..collection::Create::new(&self.load.collection) };
        create.dimension = rows.iter().find_map(|row| row.vector.as_ref()).map(Vec::len);
        for row in rows {
            for (name, vector) in &row.vectors {
                let settings =
                    VectorSettings { dimension: vector.len(), metric: metric.unwrap_or(Metric::Cosine) };
                create.vectors.entry(name.clone()).or_insert(settings);
            }
            for name in row.sparse.keys() {
                create.sparse.entry(name.clone()).or_insert(collection::SparseSettings {});
            }
        }
        create
    }

    /// Encodes the texts of rows without vectors, if the collection has an encoder.
    fn encode(&self, rows: &mut [Row]) -> Result<()> {
        let Some(encoder) = self.engine.text_encoder() else { return Ok(()) };
        let snapshot = self.engine.snapshot(self.namespace)?;
        if !collection::find(&snapshot, &self.load.collection).is_ok_and(|head| head.encoder.is_some()) {
            return Ok(());
        }
        let after = self.mark.rows;
        let mut encoded: Vec<(u64, &mut Row)> =
            (after + 1..).zip(rows).filter(|(_, row)| row.vector.is_none() && row.text.is_some()).collect();
        for rows in encoded.chunks_mut(ENCODED_AT_ONCE) {
            let texts: Vec<&str> = rows.iter().filter_map(|(_, row)| row.text.as_deref()).collect();
            let vectors = match encoder.encode(&texts) {
                Ok(vectors) if vectors.len() == texts.len() => vectors,
                // One of them is why.
                _ => rows
                    .iter()
                    .map(|(number, row)| {
                        let text = row.text.as_deref().unwrap_or_default();
                        let made = crate::encoder::encode(&**encoder, text);
                        made.map(|made| made.vector).map_err(|err| err.at_row(*number, row.line))
                    })
                    .collect::<Result<_>>()?,
            };
            for ((_, row), vector) in rows.iter_mut().zip(vectors) {
                row.encoded = Some(Encoded { encoder: encoder.id().to_owned(), vector });
            }
        }
        Ok(())
    }
}

/// What a segment still takes.
#[derive(Default)]
struct Room {
    mutations: usize,
    used: usize,
    bytes: usize,
    to_encode: usize,
}

impl Room {
    /// Whether a row goes into the segment; it is counted if so.
    fn takes(&mut self, row: &Row) -> bool {
        let (used, bytes) = (self.used + 1 + row.vectors(), self.bytes + row.bytes());
        let to_encode = if row.vector.is_some() { 0 } else { row.text.as_ref().map_or(0, String::len) };
        let takes = used <= self.mutations && bytes <= SEGMENT_BYTES && self.to_encode <= ENCODED_BYTES;
        if takes {
            (self.used, self.bytes) = (used, bytes);
            self.to_encode += to_encode;
        }
        takes
    }
}

/// A hasher that has taken in these rows, too.
fn hashed(before: &blake3::Hasher, rows: &[Row]) -> blake3::Hasher {
    const AT_ONCE: usize = 256 << 10;
    let (mut hasher, mut bytes) = (before.clone(), Vec::with_capacity(AT_ONCE));
    for row in rows {
        row.put_canonical(&mut bytes);
        if bytes.len() >= AT_ONCE {
            hasher.update(&bytes);
            bytes.clear();
        }
    }
    hasher.update(&bytes);
    hasher
}

fn hash(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex().to_string()
}
