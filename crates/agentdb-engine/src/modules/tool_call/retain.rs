//! Which tool calls are kept no longer: those that were settled long enough ago. Of one that is claimed or unknown nothing is
//! forgotten, and one that may be run again is still to be settled.

use agentdb_types::{Result, Timestamp};

use super::call::{Call, Status};
use super::{Place, State, index};
use crate::key::Key;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;

/// The keys of the index of the calls that are settled, in the order of the times at which they were: completed ones, then
/// those that failed.
pub(crate) fn settled_range(rows: &dyn Read) -> (Key, Option<Key>) {
    let first = if planted::is(Bug::RunningCallForgotten) { State::Claimed } else { State::Completed };
    (index::of_state(rows, first), index::of_state(rows, State::Failed).after_prefix())
}

/// When the call of a key of the index was settled, and where those begin that were not settled later.
pub(crate) fn settled(rows: &dyn Read, key: &Key) -> Result<(Timestamp, Option<Key>)> {
    let mut parts = key.components();
    let state = rows.key(crate::Table::ToolCallByState).u64(parts.u64()?);
    let time = Timestamp::from_micros(i64::try_from(parts.u64()?).unwrap_or(i64::MAX))?;
    Ok((time, state.after_prefix()))
}

/// Deletes the call of a key of the index. If it stands for none any more, the key goes alone.
pub(crate) fn let_go(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let mut parts = key.components();
    let (_, time) = (parts.u64()?, parts.u64()?);
    let (owner, name) = (parts.text()?, parts.text()?);
    let place = Place { owner: &owner, key: &name };
    let stands_for = |call: &Call| call.updated.micros().unsigned_abs() == time && is_settled(call);
    match place.load(tx)? {
        Some(call) if stands_for(&call) => place.remove(tx, &call),
        Some(call) if planted::is(Bug::RunningCallForgotten) => place.remove(tx, &call),
        _ => tx.delete_bookkeeping(key.clone()),
    }
}

fn is_settled(call: &Call) -> bool {
    match call.status {
        Status::Completed { .. } | Status::Failed { .. } => true,
        Status::Claimed { .. } | Status::Retryable { .. } => false,
    }
}
