//! The indexes of tool calls: by state, in the order of the time that matters to it, and by tool.

use agentdb_types::Result;

use super::Place;
use super::call::{Call, State, Status};
use crate::Table;
use crate::key::Key;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;

/// The number of a state in keys. An unknown call stands where it was claimed: its lease tells.
fn number(state: State) -> u64 {
    match state {
        State::Claimed | State::Unknown => 1,
        State::Retryable => 2,
        State::Completed => 3,
        State::Failed => 4,
    }
}

/// The start of the keys of the calls that are in a state, or will be.
pub(super) fn of_state(rows: &dyn Read, state: State) -> Key {
    rows.key(Table::ToolCallByState).u64(number(state))
}

pub(super) fn of_tool(rows: &dyn Read, tool: &str) -> Key {
    rows.key(Table::ToolCallByTool).text(tool)
}

/// The key of a call by its state: claimed ones by the end of their lease, the others by when they became so.
fn by_state(rows: &dyn Read, place: Place<'_>, call: &Call) -> Key {
    let (state, time) = match &call.status {
        Status::Claimed { lease_end } => (State::Claimed, *lease_end),
        Status::Retryable { .. } => (State::Retryable, call.updated),
        Status::Completed { .. } => (State::Completed, call.updated),
        Status::Failed { .. } => (State::Failed, call.updated),
    };
    of_state(rows, state).u64(time.micros().unsigned_abs()).text(place.owner).text(place.key)
}

fn by_tool(rows: &dyn Read, place: Place<'_>, call: &Call) -> Key {
    of_tool(rows, &call.tool).text(place.owner).text(place.key)
}

/// Brings the indexes from one row of a call to the next.
pub(super) fn replace(
    tx: &mut Tx<'_>,
    place: Place<'_>,
    before: Option<&Call>,
    after: Option<&Call>,
) -> Result<()> {
    let keys = |tx: &Tx<'_>, call: &Call| [by_state(tx, place, call), by_tool(tx, place, call)];
    let before = before.map(|call| keys(tx, call)).map_or_else(Vec::new, Vec::from);
    let after = after.map(|call| keys(tx, call)).map_or_else(Vec::new, Vec::from);
    let stays = |key: &&Key| after.contains(key) || planted::is(Bug::RenewedNotMoved);
    for key in before.iter().filter(|key| !stays(key)) {
        tx.delete_bookkeeping(key.clone())?;
    }
    for key in after.into_iter().filter(|key| !before.contains(key)) {
        tx.put_bookkeeping(key, Vec::new())?;
    }
    Ok(())
}
