//! AgentDB, embedded: an agent's state, conversations, blobs, records and vectors in one database, committed together.
//!
//! [`Database::open`] opens a directory. A [`Namespace`] has handles for its nouns ([`State`], [`Session`],
//! [`Collection`], [`Blobs`]) and a [batch](Namespace::batch) for writes that belong together. A write is awaited, or waited
//! for with [`Write::wait`]; a read answers at once on the caller's thread. Futures need no particular runtime.
//!
//! Beneath the handles lie typed requests, one for each operation of [`modules`], with the same names and fields in JSON
//! ([`Namespace::call`]). This crate is *not* a client of a server.
//!
//! ```
//! use agentdb::{Database, json};
//! # let dir = tempfile::tempdir().unwrap();
//! let db = Database::open(dir.path())?;
//! let ns = db.namespace("default")?;
//!
//! let put = ns.state("agent-7").put("plan", json!({"step": 1})).wait()?;
//! let plan = ns.state("agent-7").get("plan")?.unwrap();
//! assert_eq!((&plan.value["step"], plan.version), (&json!(1), put.lsn));
//!
//! // Several writes, together or not at all; awaited on whatever runtime there is.
//! let answer = pollster::block_on(async {
//!     ns.batch()
//!         .push(ns.state("agent-7").put("plan", json!({"step": 2})))
//!         .push(ns.session("s1").append("user", "go on").owner("agent-7"))
//!         .await
//! })?;
//! assert!(answer.lsn > put.lsn);
//!
//! // The same as a typed request.
//! use agentdb::modules::state::Get;
//! assert_eq!(ns.read(Get::new("agent-7", "plan"))?.version, answer.lsn);
//! # Ok::<(), agentdb::Error>(())
//! ```

mod backups;
mod blobs;
mod collection;
mod collection_writes;
mod database;
#[cfg(feature = "models")]
mod encoder;
mod history;
mod item_query;
mod items;
mod jobs;
mod links;
#[cfg(feature = "load")]
mod load;
mod namespace;
mod namespaces;
mod open_options;
mod page;
mod query;
mod record_writes;
mod retention;
mod session;
mod state;
mod thread;
mod tool_call;
mod transfer;
mod watch;
mod write;

pub use agentdb_engine::{
    Ack, Analyzer, Committed, Digest, Effect, Field, FieldType, Fields, HistoryNoun, Metric, NamespaceId,
    Operation, Point, ReadAt, ReadRequest, Scope, Segment, Shape, Snapshot, SparseVector, Stats, StoredFile,
    TextEncoder, Words, WriteOptions, WriteRequest, modules,
};
#[doc(hidden)]
pub use agentdb_engine::{Engine, decode};
pub use agentdb_log::{Verified, verify as verify_log};
pub use agentdb_types::{Code, Error, ErrorKind, Lsn, Result, Timestamp, json as strict_json, limits};
pub use backups::Backups;
pub use blobs::{Blobs, PutBlob};
pub use collection::{Collection, Collections};
pub use database::Database;
pub use item_query::ItemQuery;
pub use items::Items;
pub use jobs::{Job, Jobs};
pub use links::{LinkEnd, Links, Traversal};
#[cfg(feature = "load")]
#[doc(hidden)]
pub use load::rows_of;
#[cfg(feature = "load")]
pub use load::{LoadSource, Loading};
pub use namespace::Namespace;
pub use namespaces::Namespaces;
pub use open_options::OpenOptions;
pub use page::Page;
pub use query::Query;
pub use serde_json::{Value, json};
pub use session::{Session, Sessions};
pub use state::State;
pub use thread::{Thread, Threads};
pub use tool_call::{ToolCall, ToolCalls};
pub use transfer::{Exporting, Importing};
pub use watch::{Watch, Watching};
pub use write::{IntoRequest, Write, WriteBatch};

/// What was found, with the error of this code turned into nothing found.
fn present<T>(found: Result<T>, absent: Code) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(err) if err.code() == absent => Ok(None),
        Err(err) => Err(err),
    }
}

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The example of the page about tool calls, run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/tool-calls.md")]
struct ToolCallsPage;
/// The example of the page on change feeds, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/watch.md")]
struct WatchPage;

/// The examples of the page on links, run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/links.md")]
struct LinksPage;

/// The examples of the page on exports, run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/export.md")]
struct ExportPage;
