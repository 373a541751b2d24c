//! The local text encoder as the engine's.

use std::sync::Arc;

use agentdb_models::{MiniLm, ModelDir, Options, TextEncoder as _};
use agentdb_types::Result;

use crate::{Database, OpenOptions, TextEncoder};

struct Local(MiniLm);

impl TextEncoder for Local {
    fn id(&self) -> &str {
        self.0.id()
    }

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.0.encode(texts)
    }
}

impl OpenOptions {
    /// The local encoder from the model directory, run by `sessions` threads at once.
    ///
    /// # Errors
    /// [`ModelNotFound`](agentdb_types::Code::ModelNotFound), [`EncoderFailed`](agentdb_types::Code::EncoderFailed).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let options = match agentdb::Database::options().local_text_encoder(1) {
    ///     // `make models` fetches the model; without it there is no encoder, and that is said.
    ///     Err(err) if err.code() == agentdb::Code::ModelNotFound => return Ok(()),
    ///     options => options?,
    /// };
    /// let ns = options.open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().encoder("minilm-l6-int8").wait()?;
    /// ns.collection("notes").put("a").text("The meeting is on Tuesday.").wait()?;
    /// ns.collection("notes").put("b").text("Cats sleep a lot.").wait()?;
    /// assert_eq!(ns.collection("notes").search("when do we meet?")?[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn local_text_encoder(self, sessions: usize) -> Result<Self> {
        let options = Options { sessions, ..Options::default() };
        Ok(self.text_encoder(Arc::new(Local(MiniLm::open(&ModelDir::locate()?, options)?))))
    }
}

impl Database {
    /// Gives an open database the local encoder, unless it has one.
    ///
    /// # Errors
    /// Those of [`OpenOptions::local_text_encoder`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = agentdb::Database::open(dir.path())?;
    /// match db.use_local_text_encoder(1) {
    ///     Err(err) if err.code() == agentdb::Code::ModelNotFound => return Ok(()),
    ///     given => given?,
    /// }
    /// // The dimension is known from the encoder.
    /// db.namespace("default")?.collection("notes").create().encoder("minilm-l6-int8").wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn use_local_text_encoder(&self, sessions: usize) -> Result<()> {
        if self.engine().text_encoder().is_none() {
            let options = Options { sessions, ..Options::default() };
            self.use_text_encoder(Arc::new(Local(MiniLm::open(&ModelDir::locate()?, options)?)));
        }
        Ok(())
    }
}
