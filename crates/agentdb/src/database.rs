//! An open database.

use std::path::Path;
use std::sync::Arc;

use agentdb_engine::modules::database::{Progress, Report};
use agentdb_engine::modules::namespace;
use agentdb_engine::{Engine, Operation, Stats, TextEncoder, WriteOptions};
use agentdb_env::Env;
use agentdb_types::{Code, Result};

use crate::Namespace;

/// An open database. Clones share it; it is closed when the last clone and the last [`Namespace`] go.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
}

/// How a database is opened.
#[derive(Clone, Default)]
pub struct OpenOptions {
    engine: agentdb_engine::Options,
    encoder: Option<Arc<dyn TextEncoder>>,
}

impl Database {
    /// Opens the database in a directory, creating it if the directory holds none.
    ///
    /// # Errors
    /// [`Code::Locked`] if another handle has it open, [`Code::ReadOnly`], [`Code::DiskFull`], and the codes of damage.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// assert!(agentdb::Database::open(dir.path()).is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::default().open(path)
    }

    /// Options to open with.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let missing = agentdb::Database::options().create(false).open(dir.path().join("none"));
    /// assert_eq!(missing.err().unwrap().code(), agentdb::Code::DatabaseNotFound);
    /// ```
    pub fn options() -> OpenOptions {
        OpenOptions::default()
    }

    /// A namespace that exists; `default` always does.
    ///
    /// # Errors
    /// [`Code::NamespaceNotFound`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// assert!(db.namespace("default").is_ok() && db.namespace("team").is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        Ok(Namespace::new(self.engine.clone(), self.engine.namespace(name)?))
    }

    /// A namespace, created durably if it does not exist.
    ///
    /// # Errors
    /// [`Code::InvalidName`], and those of a write.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// let team = db.ensure_namespace("team")?;
    /// assert_eq!(team.id(), db.ensure_namespace("team")?.id());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ensure_namespace(&self, name: &str) -> Result<Namespace> {
        match self.namespace(name) {
            Err(err) if err.code() == Code::NamespaceNotFound => {}
            other => return other,
        }
        let create = namespace::Create { name: name.to_owned(), description: String::new() };
        match self.engine.write(agentdb_engine::NamespaceId::SYSTEM, create, WriteOptions::default())?.wait()
        {
            Err(err) if err.code() != Code::NamespaceExists => Err(err),
            _ => self.namespace(name),
        }
    }

    /// Figures of the database.
    ///
    /// # Errors
    /// Errors of files.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// assert_eq!(agentdb::Database::open(dir.path())?.stats()?.lsn, agentdb::Lsn(0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn stats(&self) -> Result<Stats> {
        self.engine.stats()
    }

    /// Checks everything stored: the log's chain, every row's checksum, digests, blobs. Reports all that is wrong.
    ///
    /// # Errors
    /// What keeps the check itself from being done.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let report = agentdb::Database::open(dir.path())?.verify(&mut |_progress| {})?;
    /// assert!(report.problems.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
        self.engine.verify(progress)
    }

    /// The operation table.
    ///
    /// ```
    /// assert!(agentdb::Database::operations().iter().any(|o| o.about.name == "state.put"));
    /// ```
    pub fn operations() -> &'static [Operation] {
        Engine::operations()
    }

    /// The engine itself, for what this crate does not wrap.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// assert!(!agentdb::Database::open(dir.path())?.engine().id().is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Closes in order: what is queued is committed and synced, and rows in memory go into their files, so that the
    /// next open is quick. Dropping the handle commits and syncs too, and leaves the rest to the next open.
    ///
    /// # Errors
    /// Whatever the last writes met.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// agentdb::Database::open(dir.path())?.close()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn close(self) -> Result<()> {
        self.engine.close()
    }
}

impl OpenOptions {
    /// Whether a directory that holds no database becomes one; it does if not said otherwise.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.engine.create = create;
        self
    }

    /// Bytes of memory for blocks of rows; 256 MiB if not said otherwise.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.engine.rows.cache_bytes = bytes;
        self
    }

    /// The encoder that makes vectors of texts.
    #[must_use]
    pub fn text_encoder(mut self, encoder: Arc<dyn TextEncoder>) -> Self {
        self.encoder = Some(encoder);
        self
    }

    /// Opens the database in a directory.
    ///
    /// # Errors
    /// Those of [`Database::open`]; [`Code::DatabaseNotFound`] where creating is not allowed.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        let engine = Engine::open(&Env::real(), path.as_ref(), self.engine)?;
        if let Some(encoder) = self.encoder {
            engine.set_text_encoder(encoder);
        }
        Ok(Database { engine })
    }
}
