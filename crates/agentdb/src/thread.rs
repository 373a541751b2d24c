//! Threads and their checkpoints.

use agentdb_engine::modules::checkpoint::{self, ChannelWrite, Encoded, thread};
use agentdb_types::{Code, Result};
use serde_json::Value;

use crate::write::object;
use crate::{Namespace, Page, Write, present};

/// The threads of a namespace.
#[derive(Clone)]
pub struct Threads {
    namespace: Namespace,
}

impl Threads {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Threads { namespace }
    }

    /// A page of threads, in the byte order of their names.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().wait()?;
    /// assert_eq!(ns.threads().list(Page::default().prefix("t"))?.items[0].thread, "t1");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, page: Page) -> Result<thread::Listed> {
        let Page { limit, cursor, reverse, prefix } = page;
        self.namespace.read(thread::List { prefix, limit, cursor, reverse })
    }

    /// Deletes the checkpoints of runs, named by `run_id` in their metadata, in all threads.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().metadata(json!({"run_id": "run-1"})).wait()?;
    /// assert_eq!(ns.threads().delete_runs(["run-1"]).wait()?.response.deleted, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete_runs(
        &self,
        runs: impl IntoIterator<Item = impl Into<String>>,
    ) -> Write<checkpoint::DeleteRuns> {
        let runs = runs.into_iter().map(Into::into).collect();
        self.namespace.write(checkpoint::DeleteRuns { runs })
    }

    /// Keeps of these threads the latest checkpoints and what their delta channels need. The answer tells whether to call
    /// again.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for id in ["1", "2", "3"] {
    ///     ns.thread("t1").put().id(id).wait()?;
    /// }
    /// assert_eq!(ns.threads().prune(["t1"]).wait()?.response.deleted, 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn prune(&self, threads: impl IntoIterator<Item = impl Into<String>>) -> Write<thread::Prune> {
        let threads = threads.into_iter().map(Into::into).collect();
        self.namespace.write(thread::Prune { threads, ..thread::Prune::default() })
    }
}

/// A thread of a graph or workflow: its checkpoints, or those of one part of it. The handle names it, whether or not it
/// exists.
#[derive(Clone)]
pub struct Thread {
    namespace: Namespace,
    thread: String,
    part: String,
}

impl Thread {
    pub(crate) fn new(namespace: Namespace, thread: String) -> Self {
        Thread { namespace, thread, part: String::new() }
    }

    /// A part of the thread, such as a subgraph; the empty name is the root.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").part("child:1").put().wait()?;
    /// assert!(ns.thread("t1").latest()?.is_none());
    /// assert!(ns.thread("t1").part("child:1").latest()?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn part(&self, name: impl Into<String>) -> Thread {
        Thread { part: name.into(), ..self.clone() }
    }

    /// Stores a checkpoint.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let thread = ns.thread("t1");
    /// let first = thread.put().channel("messages", 1, json!(["hi"])).wait()?.response.checkpoint;
    /// thread.put().parent(first).channel("messages", 2, json!(["hi", "ho"])).wait()?;
    /// assert_eq!(thread.latest()?.unwrap().values["messages"], json!(["hi", "ho"]));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn put(&self) -> Write<checkpoint::Put> {
        let namespace = self.part.clone();
        self.namespace.write(checkpoint::Put { namespace, ..checkpoint::Put::new(self.thread.clone()) })
    }

    /// Stores what a task wrote behind a checkpoint. The same writes again change nothing.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let thread = ns.thread("t1");
    /// let checkpoint = thread.put().wait()?.response.checkpoint;
    /// thread.put_writes(checkpoint, "task-1").to("messages", json!("hi")).wait()?;
    /// assert_eq!(thread.latest()?.unwrap().writes[0].channel, "messages");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn put_writes(
        &self,
        checkpoint: impl Into<String>,
        task: impl Into<String>,
    ) -> Write<checkpoint::PutWrites> {
        self.namespace.write(checkpoint::PutWrites {
            thread: self.thread.clone(),
            namespace: self.part.clone(),
            checkpoint: checkpoint.into(),
            task: task.into(),
            ..checkpoint::PutWrites::default()
        })
    }

    /// The latest checkpoint, with the values of its channels and the writes behind it; `None` if there is none.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for id in ["1", "2"] {
    ///     ns.thread("t1").put().id(id).wait()?;
    /// }
    /// assert_eq!(ns.thread("t1").latest()?.unwrap().checkpoint, "2");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn latest(&self) -> Result<Option<checkpoint::Entry>> {
        self.entry(None)
    }

    /// A checkpoint; `None` if it is not there.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().id("1").wait()?;
    /// assert!(ns.thread("t1").get("1")?.is_some());
    /// assert!(ns.thread("t1").get("2")?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get(&self, checkpoint: impl Into<String>) -> Result<Option<checkpoint::Entry>> {
        self.entry(Some(checkpoint.into()))
    }

    fn entry(&self, checkpoint: Option<String>) -> Result<Option<checkpoint::Entry>> {
        let (thread, namespace) = (self.thread.clone(), self.part.clone());
        let get = checkpoint::Get { thread, namespace, checkpoint };
        present(self.namespace.read(get), Code::CheckpointNotFound)
    }

    /// A page of checkpoints, newest first. More can be asked for with [`checkpoint::List`]: those before an id, with given
    /// metadata, of all parts.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for id in ["1", "2"] {
    ///     ns.thread("t1").put().id(id).wait()?;
    /// }
    /// assert_eq!(ns.thread("t1").list(Page::first(1))?.items[0].checkpoint, "2");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, page: Page) -> Result<checkpoint::Listed> {
        let Page { limit, cursor, .. } = page.without_prefix()?;
        let namespace = Some(self.part.clone());
        let thread = checkpoint::List::new(self.thread.clone());
        self.namespace.read(checkpoint::List { namespace, limit, cursor, ..thread })
    }

    /// What the values of delta channels in the latest checkpoint add up to: a value of an ancestor, and the writes since.
    ///
    /// # Errors
    /// [`Code::CheckpointNotFound`].
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let thread = ns.thread("t1");
    /// thread.put().id("1").channel("log", 1, json!(["a"])).wait()?;
    /// thread.put_writes("1", "task-1").to("log", json!("b")).wait()?;
    /// thread.put().id("2").parent("1").wait()?;
    /// let history = &thread.history(["log"])?.channels["log"];
    /// assert_eq!((&history.seed, &history.writes[0].value), (&Some(json!(["a"])), &Some(json!("b"))));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn history(
        &self,
        channels: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<checkpoint::Histories> {
        self.namespace.read(checkpoint::History {
            thread: self.thread.clone(),
            namespace: self.part.clone(),
            checkpoint: None,
            channels: channels.into_iter().map(Into::into).collect(),
        })
    }

    /// Copies the thread with all its parts, checkpoints and writes, under a name that is free.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().id("1").wait()?;
    /// ns.thread("t1").copy("t2").wait()?;
    /// assert_eq!(ns.thread("t2").latest()?.unwrap().checkpoint, "1");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn copy(&self, to: impl Into<String>) -> Write<thread::Copy> {
        self.namespace.write(thread::Copy { thread: self.thread.clone(), to: to.into(), at: None })
    }

    /// Copies the thread as it was at a checkpoint: without those, of any part, whose ids come behind it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().id("1").wait()?;
    /// ns.thread("t1").put().id("2").parent("1").wait()?;
    /// ns.thread("t1").copy_at("1", "t2").wait()?;
    /// assert_eq!(ns.thread("t2").latest()?.unwrap().checkpoint, "1");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn copy_at(&self, checkpoint: impl Into<String>, to: impl Into<String>) -> Write<thread::Copy> {
        let (thread, to, at) = (self.thread.clone(), to.into(), Some(checkpoint.into()));
        self.namespace.write(thread::Copy { thread, to, at })
    }

    /// Deletes the thread with all its parts, checkpoints and writes, at once.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().wait()?;
    /// assert!(ns.thread("t1").delete().wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self) -> Write<thread::Delete> {
        self.namespace.write(thread::Delete { thread: self.thread.clone() })
    }
}

impl Write<checkpoint::Put> {
    /// The checkpoint's id, greater than those before it; a UUID version 7 if not said otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert_eq!(ns.thread("t1").put().id("1").wait()?.response.checkpoint, "1");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn id(self, checkpoint: impl Into<String>) -> Self {
        self.with(|put| put.checkpoint = Some(checkpoint.into()))
    }

    /// The checkpoint that it follows.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().id("2").parent("1").wait()?;
    /// assert_eq!(ns.thread("t1").latest()?.unwrap().parent.as_deref(), Some("1"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn parent(self, checkpoint: impl Into<String>) -> Self {
        self.with(|put| put.parent = Some(checkpoint.into()))
    }

    /// A channel's version, a text or a number, and its value.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().channel("messages", 1, json!(["hi"])).wait()?;
    /// assert_eq!(ns.thread("t1").latest()?.unwrap().versions["messages"], 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn channel(
        self,
        channel: impl Into<String>,
        version: impl Into<Value>,
        value: impl Into<Value>,
    ) -> Self {
        self.with(|put| {
            let channel = channel.into();
            put.versions.insert(channel.clone(), version.into());
            put.values.insert(channel, value.into());
        })
    }

    /// A channel's version, and its value in a serializer's own form, such as `msgpack`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().encoded("messages", 1, "msgpack", vec![0x91, 0xa2, b'h', b'i']).wait()?;
    /// assert_eq!(ns.thread("t1").latest()?.unwrap().encoded["messages"].r#type, "msgpack");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn encoded(
        self,
        channel: impl Into<String>,
        version: impl Into<Value>,
        form: impl Into<String>,
        data: Vec<u8>,
    ) -> Self {
        self.with(|put| {
            let channel = channel.into();
            put.versions.insert(channel.clone(), version.into());
            put.encoded.insert(channel, Encoded { r#type: form.into(), data });
        })
    }

    /// A channel whose value is that of a version that was stored before.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().id("1").channel("plan", 1, json!("wait")).wait()?;
    /// ns.thread("t1").put().id("2").unchanged("plan", 1).wait()?;
    /// assert_eq!(ns.thread("t1").latest()?.unwrap().values["plan"], "wait");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn unchanged(self, channel: impl Into<String>, version: impl Into<Value>) -> Self {
        self.with(|put| drop(put.versions.insert(channel.into(), version.into())))
    }

    /// What else the framework keeps in a checkpoint: a JSON object.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().data(json!({"v": 4})).wait()?;
    /// assert_eq!(ns.thread("t1").latest()?.unwrap().data["v"], 4);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn data(self, data: impl Into<Value>) -> Self {
        self.try_with(|put| object("data", data.into()).map(|map| put.data = map))
    }

    /// What a list can be filtered by: a JSON object.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.thread("t1").put().metadata(json!({"step": 1})).wait()?;
    /// assert_eq!(ns.thread("t1").latest()?.unwrap().metadata["step"], 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn metadata(self, metadata: impl Into<Value>) -> Self {
        self.try_with(|put| object("metadata", metadata.into()).map(|map| put.metadata = map))
    }
}

impl Write<checkpoint::PutWrites> {
    /// The task's path, by which writes of several tasks are ordered.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let thread = ns.thread("t1");
    /// thread.put().id("1").wait()?;
    /// for (task, path) in [("a", "2"), ("b", "1")] {
    ///     thread.put_writes("1", task).path(path).to("log", json!(task)).wait()?;
    /// }
    /// assert_eq!(thread.latest()?.unwrap().writes[0].task, "b");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn path(self, path: impl Into<String>) -> Self {
        self.with(|put| put.path = path.into())
    }

    /// A write to a channel, behind those given before.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let writes = ns.thread("t1").put_writes("1", "task-1").to("a", json!(1)).to("b", json!(2));
    /// assert_eq!(writes.wait()?.response.stored, 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn to(self, channel: impl Into<String>, value: impl Into<Value>) -> Self {
        let (channel, value) = (channel.into(), value.into());
        self.with(|put| put.writes.push(ChannelWrite { channel, value, ..ChannelWrite::default() }))
    }
}

impl Write<thread::Prune> {
    /// How many rows to delete before the call ends, up to 10,000.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for id in ["1", "2", "3"] {
    ///     ns.thread("t1").put().id(id).wait()?;
    /// }
    /// assert!(ns.threads().prune(["t1"]).limit(1).wait()?.response.more);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn limit(self, limit: usize) -> Self {
        self.with(|prune| prune.limit = Some(limit))
    }
}
