//! Compaction: runs of one level are merged into the next, step by step, so that reads look into few runs and what was
//! replaced or deleted takes no space.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use agentdb_types::{Code, Error, ErrorKind, Result};

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

/// How long a merge that could not be done is left alone, unless someone asks for it: it would fill a full disk again and again.
const PAUSE_AFTER_FAILURE_US: u64 = 60_000_000;

/// Why a merge could not be done, and when: nothing was changed.
pub(super) struct Failure {
    error: Error,
    at_us: u64,
}

/// Rows of runs; a thread may leave the rest of them to another.
type Source = Box<dyn Iterator<Item = Result<Version>> + Send>;

/// A merge under way.
pub(super) struct Compaction {
    /// The level that it empties, if that was asked for.
    empties: Option<usize>,
    /// The numbers of the runs that it replaces.
    inputs: BTreeSet<u64>,
    rows: Merged<Source>,
    /// The level that it writes.
    target: usize,
    /// Whether no level below holds any of the keys: deleted rows need not be remembered then.
    drop_deleted: bool,
    writer: Option<RunWriter>,
    written: Vec<Run>,
    /// The numbers of all runs that it began to write.
    begun: Vec<u64>,
}

/// What to merge: runs of a level, and those of the next one that they overlap.
struct Plan {
    from: usize,
    /// Whether it is all of that level, because it was asked for.
    empties: bool,
    upper: Vec<Arc<Run>>,
    lower: Vec<Arc<Run>>,
}

impl Base {
    /// Whether level 0 is so full that draining has to wait.
    pub(crate) fn is_crowded(&self) -> bool {
        self.snapshot().levels.first().is_some_and(|level| level.len() >= LEVEL_0_LIMIT)
    }

    /// Asks for everything that is in the base now to be merged into its deepest level, whatever the levels hold: each key once,
    /// and nothing of what is deleted. [`Base::compact`] does it. Nothing of it is kept across a restart.
    pub(crate) fn compact_wholly(&self) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.emptied.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(0);
    }

    /// Takes that back.
    pub(crate) fn stop_compacting_wholly(&self) {
        self.emptied.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether that is asked for, and not done.
    pub(crate) fn is_compacting_wholly(&self) -> bool {
        self.emptied.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Bytes of the levels that are still to be emptied.
    pub(crate) fn bytes_to_compact(&self) -> u64 {
        let Some(next) = *self.emptied.lock().unwrap_or_else(PoisonError::into_inner) else { return 0 };
        let rows = self.snapshot();
        let deepest = deepest(&rows).max(1);
        let sinking = rows.levels.iter().take(deepest).skip(next).flatten();
        sinking.map(|placed| placed.run.file_bytes).sum()
    }

    /// The next level to empty, all of it; from the top down, so that a row sinks to the deepest one.
    fn plan_emptying(&self, rows: &BaseSnapshot) -> Option<Plan> {
        let mut next = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        let deepest = deepest(rows);
        while let Some(from) = *next {
            let upper = runs_of(rows, from);
            if from > 0 && from >= deepest {
                *next = None;
            } else if upper.is_empty() {
                *next = Some(from + 1);
            } else {
                let mut lower = overlapped(rows, from + 1, &upper);
                if planted::is(Bug::LowerRunsForgotten) {
                    lower.pop();
                }
                return Some(Plan { from, empties: true, upper, lower });
            }
        }
        None
    }

    /// A level was emptied: what lies in it now came later.
    fn emptied(&self, level: usize) {
        let mut next = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        if *next == Some(level) {
            *next = Some(level + 1);
        }
    }

    /// Why the last merge could not be done, if none was done since.
    pub(crate) fn merge_failure(&self) -> Option<Error> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map(|failure| failure.error.clone())
    }

    /// Whether a merge failed a short time ago.
    fn is_pausing(&self) -> bool {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().is_some_and(|failure| {
            self.env.clock.monotonic_us() < failure.at_us.saturating_add(PAUSE_AFTER_FAILURE_US)
        })
    }

    /// Takes back a merge that could not be done: its runs have no name in any manifest.
    fn give_up(&self, merge: Compaction, error: Error) {
        for number in merge.begun {
            // A file that stays is removed when the database is opened.
            let _ = self.env.files.remove(&self.dir.join(run::file_name(number)));
        }
        let at_us = self.env.clock.monotonic_us();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Failure { error, at_us });
    }

    /// Does a piece of compaction; returns whether there was any. One thread at a time does.
    ///
    /// A merge that finds no room, or damage, is given up: nothing needs it at once, and the rows are as they were
    /// ([`Base::merge_failure`]).
    pub(crate) fn compact(&self) -> Result<bool> {
        if self.is_pausing() {
            return Ok(false);
        }
        let mut slot = self.compaction.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = match slot.take() {
            Some(compaction) => Some(compaction),
            None => {
                let rows = self.snapshot();
                let plan = self.plan_emptying(&rows).or_else(|| plan(&rows, self.options.level_bytes));
                plan.map(|plan| Compaction::new(self, &rows, &plan))
            }
        };
        let Some(mut compaction) = begun else { return Ok(false) };
        match compaction.step(self) {
            Ok(true) => {
                let empties = compaction.empties;
                compaction.finish(self)?;
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(level) = empties {
                    self.emptied(level);
                }
                Ok(true)
            }
            Ok(false) => {
                *slot = Some(compaction);
                Ok(true)
            }
            Err(err) if is_harmless(&err) => {
                self.give_up(compaction, err);
                Ok(false)
            }
            Err(err) => Err(err),
        }
    }
}

/// Whether this failure of a merge says nothing against the disk, nor against what is written elsewhere.
fn is_harmless(err: &Error) -> bool {
    err.code() == Code::DiskFull || err.code().kind() == ErrorKind::Corruption
}

/// What the sizes of the levels call for.
fn plan(rows: &BaseSnapshot, level_bytes: u64) -> Option<Plan> {
    let zero = runs_of(rows, 0);
    if zero.len() >= LEVEL_0_RUNS {
        let lower = overlapped(rows, 1, &zero);
        return Some(Plan { from: 0, empties: false, upper: zero, lower });
    }
    let mut limit = level_bytes;
    for from in 1..rows.levels.len() {
        let runs = runs_of(rows, from);
        if runs.iter().map(|run| run.file_bytes).sum::<u64>() > limit {
            // The run that moves the most for the least rewriting.
            let cost = |run: &Arc<Run>| {
                let below = overlapped(rows, from + 1, std::slice::from_ref(run));
                let rewritten: u64 = below.iter().map(|b| b.file_bytes).sum();
                (rewritten * 1_000 / run.file_bytes.max(1), Reverse(run.file_bytes), run.number)
            };
            let upper = vec![runs.iter().min_by_key(|run| cost(run))?.clone()];
            let lower = overlapped(rows, from + 1, &upper);
            return Some(Plan { from, empties: false, upper, lower });
        }
        limit = limit.saturating_mul(RATIO);
    }
    None
}

/// The deepest level that holds anything.
fn deepest(rows: &BaseSnapshot) -> usize {
    rows.levels.iter().rposition(|level| !level.is_empty()).unwrap_or(0)
}

fn runs_of(rows: &BaseSnapshot, level: usize) -> Vec<Arc<Run>> {
    rows.levels.get(level).into_iter().flatten().map(|placed| placed.run.clone()).collect()
}

/// The runs of a level that lie between the first and the last key of others: what those become spans all of that.
fn overlapped(rows: &BaseSnapshot, level: usize, upper: &[Arc<Run>]) -> Vec<Arc<Run>> {
    let first = upper.iter().map(|run| run.first_key()).min();
    let last = upper.iter().map(|run| run.last_key()).max();
    let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
    let mut below = runs_of(rows, level);
    below.retain(|run| run.overlaps(first, last));
    below
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
            empties: plan.empties.then_some(plan.from),
            inputs: all().map(|run| run.number).collect(),
            rows: Merged::new(sources, forward),
            target,
            drop_deleted: !remembered || planted::is(Bug::DeletionMergedAway),
            writer: None,
            written: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// Merges the next rows; returns whether there are no more, and everything is written.
    fn step(&mut self, base: &Base) -> Result<bool> {
        let mut bytes = 0;
        while bytes < base.options.step_bytes {
            let Some(row) = self.rows.next().transpose()? else { return self.end_run(base).map(|()| true) };
            bytes += row.0.len() + row.2.as_ref().map_or(0, |b| b.len());
            if row.2.is_none() && self.drop_deleted {
                continue;
            }
            let writer = match &mut self.writer {
                Some(writer) => writer,
                none => {
                    let writer = none.insert(base.begin_run()?);
                    self.begun.push(writer.number());
                    writer
                }
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
    fn finish(self, base: &Base) -> Result<()> {
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
