//! The vectors of a record: which ones a write stores, and where.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result, Timestamp};

use super::{Place, vector_key};
use crate::encoder::{Encoded, no_encoder};
use crate::modules::check_inline;
use crate::modules::collection::{self, Head};
use crate::tx::Tx;
use crate::vectors::VectorRow;
use crate::{Engine, NamespaceId, Snapshot};

/// What a write gives that a vector may come from.
pub(super) struct Given<'a> {
    pub(super) vector: Option<&'a [f32]>,
    pub(super) text: Option<&'a str>,
    /// The text, encoded on the way to the engine.
    pub(super) encoded: Option<&'a Encoded>,
}

/// Encodes the text of a write that gives no vector, before the sequencer sees it; not for a collection without an encoder. One
/// that is not there may come with the same batch.
pub(super) fn encode(
    engine: &Engine,
    namespace: NamespaceId,
    collection: &str,
    (vector, text): (Option<&[f32]>, Option<&str>),
) -> Result<Option<Encoded>> {
    let (None, Some(text)) = (vector, text) else { return Ok(None) };
    check_inline("text", text.len())?;
    if engine.text_encoder().is_none() {
        return Ok(None);
    }
    // What the collection is, whatever the time.
    let core = &engine.core;
    let rows = Snapshot::new(core.clone(), core.rows.reader(), namespace, Timestamp::default());
    if collection::find(&rows, collection).is_ok_and(|head| head.encoder.is_none()) {
        return Ok(None);
    }
    engine.encode(text)
}

/// A vector, and the encoder that made it.
pub(super) type Made<'a> = (&'a [f32], String);

impl<'a> Given<'a> {
    /// The vector to store, and the encoder that made it: the caller's own is taken as made by the collection's.
    pub(super) fn vector_for(&self, head: &Head) -> Result<Option<Made<'a>>> {
        let Some(dimension) = head.dimension else {
            return match self.vector {
                None => Ok(None),
                Some(_) => Err(Error::new(Code::InvalidValue)
                    .with("field", "vector")
                    .with("reason", "the collection was created without a dimension")),
            };
        };
        let (vector, encoder) = match (self.vector, self.encoded, &head.encoder) {
            (Some(vector), _, encoder) => (vector, encoder.clone().unwrap_or_default()),
            (None, Some(encoded), Some(encoder)) if encoded.encoder == *encoder => {
                (&encoded.vector[..], encoder.clone())
            }
            (None, encoded, Some(encoder)) if self.text.is_some() => {
                return Err(no_encoder(encoder, encoded.map(|e| &*e.encoder)));
            }
            _ => return Ok(None),
        };
        dimension.check(vector, head.metric)?;
        Ok(Some((vector, encoder)))
    }
}

/// Stores a vector in a slot of its own.
pub(super) fn store_vector(tx: &mut Tx<'_>, number: u64, record: &str, made: Made<'_>) -> Result<u64> {
    let slot = new_slot(tx, number)?;
    store(tx, number, slot, record, made)?;
    Ok(slot)
}

/// Refuses named vectors that the records of a collection cannot have.
pub(super) fn check_named<'a>(
    head: &Head,
    collection: &str,
    vectors: impl IntoIterator<Item = (&'a String, Option<&'a [f32]>)>,
) -> Result<()> {
    vectors.into_iter().try_for_each(|(name, vector)| {
        let space = collection::named_vector(&head.vectors, collection, name)?;
        let checked = vector.map_or(Ok(()), |vector| space.dimension.check(vector, space.metric));
        checked.map_err(|err| err.of_vector(name))
    })
}

/// Stores named vectors that were checked, each in a slot of its own.
pub(super) fn store_named<'a>(
    tx: &mut Tx<'_>,
    head: &Head,
    record: &str,
    vectors: impl IntoIterator<Item = (&'a String, &'a [f32])>,
) -> Result<BTreeMap<String, Place>> {
    let mut places = BTreeMap::new();
    for (name, vector) in vectors {
        if let Some(space) = head.vectors.get(name) {
            let slot = new_slot(tx, head.number)?;
            store(tx, space.number, slot, record, (vector, String::new()))?;
            places.insert(name.clone(), Place(space.number, slot));
        }
    }
    Ok(places)
}

/// A slot that no vector of the collection had.
fn new_slot(tx: &mut Tx<'_>, number: u64) -> Result<u64> {
    Ok(tx.add(collection::slots_counter(tx, number), 1)?.unsigned_abs())
}

pub(super) fn store(
    tx: &mut Tx<'_>,
    number: u64,
    slot: u64,
    record: &str,
    (vector, encoder): Made<'_>,
) -> Result<()> {
    tx.put_new(vector_key(tx, number, slot), VectorRow::encoded(record, &encoder, vector))
}

/// About how many bytes named vectors take.
pub(super) fn weigh_named<'a>(vectors: impl IntoIterator<Item = (&'a String, Option<&'a [f32]>)>) -> usize {
    vectors.into_iter().map(|(name, vector)| 64 + name.len() + 4 * vector.map_or(0, <[f32]>::len)).sum()
}
