//! The vector of a record: which one a write stores, and where.

use agentdb_types::{Code, Error, Result};

use super::vector_key;
use crate::Engine;
use crate::encoder::{Encoded, no_encoder};
use crate::modules::check_inline;
use crate::modules::collection::{self, Head};
use crate::tx::Tx;
use crate::vectors::VectorRow;

/// What a write gives that a vector may come from.
pub(super) struct Given<'a> {
    pub(super) vector: Option<&'a [f32]>,
    pub(super) text: Option<&'a str>,
    /// The text, encoded on the way to the engine.
    pub(super) encoded: Option<&'a Encoded>,
}

/// Encodes the text of a write that gives no vector, before the sequencer sees it.
pub(super) fn encode(engine: &Engine, vector: Option<&[f32]>, text: Option<&str>) -> Result<Option<Encoded>> {
    match (vector, text) {
        (None, Some(text)) => {
            check_inline("text", text.len())?;
            engine.encode(text)
        }
        _ => Ok(None),
    }
}

/// A vector, and the encoder that made it.
pub(super) type Made = (Vec<f32>, String);

impl Given<'_> {
    /// The vector to store, and the encoder that made it: the caller's own is taken as made by the collection's.
    pub(super) fn vector_for(&self, head: &Head) -> Result<Option<Made>> {
        let Some(dimension) = head.dimension else {
            return match self.vector {
                None => Ok(None),
                Some(_) => Err(Error::new(Code::InvalidValue)
                    .with("field", "vector")
                    .with("reason", "the collection was created without a dimension")),
            };
        };
        let (vector, encoder) = match (self.vector, self.encoded, &head.encoder) {
            (Some(vector), _, encoder) => (vector.to_vec(), encoder.clone().unwrap_or_default()),
            (None, Some(encoded), Some(encoder)) if encoded.encoder == *encoder => {
                (encoded.vector.clone(), encoder.clone())
            }
            (None, encoded, Some(encoder)) if self.text.is_some() => {
                return Err(no_encoder(encoder, encoded.map(|e| &*e.encoder)));
            }
            _ => return Ok(None),
        };
        dimension.check(&vector, head.metric)?;
        Ok(Some((vector, encoder)))
    }
}

/// Stores a vector in a slot of its own.
pub(super) fn store_vector(
    tx: &mut Tx<'_>,
    number: u64,
    record: &str,
    (vector, encoder): Made,
) -> Result<u64> {
    let slot = tx.add(collection::slots_counter(tx, number), 1)?.unsigned_abs();
    let row = VectorRow { record: record.to_owned(), encoder, vector };
    tx.put(vector_key(tx, number, slot), row.encode())?;
    Ok(slot)
}
