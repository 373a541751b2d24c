//! The base of the rows: everything that was drained from memory tables, in immutable [runs](super::run) arranged in levels
//! (P. O'Neil, Cheng, Gawlick and E. O'Neil, "The log-structured merge-tree", 1996).
//!
//! Level 0 holds drained memory tables, newest first. The runs of every other level do not overlap; each level is ten times
//! as large as the one above. Behind the rows of a namespace lies, in the same runs, their set hash, in a table that no reader
//! is shown.
//!
//! # Why no failure of the disk loses rows
//!
//! Nothing is changed in place. A run is synced before the [manifest](super::manifest) names it, the manifest before it
//! gets its name, and the directory last; only then are runs that it no longer names removed, and the log trimmed. What a
//! failed sync leaves in doubt is thus the last manifest and the entries of the runs that it brought: the system may show
//! them and never write them. The file `UNPROVEN` stands in the directory from before the first of these steps until all
//! have succeeded. It need not be durable: if the machine fails, what can be read is what is on the disk. If it is found at
//! opening, the runs in doubt, whose bytes were synced, are written once more under new numbers.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_env::{Env, OpenMode};
use agentdb_types::{ChainHash, Code, Error, Lsn, Result, Timestamp};
use arc_swap::ArcSwap;

use super::cache::BlockCache;
use super::compaction::{self, Compaction};
use super::drain::Drain;
use super::manifest::{Manifest, RunEntry};
use super::memtable::Version;
use super::run::{self, Found, Run};
use super::run_writer::RunWriter;
use super::{Direction, Row, key_filter, merge, run_iter};
use crate::digest::SetHash;
use crate::key::{Key, NamespaceId};
use crate::planted::{self, Bug};

const UNPROVEN: &str = "UNPROVEN";
/// The table of set hashes: after all tables of rows.
const HASHES: u8 = 0xff;

/// Where the base stands in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) lsn: Lsn,
    pub(crate) chain: ChainHash,
    pub(crate) time: Timestamp,
}

/// How the base uses memory and disk.
#[derive(Clone, Copy, Debug)]
pub struct BaseOptions {
    /// Bytes of the cache of blocks.
    pub cache_bytes: usize,
    /// Bytes that one step of draining, of merging, or of copying for a fork writes.
    pub step_bytes: usize,
    /// Bytes after which a merge begins another run.
    pub run_bytes: u64,
    /// Bytes of level 1; each level below it holds ten times as many.
    pub level_bytes: u64,
}

impl Default for BaseOptions {
    fn default() -> Self {
        BaseOptions {
            cache_bytes: 256 << 20,
            step_bytes: 256 << 10,
            run_bytes: 64 << 20,
            level_bytes: 256 << 20,
        }
    }
}

/// A run whose bytes are copied. It stays readable when the base lets go of it.
pub(crate) struct RunCopy(Arc<Run>);

impl RunCopy {
    /// The name of its file.
    pub(crate) fn name(&self) -> String {
        run::file_name(self.0.number)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.file_bytes
    }

    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        self.0.read_raw(offset, out)
    }
}

/// What the base takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BaseStats {
    /// Bytes of the files.
    pub file_bytes: u64,
    /// How many runs there are.
    pub runs: u64,
    /// Bytes of memory beside the cache: filters and indexes of runs.
    pub resident_bytes: u64,
}

pub(crate) struct Base {
    pub(super) env: Env,
    pub(super) dir: PathBuf,
    pub(super) options: BaseOptions,
    pub(super) cache: Arc<BlockCache>,
    current: ArcSwap<BaseSnapshot>,
    next_run: AtomicU64,
    /// Held while the manifest is replaced.
    installing: Mutex<()>,
    pub(super) drain: Mutex<Option<Drain>>,
    pub(super) compaction: Mutex<Option<Compaction>>,
    /// The next level to empty, while everything is to be merged into the deepest one.
    pub(super) emptied: Mutex<Option<usize>>,
    pub(super) failure: Mutex<Option<compaction::Failure>>,
    /// Runs that were merged into others, until nobody reads them any more.
    retired: Mutex<Vec<Arc<Run>>>,
}

/// A run in its place, and the generation of the manifest that brought it.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) run: Arc<Run>,
    pub(super) generation: u64,
}

/// The base at one moment, for as long as the snapshot lives.
#[derive(Clone)]
pub(crate) struct BaseSnapshot {
    pub(crate) position: Position,
    generation: u64,
    pub(super) levels: Vec<Vec<Placed>>,
    cache: Arc<BlockCache>,
}

impl Base {
    /// Opens or creates the base in `dir`, which exists.
    pub(crate) fn open(env: &Env, dir: &Path, options: BaseOptions) -> Result<Self> {
        let manifest = match Manifest::read(env, dir)? {
            Some(manifest)
                if env.files.exists(&dir.join(UNPROVEN))? && !planted::is(Bug::DoubtIsBelieved) =>
            {
                prove(env, dir, manifest)?
            }
            Some(manifest) => manifest,
            None => create(env, dir)?,
        };
        remove_strays(env, dir, &manifest)?;
        let cache = Arc::new(BlockCache::new(options.cache_bytes));
        let place = |entry: &RunEntry| {
            let run = Arc::new(Run::open(env, dir, entry.number)?);
            Ok(Placed { run, generation: entry.generation })
        };
        let level = |level: &Vec<RunEntry>| level.iter().map(place).collect::<Result<Vec<_>>>();
        let snapshot = BaseSnapshot {
            position: manifest.position,
            generation: manifest.generation,
            levels: manifest.levels.iter().map(level).collect::<Result<_>>()?,
            cache: cache.clone(),
        };
        Ok(Base {
            env: env.clone(),
            dir: dir.to_owned(),
            options,
            cache,
            current: ArcSwap::from_pointee(snapshot),
            next_run: AtomicU64::new(manifest.next_run),
            installing: Mutex::default(),
            drain: Mutex::default(),
            compaction: Mutex::default(),
            emptied: Mutex::default(),
            failure: Mutex::default(),
            retired: Mutex::default(),
        })
    }

    /// Holds runs that are about to be replaced, until [`Base::free_retired`].
    pub(super) fn retire(&self, numbers: &BTreeSet<u64>) {
        let runs = self.snapshot();
        let runs = runs.levels.iter().flatten().map(|placed| &placed.run);
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.extend(runs.filter(|run| numbers.contains(&run.number)).cloned());
    }

    /// Closes the runs that were replaced and that nobody reads any more. The system frees a removed file when it is closed,
    /// which takes tens of milliseconds: whoever decides or reads must not be the last to hold it.
    pub(crate) fn free_retired(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let free: Vec<_> = retired.extract_if(.., |run| Arc::strong_count(run) == 1).collect();
        drop(retired);
        drop(free);
    }

    /// The base as it is now.
    pub(crate) fn snapshot(&self) -> Arc<BaseSnapshot> {
        self.current.load_full()
    }

    /// Begins a new run.
    pub(super) fn begin_run(&self) -> Result<RunWriter> {
        let number = self.next_run.fetch_add(1, Ordering::Relaxed);
        RunWriter::create(&self.env, &self.dir, number, self.options.step_bytes)
    }

    /// Makes a change of the levels durable, then the current one. Runs that it brings are synced already.
    pub(super) fn install(&self, change: impl FnOnce(&mut BaseSnapshot, u64)) -> Result<()> {
        let _one = self.installing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = BaseSnapshot::clone(&self.snapshot());
        next.generation += 1;
        let generation = next.generation;
        change(&mut next, generation);
        let entry = |p: &Placed| RunEntry { number: p.run.number, generation: p.generation };
        let manifest = Manifest {
            generation,
            position: next.position,
            next_run: self.next_run.load(Ordering::Relaxed),
            levels: next.levels.iter().map(|level| level.iter().map(entry).collect()).collect(),
        };
        let mark = self.dir.join(UNPROVEN);
        if !self.env.files.exists(&mark)? {
            self.env.files.open(&mark, OpenMode::CreateNew)?;
        }
        manifest.write(&self.env, &self.dir)?;
        self.env.files.remove(&mark)?;
        self.current.store(Arc::new(next));
        Ok(())
    }

    pub(crate) fn stats(&self) -> BaseStats {
        let mut stats = BaseStats::default();
        for placed in self.snapshot().levels.iter().flatten() {
            stats.runs += 1;
            stats.file_bytes += placed.run.file_bytes;
            stats.resident_bytes += placed.run.resident_bytes();
        }
        stats
    }
}

fn create(env: &Env, dir: &Path) -> Result<Manifest> {
    // A base has a manifest before it has its first run.
    if env.files.list(dir)?.iter().any(|name| run::parse_name(name).is_some()) {
        return Err(Error::new(Code::RowsCorrupt)
            .with("reason", format_args!("{}: there are runs and no manifest", dir.display())));
    }
    let manifest = Manifest { next_run: 1, ..Manifest::default() };
    manifest.write(env, dir)?;
    Ok(manifest)
}

/// Writes what the last manifest brought, and the manifest, once more: whether their directory entries are durable is in
/// doubt.
fn prove(env: &Env, dir: &Path, mut manifest: Manifest) -> Result<Manifest> {
    let doubted = manifest.generation;
    manifest.generation += 1;
    for entry in manifest.levels.iter_mut().flatten().filter(|entry| entry.generation == doubted) {
        let copy = RunEntry { number: manifest.next_run, generation: manifest.generation };
        manifest.next_run += 1;
        let path = dir.join(run::file_name(copy.number));
        if env.files.exists(&path)? {
            env.files.remove(&path)?;
        }
        Run::open(env, dir, entry.number)?.copy_to(env, &path)?;
        *entry = copy;
    }
    manifest.write(env, dir)?;
    Ok(manifest)
}

/// Removes what the manifest does not name. It is durable by now.
fn remove_strays(env: &Env, dir: &Path, manifest: &Manifest) -> Result<()> {
    let named: HashSet<u64> = manifest.levels.iter().flatten().map(|entry| entry.number).collect();
    for name in env.files.list(dir)? {
        let stray = run::parse_name(&name).is_some_and(|number| !named.contains(&number));
        if stray || name == UNPROVEN {
            env.files.remove(&dir.join(name))?;
        }
    }
    Ok(())
}

/// The key of a namespace's set hash.
pub(super) fn hash_key(namespace: NamespaceId) -> Vec<u8> {
    [&namespace.0.to_be_bytes()[..], &[HASHES]].concat()
}

fn is_row(version: &Result<Version>) -> bool {
    version.as_ref().map_or(true, |(key, ..)| Key::table_of(key) != Some(HASHES))
}

impl BaseSnapshot {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Row>> {
        let hash = key_filter::hash(key);
        for (number, level) in self.levels.iter().enumerate() {
            let candidates = if number == 0 {
                &level[..]
            } else {
                let at = level.partition_point(|placed| placed.run.last_key() < key);
                level.get(at..at + 1).unwrap_or_default()
            };
            for placed in candidates {
                match placed.run.get(&self.cache, key, hash)? {
                    Found::Row(row) => return Ok(Some(row)),
                    Found::Deleted => return Ok(None),
                    Found::Nothing => {}
                }
            }
        }
        Ok(None)
    }

    /// The runs from `from` on, below `to`, as sources for a merge: newest first.
    pub(crate) fn sources(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
    ) -> Vec<merge::Source<'static>> {
        let mut sources: Vec<merge::Source<'static>> = Vec::new();
        for (number, level) in self.levels.iter().enumerate() {
            let runs: Vec<Arc<Run>> = level.iter().map(|placed| placed.run.clone()).collect();
            if number == 0 {
                for run in &runs {
                    let rows = run_iter::RunIter::new(run, &self.cache, from, to, direction);
                    sources.push(Box::new(rows.filter(is_row)));
                }
            } else {
                let rows = run_iter::level(&runs, &self.cache, from, to, direction);
                sources.push(Box::new(rows.filter(is_row)));
            }
        }
        sources
    }

    /// The set hash of a namespace's rows in the base.
    pub(crate) fn hash(&self, namespace: NamespaceId) -> Result<SetHash> {
        let Some(row) = self.get(&hash_key(namespace))? else { return Ok(SetHash::default()) };
        SetHash::from_bytes(&row.body).ok_or_else(|| {
            Error::new(Code::RowsCorrupt)
                .with("reason", format_args!("the set hash of namespace {} is malformed", namespace.0))
        })
    }

    /// The set hash that is kept of a namespace's rows, and the one that they have: to be equal; and how many rows they are.
    pub(crate) fn rehash(&self, namespace: NamespaceId) -> Result<(SetHash, SetHash, u64)> {
        let (from, to) = (namespace.0.to_be_bytes(), (namespace.0 + 1).to_be_bytes());
        let forward = Direction::Forward;
        let (mut computed, mut rows) = (SetHash::default(), 0);
        for row in merge::RowIter::new(self.sources(&from, Some(&to), forward), forward) {
            let (key, row) = row?;
            computed.add(&key, row.lsn, &row.body);
            rows += 1;
        }
        Ok((self.hash(namespace)?, computed, rows))
    }

    /// The rows whose keys start with `prefix`.
    pub(crate) fn rows(&self, prefix: &Key) -> merge::RowIter<'static> {
        let to = prefix.after_prefix();
        let forward = Direction::Forward;
        let sources = self.sources(prefix.as_bytes(), to.as_ref().map(Key::as_bytes), forward);
        merge::RowIter::new(sources, forward)
    }

    /// A manifest of this base, for a copy of its runs.
    pub(crate) fn manifest(&self) -> Vec<u8> {
        let entry = |p: &Placed| RunEntry { number: p.run.number, generation: p.generation };
        let levels: Vec<Vec<RunEntry>> =
            self.levels.iter().map(|level| level.iter().map(entry).collect()).collect();
        let next_run = levels.iter().flatten().map(|run| run.number + 1).max().unwrap_or(1);
        Manifest { generation: self.generation, position: self.position, next_run, levels }.encode()
    }

    /// The runs, to copy their bytes.
    pub(crate) fn copies(&self) -> impl Iterator<Item = RunCopy> + '_ {
        self.levels.iter().flatten().map(|placed| RunCopy(placed.run.clone()))
    }

    /// The namespaces that have rows.
    pub(crate) fn namespaces(&self) -> Result<Vec<NamespaceId>> {
        let mut found = Vec::new();
        let mut from = Some(Vec::new());
        while let Some(at) = from {
            let sources = self.sources(&at, None, Direction::Forward);
            let first = merge::RowIter::new(sources, Direction::Forward).next().transpose()?;
            let namespace = first.and_then(|(key, _)| Key::namespace_of(&key));
            found.extend(namespace);
            from = namespace.and_then(|n| n.0.checked_add(1)).map(|next| next.to_be_bytes().to_vec());
        }
        Ok(found)
    }

    /// Reads every run from the disk: `visit` hears the key of each version that is whole, and of everything that does not
    /// hold.
    pub(crate) fn check(&self, visit: &mut dyn FnMut(Result<&[u8]>), is_over: &dyn Fn() -> bool) {
        for placed in self.levels.iter().flatten() {
            if let Err(err) = placed.run.check(visit, is_over) {
                visit(Err(err));
            }
            if is_over() {
                return;
            }
        }
        for pair in self.levels.iter().skip(1).flat_map(|level| level.windows(2)) {
            if pair[0].run.last_key() >= pair[1].run.first_key() {
                let (a, b) = (pair[0].run.number, pair[1].run.number);
                let reason = format_args!("runs {a} and {b} of one level overlap");
                visit(Err(Error::new(Code::RowsCorrupt).with("reason", reason)));
            }
        }
    }
}
