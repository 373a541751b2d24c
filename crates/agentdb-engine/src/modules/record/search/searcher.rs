//! One ranking of the records of a collection, by vectors or by words.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use agentdb_text::{Explanation, Query as Words, TextIndex};
use agentdb_types::{Code, Error, Lsn, Result};
use agentdb_vector::Metric;
use roaring::RoaringBitmap;
use serde_json::Value;

use super::plan::{Method, QueryPlan, RecordPlan};
use super::query::Part;
use crate::Snapshot;
use crate::encoder::{self, no_encoder};
use crate::filter::Filter;
use crate::modules::check_inline;
use crate::modules::collection::{self, Head, VectorSpace};
use crate::modules::record::{self, Record, vector_key};
use crate::read::Read;
use crate::record_index::{BySparse, Found, How};
use crate::sparse::SparseComponents;
use crate::vectors::{Query, VectorRow, Vectors};

/// A query whose text is encoded, and whose vector can be compared.
pub(super) enum Ready<'a> {
    Vectors { space: VectorSpace, vector: Cow<'a, [f32]>, using: Option<&'a str> },
    Words(&'a Words),
    Sparse { number: u64, vector: SparseComponents, using: &'a str },
}

impl Ready<'_> {
    /// The name of the vectors that it compares with.
    pub(super) fn using(&self) -> Option<&str> {
        match self {
            Ready::Vectors { using, .. } => *using,
            Ready::Sparse { using, .. } => Some(using),
            Ready::Words(_) => None,
        }
    }
}

/// How scores compare.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Vectors(Metric),
    /// More is better.
    Ascending,
}

impl Scale {
    /// Whether a score is at least as good as the threshold.
    pub(super) fn is_good(self, score: f32, threshold: Option<f32>) -> bool {
        threshold.is_none_or(|threshold| match self {
            Scale::Vectors(metric) => score == threshold || metric.better(score, threshold),
            Scale::Ascending => score >= threshold,
        })
    }
}

impl Scale {
    /// A score that is more if it is better, in the order of scores.
    pub(super) fn ascending(self, score: f32) -> f64 {
        match self {
            Scale::Vectors(Metric::Euclidean) => -f64::from(score),
            _ => f64::from(score),
        }
    }

    /// The same, of a Euclidean distance d as 1 / (1 + d).
    pub(super) fn similarity(self, score: f32) -> f64 {
        match self {
            Scale::Vectors(Metric::Euclidean) => 1.0 / (1.0 + f64::from(score)),
            _ => f64::from(score),
        }
    }
}

/// Records by id, best first.
pub(super) struct Ranked<'a> {
    pub(super) hits: Vec<(String, f32)>,
    pub(super) scale: Scale,
    pub(super) plan: QueryPlan,
    /// What explains the scores, of a query by words.
    pub(super) words: Option<Explainer<'a>>,
}

/// Records by id, best first, and how they were found.
struct ByVectors {
    hits: Vec<(String, f32)>,
    method: Method,
    records: Option<RecordPlan>,
}

/// Explains scores by words.
pub(super) struct Explainer<'a> {
    index: Arc<TextIndex>,
    at: Lsn,
    words: &'a Words,
    slots: HashMap<String, u64>,
}

impl Explainer<'_> {
    /// What the score of a record is made of; none if the query did not find it.
    pub(super) fn explain(&self, record: &str) -> Result<Option<Explanation>> {
        let slot = self.slots.get(record);
        slot.map(|slot| self.index.explain(self.words, *slot, self.at)).transpose()
    }
}

/// A search of a collection as of a snapshot.
pub(super) struct Searcher<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) head: &'a Head,
    pub(super) collection: &'a str,
    /// Whether scores are to be explained.
    pub(super) explain: bool,
}

impl Searcher<'_> {
    /// A filter of the records.
    pub(super) fn filter(&self, json: Option<&Value>) -> Result<Option<Filter>> {
        json.map(|json| Filter::parse_typed(json, &self.head.fields)).transpose()
    }

    /// Encodes a text, and checks that a vector can be compared.
    pub(super) fn ready<'q>(&self, part: Part<'q>) -> Result<Ready<'q>> {
        let (vector, using) = match part {
            Part::Words(words) => return Ok(Ready::Words(words)),
            Part::Sparse(vector, using) => {
                let using = using.ok_or_else(no_name)?;
                let number = collection::sparse::named(self.head, self.collection, using)?;
                return Ok(Ready::Sparse { number, vector: vector.check("sparse")?, using });
            }
            Part::Vector(vector, using) => (Cow::Borrowed(vector), using),
            Part::Text(text, using) => (Cow::Owned(self.encode(text, using)?), using),
        };
        let space = self.space(using)?;
        let checked = space.dimension.check(&vector, space.metric);
        checked.map_err(|err| using.map_or(err.clone(), |name| err.of_vector(name)))?;
        Ok(Ready::Vectors { space, vector, using })
    }

    /// The best records by one query.
    pub(super) fn rank<'q>(
        &self,
        ready: &Ready<'q>,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<Ranked<'q>> {
        match ready {
            Ready::Words(words) => self.by_words(words, limit, filter),
            Ready::Sparse { number, vector, using } => {
                let BySparse { hits, how, matching } =
                    self.snapshot.core.records.read(self.snapshot, self.head, false, &mut |at| {
                        at.by_sparse((*number, vector), filter, limit)
                    })?;
                let (using, found) = (Some((*using).to_owned()), hits.len());
                let hits = hits.into_iter().map(|(record, score)| in_32_bits(record, score));
                let hits = hits.collect::<Result<_>>()?;
                let records = Some(self.records(&how, matching));
                let plan = QueryPlan { method: Method::Sparse, using, records, limit, found };
                Ok(Ranked { hits, scale: Scale::Ascending, plan, words: None })
            }
            Ready::Vectors { space, vector, using } => {
                let ranked = self.by_vectors(space, vector, limit, filter)?;
                let ByVectors { hits, method, records } = ranked;
                let (using, found) = (using.map(str::to_owned), hits.len());
                let plan = QueryPlan { method, using, records, limit, found };
                Ok(Ranked { hits, scale: Scale::Vectors(space.metric), plan, words: None })
            }
        }
    }

    /// The vector of a text. Nothing is encoded that cannot be compared.
    fn encode(&self, text: &str, using: Option<&str>) -> Result<Vec<f32>> {
        if using.is_some() {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "using")
                .with("reason", "texts are encoded for the vector without a name only: give a vector"));
        }
        let Some(needed) = &self.head.encoder else {
            return Err(Error::new(Code::CollectionWithoutEncoder).with("collection", self.collection));
        };
        check_inline("text", text.len())?;
        match self.snapshot.core.encoder.get() {
            Some(own) if own.id() == needed => Ok(encoder::encode(&**own, text)?.vector),
            own => Err(no_encoder(needed, own.map(|own| own.id()))),
        }
    }

    /// Which vectors are compared with.
    pub(super) fn space(&self, using: Option<&str>) -> Result<VectorSpace> {
        if let Some(name) = using {
            return collection::named_vector(&self.head.vectors, self.collection, name).copied();
        }
        match self.head.dimension {
            Some(dimension) => {
                Ok(VectorSpace { number: self.head.number, dimension, metric: self.head.metric })
            }
            None => Err(Error::new(Code::InvalidValue).with("field", "vector").with(
                "reason",
                "the collection was created without a dimension: its records have no vectors",
            )),
        }
    }

    /// What a search among the records that match needs.
    fn find(&self, filter: Option<&Filter>, vectors: Option<u64>, with_text: bool) -> Result<Found> {
        self.snapshot
            .core
            .records
            .read(self.snapshot, self.head, with_text, &mut |at| at.find(filter, vectors))
    }

    fn by_words<'q>(&self, words: &'q Words, limit: usize, filter: Option<&Filter>) -> Result<Ranked<'q>> {
        let found = self.find(filter, None, true)?;
        let index = found.text.as_ref().ok_or_else(no_texts)?;
        let id = |ordinal: u64| found.ids.get(ordinal as u32);
        let passes = |ordinal: u64| found.has(ordinal as u32);
        let search = agentdb_text::Search {
            at: self.snapshot.lsn(),
            limit,
            filter: found.records.is_some().then_some(&passes as &dyn Fn(u64) -> bool),
            tie: &|a, b| id(a).cmp(id(b)),
            threshold: None,
        };
        let hits = index.search(words, &search).map_err(|err| err.with_root("path", "query", "words"))?;
        let explainer = self.explain.then(|| {
            let slots = hits.iter().map(|hit| (id(hit.slot).to_owned(), hit.slot)).collect();
            Explainer { index: index.clone(), at: search.at, words, slots }
        });
        let hits: Vec<_> = hits.into_iter().map(|hit| (id(hit.slot).to_owned(), hit.score)).collect();
        let records = Some(self.records(&found.how, found.records.as_ref().map(RoaringBitmap::len)));
        let plan = QueryPlan { method: Method::Words, using: None, records, limit, found: hits.len() };
        Ok(Ranked { hits, scale: Scale::Ascending, plan, words: explainer })
    }

    fn by_vectors(
        &self,
        space: &VectorSpace,
        vector: &[f32],
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<ByVectors> {
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
            let hits = hits.into_iter().map(|hit| Ok((self.record_of(space, hit.slot)?, hit.score)));
            let hits = hits.collect::<Result<_>>()?;
            return Ok(ByVectors { hits, method: Method::Scan, records: None });
        }
        let found = self.find(filter, Some(space.number), false)?;
        let mut hits = None;
        if let Some(few) = &found.few {
            hits = core.vectors.search_among(&query, rows, &latest, few)?;
        }
        let passes = |slot: u64| found.slots.get(slot).is_some_and(|ordinal| found.has(ordinal));
        if found.records.is_some() {
            query.filter = Some(&passes);
        }
        let (hits, method) = match hits {
            Some(hits) => (hits, Method::Matching),
            None => (core.vectors.search(&query, rows, &latest)?, Method::Scan),
        };
        let id = |slot: u64| found.slots.get(slot).map(|ordinal| found.ids.get(ordinal).to_owned());
        let hits = hits.into_iter().filter_map(|hit| Some((id(hit.slot)?, hit.score))).collect();
        Ok(ByVectors {
            hits,
            method,
            records: Some(self.records(&found.how, found.records.as_ref().map(RoaringBitmap::len))),
        })
    }

    /// How the records were found that a query ranked; how the filter was answered only if that is told.
    fn records(&self, how: &How, matching: Option<u64>) -> RecordPlan {
        let How { plan, total, changed, made } = how;
        let filter = if self.explain { plan.clone() } else { None };
        RecordPlan { filter, total: *total, matching, changed: *changed, made: *made }
    }

    /// The record that a vector belongs to.
    fn record_of(&self, space: &VectorSpace, slot: u64) -> Result<String> {
        let gone = || Error::new(Code::RowsCorrupt).with("reason", "a vector that was found is not there");
        let row = self.snapshot.get(&vector_key(self.snapshot, space.number, slot))?.ok_or_else(gone)?;
        Ok(VectorRow::decode(&row.body)?.record)
    }
}

impl Searcher<'_> {
    /// A record that was found, with its version.
    pub(super) fn record(&self, record: &str) -> Result<(Lsn, Record)> {
        let gone = || Error::new(Code::RowsCorrupt).with("reason", "what was found has no record");
        record::find(self.snapshot, &record::key(self.snapshot, self.head.number, record)?)?.ok_or_else(gone)
    }

    /// The versions of records that were found: as the index knows them, without a look at their rows.
    pub(super) fn versions<'r>(&self, records: impl Iterator<Item = &'r str>) -> Result<Vec<Lsn>> {
        let records: Vec<&str> = records.collect();
        let index = &self.snapshot.core.records;
        let known = index.read_if_it_reaches_back(self.snapshot, self.head, false, &mut |at| {
            Ok(records.iter().map(|record| at.version(record)).collect())
        })?;
        let known: Vec<Option<Lsn>> = known.unwrap_or_else(|| vec![None; records.len()]);
        let version = |(record, known): (&str, Option<Lsn>)| known.map_or_else(|| self.version(record), Ok);
        records.into_iter().zip(known).map(version).collect()
    }

    /// The version of a record that was found.
    fn version(&self, record: &str) -> Result<Lsn> {
        let gone = || Error::new(Code::RowsCorrupt).with("reason", "what was found has no record");
        let row = self.snapshot.get(&record::key(self.snapshot, self.head.number, record)?)?;
        row.map(|row| row.lsn).ok_or_else(gone)
    }

    /// The vector of a record that was found.
    pub(super) fn vector_of(&self, record: &str, space: &VectorSpace) -> Result<Option<Vec<f32>>> {
        let slot = self.slot_of(record, space)?;
        Ok(record::vector(self.snapshot, space.number, slot)?.map(|row| row.vector))
    }

    fn slot_of(&self, record: &str, space: &VectorSpace) -> Result<Option<u64>> {
        let (_, found) = self.record(record)?;
        let named = found.named.values().find(|place| place.0 == space.number).map(|place| place.1);
        Ok(if space.number == self.head.number { found.slot } else { named })
    }

    /// The scores by a query of some records, of those that it finds.
    pub(super) fn score(&self, ready: &Ready<'_>, records: &[&str]) -> Result<(Vec<(String, f32)>, Scale)> {
        match ready {
            Ready::Words(words) => Ok((self.score_by_words(words, records)?, Scale::Ascending)),
            Ready::Sparse { number, vector, .. } => {
                let mut scores = Vec::new();
                for id in records {
                    let (_, found) = self.record(id)?;
                    let score = found.sparse().get(number).and_then(|of| vector.dot(of));
                    scores.extend(score.map(|score| in_32_bits((*id).to_owned(), score)).transpose()?);
                }
                Ok((scores, Scale::Ascending))
            }
            Ready::Vectors { space, vector, .. } => {
                let slots = records.iter().map(|record| self.slot_of(record, space));
                let slots: Vec<Option<u64>> = slots.collect::<Result<_>>()?;
                let of: HashMap<u64, &str> = slots
                    .iter()
                    .zip(records)
                    .filter_map(|(slot, record)| Some(((*slot)?, *record)))
                    .collect();
                let query = Query {
                    collection: (self.snapshot.namespace(), space.number),
                    dimension: space.dimension,
                    metric: space.metric,
                    vector,
                    limit: records.len(),
                    filter: None,
                };
                let hits = Vectors::among(&query, of.keys().copied(), &self.snapshot.rows)?;
                let hits =
                    hits.into_iter().filter_map(|hit| Some(((*of.get(&hit.slot)?).to_owned(), hit.score)));
                Ok((hits.collect(), Scale::Vectors(space.metric)))
            }
        }
    }

    fn score_by_words(&self, words: &Words, records: &[&str]) -> Result<Vec<(String, f32)>> {
        let (index, ids, among) =
            self.snapshot.core.records.read(self.snapshot, self.head, true, &mut |at| {
                let among: RoaringBitmap = records.iter().filter_map(|record| at.ordinal(record)).collect();
                Ok((at.text(), at.ids(), among))
            })?;
        let index = index.ok_or_else(no_texts)?;
        let passes = |ordinal: u64| among.contains(ordinal as u32);
        let search = agentdb_text::Search::new(self.snapshot.lsn(), records.len()).filter(&passes);
        let hits = index.search(words, &search).map_err(|err| err.with_root("path", "query", "words"))?;
        Ok(hits.into_iter().map(|hit| (ids.get(hit.slot as u32).to_owned(), hit.score)).collect())
    }
}

fn no_texts() -> Error {
    Error::new(Code::InvalidValue)
        .with("field", "words")
        .with("reason", "the collection has no texts that are searched by words (collection.alter)")
}

/// A record with its score.
///
/// # Errors
/// [`Code::ScoreNotFinite`] if 32 bits do not hold it.
pub(super) fn in_32_bits(record: String, score: f64) -> Result<(String, f32)> {
    if (score as f32).is_finite() {
        return Ok((record, score as f32));
    }
    Err(Error::new(Code::ScoreNotFinite).with("record", record).with("value", score))
}

fn no_name() -> Error {
    Error::new(Code::InvalidValue)
        .with("field", "using")
        .with("reason", "it says which of the sparse vectors to compare with")
}
