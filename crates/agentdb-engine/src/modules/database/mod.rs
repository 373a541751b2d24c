//! The database itself: figures, digests, verification, and reading the log.

mod digest;
#[cfg(test)]
pub(crate) mod flips;
mod info;
mod read_log;
mod report;
#[cfg(test)]
mod tests;
mod verify;

pub use digest::{Digest, Digested};
pub use info::{Info, Information, MutationCounts};
pub use read_log::{LogEntry, LogMutation, ReadLog};
pub use report::{LogReport, NamespaceReport, Phase, Problem, Progress, Report};
pub use verify::Verify;

use crate::operation::{Operation, Shape};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::read::<Digest>(),
        Operation::read::<Info>(),
        Operation::shaped::<ReadLog>(Shape::Stream),
        Operation::shaped::<Verify>(Shape::Long),
    ]
}
