//! Export and import: a namespace as lines of JSON that people and other programs can read (docs/export.md is the reference
//! of the format).
//!
//! A line is an object whose `noun` says what it is, in the words of the operations that show the noun. The first line tells
//! where the export comes from, the last one what there was and a hash of everything before it. In between, `check` lines
//! tell the hash so far: an import commits what a check covers, so that nothing altered gets in, and nothing is ever whole
//! in memory. What belongs to a session, a collection or a thread follows it.
//!
//! What holds for one database alone is not carried over: numbers, versions and epochs (which are LSNs), history, outcomes of
//! idempotency keys. Times are.
//!
//! **Resuming.** How far an import has come is a row of the namespace, under the hash of the first line, written in the
//! batch of the rows that it tells of: line, hash of all lines up to there, and the parent that the next lines may belong
//! to. An import that begins with the same line goes on behind it, once the hash of what it passes over is the same. The
//! last batch says that it is done; a row that nobody goes on with, or that is done, expires.
//!
//! **Begun again when it was done** (its answer was lost, or somebody wants back what they have deleted since), an import that is
//! to refuse what is there looks batch by batch whether everything is there. If so, and the lines are the same to the last,
//! it answers what it answered. If what the first batch brings is not all there, it is imported as if for the first time; if
//! that of a later one is not, it is refused.
//!
//! Each noun says in a file `transfer.rs` of its own what its lines are and how rows become lines and lines rows.

mod decide;
mod export;
mod import;
mod line;
mod lines;
mod mark;
#[cfg(test)]
mod tests;

pub use export::{Export, ExportJob, Exported};
pub(crate) use import::make_room;
pub use import::{Existing, Import, ImportJob, Imported};
pub use line::{Check, Counts, End, Header, Line, NounCounts};
pub use lines::Progress;
#[cfg(any(test, feature = "decoders"))]
pub(crate) use mark::Mark;
pub(crate) use mark::expire;
#[cfg(test)]
pub(crate) use tests::leave_unfinished;

use agentdb_types::{Code, Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{Operation, Shape};

/// The version of the format that is written, and the newest that is read.
pub const FORMAT: u64 = 1;

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation::shaped::<Export>(Shape::Stream), Operation::shaped::<Import>(Shape::Upload)]
}

/// What became of a line that was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// There was nothing of its name.
    Put,
    /// It is there in place of another.
    Replaced,
    /// What was there stays, or what it belongs to was left out or is gone.
    Skipped,
    /// Its time to live has passed since it was exported.
    Expired,
}

impl Fate {
    /// Whether it is to be stored.
    pub(crate) fn stores(self) -> bool {
        matches!(self, Fate::Put | Fate::Replaced)
    }
}

impl Existing {
    /// What becomes of a line whose name is taken, or free.
    ///
    /// # Errors
    /// [`Code::ImportExists`].
    pub(crate) fn fate(self, is_there: bool, what: impl FnOnce() -> String) -> Result<Fate> {
        match self {
            _ if !is_there => Ok(Fate::Put),
            Existing::Refuse => Err(Error::new(Code::ImportExists).with("what", what())),
            Existing::Skip => Ok(Fate::Skipped),
            Existing::Replace => Ok(Fate::Replaced),
        }
    }
}

/// A field that does not go with the others of its line.
pub(crate) fn unfit(field: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::InvalidValue).with("field", field).with("reason", reason)
}

/// Refuses a time to live that is none.
pub(crate) fn check_ttl(ttl_us: Option<i64>) -> Result<()> {
    ttl_us.map_or(Ok(()), |ttl| Timestamp::default().after(ttl).map(drop))
}
