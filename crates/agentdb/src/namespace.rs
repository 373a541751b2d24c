//! A namespace of an open database.

use std::collections::BTreeMap;
use std::io;

use agentdb_engine::modules::{blob, state};
use agentdb_engine::{
    Committed, Digest, Engine, NamespaceId, Point, ReadAt, ReadRequest, Snapshot, WriteOptions, WriteRequest,
};
use agentdb_types::{Lsn, Result};
use serde_json::Value;

use crate::{
    Blobs, Collection, Collections, Exporting, Importing, Items, Page, Session, Sessions, State, Thread,
    Threads, ToolCall, ToolCalls, Watching, Write, WriteBatch,
};

/// A namespace: where every request goes. Clones are the same namespace.
///
/// The handles of the nouns ([`state`](Namespace::state), [`session`](Namespace::session),
/// [`collection`](Namespace::collection), [`blobs`](Namespace::blobs)) are names and nothing more: making one costs no
/// look at the database. Their reads give `None` for what is not there, while the typed requests, which they are made of,
/// and the JSON form give the typed error.
#[derive(Clone)]
pub struct Namespace {
    engine: Engine,
    id: NamespaceId,
}

impl Namespace {
    pub(crate) fn new(engine: Engine, id: NamespaceId) -> Self {
        Namespace { engine, id }
    }

    /// The number under which its rows are kept.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// assert_eq!(agentdb::Database::open(dir.path())?.namespace("default")?.id().number(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// The engine itself, for the project's own tests and benchmarks.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert_eq!(ns.engine().lsn(), agentdb::Lsn(0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[doc(hidden)]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// An owner's keyed documents.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!({"step": 1})).wait()?;
    /// assert_eq!(ns.state("agent-7").get("plan")?.unwrap().value["step"], 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn state(&self, owner: impl Into<String>) -> State {
        State::new(self.clone(), owner.into())
    }

    /// A page of the owners that have state, in byte order.
    ///
    /// # Errors
    /// [`PageTooLarge`](agentdb_types::Code::PageTooLarge), [`InvalidCursor`](agentdb_types::Code::InvalidCursor).
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert_eq!(ns.state_owners(Page::default().prefix("agent-"))?.items[0].owner, "agent-7");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn state_owners(&self, page: Page) -> Result<state::OwnersListed> {
        let Page { limit, cursor, reverse, prefix } = page;
        self.read(state::Owners { prefix, limit, cursor, reverse })
    }

    /// The sessions.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let session = ns.sessions().create("agent-7").wait()?.response.session;
    /// assert_eq!(ns.sessions().list(Page::default())?.items[0].session, session);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.clone())
    }

    /// A session and its messages, whether or not it exists.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").wait()?;
    /// assert_eq!(ns.session("s1").last_messages(1)?[0].content, json!("hello"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn session(&self, session: impl Into<String>) -> Session {
        Session::new(self.clone(), session.into())
    }

    /// The threads of graphs and workflows.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().wait()?;
    /// assert_eq!(ns.threads().list(Page::default())?.items.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn threads(&self) -> Threads {
        Threads::new(self.clone())
    }

    /// A thread and its checkpoints, whether or not it exists.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().channel("messages", 1, json!(["hi"])).wait()?;
    /// assert_eq!(ns.thread("t1").latest()?.unwrap().values["messages"], json!(["hi"]));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn thread(&self, thread: impl Into<String>) -> Thread {
        Thread::new(self.clone(), thread.into())
    }

    /// The tool calls, to look over.
    ///
    /// ```
    /// # use agentdb::{Page, json, modules::tool_call::State};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.tool_call("run-1", "pay").claim("pay", json!({"to": "bob"})).wait()?;
    /// assert_eq!(ns.tool_calls().in_state(State::Claimed, Page::default())?.items[0].key, "pay");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn tool_calls(&self) -> ToolCalls {
        ToolCalls::new(self.clone())
    }

    /// A tool call, by whose it is and its key, whether or not it was ever claimed.
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::Answer};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let epoch = call.claim("pay", json!({"to": "bob"})).wait()?.response.epoch().unwrap();
    /// call.complete(epoch, json!({"receipt": 7})).wait()?;
    /// let again = call.claim("pay", json!({"to": "bob"})).wait()?.response;
    /// assert!(matches!(again, Answer::Completed { result, .. } if result["receipt"] == 7));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn tool_call(&self, owner: impl Into<String>, key: impl Into<String>) -> ToolCall {
        ToolCall::new(self.clone(), owner.into(), key.into())
    }

    /// The items, of which [`Items::at`] names those at a path.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().at(["users", "ann"]).put("prefs", json!({"theme": "dark"})).wait()?;
    /// assert_eq!(ns.items().at(["users", "ann"]).get("prefs")?.unwrap().value["theme"], "dark");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn items(&self) -> Items {
        Items::new(self.clone())
    }

    /// The collections.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.collections().list(Page::default())?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn collections(&self) -> Collections {
        Collections::new(self.clone())
    }

    /// A collection and its records, whether or not it exists.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"kind": "note"})).wait()?;
    /// assert_eq!(docs.search(vec![0.0, 1.0])?[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn collection(&self, collection: impl Into<String>) -> Collection {
        Collection::new(self.clone(), collection.into())
    }

    /// The blobs.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let blob = ns.blobs().put(&b"bytes"[..]).wait()?.response.blob;
    /// assert_eq!(ns.blobs().open(blob)?.read_all()?, b"bytes");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn blobs(&self) -> Blobs {
        Blobs::new(self.clone())
    }

    /// How many rows each of its tables has, by their names, by reading them.
    ///
    /// # Errors
    /// Errors of rows and files.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert_eq!(ns.count_rows()?["state"], 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn count_rows(&self) -> Result<BTreeMap<&'static str, u64>> {
        self.engine.count_rows(self.id)
    }

    /// A write, to be awaited or waited for; nothing is done before.
    ///
    /// ```
    /// # use agentdb::{Ack, json, modules::state::Put};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let put = ns.write(Put::new("agent-7", "mood", json!("calm"))).ack(Ack::Written).idempotency_key("req-1");
    /// assert!(put.wait()?.response.created);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn write<R: WriteRequest>(&self, request: R) -> Write<R> {
        Write::new(self.engine.clone(), self.id, request)
    }

    /// A read, answered at the newest LSN: every write of this handle that was acknowledged is in it.
    ///
    /// # Errors
    /// Those of the operation.
    ///
    /// ```
    /// # use agentdb::modules::state::List;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let list = List { owner: "agent-7".into(), prefix: String::new(), limit: None, cursor: None, reverse: false };
    /// assert!(ns.read(list)?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn read<R: ReadRequest>(&self, request: R) -> Result<R::Response> {
        self.read_in(&self.snapshot()?, request)
    }

    /// A read of a snapshot.
    ///
    /// # Errors
    /// Those of the operation.
    ///
    /// ```
    /// # use agentdb::{json, modules::state::{Get, Put}};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let before = ns.snapshot()?;
    /// ns.write(Put::new("agent-7", "plan", json!(1))).wait()?;
    /// assert!(ns.read_in(&before, Get::new("agent-7", "plan")).is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn read_in<R: ReadRequest>(&self, snapshot: &Snapshot, request: R) -> Result<R::Response> {
        self.engine.read(snapshot, request)
    }

    /// A consistent view at the newest LSN.
    ///
    /// # Errors
    /// [`NamespaceNotFound`](agentdb_types::Code::NamespaceNotFound) if the namespace was deleted.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert_eq!(ns.snapshot()?.lsn(), agentdb::Lsn(0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.engine.snapshot(self.id)
    }

    /// Several writes that are committed together, or not at all.
    ///
    /// ```
    /// # use agentdb::{json, modules::{session, state}};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let answers = ns
    ///     .batch()
    ///     .push(state::Put::new("agent-7", "plan", json!({"step": 1})))
    ///     .push_json("session.create", json!({"session": "s1", "owner": "agent-7"}))
    ///     .wait()?;
    /// assert_eq!(answers.response.len(), 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn batch(&self) -> WriteBatch {
        WriteBatch::new(self.engine.clone(), self.id)
    }

    /// A view of the namespace as it was at an earlier point: an LSN, or a time. States, and sessions with their messages,
    /// can be read in it, for as long as their history is kept (24 hours unless [`retention::Set`] says otherwise);
    /// anything else is refused.
    ///
    /// [`retention::Set`]: crate::modules::retention::Set
    ///
    /// # Errors
    /// [`HistoryTrimmed`](agentdb_types::Code::HistoryTrimmed); for a point that is still to come
    /// [`SnapshotNotReached`](agentdb_types::Code::SnapshotNotReached) or
    /// [`InvalidValue`](agentdb_types::Code::InvalidValue).
    ///
    /// ```
    /// # use agentdb::{json, modules::state::Get};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let first = ns.state("agent-7").put("plan", json!({"step": 1})).wait()?.lsn;
    /// ns.state("agent-7").put("plan", json!({"step": 2})).wait()?;
    /// let then = ns.as_of(first)?;
    /// assert_eq!(ns.read_in(&then, Get::new("agent-7", "plan"))?.value["step"], 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn as_of(&self, point: impl Into<Point>) -> Result<Snapshot> {
        self.engine.snapshot_as_of(self.id, point)
    }

    /// Calls an operation by name, in JSON form. A read waits for nothing but answers at an LSN or later, or as of an
    /// earlier [`Point`].
    ///
    /// # Errors
    /// Those of a malformed request, and those of the operation.
    ///
    /// ```
    /// # use agentdb::{Lsn, WriteOptions, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let request = json!({"owner": "agent-7", "key": "n", "by": 2});
    /// let answer = ns.call("state.increment", request, WriteOptions::default(), Lsn(0))?;
    /// assert_eq!(answer.response["value"], 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn call(
        &self,
        operation: &str,
        request: Value,
        options: WriteOptions,
        at: impl Into<ReadAt>,
    ) -> Result<Committed<Value>> {
        self.engine.call_json(self.id, operation, request, options, at)
    }

    /// Stores bytes; they are durable, and referenced, when this returns.
    ///
    /// # Errors
    /// [`BlobMismatch`](agentdb_types::Code::BlobMismatch), [`DiskFull`](agentdb_types::Code::DiskFull), those of a write.
    ///
    /// ```
    /// # use agentdb::{WriteOptions, modules::blob::Put};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let stored = ns.put_blob(&mut &b"bytes"[..], Put::default(), WriteOptions::default())?.response;
    /// assert_eq!(ns.open_blob(&ns.snapshot()?, &stored.blob)?.read_all()?, b"bytes");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn put_blob(
        &self,
        bytes: &mut dyn io::Read,
        about: blob::Put,
        options: WriteOptions,
    ) -> Result<Committed<blob::Stored>> {
        self.engine.put_blob(self.id, bytes, about, options)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`BlobNotFound`](agentdb_types::Code::BlobNotFound).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.open_blob(&ns.snapshot()?, &"0".repeat(64)).is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn open_blob(&self, snapshot: &Snapshot, address: &str) -> Result<blob::BlobReader> {
        self.engine.open_blob(snapshot, address)
    }

    /// Everything that the namespace holds at one LSN, as lines of JSON that people and other programs can read.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!({"step": 1})).wait()?;
    /// let mut lines = Vec::new();
    /// ns.export().write_to(&mut lines, &mut |_progress| {})?;
    /// let second = String::from_utf8(lines).unwrap().lines().nth(1).unwrap().to_owned();
    /// assert!(second.starts_with(r#"{"noun":"state","owner":"agent-7","key":"plan","value":{"step":1}"#));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn export(&self) -> Exporting {
        Exporting::new(self.clone())
    }

    /// Imports lines that [`export`](Namespace::export) wrote, or another program (docs/export.md).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let lines = r#"{"noun":"export","format":1}
    /// {"noun":"state","owner":"agent-7","key":"plan","value":1,"created":"2026-01-31T12:00:00Z","updated":"2026-01-31T12:00:00Z"}
    /// {"noun":"end"}
    /// "#;
    /// ns.import(lines.as_bytes()).wait(&mut |_progress| {})?;
    /// assert_eq!(ns.state("agent-7").get("plan")?.unwrap().value, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn import<'a>(&self, lines: impl io::Read + 'a) -> Importing<'a> {
        Importing::new(self.clone(), Box::new(lines))
    }

    /// The change feed: what is committed here, batch by batch, from any LSN on.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let put = ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// let event = ns.watch().open()?.wait()?;
    /// assert_eq!((event.lsn, &*event.operation), (put.lsn, "state.put"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn watch(&self) -> Watching {
        Watching::new(self.clone())
    }

    /// The digest of the namespace's rows, and the LSN that it holds at.
    ///
    /// # Errors
    /// Errors of rows and files.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert_eq!(ns.digest()?, ns.digest()?);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn digest(&self) -> Result<(Lsn, Digest)> {
        self.engine.digest(self.id)
    }
}
