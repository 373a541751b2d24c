//! Reading several sources as one: of each key the version of the newest source counts.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::Arc;

use agentdb_types::{Lsn, Result};

use super::Row;

/// The order of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

type Item = Result<(Vec<u8>, Lsn, Option<Arc<[u8]>>)>;
type Source<'a> = Peekable<Box<dyn Iterator<Item = Item> + 'a>>;

/// Rows in order, tombstones left out.
pub(crate) struct RowIter<'a> {
    /// Newest first.
    sources: Vec<Source<'a>>,
    direction: Direction,
}

impl<'a> RowIter<'a> {
    pub(crate) fn new(sources: Vec<Box<dyn Iterator<Item = Item> + 'a>>, direction: Direction) -> Self {
        RowIter { sources: sources.into_iter().map(Iterator::peekable).collect(), direction }
    }

    /// The first source whose next key is the next in order; the first of equals is the newest.
    fn next_source(&mut self) -> Option<usize> {
        let mut best: Option<(usize, Vec<u8>)> = None;
        for (index, source) in self.sources.iter_mut().enumerate() {
            let key = match source.peek() {
                None => continue,
                Some(Err(_)) => return Some(index),
                Some(Ok((key, ..))) => key,
            };
            let better = best.as_ref().is_none_or(|(_, b)| match self.direction {
                Direction::Forward => key.cmp(b) == Ordering::Less,
                Direction::Backward => key.cmp(b) == Ordering::Greater,
            });
            if better {
                best = Some((index, key.clone()));
            }
        }
        best.map(|(index, _)| index)
    }
}

impl Iterator for RowIter<'_> {
    type Item = Result<(Vec<u8>, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let index = self.next_source()?;
            let (key, lsn, body) = match self.sources[index].next()? {
                Ok(version) => version,
                Err(err) => return Some(Err(err)),
            };
            for older in &mut self.sources[index + 1..] {
                if matches!(older.peek(), Some(Ok((k, ..))) if *k == key) {
                    older.next();
                }
            }
            if let Some(body) = body {
                return Some(Ok((key, Row { lsn, body })));
            }
        }
    }
}
