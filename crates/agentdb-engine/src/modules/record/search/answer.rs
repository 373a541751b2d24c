//! What a search is answered with.

use std::collections::BTreeMap;

use agentdb_text::Explanation;
use agentdb_types::Lsn;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::diversity::Diverse;
use super::plan::SearchPlan;
use super::rerank::Stages;
use crate::modules::given_json;

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The id.
    pub record: String,
    /// Cosine similarity, dot product, BM25 or the score of several queries (more is better), or Euclidean distance (less is
    /// better); of two stages, what both come to.
    pub score: f32,
    /// Of several queries: what each that found the record adds to the score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
    /// The scores of both stages, of a search that has two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
    /// Why it was chosen, of a search for hits that are not all alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversity: Option<Diverse>,
    /// The value of its group, if hits are grouped: null of the group of records without one, nothing of one that is a group by itself.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub group: Option<Value>,
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
    /// The texts of the record in which words were found, by name, if they were asked for: of each its best fragments, with tags
    /// around the words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub highlights: BTreeMap<String, Vec<String>>,
    /// What the score is made of, of a query by words whose scores were to be explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// What one of several queries adds to the score of a hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// Which one, from 0.
    pub query: usize,
    /// With feedback: the record that was searched for in its stead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
    /// The rank of the record in its ranking, from 1.
    pub rank: usize,
    /// The score of the record in its ranking.
    pub score: f32,
    /// What it adds.
    pub share: f64,
    /// What the score is made of, of a query by words whose scores were to be explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// The answer to a [`Search`](super::Search).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The hits, best first; equal ones in the order in which their vectors were put, or, of words and of several queries, of
    /// their ids. The hits of a group come together, and groups in the order of their best hits.
    pub hits: Vec<Hit>,
    /// Where the next page starts, if pages were asked for and there are more hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// As of which LSN all pages are, if pages were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<Lsn>,
    /// How the search was answered, if that was to be explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<SearchPlan>,
}
