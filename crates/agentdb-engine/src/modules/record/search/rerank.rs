//! The second stage: the best of the first are scored anew, by what would cost too much for all.

use std::collections::HashMap;

use agentdb_text::Query as Words;
use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diversity::check_candidates;
use super::formula::{Formula, Inputs};
use super::query::Part;
use super::ranking::Candidate;
use super::searcher::{Ready, Scale, Searcher};
use crate::SparseVector;
use crate::read::Read;

/// Records that are scored anew if the request does not say.
const CANDIDATES: usize = 100;

/// A second stage: the best records of the first are scored anew and ordered by `first_weight` times the first score plus
/// `weight` times the second; equal ones stay as they were. No others are found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rerank {
    /// Score by this vector. Of vector, text, words, sparse and formula exactly one is given. A record without such a vector gets 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// Score by this text, encoded by the collection's encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Score by these words, by BM25. A record that they do not find gets 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// Score by the product with this sparse vector. A record without a component of the same index gets 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<SparseVector>,
    /// Which of the named vectors to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// Score by a formula of the first score and of fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formula: Option<Formula>,
    /// How many records of the first stage are scored anew: 1 to 10,000; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
    /// How much the second score counts: a finite number of 0 or more; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// How much the first score counts, the same; 0 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_weight: Option<f64>,
}

/// The scores of the two stages. A Euclidean distance d is the score 1 / (1 + d) here: more is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stages {
    /// The score of the first stage.
    pub first: f64,
    /// The score of the second; none if its query did not find the record, which counts as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<f64>,
}

/// A second stage of which everything is known.
pub(super) struct Reranker<'a> {
    by: By<'a>,
    candidates: usize,
    weight: f64,
    first_weight: f64,
}

enum By<'a> {
    Query(Ready<'a>),
    Formula(&'a Formula),
}

impl Rerank {
    /// Refuses what cannot be scored by.
    pub(super) fn ready<'a>(&'a self, searcher: &Searcher<'_>) -> Result<Reranker<'a>> {
        let using = self.using.as_deref();
        let part = match (&self.vector, &self.text, &self.words, &self.sparse, &self.formula) {
            (Some(vector), None, None, None, None) => Part::Vector(vector, using),
            (None, Some(text), None, None, None) => Part::Text(text, using),
            (None, None, Some(words), None, None) if using.is_none() => Part::Words(words),
            (None, None, None, Some(vector), None) => Part::Sparse(vector, using),
            (None, None, None, None, Some(formula)) if using.is_none() => {
                formula.check("formula")?;
                return self.with(By::Formula(formula));
            }
            _ => return Err(Error::new(Code::RerankNeedsOne)),
        };
        self.with(By::Query(searcher.ready(part)?))
    }

    fn with<'a>(&self, by: By<'a>) -> Result<Reranker<'a>> {
        let candidates = self.candidates.unwrap_or(CANDIDATES);
        check_candidates("candidates", candidates, limits::RERANK_CANDIDATES)?;
        let (weight, first_weight) = (self.weight.unwrap_or(1.0), self.first_weight.unwrap_or(0.0));
        for (field, weight) in [("weight", weight), ("first_weight", first_weight)] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::new(Code::InvalidValue)
                    .with("field", field)
                    .with("reason", "it is a finite number of 0 or more"));
            }
        }
        Ok(Reranker { by, candidates, weight, first_weight })
    }
}

impl Reranker<'_> {
    pub(super) fn candidates(&self) -> usize {
        self.candidates
    }

    /// Scores candidates anew, and orders them.
    pub(super) fn rerank(
        &self,
        searcher: &Searcher<'_>,
        ranked: Vec<Candidate>,
        scale: Scale,
    ) -> Result<Vec<Candidate>> {
        let seconds = match &self.by {
            By::Query(ready) => self.by_query(searcher, ready, &ranked)?,
            By::Formula(formula) => self.by_formula(searcher, formula, &ranked, scale)?,
        };
        let mut scored: Vec<(f64, Candidate)> = Vec::with_capacity(ranked.len());
        for (candidate, second) in ranked.into_iter().zip(seconds) {
            let first = scale.similarity(candidate.score);
            let score = self.first_weight * first + self.weight * second.unwrap_or(0.0);
            // What becomes a score must be one in 32 bits.
            if !(score as f32).is_finite() {
                let err = Error::new(Code::ScoreNotFinite);
                return Err(err.with("record", candidate.record).with("value", score));
            }
            let stages = Some(Stages { first, second });
            scored.push((score, Candidate { score: score as f32, stages, ..candidate }));
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(scored.into_iter().map(|(_, candidate)| candidate).collect())
    }

    fn by_query(
        &self,
        searcher: &Searcher<'_>,
        ready: &Ready<'_>,
        ranked: &[Candidate],
    ) -> Result<Vec<Option<f64>>> {
        let records: Vec<&str> = ranked.iter().map(|found| &*found.record).collect();
        let (hits, scale) = searcher.score(ready, &records)?;
        let hits: HashMap<String, f32> = hits.into_iter().collect();
        Ok(records.iter().map(|id| hits.get(*id).map(|score| scale.similarity(*score))).collect())
    }

    fn by_formula(
        &self,
        searcher: &Searcher<'_>,
        formula: &Formula,
        ranked: &[Candidate],
        scale: Scale,
    ) -> Result<Vec<Option<f64>>> {
        let now_us = searcher.snapshot.now().micros();
        let value = |found: &Candidate| {
            let payload = searcher.record(&found.record)?.1.payload;
            let score = scale.similarity(found.score);
            Ok(Some(formula.value(&Inputs { score, payload: &payload, now_us })))
        };
        ranked.iter().map(value).collect()
    }
}
