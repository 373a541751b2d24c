//! A segment among others, with what is dead in it; and the statistics of what is visible at an LSN.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_types::Lsn;

use crate::cursor::{Cursor, END};
use crate::segment::{ALIVE, Segment};

/// Deaths of a part that are counted one by one before they are folded.
const RECENT: usize = 64;

/// A segment of the index, as one state of it knows it. Cloning shares everything.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Unique in the index.
    pub(crate) id: u64,
    pub(crate) segment: Arc<Segment>,
    /// Dead entries in groups, of which the counts by term are remembered. The sizes fall at least by half.
    folds: Vec<Arc<Fold>>,
    /// The latest dead entries, in order of their numbers.
    recent: Arc<[u32]>,
}

/// Dead entries of a segment.
#[derive(Debug)]
struct Fold {
    docs: Vec<u32>,
    /// The latest death among them.
    until: u64,
    /// For terms that were asked about: how many of these entries have them.
    counts: Mutex<HashMap<u32, u32>>,
}

/// Entries, and the total length of each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) entries: u64,
    pub(crate) lengths: Vec<u64>,
}

impl Part {
    /// A part of a segment, some of whose entries may be dead.
    pub(crate) fn new(id: u64, segment: Arc<Segment>) -> Self {
        let dead: Vec<u32> = (0..segment.len() as u32).filter(|doc| segment.died(*doc) != ALIVE).collect();
        let mut part = Part { id, segment, folds: Vec::new(), recent: Arc::from([]) };
        if dead.len() > RECENT {
            part.folds.push(Arc::new(Fold::new(&part.segment, dead)));
        } else {
            part.recent = dead.into();
        }
        part
    }

    /// The part after the death of an entry. The entry must be alive.
    pub(crate) fn kill(&self, doc: u32, lsn: Lsn) -> Part {
        self.segment.kill(doc, lsn);
        let mut recent: Vec<u32> = self.recent.to_vec();
        let at = recent.partition_point(|d| *d < doc);
        recent.insert(at, doc);
        let mut folds = self.folds.clone();
        if recent.len() > RECENT {
            while folds.last().is_some_and(|last| last.docs.len() < 2 * recent.len()) {
                recent.extend(folds.pop().iter().flat_map(|f| &f.docs));
            }
            recent.sort_unstable();
            folds.push(Arc::new(Fold::new(&self.segment, std::mem::take(&mut recent))));
        }
        Part { id: self.id, segment: self.segment.clone(), folds, recent: recent.into() }
    }

    /// How many entries are dead.
    pub(crate) fn dead(&self) -> usize {
        self.recent.len() + self.folds.iter().map(|f| f.docs.len()).sum::<usize>()
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let counts = |f: &Arc<Fold>| f.counts.lock().unwrap_or_else(PoisonError::into_inner).capacity() * 9;
        self.segment.bytes() + self.dead() * size_of::<u32>() + self.folds.iter().map(counts).sum::<usize>()
    }

    /// How many entries died at or before an LSN.
    pub(crate) fn dead_by(&self, lsn: Lsn) -> usize {
        self.dead_docs().filter(|doc| self.segment.died(*doc) <= lsn.0).count()
    }

    /// Whether nothing but counting is needed to know what is visible.
    pub(crate) fn settled(&self, at: Lsn) -> bool {
        self.segment.max_born <= at.0 && self.folds.iter().all(|f| f.until <= at.0)
    }

    /// Adds what is visible at a snapshot.
    pub(crate) fn add_totals(&self, at: Lsn, totals: &mut Totals) {
        let segment = &*self.segment;
        let fields = || segment.fields.iter().enumerate();
        if self.settled(at) {
            totals.entries += segment.len() as u64;
            fields().for_each(|(f, field)| totals.lengths[f] += field.total);
            for doc in self.dead_docs().filter(|doc| segment.died(*doc) <= at.0) {
                totals.entries -= 1;
                fields().for_each(|(f, field)| totals.lengths[f] -= u64::from(field.lengths[doc as usize]));
            }
            return;
        }
        for doc in (0..segment.len() as u32).filter(|doc| segment.visible(*doc, at)) {
            totals.entries += 1;
            fields().for_each(|(f, field)| totals.lengths[f] += u64::from(field.lengths[doc as usize]));
        }
    }

    /// How many of the entries visible at a snapshot have a term.
    pub(crate) fn frequency(&self, term: usize, at: Lsn) -> u64 {
        let segment = &*self.segment;
        let settled = self.settled(at);
        if settled && self.dead() == 0 {
            return u64::from(segment.infos[term].docs);
        }
        let mut cursor = Cursor::new(segment, term);
        if !settled {
            let mut count = 0;
            while cursor.doc() != END {
                count += u64::from(segment.visible(cursor.doc(), at));
                cursor.advance();
            }
            return count;
        }
        let docs = u64::from(cursor.cost());
        let dead =
            self.recent.iter().filter(|d| segment.died(**d) <= at.0 && cursor.seek(**d) == **d).count();
        docs - dead as u64 - self.folds.iter().map(|fold| fold.count(segment, term)).sum::<u64>()
    }

    fn dead_docs(&self) -> impl Iterator<Item = u32> {
        self.folds.iter().flat_map(|f| &f.docs).chain(self.recent.iter()).copied()
    }
}

impl Fold {
    fn new(segment: &Segment, docs: Vec<u32>) -> Self {
        let until = docs.iter().map(|doc| segment.died(*doc)).max().unwrap_or(0);
        Fold { docs, until, counts: Mutex::default() }
    }

    fn count(&self, segment: &Segment, term: usize) -> u64 {
        let counts = || self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts().get(&(term as u32)) {
            return u64::from(*count);
        }
        let mut cursor = Cursor::new(segment, term);
        let count = self.docs.iter().filter(|doc| cursor.seek(**doc) == **doc).count();
        counts().insert(term as u32, count as u32);
        count as u64
    }
}
