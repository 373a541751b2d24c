//! Reading several sources as one: of each key the version of the newest source counts.

use std::cmp::Ordering;

use agentdb_types::Result;

use super::Row;
use super::memtable::Version;

/// The order of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// Versions in order of their keys, deleted ones included.
pub(crate) type Source<'a> = Box<dyn Iterator<Item = Result<Version>> + 'a>;

/// The newest version of each key of several sources, in order; deleted rows included.
pub(crate) struct Merged<S> {
    /// Newest first.
    sources: Vec<S>,
    /// The next version of each source.
    heads: Vec<Option<Version>>,
    direction: Direction,
    started: bool,
}

impl<S: Iterator<Item = Result<Version>>> Merged<S> {
    /// Merges sources, newest first, each in the order of `direction`.
    pub(crate) fn new(sources: Vec<S>, direction: Direction) -> Self {
        let heads = sources.iter().map(|_| None).collect();
        Merged { sources, heads, direction, started: false }
    }

    fn advance(&mut self, index: usize) -> Result<Option<Version>> {
        let next = self.sources[index].next().transpose()?;
        Ok(std::mem::replace(&mut self.heads[index], next))
    }

    fn step(&mut self) -> Result<Option<Version>> {
        if !self.started {
            self.started = true;
            for index in 0..self.sources.len() {
                self.advance(index)?;
            }
        }
        let wanted = match self.direction {
            Direction::Forward => Ordering::Less,
            Direction::Backward => Ordering::Greater,
        };
        // The first of equals is the newest.
        let mut best: Option<(usize, &[u8])> = None;
        for (index, head) in self.heads.iter().enumerate() {
            if let Some((key, ..)) = head
                && best.is_none_or(|(_, b)| key.as_slice().cmp(b) == wanted)
            {
                best = Some((index, key));
            }
        }
        let Some((index, _)) = best else { return Ok(None) };
        let version = self.advance(index)?;
        if let Some((key, ..)) = &version {
            for older in index + 1..self.sources.len() {
                if self.heads[older].as_ref().is_some_and(|(k, ..)| k == key) {
                    self.advance(older)?;
                }
            }
        }
        Ok(version)
    }
}

impl<S: Iterator<Item = Result<Version>>> Iterator for Merged<S> {
    type Item = Result<Version>;

    fn next(&mut self) -> Option<Self::Item> {
        let version = self.step();
        if version.is_err() {
            // Nothing can be said of what comes after a failure.
            self.heads.iter_mut().for_each(|head| *head = None);
        }
        version.transpose()
    }
}

/// Rows in order, deleted ones left out.
pub(crate) struct RowIter<'a>(Merged<Source<'a>>);

impl<'a> RowIter<'a> {
    pub(crate) fn new(sources: Vec<Source<'a>>, direction: Direction) -> Self {
        RowIter(Merged::new(sources, direction))
    }
}

impl Iterator for RowIter<'_> {
    type Item = Result<(Vec<u8>, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next()? {
                Ok((key, lsn, Some(body))) => return Some(Ok((key, Row { lsn, body }))),
                Ok((_, _, None)) => {}
                Err(err) => return Some(Err(err)),
            }
        }
    }
}
