//! Jobs: long work of the database itself. A job is a row that tells what was asked for, how far it is, what came of it, and
//! who does it: a lease with an epoch, the LSN at which it was taken, so that whoever was taken for dead finds out before the
//! next step.
//!
//! *The engine's own* jobs (compaction, forks) are done by whoever has the database open, one after another, and go
//! on after a restart. *A caller's* jobs (backups, archives, verifications, exports, imports) need something that only the caller has, a store or a file:
//! the row makes them seen, paused and cancelled, and whoever did them starts them again after a crash.

mod begin;
mod cancel;
pub(crate) mod compact;
mod get;
mod journal;
mod list;
mod pause;
mod resume;
mod row;
mod runner;
#[cfg(test)]
mod tests;
mod wait;

pub use cancel::Cancel;
pub use compact::{Compact, Compacted};
pub use get::Get;
pub use journal::Journal;
pub use list::{List, Listed};
pub use pause::Pause;
pub use resume::Resume;
pub use row::{Entry, Failure, Kind, State};

pub(crate) use begin::{Begin, Begun};
pub(crate) use row::Stored;
pub(crate) use runner::{Jobs, Step, step};

use agentdb_types::{Code, Error, Result};

use serde_json::Value;

use crate::key::{Key, NamespaceId};
use crate::operation::{Operation, Shape};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Table, row_json, sweep};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Cancel>(),
        Operation::read::<Get>(),
        Operation::read::<List>(),
        Operation::write::<Pause>(),
        Operation::write::<Resume>(),
        Operation::shaped::<Compact>(Shape::Long),
    ]
}

pub(crate) fn key(job: u64) -> Key {
    Key::new(NamespaceId::SYSTEM, Table::Job).u64(job)
}

/// The job of this number, if it is there and still kept.
pub(crate) fn find(rows: &dyn Read, job: u64) -> Result<Option<Stored>> {
    let row = rows.get(&key(job))?;
    let stored: Option<Stored> = row.map(|row| row_json::decode(&row)).transpose()?;
    Ok(stored.filter(|stored| !stored.has_expired(rows.now())))
}

fn require(rows: &dyn Read, job: u64) -> Result<Stored> {
    find(rows, job)?.ok_or_else(|| Error::new(Code::JobNotFound).with("job", job))
}

/// The job of this number, which must not have ended.
fn require_unended(rows: &dyn Read, job: u64) -> Result<Stored> {
    let stored = require(rows, job)?;
    if stored.ended.is_none() {
        return Ok(stored);
    }
    Err(Error::new(Code::JobEnded).with("job", job).with("state", stored.state(rows.now()).name()))
}

/// Whether a job is still to be gone on with.
pub(crate) fn is_wanted(rows: &dyn Read, job: u64) -> Result<bool> {
    Ok(find(rows, job)?.is_some_and(|stored| stored.status == row::Status::Active))
}

/// Ends a job in the batch that does the last of it, after so many units.
pub(crate) fn complete(tx: &mut Tx<'_>, job: u64, units: u64, result: Value) -> Result<()> {
    let mut stored = require_unended(tx, job)?;
    (stored.status, stored.lease, stored.ended) = (row::Status::Done, None, Some(tx.now()));
    (stored.done, stored.total, stored.result) = (units, units, Some(result));
    schedule(tx, job, &stored)?;
    store(tx, job, stored).map(drop)
}

/// Takes back what a job did of which nobody knows: it failed, or was cancelled.
fn give_up(tx: &mut Tx<'_>, kind: Kind, job: u64) -> Result<()> {
    match kind {
        Kind::Fork => crate::modules::namespace::abandon_fork(tx, job),
        Kind::Compact
        | Kind::Backup
        | Kind::Export
        | Kind::Import
        | Kind::Load
        | Kind::Archive
        | Kind::Verify => Ok(()),
    }
}

/// Writes a job of another status, if it is another one; the answer is how it stands then.
fn set_status(tx: &mut Tx<'_>, job: u64, mut stored: Stored, status: row::Status) -> Result<Entry> {
    if stored.status == status {
        return Ok(Entry::new(job, stored, tx.now()));
    }
    stored.status = status;
    store(tx, job, stored)
}

/// Writes a job; the answer is how it stands then.
fn store(tx: &mut Tx<'_>, job: u64, mut stored: Stored) -> Result<Entry> {
    stored.updated = tx.now();
    tx.put_bookkeeping(key(job), row_json::encode(&stored)?)?;
    Ok(Entry::new(job, stored, tx.now()))
}

/// Notes when a job goes.
fn schedule(tx: &mut Tx<'_>, job: u64, stored: &Stored) -> Result<()> {
    stored.expires().map_or(Ok(()), |at| sweep::schedule(tx, at, &key(job)))
}

/// Deletes the job of `key` if the time for which it is kept has passed.
pub(super) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let stored: Option<Stored> = tx.get(key)?.map(|row| row_json::decode(&row)).transpose()?;
    match stored {
        Some(stored) if stored.has_expired(tx.now()) => tx.delete_bookkeeping(key.clone()),
        // Whoever does it has told of it since.
        Some(stored) => schedule(tx, key.components().u64()?, &stored),
        None => Ok(()),
    }
}
