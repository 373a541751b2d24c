//! `thread.prune`.

use std::collections::BTreeSet;

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::history;
use super::super::rows::{self, Place};
use super::{find, remove};
use crate::modules::check_page;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Table, numbers};

/// Rows that are deleted at once if the caller does not say.
const LIMIT_DEFAULT: usize = 1_000;

/// What stays of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The latest checkpoint of each part, with its writes and what its delta channels need.
    #[default]
    KeepLatest,
    /// Nothing.
    Delete,
}

/// Deletes old checkpoints of threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// The threads; those that do not exist are passed over.
    pub threads: Vec<String>,
    /// What stays.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many rows (checkpoints, writes, versions of channels) to delete before the call ends, up to a page; 1,000 if not
    /// given. A checkpoint goes with all its writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The answer to [`Prune`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pruned {
    /// How many checkpoints were deleted; those of threads that are deleted whole are not counted.
    pub deleted: u64,
    /// Whether the call ended at its limit, so that there may be more for another call.
    pub more: bool,
}

impl Request for Prune {
    type Response = Pruned;
    const ABOUT: About = About {
        name: "thread.prune",
        doc: "Deletes old checkpoints of threads: all but the latest of each part and what its delta channels need, or the whole threads. One call ends at its limit; `more` tells whether to call again.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "checkpoint.write",
        resource: &["threads"],
        sensitive: &[],
        errors: &[Code::PageTooLarge],
    };
}

impl WriteRequest for Prune {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Pruned> {
        let mut left = self.limit.unwrap_or(LIMIT_DEFAULT);
        check_page(left)?;
        let mut pruned = Pruned::default();
        for thread in &self.threads {
            if self.strategy == Strategy::Delete {
                remove(tx, thread)?;
                continue;
            }
            let Some(found) = find(tx, thread)? else { continue };
            numbers::tell(tx, Remains::Thread, found.number, thread);
            if left == 0 || !keep_latest(tx, found.number, &mut left, &mut pruned.deleted)? {
                pruned.more = true;
                break;
            }
        }
        Ok(pruned)
    }
}

/// Deletes what the latest checkpoints of a thread do not need; returns whether that is done.
fn keep_latest(tx: &mut Tx<'_>, number: u64, left: &mut usize, deleted: &mut u64) -> Result<bool> {
    for (namespace, all) in &rows::of_thread(tx, number)? {
        let Some((latest, _)) = all.last_key_value() else { continue };
        let place = Place { number, namespace, checkpoint: latest };
        let mut needed = history::needed(tx, place, all, [latest])?;
        if planted::is(Bug::ChainPruned) {
            needed.retain(|checkpoint| *checkpoint == latest);
        }
        for (checkpoint, head) in all.iter().filter(|(checkpoint, _)| !needed.contains(checkpoint)) {
            if *left == 0 {
                return Ok(false);
            }
            *left = left.saturating_sub(rows::delete(tx, place.at(checkpoint), head)?);
            *deleted += 1;
        }
        let kept = all.iter().filter(|(checkpoint, _)| needed.contains(checkpoint));
        let used: BTreeSet<_> = kept.flat_map(|(_, head)| rows::versions(tx, place, head)).collect();
        let mut unused = Vec::new();
        let prefix = rows::namespace_key(tx, Table::ChannelVersion, number, namespace);
        tx.scan_prefix(&prefix, Page::Forward, &mut |key, _| {
            if !used.contains(&key) {
                unused.push(key);
            }
            Ok(unused.len() <= *left)
        })?;
        for key in unused {
            if *left == 0 {
                return Ok(false);
            }
            *left -= 1;
            rows::delete_version(tx, key)?;
        }
    }
    Ok(true)
}
