//! `database.compact`: giving back what is kept for nothing.

use std::sync::Arc;

use agentdb_types::{Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::runner::Step;
use crate::Task;
use crate::engine::Core;
use crate::operation::{About, Effect, Request, Scope, decode, encode_json};

/// Merges the runs of rows into their deepest level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compact {
    /// Whether the log goes, too, as far as nothing needs it. Change feeds, and restores to a point between two backups, then
    /// begin where the rows stand.
    #[serde(default)]
    pub trim_log: bool,
}

/// What a compaction gave back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Compacted {
    /// Bytes of the runs of rows before it, what lay in memory tables not counted.
    pub rows_bytes_before: u64,
    /// Bytes of the runs of rows after it.
    pub rows_bytes: u64,
    /// How many runs there were.
    pub runs_before: u64,
    /// How many there are.
    pub runs: u64,
    /// Bytes of the log before it.
    pub log_bytes_before: u64,
    /// Bytes of the log after it.
    pub log_bytes: u64,
}

impl Request for Compact {
    type Response = Compacted;
    const ABOUT: About = About {
        name: "database.compact",
        doc: "Moves all rows to the disk and merges their runs into the deepest level, so that what was replaced or deleted takes no space, and reads look into few runs. The database does that by itself as it grows; this does all of it at once. It is a job: it can be paused and cancelled, and goes on after a restart.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "database.compact",
        resource: &[],
        sensitive: &[],
        errors: &[],
    };
}

/// A compaction under way. The threads that drain and merge do the work.
pub(crate) struct Compaction {
    request: Compact,
    /// What the memory tables are drained up to, until that is done.
    target: Option<Lsn>,
    before: Compacted,
    /// Bytes that sink; 0 until that is known.
    total: u64,
}

impl Compaction {
    pub(super) fn begin(core: &Arc<Core>, request: &Value) -> Result<Compaction> {
        let request: Compact = decode(request.clone())?;
        let stats = core.stats()?;
        let before = Compacted {
            rows_bytes_before: stats.base_bytes,
            runs_before: stats.base_runs,
            log_bytes_before: stats.log_bytes,
            ..Compacted::default()
        };
        core.step(Task::Freeze)?;
        core.signal_drain();
        Ok(Compaction { request, target: Some(core.rows.visible()), before, total: 0 })
    }

    pub(super) fn step(&mut self, core: &Arc<Core>) -> Result<Step> {
        if let Some(target) = self.target {
            if !core.rows.is_drained_to(target) {
                if let Some(err) = core.rows.why_not_drained() {
                    return Ok(Step::Failed(err));
                }
                core.signal_drain();
                return Ok(Step::Waiting);
            }
            self.target = None;
            core.rows.compact_wholly();
            self.total = core.rows.bytes_to_compact();
            core.merger.set();
        }
        if core.rows.is_compacting_wholly() {
            if let Some(err) = core.rows.merge_failure() {
                return Ok(Step::Failed(err));
            }
            return Ok(Step::Waiting);
        }
        if self.request.trim_log {
            core.shrink_log()?;
        }
        let stats = core.stats()?;
        let compacted = Compacted {
            rows_bytes: stats.base_bytes,
            runs: stats.base_runs,
            log_bytes: stats.log_bytes,
            ..self.before.clone()
        };
        Ok(Step::Done(encode_json(&compacted)?))
    }

    pub(super) fn progress(&self, core: &Core) -> (u64, u64) {
        (self.total - core.rows.bytes_to_compact().min(self.total), self.total)
    }

    /// Nobody wants it any more.
    pub(super) fn withdraw(core: &Core) {
        core.rows.stop_compacting_wholly();
    }
}
