//! Pseudo-relevance feedback: the best records of a first search are taken to be what was meant, and are searched for, too
//! (Rocchio 1971; by vectors: Li, Mourad, Zhuang, Koopman and Zuccon 2021).

use std::borrow::Cow;

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ranking::Candidate;
use super::searcher::{Ready, Searcher};

/// Records that are searched for, too, at most.
const RECORDS: usize = 10;

/// Searches twice: each query that compares vectors gives part of its weight to searches for the vectors of the best records of the
/// first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// How many of the best records are searched for, 1 to 10; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<usize>,
    /// Which part of the weight they get together, above 0 and at most 1; a half if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// A record that is searched for, instead of part of a query.
pub(super) struct Fed<'a> {
    /// The query that gives it its weight.
    pub(super) query: usize,
    pub(super) record: String,
    pub(super) ready: Ready<'a>,
    /// Which part of the query's weight it gets.
    pub(super) part: f64,
}

impl Feedback {
    pub(super) fn check(&self) -> Result<()> {
        let refuse =
            |field, reason| Err(Error::new(Code::InvalidValue).with("field", field).with("reason", reason));
        if !(1..=RECORDS).contains(&self.records()) {
            return refuse("feedback.records", format!("it is 1 to {RECORDS}"));
        }
        if !(self.weight() > 0.0 && self.weight() <= 1.0) {
            return refuse("feedback.weight", "it is above 0 and at most 1".to_owned());
        }
        Ok(())
    }

    fn records(&self) -> usize {
        self.records.unwrap_or(1)
    }

    fn weight(&self) -> f64 {
        self.weight.unwrap_or(0.5)
    }

    /// What is searched for besides, by the queries and what they found. A query has none if none of the best records has a vector of
    /// its kind.
    pub(super) fn of<'a>(
        &self,
        searcher: &Searcher<'_>,
        queries: &mut dyn Iterator<Item = &Ready<'a>>,
        best: &[Candidate],
    ) -> Result<Vec<Fed<'a>>> {
        let mut fed = Vec::new();
        for (query, ready) in queries.enumerate() {
            let Ready::Vectors { space, using, .. } = ready else { continue };
            let mut vectors = Vec::new();
            for Candidate { record, .. } in best.iter().take(self.records()) {
                let vector = searcher.vector_of(record, space)?;
                vectors.extend(vector.map(|vector| (record.clone(), vector)));
            }
            let part = self.weight() / vectors.len() as f64;
            fed.extend(vectors.into_iter().map(|(record, vector)| {
                let ready = Ready::Vectors { space: *space, vector: Cow::Owned(vector), using: *using };
                Fed { query, record, ready, part }
            }));
        }
        Ok(fed)
    }
}
