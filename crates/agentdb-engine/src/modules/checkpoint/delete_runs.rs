//! `checkpoint.delete_runs`.

use std::collections::BTreeSet;

use agentdb_types::{Id, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history;
use super::rows::{self, Place};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::{Page, Read};
use crate::sweep::{self, Remains};
use crate::tx::Tx;
use crate::{Table, numbers};

/// Deletes the checkpoints of runs with their writes, in all threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteRuns {
    /// The runs, as `run_id` in the metadata of checkpoints names them.
    pub runs: Vec<String>,
}

/// The answer to [`DeleteRuns`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunsDeleted {
    /// How many checkpoints were deleted.
    pub deleted: u64,
    /// How many stay because delta channels of other checkpoints need them.
    pub kept: u64,
}

impl Request for DeleteRuns {
    type Response = RunsDeleted;
    const ABOUT: About = About {
        name: "checkpoint.delete_runs",
        doc: "Deletes the checkpoints of runs with their writes, in all threads and their parts. Those that delta channels of other checkpoints need stay, and are counted. Runs that are not there are no error.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "checkpoint.write",
        resource: &["runs"],
        sensitive: &[],
        errors: &[],
    };
}

impl WriteRequest for DeleteRuns {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<RunsDeleted> {
        let mut doomed = BTreeSet::new();
        for run in &self.runs {
            Id::check("runs", run)?;
            tx.scan_prefix(&tx.key(Table::CheckpointByRun).text(run), Page::Forward, &mut |key, _| {
                let mut parts = key.components();
                parts.text()?;
                doomed.insert((parts.u64()?, parts.text()?, parts.text()?));
                Ok(true)
            })?;
        }
        let parts: BTreeSet<(u64, String)> =
            doomed.iter().map(|(number, namespace, _)| (*number, namespace.clone())).collect();
        let (mut kept, mut found) = (0, 0);
        for (number, namespace) in parts {
            if sweep::is_discarded(tx, Remains::Thread, number)? {
                continue;
            }
            numbers::tell_if_used(tx, Remains::Thread, number)?;
            let of_part = |(n, part, _): &&(u64, String, String)| *n == number && *part == namespace;
            let going: BTreeSet<String> =
                doomed.iter().filter(of_part).map(|(_, _, checkpoint)| checkpoint.clone()).collect();
            found += going.len() as u64;
            kept += delete(tx, number, &namespace, going)?;
        }
        Ok(RunsDeleted { deleted: found - kept, kept })
    }
}

/// Deletes checkpoints of a part; returns how many had to stay.
fn delete(tx: &mut Tx<'_>, number: u64, namespace: &str, mut going: BTreeSet<String>) -> Result<u64> {
    let all = rows::of_part(tx, number, namespace)?;
    let place = Place { number, namespace, checkpoint: "" };
    let count = going.len();
    let needed =
        history::needed(tx, place, &all, all.keys().filter(|checkpoint| !going.contains(*checkpoint)))?;
    going.retain(|checkpoint| !needed.contains(&checkpoint));
    rows::delete_all(tx, place, &all, &going, usize::MAX)?;
    Ok((count - going.len()) as u64)
}
