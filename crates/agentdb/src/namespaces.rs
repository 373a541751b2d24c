//! The namespaces of a database.

use agentdb_engine::modules::namespace;
use agentdb_engine::{Engine, NamespaceId, Point};
use agentdb_types::{Code, Result};

use crate::{Job, Page, Write, present};

/// The namespaces of a database: each is a world of its own, with its rows, indexes and blobs. `default` always exists.
#[derive(Clone)]
pub struct Namespaces {
    engine: Engine,
}

impl Namespaces {
    pub(crate) fn new(engine: Engine) -> Self {
        Namespaces { engine }
    }

    /// Creates a namespace; refused with [`Code::NamespaceExists`] if there is one. See also
    /// [`Database::ensure_namespace`](crate::Database::ensure_namespace).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// db.namespaces().create("team").description("the team's agents").wait()?;
    /// assert!(db.namespace("team").is_ok());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn create(&self, name: impl Into<String>) -> Write<namespace::Create> {
        let create = namespace::Create { name: name.into(), description: String::new() };
        Write::new(self.engine.clone(), NamespaceId::SYSTEM, create)
    }

    /// What a namespace is; `None` if there is none of this name.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// assert_eq!(db.namespaces().get("default")?.unwrap().number, 1);
    /// assert!(db.namespaces().get("team")?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get(&self, name: impl Into<String>) -> Result<Option<namespace::Entry>> {
        let snapshot = self.engine.snapshot(NamespaceId::SYSTEM)?;
        let get = namespace::Get { name: name.into() };
        present(self.engine.read(&snapshot, get), Code::NamespaceNotFound)
    }

    /// A page of the namespaces by name, `default` first; forwards only.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`]; [`Code::InvalidValue`] for a page from the end.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// db.namespaces().create("team").wait()?;
    /// let names: Vec<_> = db.namespaces().list(Page::default())?.items.into_iter().map(|n| n.name).collect();
    /// assert_eq!(names, ["default", "team"]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, page: Page) -> Result<namespace::Listed> {
        let Page { limit, cursor, .. } = page.without_prefix()?.forwards()?;
        let snapshot = self.engine.snapshot(NamespaceId::SYSTEM)?;
        self.engine.read(&snapshot, namespace::List { limit, cursor })
    }

    /// Begins to fork a namespace: another one, of the name `to`, that has everything of it as it stands now, and goes its own
    /// way from then on. The database copies the rows in the background while `from` is written on; the fork is there, whole,
    /// when that is done. Bytes of blobs are shared.
    ///
    /// # Errors
    /// [`Code::NamespaceNotFound`], [`Code::NamespaceExists`], [`Code::InvalidName`]; [`Code::ForkRunning`] while `from` is forked
    /// already; those of a write.
    ///
    /// ```
    /// use agentdb::json;
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// let plan = db.namespace("default")?.state("agent-7");
    /// plan.put("plan", json!("careful")).wait()?;
    /// let fork = db.namespaces().fork("default", "daring")?;
    /// plan.put("plan", json!("changed since")).wait()?;
    /// fork.wait(&mut |_progress| {})?;
    /// let forked = db.namespace("daring")?.state("agent-7");
    /// assert_eq!(forked.get("plan")?.unwrap().value, "careful");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn fork(&self, from: impl Into<String>, to: impl Into<String>) -> Result<Job<namespace::Forked>> {
        self.begin_fork(&namespace::Fork::new(from, to))
    }

    /// The same of a namespace as it was at an earlier point, an LSN or a time. It takes a history of everything since: of
    /// states and sessions, which is kept for a day unless something else was [said](crate::Namespace::keep_history), and of
    /// the rest of the namespace, which is not kept unless it was asked for.
    ///
    /// # Errors
    /// Those of [`Namespaces::fork`]; [`Code::NoHistory`], [`Code::HistoryTrimmed`], [`Code::PointAhead`].
    ///
    /// ```
    /// use agentdb::{HistoryNoun, json};
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// let ns = db.namespace("default")?;
    /// ns.keep_history(HistoryNoun::Namespace, std::time::Duration::from_secs(7 * 24 * 3_600)).wait()?;
    /// let good = ns.items().at(["prefs"]).put("ui", json!({"theme": "dark"})).wait()?.lsn;
    /// ns.items().at(["prefs"]).delete("ui").wait()?;
    /// db.namespaces().fork_at("default", "as-it-was", good)?.wait(&mut |_progress| {})?;
    /// let item = db.namespace("as-it-was")?.items().at(["prefs"]).get("ui")?.unwrap();
    /// assert_eq!(item.value["theme"], "dark");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn fork_at(
        &self,
        from: impl Into<String>,
        to: impl Into<String>,
        at: impl Into<Point>,
    ) -> Result<Job<namespace::Forked>> {
        self.begin_fork(&namespace::Fork { at: Some(at.into()), ..namespace::Fork::new(from, to) })
    }

    /// Begins a fork that a request describes.
    fn begin_fork(&self, fork: &namespace::Fork) -> Result<Job<namespace::Forked>> {
        Ok(Job::new(self.engine.clone(), self.engine.begin_fork(fork)?))
    }

    /// Deletes a namespace with everything in it, at once. Refused with [`Code::NamespaceNotFound`] if there is none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// db.namespaces().create("team").wait()?;
    /// db.namespaces().delete("team").wait()?;
    /// assert!(db.namespace("team").is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self, name: impl Into<String>) -> Write<namespace::Delete> {
        Write::new(self.engine.clone(), NamespaceId::SYSTEM, namespace::Delete { name: name.into() })
    }
}

impl Write<namespace::Create> {
    /// What the namespace is for.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let db = agentdb::Database::open(dir.path())?;
    /// db.namespaces().create("team").description("the team's agents").wait()?;
    /// assert_eq!(db.namespaces().get("team")?.unwrap().description, "the team's agents");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn description(self, description: impl Into<String>) -> Self {
        self.with(|create| create.description = description.into())
    }
}
