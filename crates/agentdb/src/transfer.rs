//! Exports and imports of a namespace.

use std::io;

use agentdb_engine::WriteOptions;
use agentdb_engine::modules::job::Kind;
use agentdb_engine::modules::transfer::{Existing, ExportJob, Exported, ImportJob, Imported, Progress};
use agentdb_types::{Code, Error, Result};
use serde_json::json;

use crate::Namespace;

/// An export that is not begun yet.
#[must_use = "nothing is exported until it is written, or begun"]
pub struct Exporting {
    namespace: Namespace,
    versions: bool,
}

impl Exporting {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Exporting { namespace, versions: false }
    }

    /// With versions and epochs, which mean something in this database alone.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// let mut lines = Vec::new();
    /// ns.export().versions().write_to(&mut lines, &mut |_progress| {})?;
    /// assert!(String::from_utf8(lines).unwrap().contains("\"version\":1"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn versions(mut self) -> Self {
        self.versions = true;
        self
    }

    /// Writes all lines; `progress` hears how far it is.
    ///
    /// # Errors
    /// [`Code::BlobCorrupt`] and other damage that is met; [`Code::Io`] if `out` takes no more. What was written by then has no
    /// last line, so that no import takes it for whole.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// let mut lines = Vec::new();
    /// let exported = ns.export().write_to(&mut lines, &mut |_progress| {})?;
    /// assert_eq!((exported.counts["state"], exported.bytes), (1, lines.len() as u64));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn write_to(self, out: &mut dyn io::Write, progress: &mut dyn FnMut(Progress)) -> Result<Exported> {
        let failed = |err| {
            Error::new(Code::Io).with("operation", "write").with("path", "the export").with("reason", err)
        };
        let (engine, namespace) = (self.namespace.engine().clone(), self.namespace.id());
        let request = json!({"versions": self.versions});
        engine.journaled(Kind::Export, Some(namespace), &request, |journal| {
            let mut job = self.begin()?;
            while let Some(piece) = job.next_piece()? {
                out.write_all(&piece).map_err(failed)?;
                progress(job.progress());
                journal.go_on(job.progress().bytes, 0, &mut || Ok(()))?;
            }
            out.flush().map_err(failed)?;
            job.exported().cloned().ok_or_else(|| Error::new(Code::Closed))
        })
    }

    /// Begins: the lines come from the job, piece by piece, all of one snapshot.
    ///
    /// # Errors
    /// [`Code::NamespaceNotFound`] if it was deleted.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let pieces = ns.export().begin()?.collect::<agentdb::Result<Vec<_>>>()?;
    /// assert!(pieces[0].starts_with(b"{\"noun\":\"export\""));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn begin(self) -> Result<ExportJob> {
        self.namespace.engine().begin_export_of(self.namespace.id(), self.versions)
    }
}

/// An import that is not begun yet.
#[must_use = "nothing is imported until it is waited for, or begun"]
pub struct Importing<'a> {
    namespace: Namespace,
    source: Box<dyn io::Read + 'a>,
    existing: Existing,
    options: WriteOptions,
}

impl<'a> Importing<'a> {
    pub(crate) fn new(namespace: Namespace, source: Box<dyn io::Read + 'a>) -> Self {
        Importing { namespace, source, existing: Existing::default(), options: WriteOptions::default() }
    }

    /// What to do with what is there already; it is refused if not said otherwise.
    ///
    /// ```
    /// # use agentdb::{Code, json, modules::transfer::Existing};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// let mut lines = Vec::new();
    /// ns.export().write_to(&mut lines, &mut |_progress| {})?;
    /// ns.state("agent-7").put("plan", json!(2)).wait()?;
    /// let refused = ns.import(&lines[..]).wait(&mut |_progress| {}).unwrap_err();
    /// assert_eq!(refused.code(), Code::ImportExists);
    /// ns.import(&lines[..]).existing(Existing::Replace).wait(&mut |_progress| {})?;
    /// assert_eq!(ns.state("agent-7").get("plan")?.unwrap().value, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// How its batches are written. It may have no idempotency key: it goes on by itself where it ended.
    ///
    /// ```
    /// # use agentdb::{Ack, WriteOptions};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let lines = &b"{\"noun\":\"export\",\"format\":1}\n{\"noun\":\"end\"}\n"[..];
    /// let written = WriteOptions { ack: Ack::Written, ..WriteOptions::default() };
    /// assert_eq!(ns.import(lines).options(written).wait(&mut |_progress| {})?.lines, 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn options(mut self, options: WriteOptions) -> Self {
        self.options = options;
        self
    }

    /// Imports all lines; `progress` hears how far it is. Stopped in the middle, it goes on there when it is begun again with
    /// the same lines.
    ///
    /// # Errors
    /// [`Code::ImportLine`], [`Code::ImportDamaged`], [`Code::ImportTruncated`], [`Code::ImportChanged`],
    /// [`Code::ImportExists`], [`Code::ImportMoved`]; those of the writes that lines stand for. They name the line; nothing of
    /// its batch is imported.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// # let ns = db.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// let mut lines = Vec::new();
    /// ns.export().write_to(&mut lines, &mut |_progress| {})?;
    /// db.namespaces().create("copy").wait()?;
    /// let copy = db.namespace("copy")?;
    /// let imported = copy.import(&lines[..]).wait(&mut |_progress| {})?;
    /// assert_eq!(imported.counts["state"].put, 1);
    /// assert_eq!(copy.state("agent-7").get("plan")?.unwrap().value, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn wait(self, progress: &mut dyn FnMut(Progress)) -> Result<Imported> {
        let (engine, namespace) = (self.namespace.engine().clone(), self.namespace.id());
        let request = json!({"existing": self.existing});
        engine.journaled(Kind::Import, Some(namespace), &request, |journal| {
            let mut job = self.begin()?;
            loop {
                let imported = job.step()?;
                progress(job.progress());
                if let Some(imported) = imported {
                    return Ok(imported);
                }
                journal.go_on(job.progress().bytes, 0, &mut || Ok(()))?;
            }
        })
    }

    /// Begins: the job imports step by step.
    ///
    /// # Errors
    /// [`Code::ImportLine`] for a first line that is none; errors of the source.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let lines = &b"{\"noun\":\"export\",\"format\":1}\n{\"noun\":\"end\"}\n"[..];
    /// let mut job = ns.import(lines).begin()?;
    /// assert!(job.step()?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn begin(self) -> Result<ImportJob<'a>> {
        let Importing { namespace, source, existing, options } = self;
        namespace.engine().begin_import_into(namespace.id(), existing, source, options)
    }
}
