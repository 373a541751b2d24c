//! Searches: one ranking of records by vectors or by words, and one of several.

mod fuse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use agentdb_text::Query as Words;
use agentdb_types::{Code, Error, Result};
use agentdb_vector::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use fuse::{Fusion, Normalize};

use fuse::{Ranking, fuse};

use crate::Snapshot;
use crate::encoder::{Encoded, no_encoder};
use crate::filter::Filter;
use crate::modules::check_page;
use crate::modules::collection::{self, Head, VectorSpace};
use crate::read::Read;
use crate::record_index::Found;
use crate::vectors::{Query, VectorRow};

use super::vector_key;

/// Queries of one search, at most.
const QUERIES: usize = 16;
/// Records that a query of several finds for the ranking of all, at least, if it does not say.
const CANDIDATES: usize = 100;

/// One of several queries.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubQuery {
    /// The vector to search for. Of vector, text and words exactly one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The text to search for, encoded by the collection's encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The words to search for, by BM25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// Which of the named vectors to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// Only records whose payload matches this filter, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// How many records it finds for the ranking of all; 100, or as many as the search if that is more, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// How much it counts: a finite number above 0; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The vector of the text, made on the way to the engine.
    #[serde(skip)]
    #[doc(hidden)]
    pub encoded: Option<Encoded>,
}

/// What one of several queries adds to the score of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// Which one, from 0.
    pub query: usize,
    /// The rank of the record in its ranking, from 1.
    pub rank: usize,
    /// The score of the record in its ranking.
    pub score: f32,
    /// What it adds.
    pub share: f64,
}

/// What is searched for.
pub(super) enum Part<'a> {
    Vector(&'a [f32], Option<&'a str>),
    Text(Option<&'a Encoded>, Option<&'a str>),
    Words(&'a Words),
}

impl<'a> Part<'a> {
    /// The name of the vectors that it compares with.
    pub(super) fn using(&self) -> Option<&'a str> {
        match self {
            Part::Vector(_, using) | Part::Text(_, using) => *using,
            Part::Words(_) => None,
        }
    }
}

impl SubQuery {
    /// A query for the records nearest to a vector.
    pub fn vector(vector: impl Into<Vec<f32>>) -> Self {
        SubQuery { vector: Some(vector.into()), ..Self::default() }
    }

    /// A query for the records nearest to a text.
    pub fn text(text: impl Into<String>) -> Self {
        SubQuery { text: Some(text.into()), ..Self::default() }
    }

    /// A query for records that have words.
    pub fn words(words: impl Into<Words>) -> Self {
        SubQuery { words: Some(words.into()), ..Self::default() }
    }

    fn part(&self) -> Result<Part<'_>> {
        match (&self.vector, &self.text, &self.words) {
            (Some(vector), None, None) => Ok(Part::Vector(vector, self.using.as_deref())),
            (None, Some(_), None) => Ok(Part::Text(self.encoded.as_ref(), self.using.as_deref())),
            (None, None, Some(words)) if self.using.is_none() => Ok(Part::Words(words)),
            _ => Err(Error::new(Code::SearchNeedsVector)),
        }
    }

    fn weight(&self) -> Result<f64> {
        match self.weight.unwrap_or(1.0) {
            weight if weight.is_finite() && weight > 0.0 => Ok(weight),
            _ => Err(Error::new(Code::InvalidValue)
                .with("field", "weight")
                .with("reason", "it is a finite number above 0")),
        }
    }
}

/// How scores compare.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Vectors(Metric),
    Words,
}

impl Scale {
    /// Whether a score is at least as good as the threshold.
    pub(super) fn is_good(self, score: f32, threshold: Option<f32>) -> bool {
        threshold.is_none_or(|threshold| match self {
            Scale::Vectors(metric) => score == threshold || metric.better(score, threshold),
            Scale::Words => score >= threshold,
        })
    }
}

/// Records by id, best first.
pub(super) struct Ranked {
    pub(super) hits: Vec<(String, f32)>,
    pub(super) scale: Scale,
}

/// A search of a collection as of a snapshot.
pub(super) struct Searcher<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) head: &'a Head,
    pub(super) collection: &'a str,
}

impl Searcher<'_> {
    /// The best records by one query.
    pub(super) fn rank(&self, part: &Part<'_>, limit: usize, filter: Option<&Filter>) -> Result<Ranked> {
        let (vector, using) = match part {
            Part::Words(words) => return self.by_words(words, limit, filter),
            Part::Vector(vector, using) => (*vector, *using),
            Part::Text(encoded, using) => (self.encoded(*encoded, *using)?, *using),
        };
        let space = self.space(using)?;
        space.dimension.check(vector, space.metric)?;
        let hits = self.by_vectors(&space, vector, limit, filter)?;
        Ok(Ranked { hits, scale: Scale::Vectors(space.metric) })
    }

    /// The best records by several queries, with what each adds.
    pub(super) fn fuse(
        &self,
        queries: &[SubQuery],
        fusion: Fusion,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<Vec<(String, f32, Vec<Share>)>> {
        fusion.check()?;
        if queries.len() > QUERIES {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "queries")
                .with("reason", format_args!("there are {}, the limit is {QUERIES}", queries.len())));
        }
        let (mut ids, mut numbers) = (Vec::new(), HashMap::new());
        let mut rankings = Vec::new();
        for query in queries {
            let (part, weight) = (query.part()?, query.weight()?);
            let wanted = query.limit.unwrap_or(limit.max(CANDIDATES));
            check_page(wanted)?;
            let own =
                query.filter.as_ref().map(|json| Filter::parse_typed(json, &self.head.fields)).transpose()?;
            let both = Filter::All(own.into_iter().chain(filter.cloned()).collect());
            let filter = Some(&both).filter(|_| query.filter.is_some() || filter.is_some());
            let Ranked { hits, scale } = self.rank(&part, wanted, filter)?;
            let mut number = |id: String| {
                *numbers.entry(id.clone()).or_insert_with(|| {
                    ids.push(id);
                    ids.len() as u32 - 1
                })
            };
            let hits = hits.into_iter().map(|(id, score)| (number(id), score)).collect();
            let descends = matches!(scale, Scale::Vectors(Metric::Euclidean));
            rankings.push(Ranking { weight, descends, hits });
        }
        let id = |number: u32| &ids[number as usize];
        let fused = fuse(fusion, &rankings, &|a, b| id(a).cmp(id(b)));
        let share = |part: &fuse::Part| Share {
            query: part.query,
            rank: part.rank,
            score: part.score,
            share: part.share,
        };
        Ok(fused
            .into_iter()
            .map(|found| {
                (id(found.ordinal).clone(), found.score as f32, found.parts.iter().map(share).collect())
            })
            .collect())
    }

    fn encoded<'e>(&self, encoded: Option<&'e Encoded>, using: Option<&str>) -> Result<&'e [f32]> {
        if using.is_some() {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "using")
                .with("reason", "texts are encoded for the vector without a name only: give a vector"));
        }
        match (&self.head.encoder, encoded) {
            (None, _) => Err(Error::new(Code::CollectionWithoutEncoder).with("collection", self.collection)),
            (Some(encoder), Some(encoded)) if encoded.encoder == *encoder => Ok(&encoded.vector),
            (Some(encoder), own) => Err(no_encoder(encoder, own.map(|e| &*e.encoder))),
        }
    }

    /// Which vectors are compared with.
    fn space(&self, using: Option<&str>) -> Result<VectorSpace> {
        if let Some(name) = using {
            return collection::named_vector(&self.head.vectors, self.collection, name).copied();
        }
        match self.head.dimension {
            Some(dimension) => {
                Ok(VectorSpace { number: self.head.number, dimension, metric: self.head.metric })
            }
            None => Err(Error::new(Code::InvalidValue)
                .with("field", "collection")
                .with("reason", "it was created without a dimension: its records have no vectors")),
        }
    }

    fn find(&self, filter: Option<&Filter>, number: u64, with_text: bool) -> Result<Found> {
        self.snapshot
            .core
            .records
            .read(self.snapshot, self.head, with_text, &mut |at| at.find(filter, number))
    }

    fn by_words(&self, words: &Words, limit: usize, filter: Option<&Filter>) -> Result<Ranked> {
        match self.by_words_once(words, limit, filter) {
            // The index let go of what the snapshot needs meanwhile: another one is made of the rows.
            Err(err) if err.code() == Code::TextCompacted => self.by_words_once(words, limit, filter),
            ranked => ranked,
        }
    }

    fn by_words_once(&self, words: &Words, limit: usize, filter: Option<&Filter>) -> Result<Ranked> {
        let found = self.find(filter, self.head.number, true)?;
        let Some(index) = &found.text else {
            return Err(Error::new(Code::InvalidValue).with("field", "words").with(
                "reason",
                "the collection has no texts that are searched by words (collection.alter)",
            ));
        };
        let id = |ordinal: u64| found.ids.get(ordinal as u32);
        let passes = |ordinal: u64| found.has(ordinal as u32);
        let search = agentdb_text::Search {
            at: self.snapshot.lsn(),
            limit,
            filter: found.records.is_some().then_some(&passes as &dyn Fn(u64) -> bool),
            tie: &|a, b| id(a).cmp(id(b)),
            threshold: None,
        };
        let hits = index.search(words, &search)?;
        let hits = hits.into_iter().map(|hit| (id(hit.slot).to_owned(), hit.score)).collect();
        Ok(Ranked { hits, scale: Scale::Words })
    }

    fn by_vectors(
        &self,
        space: &VectorSpace,
        vector: &[f32],
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<Vec<(String, f32)>> {
        let (core, latest) = (&self.snapshot.core, || self.snapshot.core.rows.latest());
        let mut query = Query {
            collection: (self.snapshot.namespace(), space.number),
            dimension: space.dimension,
            metric: space.metric,
            vector,
            limit,
            filter: None,
        };
        let rows = &self.snapshot.rows;
        if !self.head.expiring && filter.is_none() {
            let hits = core.vectors.search(&query, rows, &latest)?;
            return hits.into_iter().map(|hit| Ok((self.record_of(space, hit.slot)?, hit.score))).collect();
        }
        let found = self.find(filter, space.number, false)?;
        let mut hits = None;
        if let Some(few) = &found.few {
            hits = core.vectors.search_among(&query, rows, &latest, few)?;
        }
        let passes = |slot: u64| found.slots.get(slot).is_some_and(|ordinal| found.has(ordinal));
        if found.records.is_some() {
            query.filter = Some(&passes);
        }
        let hits = match hits {
            Some(hits) => hits,
            None => core.vectors.search(&query, rows, &latest)?,
        };
        let id = |slot: u64| found.slots.get(slot).map(|ordinal| found.ids.get(ordinal).to_owned());
        Ok(hits.into_iter().filter_map(|hit| Some((id(hit.slot)?, hit.score))).collect())
    }

    /// The record that a vector belongs to.
    fn record_of(&self, space: &VectorSpace, slot: u64) -> Result<String> {
        let gone = || Error::new(Code::RowsCorrupt).with("reason", "a vector that was found is not there");
        let row = self.snapshot.get(&vector_key(self.snapshot, space.number, slot))?.ok_or_else(gone)?;
        Ok(VectorRow::decode(&row.body)?.record)
    }
}
