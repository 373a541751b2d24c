//! A segment: an immutable inverted index of some entries. Only the LSNs at which they died are written later.

use std::sync::atomic::{AtomicU64, Ordering};

use agentdb_types::Lsn;

use crate::dictionary::Dictionary;
use crate::norm;

/// What `died` holds while an entry lives.
pub(crate) const ALIVE: u64 = u64::MAX;

/// Entries, numbered from 0, and for each term the entries that have it.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    pub(crate) slots: Vec<u64>,
    pub(crate) born: Vec<u64>,
    pub(crate) died: Vec<AtomicU64>,
    pub(crate) fields: Vec<Lengths>,
    pub(crate) terms: Dictionary,
    pub(crate) infos: Vec<TermInfo>,
    pub(crate) posts: Vec<u8>,
    pub(crate) positions: Vec<u8>,
    /// The latest birth of an entry.
    pub(crate) max_born: u64,
}

/// The lengths of one field, by entry, in terms.
#[derive(Debug, Default)]
pub(crate) struct Lengths {
    pub(crate) lengths: Vec<u32>,
    pub(crate) norms: Vec<u8>,
    pub(crate) total: u64,
}

/// Where the postings of a term are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermInfo {
    /// Entries that have the term, the dead included.
    pub(crate) docs: u32,
    /// Where its postings begin in `posts`.
    pub(crate) posts: u32,
    /// Where its positions begin in `positions`.
    pub(crate) positions: u32,
}

impl Segment {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether an entry is there at a snapshot.
    pub(crate) fn visible(&self, doc: u32, at: Lsn) -> bool {
        self.born[doc as usize] <= at.0 && at.0 < self.died(doc)
    }

    pub(crate) fn died(&self, doc: u32) -> u64 {
        self.died[doc as usize].load(Ordering::Acquire)
    }

    pub(crate) fn kill(&self, doc: u32, lsn: Lsn) {
        self.died[doc as usize].store(lsn.0, Ordering::Release);
    }

    /// The bytes of the postings and positions of a term, with those behind them.
    pub(crate) fn posts_of(&self, info: TermInfo) -> (&[u8], &[u8]) {
        (&self.posts[info.posts as usize..], &self.positions[info.positions as usize..])
    }

    /// The number of the field that a term belongs to.
    pub(crate) fn field_of(&self, term: usize) -> usize {
        usize::from(self.terms.key(term)[0])
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let fields = self.fields.len() * 5 + 24;
        size_of::<Self>()
            + self.len() * fields
            + self.terms.memory()
            + self.terms.len() * size_of::<TermInfo>()
            + self.posts.capacity()
            + self.positions.capacity()
    }
}

impl Lengths {
    pub(crate) fn push(&mut self, length: u32) {
        self.lengths.push(length);
        self.norms.push(norm::norm(length));
        self.total += u64::from(length);
    }
}
