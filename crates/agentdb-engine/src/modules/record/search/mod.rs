//! `record.search`.

use agentdb_text::Query as Words;
use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::hybrid::{Fusion, Part, Searcher, Share, SubQuery};
use super::{find, key, vector};
use crate::encoder::Encoded;
use crate::filter::Filter;
use crate::modules::collection;
use crate::modules::{check_inline, check_page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::{Engine, Snapshot};

/// Finds the records that are nearest to a vector or a text, or that have the words of a query, or both.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The collection.
    pub collection: String,
    /// The vector to search for. Of vector, text, words and queries exactly one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The text to search for, encoded by the collection's encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The words to search the collection's texts for, by BM25: a text, or a query with phrases, prefixes and more
    /// (docs/search.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// Several queries whose rankings become one: up to 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<SubQuery>,
    /// How they become one; by reciprocal ranks if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<Fusion>,
    /// Which of the named vectors to compare with; the one without a name if not given. Texts are encoded for that one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// How many hits at most; 10 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only records whose payload matches (docs/filters.md); filtered inside the search, so that the limit counts matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Only hits at least this good: a least score, or for Euclidean vectors a greatest distance.
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
    /// Cosine similarity, dot product, BM25 or the score of several queries (more is better), or Euclidean distance (less is
    /// better).
    pub score: f32,
    /// Of several queries: what each that found the record adds to the score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The payload.
    pub payload: Map<String, Value>,
    /// The vector that was compared, if it was asked for; of several queries, the one without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The version.
    pub version: Lsn,
}

/// The answer to [`Search`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The hits, best first; equal ones in the order in which their vectors were put, or, of words and of several queries, of
    /// their ids.
    pub hits: Vec<Hit>,
}

impl Search {
    /// A search of a collection, for nothing yet.
    pub fn new(collection: impl Into<String>) -> Self {
        Search {
            collection: collection.into(),
            vector: None,
            text: None,
            words: None,
            queries: Vec::new(),
            fusion: None,
            using: None,
            limit: None,
            filter: None,
            threshold: None,
            include_vector: false,
            encoded: None,
        }
    }

    /// The one query that it is, unless it is several.
    fn part(&self) -> Result<Part<'_>> {
        let (text, encoded) = (self.text.as_deref(), self.encoded.as_ref());
        match (&self.vector, text, &self.words, &self.queries[..]) {
            (Some(vector), None, None, []) => Ok(Part::Vector(vector, self.using.as_deref())),
            (None, Some(_), None, []) => Ok(Part::Text(encoded, self.using.as_deref())),
            (None, None, Some(words), []) if self.using.is_none() => Ok(Part::Words(words)),
            (None, None, Some(_), []) => Err(Error::new(Code::InvalidValue)
                .with("field", "using")
                .with("reason", "words are not compared with vectors")),
            _ => Err(Error::new(Code::SearchNeedsVector)),
        }
    }
}

impl Request for Search {
    type Response = Found;
    const ABOUT: About = About {
        name: "record.search",
        doc: "Finds the records whose vectors are nearest to a vector or to a text, exactly, by comparing all of them; or that have the words of a query, by BM25; or both and more, several rankings becoming one.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection"],
        sensitive: &["vector", "text", "words", "queries", "filter", "hits"],
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
            Code::FilterTypeMismatch,
            Code::TextQueryInvalid,
            Code::TextQueryTooLarge,
            Code::TextExpansion,
        ],
    };
}

impl ReadRequest for Search {
    fn prepare(&mut self, engine: &Engine) -> Result<()> {
        let encode = |vector: &Option<Vec<f32>>, text: &Option<String>| match (vector, text) {
            (None, Some(text)) => {
                check_inline("text", text.len())?;
                engine.encode(text)
            }
            _ => Ok(None),
        };
        self.encoded = encode(&self.vector, &self.text)?;
        for query in &mut self.queries {
            query.encoded = encode(&query.vector, &query.text)?;
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
        let searcher = Searcher { snapshot, head: &head, collection: &self.collection };
        if !self.queries.is_empty() && self.vector.is_none() && self.text.is_none() && self.words.is_none() {
            return self.several(&searcher, limit);
        }
        let part = self.part()?;
        let filter = self.filter.as_ref().map(|json| Filter::parse_typed(json, &head.fields)).transpose()?;
        let ranked = searcher.rank(&part, limit, filter.as_ref())?;
        let hits = ranked.hits.into_iter().filter(|(_, score)| ranked.scale.is_good(*score, self.threshold));
        let using = part.using();
        let hits = hits.map(|(record, score)| self.hit(&searcher, record, score, Vec::new(), using));
        Ok(Found { hits: hits.collect::<Result<_>>()? })
    }
}

impl Search {
    fn several(&self, searcher: &Searcher<'_>, limit: usize) -> Result<Found> {
        if self.using.is_some() {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "using")
                .with("reason", "each of several queries says for itself which vectors it compares with"));
        }
        let fields = &searcher.head.fields;
        let filter = self.filter.as_ref().map(|json| Filter::parse_typed(json, fields)).transpose()?;
        let fused = searcher.fuse(&self.queries, self.fusion.unwrap_or_default(), limit, filter.as_ref())?;
        let hits = fused.into_iter().filter(|(_, score, _)| self.threshold.is_none_or(|t| *score >= t));
        let hits = hits.take(limit);
        let hits = hits.map(|(record, score, shares)| self.hit(searcher, record, score, shares, None));
        Ok(Found { hits: hits.collect::<Result<_>>()? })
    }

    fn hit(
        &self,
        searcher: &Searcher<'_>,
        record: String,
        score: f32,
        shares: Vec<Share>,
        using: Option<&str>,
    ) -> Result<Hit> {
        let gone = || Error::new(Code::RowsCorrupt).with("reason", "what was found has no record");
        let Searcher { snapshot, head, .. } = *searcher;
        let (version, found) = find(snapshot, &key(snapshot, head.number, &record)?)?.ok_or_else(gone)?;
        let vector = match (self.include_vector, using) {
            (false, _) => None,
            (true, None) => vector(snapshot, head.number, found.slot)?,
            (true, Some(name)) => match found.named.get(name) {
                Some(place) => vector(snapshot, place.0, Some(place.1))?,
                None => None,
            },
        };
        let vector = vector.map(|row| row.vector);
        Ok(Hit { record, score, shares, text: found.text, payload: found.payload, vector, version })
    }
}
