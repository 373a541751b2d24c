//! The engine of AgentDB: one sequencer decides every change, one log keeps it, and rows are a view of that log.
//!
//! [`Engine`] opens a directory; [`Engine::write`] and [`Engine::read`] carry the requests that [`modules`] declare.
//! The engine is synchronous and made of steps ([`Task`]) that its threads merely drive, so that a simulator can. It
//! knows no network, no models and no workflows.
//!
//! ```
//! use agentdb_engine::modules::state::{Get, Put};
//! use agentdb_engine::{Engine, NamespaceId, Options, WriteOptions};
//! use agentdb_env::Env;
//! # let dir = tempfile::tempdir().unwrap();
//! let engine = Engine::open(&Env::real(), dir.path(), Options::default())?;
//! let put = Put::new("agent-7", "plan", serde_json::json!({"step": 1}));
//! let version = engine.write(NamespaceId::DEFAULT, put, WriteOptions::default())?.wait()?.lsn;
//! let snapshot = engine.snapshot(NamespaceId::DEFAULT)?;
//! let entry = engine.read(&snapshot, Get::new("agent-7", "plan"))?;
//! assert_eq!((entry.version, &entry.value["step"]), (version, &1.into()));
//! # Ok::<(), agentdb_types::Error>(())
//! ```

mod background;
mod codec;
mod commit;
mod common;
mod completion;
mod cursor;
#[doc(hidden)]
#[cfg(any(test, feature = "decoders"))]
pub mod decoders;
mod digest;
#[cfg(test)]
mod doubt_tests;
mod encoder;
mod engine;
mod filter;
mod forks;
mod format;
#[cfg(test)]
mod golden;
mod history;
mod idempotency;
mod inspect;
mod key;
mod keyring;
mod log_clock;
pub mod modules;
mod mutation;
mod numbers;
mod operation;
mod pins;
#[doc(hidden)]
#[cfg(feature = "planted-bugs")]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
mod planted;
mod poison;
mod queue;
mod read;
mod record_index;
mod request;
mod retain;
mod row_json;
mod rows;
mod sequencer;
mod signal;
mod snapshot;
mod sparse;
mod submit;
mod sweep;
mod tables;
mod tx;
mod vectors;
mod watchers;

pub use agentdb_text::{Analyzer, Query as Words};
pub use agentdb_vector::Metric;
pub use digest::{Digest, SetHash};
pub use encoder::{Encoded, EncodedTexts, TextEncoder};
pub use engine::{Engine, Options, Stats, Task};
pub use filter::{Field, FieldType, Fields};
pub use history::{HistoryNoun, Point};
pub use inspect::{Segment, StoredFile, describe};
pub use key::{Components, Key, NamespaceId};
pub use operation::{About, Effect, Operation, ReadRequest, Request, Scope, Shape, WriteRequest, decode};
pub use read::{Page, Read};
pub use request::{Ack, Committed, Ticket, WriteOptions};
pub use rows::{BaseOptions, Row};
pub use snapshot::Snapshot;
pub use sparse::SparseVector;
pub use submit::{Batch, ReadAt};
pub use tables::Table;
pub use tx::Tx;
