//! What turns text into vectors, as the engine sees it: a trait, so that the engine knows no models.

use std::sync::Arc;

use agentdb_types::{Code, Error, Result};

use crate::Engine;

/// Turns texts into vectors. Runs on the caller's thread, before a request is queued.
pub trait TextEncoder: Send + Sync {
    /// A stable name of model and version: stored with every vector that it makes.
    fn id(&self) -> &str;

    /// Components of its vectors.
    fn dimension(&self) -> usize;

    /// A vector for each text, in their order.
    ///
    /// # Errors
    /// [`Code::EncoderFailed`], or [`Code::InvalidValue`] for a text that has no vector.
    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
}

/// A vector that was made of a text on its way to the sequencer. Only the engine makes one.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub(crate) encoder: String,
    pub(crate) vector: Vec<f32>,
}

/// The error of a handle that has `own`, where another encoder is needed.
pub(crate) fn no_encoder(needed: &str, own: Option<&str>) -> Error {
    Error::new(Code::NoEncoder).with("encoder", needed).with("actual", own.unwrap_or("none"))
}

impl Engine {
    /// Gives the handle a text encoder; records and searches with text use it from then on. The first one stays.
    pub fn set_text_encoder(&self, encoder: Arc<dyn TextEncoder>) {
        // A second encoder is refused by leaving the first: vectors of both in one handle would not compare.
        self.core.encoder.get_or_init(|| encoder);
    }

    /// The text encoder of the handle.
    pub fn text_encoder(&self) -> Option<&Arc<dyn TextEncoder>> {
        self.core.encoder.get()
    }

    /// Encodes a text, if the handle has an encoder.
    pub(crate) fn encode(&self, text: &str) -> Result<Option<Encoded>> {
        let Some(encoder) = self.text_encoder() else { return Ok(None) };
        let failed = || {
            Error::new(Code::EncoderFailed).with("encoder", encoder.id()).with("reason", "it gave no vector")
        };
        let vector = encoder.encode(&[text])?.pop().ok_or_else(failed)?;
        Ok(Some(Encoded { encoder: encoder.id().to_owned(), vector }))
    }
}
