//! `record.search`.

use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Record, find, key, vector_key};
use crate::encoder::{Encoded, no_encoder};
use crate::filter::Filter;
use crate::modules::collection::{self, Head, VectorSpace};
use crate::modules::{check_inline, check_page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::record_index::{Matching, Wanted};
use crate::vectors::{Query, VectorRow};
use crate::{Engine, Snapshot};

/// Finds the records whose vectors are nearest to a vector, or to a text's.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The collection.
    pub collection: String,
    /// The vector to search for. Exactly one of vector and text is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The text to search for, encoded by the collection's encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Which of the named vectors to compare with; the one without a name if not given. Texts are encoded for that one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// How many hits at most; 10 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only records whose payload matches (docs/filters.md); filtered inside the search, so that the limit counts matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Only hits at least this good: a least score for cosine and dot product, a greatest distance for Euclidean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Whether to give back the vectors.
    #[serde(default)]
    pub include_vector: bool,
    /// The vector of the text, made on the way to the engine.
    #[serde(skip)]
    #[doc(hidden)]
    pub encoded: Option<Encoded>,
}

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The id.
    pub record: String,
    /// Cosine similarity or dot product (more is better), or Euclidean distance (less is better).
    pub score: f32,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The payload.
    pub payload: Map<String, Value>,
    /// The vector, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The version.
    pub version: Lsn,
}

/// The answer to [`Search`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The hits, best first; equal ones in the order in which their vectors were put.
    pub hits: Vec<Hit>,
}

impl Search {
    /// A search of a collection, for nothing yet.
    pub fn new(collection: impl Into<String>) -> Self {
        Search {
            collection: collection.into(),
            vector: None,
            text: None,
            using: None,
            limit: None,
            filter: None,
            threshold: None,
            include_vector: false,
            encoded: None,
        }
    }

    /// Which vectors are compared with.
    fn space(&self, head: &Head) -> Result<VectorSpace> {
        if let Some(name) = &self.using {
            return collection::named_vector(&head.vectors, &self.collection, name).copied();
        }
        match head.dimension {
            Some(dimension) => Ok(VectorSpace { number: head.number, dimension, metric: head.metric }),
            None => Err(Error::new(Code::InvalidValue)
                .with("field", "collection")
                .with("reason", "it was created without a dimension: its records have no vectors")),
        }
    }

    fn query(&self, head: &Head) -> Result<Vec<f32>> {
        match (&self.vector, &self.text) {
            (Some(vector), None) => Ok(vector.clone()),
            (None, Some(_)) if self.using.is_some() => Err(Error::new(Code::InvalidValue)
                .with("field", "using")
                .with("reason", "texts are encoded for the vector without a name only: give a vector")),
            (None, Some(_)) => match (&head.encoder, &self.encoded) {
                (None, _) => {
                    Err(Error::new(Code::CollectionWithoutEncoder).with("collection", &self.collection))
                }
                (Some(encoder), Some(encoded)) if encoded.encoder == *encoder => Ok(encoded.vector.clone()),
                (Some(encoder), own) => Err(no_encoder(encoder, own.as_ref().map(|e| &*e.encoder))),
            },
            _ => Err(Error::new(Code::SearchNeedsVector)),
        }
    }
}

impl Request for Search {
    type Response = Found;
    const ABOUT: About = About {
        name: "record.search",
        doc: "Finds the records whose vectors are nearest to a vector or to a text: exactly, by comparing all of them.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection"],
        sensitive: &["vector", "text", "filter", "hits"],
        errors: &[
            Code::CollectionNotFound,
            Code::SearchNeedsVector,
            Code::DimensionMismatch,
            Code::VectorNotFinite,
            Code::VectorZero,
            Code::NoEncoder,
            Code::CollectionWithoutEncoder,
            Code::PageTooLarge,
            Code::VectorUnknown,
        ],
    };
}

impl ReadRequest for Search {
    fn prepare(&mut self, engine: &Engine) -> Result<()> {
        if let (None, Some(text)) = (&self.vector, &self.text) {
            check_inline("text", text.len())?;
            self.encoded = engine.encode(text)?;
        }
        Ok(())
    }

    fn read(&self, snapshot: &Snapshot) -> Result<Found> {
        let head = collection::find(snapshot, &self.collection)?;
        let limit = self.limit.unwrap_or(10);
        check_page(limit)?;
        if self.threshold.is_some_and(|t| !t.is_finite()) {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "threshold")
                .with("reason", "it is not a finite number"));
        }
        let vector = self.query(&head)?;
        let space = self.space(&head)?;
        space.dimension.check(&vector, space.metric)?;
        let filter = self.filter.as_ref().map(|json| Filter::parse_typed(json, &head.fields)).transpose()?;
        let hits = self.hits(snapshot, &head, &space, &vector, limit, filter.as_ref())?;
        let good = |score: f32| self.threshold.is_none_or(|t| score == t || space.metric.better(score, t));
        let hits = hits.into_iter().filter(|hit| good(hit.score)).map(|hit| {
            let gone = || Error::new(Code::RowsCorrupt).with("reason", "a vector has no record");
            let (version, row, record) =
                self.record_of(snapshot, &head, &space, hit.slot)?.ok_or_else(gone)?;
            Ok(Hit {
                record: row.record,
                score: hit.score,
                text: record.text,
                payload: record.payload,
                vector: self.include_vector.then_some(row.vector),
                version,
            })
        });
        Ok(Found { hits: hits.collect::<Result<_>>()? })
    }
}

impl Search {
    /// The best vectors of records that match, by slot.
    fn hits(
        &self,
        snapshot: &Snapshot,
        head: &Head,
        space: &VectorSpace,
        vector: &[f32],
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<Vec<agentdb_vector::Hit>> {
        let (core, latest) = (&snapshot.core, || snapshot.core.rows.latest());
        let mut query = Query {
            collection: (snapshot.namespace(), space.number),
            dimension: space.dimension,
            metric: space.metric,
            vector,
            limit,
            filter: None,
        };
        let mut wanted = Wanted::All;
        if head.expiring || filter.is_some() {
            core.records.read(snapshot, head, &mut |at| {
                wanted = at.wanted(filter, space.number)?;
                Ok(())
            })?;
        }
        let Wanted::Some(Matching { records, slots, few }) = wanted else {
            return core.vectors.search(&query, &snapshot.rows, &latest);
        };
        if let Some(few) = few
            && let Some(hits) = core.vectors.search_among(&query, &snapshot.rows, &latest, &few)?
        {
            return Ok(hits);
        }
        let passes = |slot: u64| slots.get(slot).is_some_and(|ordinal| records.contains(ordinal));
        query.filter = Some(&passes);
        core.vectors.search(&query, &snapshot.rows, &latest)
    }

    /// The record that a slot belongs to, unless it has expired.
    fn record_of(
        &self,
        snapshot: &Snapshot,
        head: &Head,
        space: &VectorSpace,
        slot: u64,
    ) -> Result<Option<(Lsn, VectorRow, Record)>> {
        let Some(row) = snapshot.get(&vector_key(snapshot, space.number, slot))? else { return Ok(None) };
        let row = VectorRow::decode(&row.body)?;
        let found = find(snapshot, &key(snapshot, head.number, &row.record)?)?;
        Ok(found.map(|(version, record)| (version, row, record)))
    }
}
