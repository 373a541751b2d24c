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
    pub fn use_local_text_encoder(&self, sessions: usize) -> Result<()> {
        if self.engine().text_encoder().is_none() {
            let options = Options { sessions, ..Options::default() };
            self.engine().set_text_encoder(Arc::new(Local(MiniLm::open(&ModelDir::locate()?, options)?)));
        }
        Ok(())
    }
}
