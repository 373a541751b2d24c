//! `record.search`.

use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Record, find, key, vector_key};
use crate::encoder::{Encoded, no_encoder};
use crate::filter::Filter;
use crate::modules::collection::{self, Head};
use crate::modules::{check_inline, check_page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
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
            limit: None,
            filter: None,
            threshold: None,
            include_vector: false,
            encoded: None,
        }
    }

    fn query(&self, head: &Head) -> Result<Vec<f32>> {
        match (&self.vector, &self.text) {
            (Some(vector), None) => Ok(vector.clone()),
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
        let Some(dimension) = head.dimension else {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "collection")
                .with("reason", "it was created without a dimension: its records have no vectors"));
        };
        dimension.check(&vector, head.metric)?;
        let filter = self.filter.as_ref().map(Filter::parse).transpose()?;
        let number = head.number;
        // The search asks about a slot and takes yes or no: an error is kept until it ends.
        let failed = std::cell::RefCell::new(None);
        let passes = |slot: u64| match self.record_of(snapshot, number, slot) {
            Ok(Some((_, _, record))) => {
                filter.as_ref().is_none_or(|f| f.matches(&Value::Object(record.payload)))
            }
            Ok(None) => false,
            Err(err) => {
                failed.borrow_mut().get_or_insert(err);
                false
            }
        };
        let query = Query {
            collection: (snapshot.namespace(), number),
            dimension,
            metric: head.metric,
            vector: &vector,
            limit,
            filter: (head.expiring || filter.is_some()).then_some(&passes as &dyn Fn(u64) -> bool),
        };
        let hits = snapshot.core.vectors.search(&query, &snapshot.rows, &|| snapshot.core.rows.latest())?;
        if let Some(err) = failed.take() {
            return Err(err);
        }
        let good = |score: f32| self.threshold.is_none_or(|t| score == t || head.metric.better(score, t));
        let hits = hits.into_iter().filter(|hit| good(hit.score)).map(|hit| {
            let gone = || Error::new(Code::RowsCorrupt).with("reason", "a vector has no record");
            let (version, row, record) = self.record_of(snapshot, number, hit.slot)?.ok_or_else(gone)?;
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
    /// The record that a slot belongs to, unless it has expired.
    fn record_of(
        &self,
        snapshot: &Snapshot,
        number: u64,
        slot: u64,
    ) -> Result<Option<(Lsn, VectorRow, Record)>> {
        let Some(row) = snapshot.get(&vector_key(snapshot, number, slot))? else { return Ok(None) };
        let row = VectorRow::decode(&row.body)?;
        let found = find(snapshot, &key(snapshot, number, &row.record)?)?;
        Ok(found.map(|(version, record)| (version, row, record)))
    }
}
