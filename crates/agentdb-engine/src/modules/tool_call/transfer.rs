//! A tool call as a line of an export.
//!
//! An import gives it an epoch of its own: the worker that has claimed the call where it comes from tells its outcome
//! there, and what it tells here is refused. Here the call stays claimed until its lease ends, and is unknown then.

use agentdb_types::{Duration, Id, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::{Call, State, Status};
use super::{Entry, Place};
use crate::Row;
use crate::key::Key;
use crate::modules::transfer::{Existing, Fate, check_ttl, unfit};
use crate::modules::{encode_value, given_json};
use crate::read::Read;
use crate::row_json;
use crate::tx::Tx;

/// A tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolCallLine {
    /// Whose call.
    pub owner: String,
    /// The key among the owner's calls.
    pub key: String,
    /// The tool.
    pub tool: String,
    /// The arguments.
    pub arguments: Value,
    /// What was known of it at the time of the export.
    pub state: State,
    /// Which attempt it is or was; 0 if it was resolved to be run again.
    pub attempt: u64,
    /// How many attempts there may be, if that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
    /// Whether running the tool twice does no harm.
    pub idempotent: bool,
    /// Who claimed it last, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// For how long it was claimed, in microseconds.
    pub lease_us: Duration,
    /// When the lease ends, or ended, if it is claimed or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_end: Option<Timestamp>,
    /// For how long it is kept once it is finished, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_us: Option<Duration>,
    /// How far the tool was, if it was told.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
    /// The result, if it is completed.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The error, if it failed.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Whether the state was told by tool_call.resolve.
    pub resolved: bool,
    /// When it was claimed first.
    pub created: Timestamp,
    /// When it was claimed, renewed, finished or resolved last.
    pub updated: Timestamp,
    /// Its epoch in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Lsn>,
    /// Its version there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of a row, if the call is still kept.
pub(crate) fn export(rows: &dyn Read, key: &Key, row: &Row) -> Result<Option<ToolCallLine>> {
    let mut parts = key.components();
    let (owner, key) = (parts.text()?, parts.text()?);
    let Call { lease_us, keep_us, .. } = row_json::decode(row)?;
    let Some(entry) = Entry::of(Place { owner: &owner, key: &key }, row, rows.now())? else {
        return Ok(None);
    };
    let Entry { tool, arguments, state, epoch, attempt, max_attempts, idempotent, worker, .. } = entry;
    let Entry { lease_end, progress, result, error, resolved, created, updated, version, .. } = entry;
    Ok(Some(ToolCallLine {
        owner,
        key,
        tool,
        arguments,
        state,
        attempt,
        max_attempts,
        idempotent,
        worker,
        lease_us,
        lease_end,
        keep_us,
        progress,
        result,
        error,
        resolved,
        created,
        updated,
        epoch: Some(epoch),
        version: Some(version),
    }))
}

/// Stores the call of a line. One that runs, or that is unknown, is never replaced: its side effect would be forgotten.
pub(crate) fn import(tx: &mut Tx<'_>, line: &ToolCallLine, existing: Existing) -> Result<Fate> {
    let place = Place::new(&line.owner, &line.key)?;
    check(line)?;
    let call = call(line, tx.lsn())?;
    if call.has_expired(tx.now()) {
        return Ok(Fate::Expired);
    }
    let before = place.load(tx)?;
    let found = before.as_ref().filter(|call| !call.has_expired(tx.now()));
    let fate = existing
        .fate(found.is_some(), || format!("the tool call {:?} of owner {:?}", line.key, line.owner))?;
    if !fate.stores() {
        return Ok(fate);
    }
    found.map_or(Ok(()), |found| place.check_forgettable(tx, found))?;
    place.write(tx, before.as_ref(), &call)?;
    Ok(fate)
}

fn check(line: &ToolCallLine) -> Result<()> {
    Id::check("tool", &line.tool)?;
    if let Some(worker) = &line.worker {
        Id::check("worker", worker)?;
    }
    encode_value("arguments", &line.arguments)?;
    for (field, value) in [("progress", &line.progress), ("result", &line.result), ("error", &line.error)] {
        value.as_ref().map_or(Ok(()), |value| encode_value(field, value).map(drop))?;
    }
    check_ttl(Some(line.lease_us))?;
    check_ttl(line.keep_us)?;
    if line.max_attempts == Some(0) {
        return Err(unfit("max_attempts", "the first attempt is one of them"));
    }
    Ok(())
}

fn call(line: &ToolCallLine, epoch: Lsn) -> Result<Call> {
    let status = status(line)?;
    let ToolCallLine { tool, arguments, attempt, max_attempts, idempotent, worker, .. } = line.clone();
    let ToolCallLine { lease_us, keep_us, progress, resolved, created, updated, .. } = line.clone();
    Ok(Call {
        tool,
        arguments,
        epoch,
        attempt,
        idempotent,
        max_attempts,
        worker,
        lease_us,
        keep_us,
        progress,
        resolved,
        created,
        updated,
        status,
    })
}

/// What the row says of the state. What a state has no use for is refused, not dropped.
fn status(line: &ToolCallLine) -> Result<Status> {
    let (lease_end, result, error) = (line.lease_end, line.result.clone(), line.error.clone());
    match (line.state, lease_end, result, error) {
        (State::Claimed | State::Unknown, Some(lease_end), None, None) => Ok(Status::Claimed { lease_end }),
        (State::Retryable, None, None, error) => Ok(Status::Retryable { error }),
        (State::Completed, None, Some(result), None) => Ok(Status::Completed { result }),
        (State::Failed, None, None, Some(error)) => Ok(Status::Failed { error }),
        (state, ..) => Err(unfit(
            "state",
            format_args!(
                "with {}, `lease_end`, `result` and `error` are not those of the state",
                state.name()
            ),
        )),
    }
}
