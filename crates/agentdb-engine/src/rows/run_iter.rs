//! The rows of a run, or of runs that follow each other, in order.

use std::sync::Arc;

use agentdb_types::Result;

use super::Direction;
use super::block::Block;
use super::cache::BlockCache;
use super::memtable::Version;
use super::run::Run;

/// Rows of one run from `from` on, below `to`, deleted ones included.
pub(super) struct RunIter {
    run: Arc<Run>,
    cache: Arc<BlockCache>,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
    direction: Direction,
    /// The block that is being read, its index, and how many of its entries are still to come.
    block: Option<(usize, Arc<Block>)>,
    left: usize,
    /// The block after it, in the direction.
    next: Option<usize>,
}

impl RunIter {
    pub(super) fn new(
        run: &Arc<Run>,
        cache: &Arc<BlockCache>,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
    ) -> Self {
        // The first block that can hold `from`, and the last that can hold something below `to`.
        let first = run.blocks_up_to(from).saturating_sub(1);
        let end = to.map_or(run.blocks(), |to| run.blocks_up_to(to));
        let empty = from > run.last_key() || end == 0;
        let next = match direction {
            Direction::Forward => first,
            Direction::Backward => end.saturating_sub(1),
        };
        RunIter {
            run: run.clone(),
            cache: cache.clone(),
            from: from.to_vec(),
            to: to.map(<[u8]>::to_vec),
            direction,
            block: None,
            left: 0,
            next: (!empty).then_some(next),
        }
    }

    /// Goes on to the next block; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let Some(index) = self.next else { return Ok(false) };
        let block = self.run.block(&self.cache, index)?;
        let damaged = || self.run.damaged_block(index);
        match self.direction {
            Direction::Forward => {
                let before = block.find(&self.from).ok_or_else(damaged)?.0;
                self.left = block.len() - before;
                self.next = (index + 1 < self.run.blocks()).then_some(index + 1);
            }
            Direction::Backward => {
                self.left = match &self.to {
                    Some(to) => block.find(to).ok_or_else(damaged)?.0,
                    None => block.len(),
                };
                self.next = index.checked_sub(1);
            }
        }
        self.block = Some((index, block));
        Ok(true)
    }

    fn step(&mut self) -> Result<Option<Version>> {
        while self.left == 0 {
            if !self.advance()? {
                return Ok(None);
            }
        }
        let Some((index, block)) = &self.block else { return Ok(None) };
        let at = match self.direction {
            Direction::Forward => block.len() - self.left,
            Direction::Backward => self.left - 1,
        };
        let entry = block.entry(at).ok_or_else(|| self.run.damaged_block(*index))?;
        let key = block.key(&entry);
        if !block.is_whole(&entry) {
            return Err(self.run.damaged_row(&key));
        }
        let inside = match self.direction {
            Direction::Forward => self.to.as_ref().is_none_or(|to| key < *to),
            Direction::Backward => key >= self.from,
        };
        if !inside {
            self.end();
            return Ok(None);
        }
        let row = (key, entry.lsn, entry.body.map(Arc::from));
        self.left -= 1;
        Ok(Some(row))
    }

    fn end(&mut self) {
        (self.left, self.next, self.block) = (0, None, None);
    }
}

impl Iterator for RunIter {
    type Item = Result<Version>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.step();
        if row.is_err() {
            self.end();
        }
        row.transpose()
    }
}

/// The rows of runs that do not overlap, in the order of their keys.
pub(super) fn level(
    runs: &[Arc<Run>],
    cache: &Arc<BlockCache>,
    from: &[u8],
    to: Option<&[u8]>,
    direction: Direction,
) -> impl Iterator<Item = Result<Version>> + use<> {
    let start = runs.partition_point(|run| run.last_key() < from);
    let end = to.map_or(runs.len(), |to| runs.partition_point(|run| run.first_key() < to));
    let mut runs: Vec<Arc<Run>> = runs.get(start..end).unwrap_or_default().to_vec();
    if direction == Direction::Backward {
        runs.reverse();
    }
    let (cache, from, to) = (cache.clone(), from.to_vec(), to.map(<[u8]>::to_vec));
    runs.into_iter().flat_map(move |run| RunIter::new(&run, &cache, &from, to.as_deref(), direction))
}
