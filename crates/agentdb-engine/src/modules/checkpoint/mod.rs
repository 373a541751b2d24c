//! Checkpoints: snapshots of the threads of a graph or workflow, each with its parent, and the writes that are pending
//! behind it. They are what LangGraph's `BaseCheckpointSaver` keeps; its `thread_id`, `checkpoint_ns` and `checkpoint_id`
//! are our thread, namespace and checkpoint.
//!
//! **Order.** Checkpoints of a thread's namespace are ordered by the bytes of their ids, and the last one is the latest: ids
//! ascend, as UUIDs of version 6 and 7 do.
//!
//! **Channels.** A checkpoint names a version for each channel. The value of a version is stored once in the thread's
//! namespace, and its [content](content) once in the thread and its copies, as what changed against the value before: a
//! conversation costs its length, not its square. A checkpoint that gives a version another value than the one that is
//! stored (after a fork, counting versions meet) keeps that value for itself.
//!
//! **Delta channels** store no value in most checkpoints: it is what the [history] of the channel adds up to. Such channels
//! are named by `counters_since_delta_snapshot` in a checkpoint's metadata, and nothing that prunes or deletes takes away
//! what a checkpoint that is to stay needs of them.
//!
//! Rows, format version 1. Thread, checkpoint: version byte and JSON. Version of a channel: the number whose contents it is
//! in (`u64`), its hash (32). Write: version byte and JSON of its head, then the content. Threads have a number that is never
//! used twice, so that deleting one is done at once and its rows are swept later.

mod content;
mod delete_runs;
mod get;
pub mod history;
mod list;
mod put;
mod put_writes;
mod recent;
mod retain;
mod rows;
#[cfg(test)]
mod tests;
pub mod thread;
pub(crate) mod transfer;

pub use content::Encoded;
pub use delete_runs::{DeleteRuns, RunsDeleted};
pub use get::{Entry, Get, PendingWrite};
pub use history::{ChannelHistory, Histories, History};
pub use list::{List, Listed};
pub use put::{Put, Stored};
pub use put_writes::{ChannelWrite, PutWrites, WritesStored};
pub(crate) use recent::RecentContents;
pub use transfer::{ChannelValueLine, CheckpointLine, WriteLine};

use crate::operation::Operation;

pub(crate) use retain::{delete_excess, excess, last_used, let_go};
#[cfg(any(test, feature = "decoders"))]
pub(crate) use rows::recode;
pub(crate) use rows::{forget, index_of, pending_write};

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::write::<DeleteRuns>(),
        Operation::read::<Get>(),
        Operation::read::<History>(),
        Operation::read::<List>(),
        Operation::write::<Put>(),
        Operation::write::<PutWrites>(),
    ];
    operations.extend(thread::operations());
    operations
}
