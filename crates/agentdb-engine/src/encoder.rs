//! What turns text into vectors, as the engine sees it: a trait, so that the engine knows no models.

use std::collections::BTreeMap;
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

/// Vectors of several texts, made before the request was queued. Only the engine makes them.
#[derive(Clone, Debug)]
pub struct EncodedTexts {
    pub(crate) encoder: String,
    pub(crate) vectors: BTreeMap<String, Vec<f32>>,
}

/// The dimension of what has an encoder: the handle's must be that one, if it has any.
pub(crate) fn dimension_with(
    engine: &Engine,
    encoder: Option<&str>,
    given: Option<usize>,
) -> Result<Option<usize>> {
    let Some(id) = encoder else { return Ok(given) };
    match (given, engine.text_encoder()) {
        (_, Some(own)) if own.id() != id => Err(no_encoder(id, Some(own.id()))),
        (None, None) => Err(no_encoder(id, None)),
        (None, Some(own)) => Ok(Some(own.dimension())),
        (Some(given), Some(own)) if given != own.dimension() => {
            let reason =
                format_args!("encoder {id} makes vectors of {} dimensions, not {given}", own.dimension());
            Err(Error::new(Code::InvalidValue).with("field", "dimension").with("reason", reason))
        }
        _ => Ok(given),
    }
}

/// The error of a handle that has `own`, where another encoder is needed.
pub(crate) fn no_encoder(needed: &str, own: Option<&str>) -> Error {
    Error::new(Code::NoEncoder).with("encoder", needed).with("actual", own.unwrap_or("none"))
}

/// Encodes a text.
pub(crate) fn encode(encoder: &dyn TextEncoder, text: &str) -> Result<Encoded> {
    let failed =
        || Error::new(Code::EncoderFailed).with("encoder", encoder.id()).with("reason", "it gave no vector");
    let vector = encoder.encode(&[text])?.pop().ok_or_else(failed)?;
    Ok(Encoded { encoder: encoder.id().to_owned(), vector })
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
        self.text_encoder().map(|encoder| encode(&**encoder, text)).transpose()
    }

    /// Encodes several texts, each once, if the handle has an encoder.
    pub(crate) fn encode_all(&self, texts: &[String]) -> Result<Option<EncodedTexts>> {
        let Some(encoder) = self.text_encoder() else { return Ok(None) };
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        texts.sort_unstable();
        texts.dedup();
        let vectors = if texts.is_empty() { Vec::new() } else { encoder.encode(&texts)? };
        if vectors.len() != texts.len() {
            return Err(Error::new(Code::EncoderFailed)
                .with("encoder", encoder.id())
                .with("reason", "it gave not one vector for each text"));
        }
        let vectors = texts.into_iter().map(str::to_owned).zip(vectors).collect();
        Ok(Some(EncodedTexts { encoder: encoder.id().to_owned(), vectors }))
    }
}
