//! AgentDB, embedded: an agent's state, conversations, blobs, records and vectors in one database, committed together.
//!
//! [`Database::open`] opens a directory. A [`Namespace`] takes typed requests, one for each operation of
//! [`modules`]; a write is awaited, or waited for with [`Write::wait`], and a read answers at once on the caller's
//! thread. Futures need no particular runtime. This crate is *not* a client of a server.
//!
//! ```
//! use agentdb::modules::state::{Get, Put};
//! use agentdb::{Batch, Database, json};
//! # let dir = tempfile::tempdir().unwrap();
//! let db = Database::open(dir.path())?;
//! let ns = db.namespace("default")?;
//!
//! let put = ns.write(Put::new("agent-7", "plan", json!({"step": 1}))).wait()?;
//! assert_eq!(ns.read(Get::new("agent-7", "plan"))?.version, put.lsn);
//! # Ok::<(), agentdb::Error>(())
//! ```

mod database;
#[cfg(feature = "models")]
mod encoder;
mod namespace;
mod write;

pub use agentdb_engine::{
    Ack, Batch, Committed, Digest, Engine, Metric, NamespaceId, Operation, ReadRequest, Scope, Shape,
    Snapshot, Stats, TextEncoder, WriteOptions, WriteRequest, modules,
};
pub use agentdb_log::{Verified, verify as verify_log};
pub use agentdb_types::{Code, Error, ErrorKind, Lsn, Result, Timestamp, json as strict_json, limits};
pub use database::{Database, OpenOptions};
pub use namespace::Namespace;
pub use serde_json::{Value, json};
pub use write::{Write, WriteBatch};
