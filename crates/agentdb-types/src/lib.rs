//! The words that every part of AgentDB shares: ids, times, limits, and the one table of error codes.
//!
//! This crate does no I/O, starts no threads and reads no clock. It is *not* a home for everybody's types:
//! a type belongs here only when a file format, a wire form or an error names it.
//!
//! ```
//! use agentdb_types::{Code, Error, ErrorKind, Id};
//!
//! let err: Error = Id::new("field", "").unwrap_err();
//! assert_eq!(err.code(), Code::IdEmpty);
//! assert_eq!(err.kind(), ErrorKind::Invalid);
//! ```

mod code;
mod error;
mod id;
pub mod json;
mod json_reason;
pub mod limits;
mod lsn;
mod time;

pub use code::{Code, ErrorKind};
pub use error::{Error, Result};
pub use id::Id;
pub use lsn::{ChainHash, Lsn};
pub use time::{Duration, Timestamp};
