//! Compaction: runs of one level are merged into the next, step by step, so that reads look into few runs and what was
//! replaced or deleted takes no space.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use agentdb_types::Result;

use crate::planted::{self, Bug};

use super::Direction;
use super::base::{Base, BaseSnapshot, Placed};
use super::memtable::Version;
use super::merge::Merged;
use super::run::{self, Run};
use super::run_iter::{self, RunIter};
use super::run_writer::RunWriter;

/// Runs of level 0 after which they are merged into level 1.
const LEVEL_0_RUNS: usize = 4;
/// Runs of level 0 after which draining waits for compaction: reads must not slow down without bound.
const LEVEL_0_LIMIT: usize = 12;
/// How much larger each level is than the one above.
const RATIO: u64 = 10;

/// Rows of runs; a thread may leave the rest of them to another.
type Source = Box<dyn Iterator<Item = Result<Version>> + Send>;

/// A merge under way.
pub(super) struct Compaction {
    /// The numbers of the runs that it replaces.
    inputs: BTreeSet<u64>,
    rows: Merged<Source>,
    /// The level that it writes.
    target: usize,
    /// Whether no level below holds any of the keys: deleted rows need not be remembered then.
    drop_deleted: bool,
    writer: Option<RunWriter>,
    written: Vec<Run>,
}

/// What to merge: runs of a level, and those of the next one that they overlap.
struct Plan {
    from: usize,
    upper: Vec<Arc<Run>>,
    lower: Vec<Arc<Run>>,
}

impl Base {
    /// Whether level 0 is so full that draining has to wait.
    pub(crate) fn is_crowded(&self) -> bool {
        self.snapshot().levels.first().is_some_and(|level| level.len() >= LEVEL_0_LIMIT)
    }

    /// Does a piece of compaction; returns whether there was any. One thread at a time does.
    pub(crate) fn compact(&self) -> Result<bool> {
        let mut slot = self.compaction.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = match slot.take() {
            Some(compaction) => Some(compaction),
            None => {
                let rows = self.snapshot();
                plan(&rows, self.options.level_bytes).map(|plan| Compaction::new(self, &rows, &plan))
            }
        };
        let Some(mut compaction) = begun else { return Ok(false) };
        if compaction.step(self)? {
            compaction.finish(self)?;
        } else {
            *slot = Some(compaction);
        }
        Ok(true)
    }
}

fn plan(rows: &BaseSnapshot, level_bytes: u64) -> Option<Plan> {
    let level = |number: usize| -> Vec<Arc<Run>> {
        rows.levels.get(number).into_iter().flatten().map(|placed| placed.run.clone()).collect()
    };
    let zero = level(0);
    if zero.len() >= LEVEL_0_RUNS {
        // What is written spans all of them: nothing of level 1 may lie between.
        let first = zero.iter().map(|run| run.first_key()).min()?.to_vec();
        let last = zero.iter().map(|run| run.last_key()).max()?.to_vec();
        let lower = level(1).into_iter().filter(|run| run.overlaps(&first, &last)).collect();
        return Some(Plan { from: 0, upper: zero, lower });
    }
    let mut limit = level_bytes;
    for from in 1..rows.levels.len() {
        let runs = level(from);
        if runs.iter().map(|run| run.file_bytes).sum::<u64>() > limit {
            let below = level(from + 1);
            let overlapped =
                |run: &Arc<Run>| below.iter().filter(|b| overlap(run, b)).cloned().collect::<Vec<_>>();
            // The run that moves the most for the least rewriting.
            let cost = |run: &Arc<Run>| {
                let rewritten: u64 = overlapped(run).iter().map(|b| b.file_bytes).sum();
                (rewritten * 1_000 / run.file_bytes.max(1), Reverse(run.file_bytes), run.number)
            };
            let upper = runs.iter().min_by_key(|run| cost(run))?.clone();
            return Some(Plan { from, lower: overlapped(&upper), upper: vec![upper] });
        }
        limit = limit.saturating_mul(RATIO);
    }
    None
}

fn overlap(a: &Run, b: &Run) -> bool {
    a.overlaps(b.first_key(), b.last_key())
}

impl Compaction {
    fn new(base: &Base, rows: &BaseSnapshot, plan: &Plan) -> Self {
        let all = || plan.upper.iter().chain(&plan.lower);
        let forward = Direction::Forward;
        let mut sources: Vec<Source> = Vec::new();
        // Level 0 is in order, newest first; of another level only one run moves.
        for run in &plan.upper {
            sources.push(Box::new(RunIter::new(run, &base.cache, &[], None, forward)));
        }
        sources.push(Box::new(run_iter::level(&plan.lower, &base.cache, &[], None, forward)));
        let target = plan.from + 1;
        let below = rows.levels.iter().skip(target + 1).flatten();
        let remembered = below.into_iter().any(|placed| all().any(|run| overlap(run, &placed.run)));
        Compaction {
            inputs: all().map(|run| run.number).collect(),
            rows: Merged::new(sources, forward),
            target,
            drop_deleted: !remembered || planted::is(Bug::DeletionMergedAway),
            writer: None,
            written: Vec::new(),
        }
    }

    /// Merges the next rows; returns whether there are no more.
    fn step(&mut self, base: &Base) -> Result<bool> {
        let mut bytes = 0;
        while bytes < base.options.step_bytes {
            let Some(row) = self.rows.next().transpose()? else { return Ok(true) };
            bytes += row.0.len() + row.2.as_ref().map_or(0, |b| b.len());
            if row.2.is_none() && self.drop_deleted {
                continue;
            }
            let writer = match &mut self.writer {
                Some(writer) => writer,
                none => none.insert(base.begin_run()?),
            };
            writer.push(row)?;
            if writer.bytes() >= base.options.run_bytes {
                self.end_run(base)?;
            }
        }
        Ok(false)
    }

    fn end_run(&mut self, base: &Base) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            self.written.push(writer.finish(&base.env, &base.dir)?);
        }
        Ok(())
    }

    /// Puts what was written in the place of what was merged.
    fn finish(mut self, base: &Base) -> Result<()> {
        self.end_run(base)?;
        let (inputs, target) = (self.inputs, self.target);
        base.retire(&inputs);
        base.install(|next, generation| {
            for level in &mut next.levels {
                level.retain(|placed| !inputs.contains(&placed.run.number));
            }
            if next.levels.len() <= target {
                next.levels.push(Vec::new());
            }
            let placed = |run| Placed { run: Arc::new(run), generation };
            next.levels[target].extend(self.written.into_iter().map(placed));
            next.levels[target].sort_by(|a, b| a.run.first_key().cmp(b.run.first_key()));
        })?;
        for number in inputs {
            // Nothing names it any more. A file that stays is removed when the database is opened.
            let _ = base.env.files.remove(&base.dir.join(run::file_name(number)));
        }
        Ok(())
    }
}
