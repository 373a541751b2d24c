//! The log: one durable, hash-chained order of groups of entries.
//!
//! A *group* is what the sequencer commits at once: a run of entries, each with its LSN, that became durable by one
//! `fdatasync`. This crate stores groups and gives them back; it knows nothing of what an entry means.
//!
//! [`LocalLog`] is the home in a directory: zero-filled segments, so that a sync writes no metadata. Recovery tells a
//! torn tail (which is cut) from damage to what was durable (which refuses to open) by the `synced_lsn` that every
//! later frame carries.
//!
//! ```
//! use agentdb_env::Env;
//! use agentdb_log::{LocalLog, Log, NewGroup, Options};
//! use agentdb_types::{Lsn, Timestamp};
//! # let dir = tempfile::tempdir().unwrap();
//! let mut log = LocalLog::open(&Env::real(), dir.path(), Options::default(), Lsn::ZERO)?.log;
//! let head = log.append(NewGroup { epoch: 1, expected_head: Lsn::ZERO, count: 2, time: Timestamp::default(), body: b"ab" })?;
//! log.sync()?;
//! assert_eq!((head.lsn, log.synced()), (Lsn(2), Lsn(2)));
//! # Ok::<(), agentdb_types::Error>(())
//! ```

mod body;
mod copy;
#[doc(hidden)]
#[cfg(feature = "decoders")]
pub mod decoders;
mod frame;
mod group;
mod local;
mod reader;
mod recover;
mod segment;
mod verify;

pub use copy::{Bound, Copied, SegmentCopy, chain_at, cut};
pub use frame::{FRAME_VERSION, Frame, HEADER_BYTES, decode_frame};
pub use group::{Group, Head, Log, NewGroup, SyncPoint};
pub use local::{LocalLog, OldSegment, Opened, Options, SegmentPreparer};
pub use reader::LogReader;
pub use segment::SEGMENT_VERSION;
pub use verify::{Verified, verify};

#[cfg(test)]
mod tests;
