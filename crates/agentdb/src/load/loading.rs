//! A load that is told how, and done.

use agentdb_engine::WriteOptions;
use agentdb_engine::modules::job::Kind;
use agentdb_engine::modules::load::{Convert, IfExists, Load, LoadJob, Loaded, Progress};
use agentdb_types::Result;

use super::{LoadSource, rows_of};
use crate::Namespace;

/// A load that is not begun yet.
#[must_use = "nothing is loaded until it is waited for, or begun"]
pub struct Loading<'a> {
    namespace: Namespace,
    source: LoadSource<'a>,
    load: Load,
    options: WriteOptions,
}

impl<'a> Loading<'a> {
    pub(crate) fn new(namespace: Namespace, collection: String, source: LoadSource<'a>) -> Self {
        let (load, options) = (Load::new(collection), WriteOptions::default());
        Loading { namespace, source, load, options }
    }

    fn with(mut self, set: impl FnOnce(&mut Load)) -> Self {
        set(&mut self.load);
        self
    }

    /// Says how, in the terms of the request: columns, types, what is to become of values.
    ///
    /// ```
    /// # use agentdb::{LoadSource, modules::load::{ColumnType, Load}};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// let csv = LoadSource::stream("docs.csv", &b"id,zip\na,10115\n"[..]);
    /// let types = [("zip".to_owned(), ColumnType::Text)].into();
    /// docs.load(csv).request(|load| load.types = types).wait(&mut |_progress| {})?;
    /// assert_eq!(docs.get("a")?.unwrap().payload["zip"], "10115");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn request(self, set: impl FnOnce(&mut Load)) -> Self {
        self.with(set)
    }

    /// The column of ids, if it is neither `id` nor `record`.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// let lines = LoadSource::stream("docs.jsonl", &b"{\"key\": \"a\", \"stars\": 3}\n"[..]);
    /// docs.load(lines).id("key").wait(&mut |_progress| {})?;
    /// assert!(docs.get("a")?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn id(self, column: impl Into<String>) -> Self {
        self.with(|load| load.id = Some(column.into()))
    }

    /// Records without an id get a new UUID.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// let lines = LoadSource::stream("docs.jsonl", &b"{\"stars\": 3}\n{\"stars\": 3}\n"[..]);
    /// docs.load(lines).generate_ids().wait(&mut |_progress| {})?;
    /// assert_eq!(docs.count(None)?, 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn generate_ids(self) -> Self {
        self.with(|load| load.generate_ids = true)
    }

    /// The column of vectors, if it is not `vector`.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// let lines = LoadSource::stream("docs.jsonl", &b"{\"id\": \"a\", \"embedding\": [0.5, 1]}\n"[..]);
    /// docs.load(lines).vector("embedding").wait(&mut |_progress| {})?;
    /// assert_eq!(docs.get_with_vector("a")?.unwrap().vector, Some(vec![0.5, 1.0]));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn vector(self, column: impl Into<String>) -> Self {
        self.with(|load| load.vector = Some(column.into()))
    }

    /// A column of further vectors, by the name that the collection has for them.
    ///
    /// ```
    /// # use agentdb::{LoadSource, Metric};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().named_vector("image", 2, Metric::Cosine).wait()?;
    /// let lines = LoadSource::stream("docs.jsonl", &b"{\"id\": \"a\", \"pixels\": [0.5, 1]}\n"[..]);
    /// docs.load(lines).named_vector("image", "pixels").wait(&mut |_progress| {})?;
    /// assert_eq!(docs.get_with_vector("a")?.unwrap().vectors["image"], [0.5, 1.0]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn named_vector(self, name: impl Into<String>, column: impl Into<String>) -> Self {
        self.with(|load| load.vectors.extend([(name.into(), column.into())]))
    }

    /// The column of texts, if it is not `text`.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// let csv = LoadSource::stream("docs.csv", &b"id,body\na,first\n"[..]);
    /// docs.load(csv).text("body").wait(&mut |_progress| {})?;
    /// assert_eq!(docs.get("a")?.unwrap().text.as_deref(), Some("first"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn text(self, column: impl Into<String>) -> Self {
        self.with(|load| load.text = Some(column.into()))
    }

    /// Leaves a column out.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// let csv = LoadSource::stream("docs.csv", &b"id,kind,secret\na,note,x\n"[..]);
    /// docs.load(csv).skip("secret").wait(&mut |_progress| {})?;
    /// assert!(!docs.get("a")?.unwrap().payload.contains_key("secret"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn skip(self, column: impl Into<String>) -> Self {
        self.with(|load| load.skip.extend([column.into()]))
    }

    /// What is to become of values that records cannot have as they are; they are refused otherwise.
    ///
    /// ```
    /// # use agentdb::{Code, LoadSource, modules::load::Convert};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// let lines = || LoadSource::stream("docs.jsonl", &b"{\"id\": 7}\n"[..]);
    /// let refused = docs.load(lines()).wait(&mut |_progress| {}).unwrap_err();
    /// assert_eq!(refused.code(), Code::LoadRow);
    /// docs.load(lines()).convert(Convert::IntegersAsIds).wait(&mut |_progress| {})?;
    /// assert!(docs.get("7")?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn convert(self, convert: Convert) -> Self {
        self.with(|load| load.convert.extend([convert]))
    }

    /// What to do with records that are there already; they are replaced if not said otherwise.
    ///
    /// ```
    /// # use agentdb::{LoadSource, json, modules::load::IfExists};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// docs.put("a").payload(json!({"stars": 1})).wait()?;
    /// let csv = LoadSource::stream("docs.csv", &b"id,stars\na,2\nb,2\n"[..]);
    /// let loaded = docs.load(csv).existing(IfExists::Skip).wait(&mut |_progress| {})?;
    /// assert_eq!((loaded.counts.created, loaded.counts.skipped), (1, 1));
    /// assert_eq!(docs.get("a")?.unwrap().payload["stars"], 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn existing(self, existing: IfExists) -> Self {
        self.with(|load| load.existing = existing)
    }

    /// Creates the collection, if there is none, with the dimensions that the first segment has.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let lines = LoadSource::stream("docs.jsonl", &b"{\"id\": \"a\", \"vector\": [0.5, 1]}\n"[..]);
    /// ns.collection("docs").load(lines).create().wait(&mut |_progress| {})?;
    /// assert_eq!(ns.collection("docs").get_with_vector("a")?.unwrap().vector, Some(vec![0.5, 1.0]));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn create(self) -> Self {
        self.with(|load| load.create = true)
    }

    /// Begins with the first row, however far a load of this name has come.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// let csv = || LoadSource::stream("docs.csv", &b"id\na\n"[..]);
    /// docs.load(csv()).wait(&mut |_progress| {})?;
    /// docs.delete("a").wait()?;
    /// // It is done: the answer is the same, and nothing is loaded twice.
    /// assert_eq!(docs.load(csv()).wait(&mut |_progress| {})?.resumed_behind, Some(1));
    /// assert!(docs.get("a")?.is_none());
    /// docs.load(csv()).anew().wait(&mut |_progress| {})?;
    /// assert!(docs.get("a")?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn anew(self) -> Self {
        self.with(|load| load.anew = true)
    }

    /// How its batches are written. It may have no idempotency key: it goes on by itself where it ended.
    ///
    /// ```
    /// # use agentdb::{Ack, LoadSource, WriteOptions};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// let written = WriteOptions { ack: Ack::Written, ..WriteOptions::default() };
    /// let csv = LoadSource::stream("docs.csv", &b"id\na\n"[..]);
    /// assert_eq!(docs.load(csv).options(written).wait(&mut |_progress| {})?.rows, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn options(mut self, options: WriteOptions) -> Self {
        self.options = options;
        self
    }

    /// Loads all rows; `progress` hears how far it is. Stopped in the middle, it goes on there when it is begun again with the
    /// same file.
    ///
    /// # Errors
    /// [`Code::LoadRow`], [`Code::LoadSource`], [`Code::LoadChanged`], [`Code::LoadMoved`], [`Code::RecordExists`]; those of
    /// `record.put`. They name the row; nothing of its segment is loaded.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// let lines = |last: &str| format!("{{\"id\": \"a\", \"vector\": [0, 1]}}\n{{\"id\": \"b\", \"vector\": {last}}}\n");
    /// let (wrong, right) = (lines("[1]"), lines("[1, 0]"));
    /// let refused = docs.load(LoadSource::stream("docs.jsonl", wrong.as_bytes())).wait(&mut |_progress| {}).unwrap_err();
    /// assert_eq!((refused.value("row"), refused.value("loaded")), (Some("2"), Some("0")));
    /// assert_eq!(docs.load(LoadSource::stream("docs.jsonl", right.as_bytes())).wait(&mut |_progress| {})?.rows, 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    ///
    /// [`Code::LoadRow`]: crate::Code::LoadRow
    /// [`Code::LoadSource`]: crate::Code::LoadSource
    /// [`Code::LoadChanged`]: crate::Code::LoadChanged
    /// [`Code::LoadMoved`]: crate::Code::LoadMoved
    /// [`Code::RecordExists`]: crate::Code::RecordExists
    pub fn wait(self, progress: &mut dyn FnMut(Progress)) -> Result<Loaded> {
        let (engine, namespace) = (self.namespace.engine().clone(), self.namespace.id());
        let (load, total) = (self.load.clone(), self.source.total().unwrap_or(0));
        engine.journaled(Kind::Load, Some(namespace), &load, |journal| {
            let mut job = self.begin()?;
            loop {
                let loaded = job.step()?;
                progress(job.progress());
                if let Some(loaded) = loaded {
                    journal.has_done(job.progress().bytes);
                    return Ok(loaded);
                }
                journal.go_on(job.progress().bytes, total, &mut || Ok(()))?;
            }
        })
    }

    /// Begins: the job loads segment by segment.
    ///
    /// # Errors
    /// Those of [`Loading::wait`] that the first bytes show.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().wait()?;
    /// let mut job = ns.collection("docs").load(LoadSource::stream("docs.csv", &b"id\na\n"[..])).begin()?;
    /// assert!(job.step()?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn begin(self) -> Result<LoadJob<'a>> {
        let Loading { namespace, source, load, options } = self;
        let (name, rows) = rows_of(&load, source)?;
        namespace.engine().begin_load(namespace.id(), &load, &name, rows, options)
    }
}
