//! Tool calls: journalled side effects of agents. Whoever is about to act claims the call by its key, acts, and tells the
//! outcome; whoever comes back with the key, after a crash say, gets that outcome instead of acting again.
//!
//! **Scope.** A call belongs to an owner (an agent, a run of a workflow, whatever makes keys unique) and has a key among
//! the owner's calls. A key that comes back must come with the same tool and the same arguments.
//!
//! **States.** `claimed` until the lease ends by log time; `unknown` from then on, without anybody writing it down, as long
//! as no outcome is told: the side effect may have happened or not; `completed`; `failed`; `retryable`, which is a failure
//! after which the tool may be run again, or an unknown call that somebody resolved so. What claim does:
//!
//! | the call is | the answer |
//! | --- | --- |
//! | absent, retryable | claimed, under a new epoch |
//! | completed, failed | what was recorded |
//! | claimed | refused: `tool_call_running` |
//! | unknown, declared idempotent by that claim, attempts left | claimed, under a new epoch |
//! | unknown otherwise | refused: `tool_call_unknown`, until it is resolved |
//!
//! What was recorded is an answer, since it is what the caller wants; whatever means that the tool must not be run, and that
//! there is nothing to go on with, is an error, so that nobody runs it by mistake.
//!
//! **Epochs.** A claim's epoch is the LSN of its batch: it grows from claim to claim and is never given twice, not even
//! after the call was deleted. An outcome must carry the epoch under which the tool was run. One that comes after the lease
//! has ended, and before anybody claimed or resolved the call, is taken: it is the truth. A resolution takes an epoch of its
//! own, so that nothing that comes late from the claim undoes it. The same outcome told twice is answered as the first time.
//!
//! **Attempts.** They count the claims since the first, or since the call was resolved to be run again. What a claim
//! declares (`idempotent`, `max_attempts`, lease, worker, how long to keep) counts for its own attempt.
//!
//! Rows, format version 1: version byte and JSON of [`Call`]; empty rows in the two indexes.

mod call;
mod claim;
mod complete;
mod delete;
mod fail;
mod get;
mod index;
mod list;
mod renew;
mod resolve;
mod retain;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;

pub(crate) use call::Call;
pub use call::State;
pub use claim::{Answer, Claim};
pub use complete::{Complete, Completed};
pub use delete::{Delete, Deleted};
pub use fail::{Fail, Failed};
pub use get::{Entry, Get};
pub use list::{List, Listed};
pub use renew::{Renew, Renewed};
pub use resolve::{Resolution, Resolve, Resolved};
pub(crate) use retain::{let_go, settled, settled_range};
pub use transfer::ToolCallLine;

use agentdb_types::{Code, Error, Id, Lsn, Result};

use self::call::Status;
use crate::key::Key;
use crate::operation::Operation;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Table, row_json, sweep};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Claim>(),
        Operation::write::<Complete>(),
        Operation::write::<Delete>(),
        Operation::write::<Fail>(),
        Operation::read::<Get>(),
        Operation::read::<List>(),
        Operation::write::<Renew>(),
        Operation::write::<Resolve>(),
    ]
}

/// The place of a call: what names it in requests, keys and messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    owner: &'a str,
    key: &'a str,
}

impl<'a> Place<'a> {
    /// A place that a request names.
    fn new(owner: &'a str, key: &'a str) -> Result<Self> {
        Id::check("owner", owner)?;
        Id::check("key", key)?;
        Ok(Place { owner, key })
    }

    fn row(self, rows: &dyn Read) -> Key {
        rows.key(Table::ToolCall).text(self.owner).text(self.key)
    }

    fn error(self, code: Code) -> Error {
        Error::new(code).with("owner", self.owner).with("key", self.key)
    }

    /// The row that is there, though its time may have passed.
    fn load(self, rows: &dyn Read) -> Result<Option<Call>> {
        rows.get(&self.row(rows))?.map(|row| row_json::decode(&row)).transpose()
    }

    /// The call, if it is there and still kept.
    fn find(self, rows: &dyn Read) -> Result<Option<Call>> {
        Ok(self.load(rows)?.filter(|call| !call.has_expired(rows.now())))
    }

    /// The call that an outcome is told of, under the epoch that it has.
    fn require(self, rows: &dyn Read, epoch: Lsn) -> Result<Call> {
        let call = self.find(rows)?.ok_or_else(|| self.error(Code::ToolCallNotFound))?;
        if call.epoch == epoch || planted::is(Bug::EpochNotCompared) {
            return Ok(call);
        }
        // Epochs grow: one above that of the call was never given for it.
        let reason = match epoch > call.epoch {
            true => "no claim or resolution of it has had that epoch",
            false => "it was claimed or resolved since, if that epoch ever was one of its own",
        };
        Err(self
            .error(Code::ToolCallFenced)
            .with("reason", reason)
            .with("actual", call.epoch)
            .with("expected", epoch)
            .with("state", call.state(rows.now()).name()))
    }

    fn running(self, call: &Call, until: impl std::fmt::Display) -> Error {
        let error = self.error(Code::ToolCallRunning).with("epoch", call.epoch).with("until", until);
        match &call.worker {
            Some(worker) => error.with("worker", worker),
            None => error,
        }
    }

    fn unknown(self, call: &Call, since: impl std::fmt::Display) -> Error {
        self.error(Code::ToolCallUnknown)
            .with("epoch", call.epoch)
            .with("since", since)
            .with("idempotent", call.idempotent)
            .with("attempt", call.attempt)
    }

    /// Why a call that is not claimed cannot be told another outcome.
    fn finished(self, rows: &dyn Read, call: &Call) -> Error {
        self.error(Code::ToolCallFinished)
            .with("state", call.state(rows.now()).name())
            .with("epoch", call.epoch)
    }

    /// Writes a call in place of what was there.
    fn store(self, tx: &mut Tx<'_>, before: Option<&Call>, mut call: Call) -> Result<Call> {
        call.updated = tx.now();
        self.write(tx, before, &call)?;
        Ok(call)
    }

    /// Writes a call as it is.
    fn write(self, tx: &mut Tx<'_>, before: Option<&Call>, call: &Call) -> Result<()> {
        index::replace(tx, self, before, Some(call))?;
        if let Some(at) = call.expires() {
            sweep::schedule(tx, at, &self.row(tx))?;
        }
        tx.put(self.row(tx), row_json::encode(call)?)
    }

    /// Refuses to forget a call that is claimed or unknown: its side effect would be forgotten with it.
    fn check_forgettable(self, rows: &dyn Read, call: &Call) -> Result<()> {
        match &call.status {
            Status::Claimed { lease_end } if *lease_end > rows.now() => Err(self.running(call, lease_end)),
            Status::Claimed { lease_end } => Err(self.unknown(call, lease_end)),
            _ => Ok(()),
        }
    }

    /// Deletes the row of a call.
    fn remove(self, tx: &mut Tx<'_>, call: &Call) -> Result<()> {
        index::replace(tx, self, Some(call), None)?;
        tx.delete(self.row(tx))
    }
}

/// Deletes the call of `key` if the time for which it is kept has passed.
pub(super) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let mut parts = key.components();
    let (owner, key) = (parts.text()?, parts.text()?);
    let place = Place { owner: &owner, key: &key };
    match place.load(tx)? {
        Some(call) if call.has_expired(tx.now()) => place.remove(tx, &call),
        _ => Ok(()),
    }
}
