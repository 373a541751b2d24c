//! Bulk load: rows of a file into a collection, segment by segment (docs/load.md is the reference).
//!
//! The engine knows no file formats: whoever reads a file gives [`Row`]s, one after another ([`Rows`]). A *segment* is as many
//! rows as one batch takes. It is decided as one and is one entry of the log, with the mark that tells how far the load has
//! come.
//!
//! **Resuming.** A load is known by a name, its `source`, within its collection. Its mark is a row that is written in the batch of
//! the rows that it tells of: how many rows are loaded, the hash of them as they were mapped, and that of the first segment. A load
//! of the same name goes on behind these rows, once those that it passes over have the same hash: what was put right behind them may
//! differ. One that differs before is refused, unless it is to begin `anew`. The last batch says that the load is done. The same
//! rows once more are answered as they were, and load nothing; another file under the name begins anew, which shows in its first
//! segment. A mark that nobody goes on with, or that is done, expires.
//!
//! **Ids of one load are different.** Their hashes, 128 bits, are kept in memory while it goes on.

mod job;
mod mark;
mod request;
mod row;
mod segment;
#[cfg(test)]
mod tests;

pub use job::{LoadJob, Progress};
#[cfg(any(test, feature = "decoders"))]
pub(crate) use mark::Mark;
pub(crate) use mark::expire;
pub use request::{ColumnType, Convert, Counts, Format, IfExists, Load, Loaded};
pub use row::{Row, Rows};
#[cfg(test)]
pub(crate) use tests::leave_unfinished;

use crate::operation::{Operation, Shape};

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation::shaped::<Load>(Shape::Upload)]
}
