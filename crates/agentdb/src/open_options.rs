//! How a database is opened.

use std::path::Path;
use std::sync::Arc;

use agentdb_engine::{Engine, TextEncoder};
use agentdb_env::Env;
use agentdb_types::Result;

use crate::Database;

/// How a database is opened.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// let db = agentdb::Database::options().cache_bytes(64 << 20).open(dir.path())?;
/// # Ok::<(), agentdb::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct OpenOptions {
    engine: agentdb_engine::Options,
    encoder: Option<Arc<dyn TextEncoder>>,
}

impl OpenOptions {
    /// Whether a directory that holds no database becomes one; it does if not said otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("typo");
    /// assert!(agentdb::Database::options().create(false).open(&path).is_err());
    /// assert!(!path.exists());
    /// ```
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.engine.create = create;
        self
    }

    /// Bytes of memory for blocks of rows; 256 MiB if not said otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// agentdb::Database::options().cache_bytes(16 << 20).open(dir.path())?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.engine.rows.cache_bytes = bytes;
        self
    }

    /// Bytes of log to keep although the rows hold what it says; 1 GiB if not said otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// agentdb::Database::options().log_retention_bytes(64 << 20).open(dir.path())?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn log_retention_bytes(mut self, bytes: u64) -> Self {
        self.engine.log_retention_bytes = bytes;
        self
    }

    /// The encoder that makes vectors of texts.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// /// Counts two letters: no model, but an encoder.
    /// struct Letters;
    ///
    /// impl agentdb::TextEncoder for Letters {
    ///     fn id(&self) -> &str {
    ///         "letters"
    ///     }
    ///     fn dimension(&self) -> usize {
    ///         2
    ///     }
    ///     fn encode(&self, texts: &[&str]) -> agentdb::Result<Vec<Vec<f32>>> {
    ///         let count = |text: &str, letter| text.chars().filter(|c| *c == letter).count() as f32;
    ///         Ok(texts.iter().map(|text| vec![count(text, 'a'), count(text, 'b')]).collect())
    ///     }
    /// }
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::options().text_encoder(Arc::new(Letters)).open(dir.path())?;
    /// let ns = db.namespace("default")?;
    /// let words = ns.collection("words");
    /// words.create().encoder("letters").wait()?;
    /// words.put("1").text("banana").wait()?;
    /// words.put("2").text("bubble").wait()?;
    /// assert_eq!(words.search("bb")?[0].record, "2");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn text_encoder(mut self, encoder: Arc<dyn TextEncoder>) -> Self {
        self.encoder = Some(encoder);
        self
    }

    /// Opens the database in a directory.
    ///
    /// # Errors
    /// Those of [`Database::open`]; [`DatabaseNotFound`](agentdb_types::Code::DatabaseNotFound) where creating is not
    /// allowed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// agentdb::Database::open(dir.path())?.close()?;
    /// agentdb::Database::options().create(false).open(dir.path())?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        let engine = Engine::open(&Env::real(), path.as_ref(), self.engine)?;
        if let Some(encoder) = self.encoder {
            engine.set_text_encoder(encoder);
        }
        Ok(Database::new(engine))
    }
}
