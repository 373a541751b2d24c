//! What is searched for: one of several queries, and what a query is made of.

use agentdb_text::Query as Words;
use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::SparseVector;

/// One of several queries.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubQuery {
    /// The vector to search for. Of vector, text, words and sparse exactly one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The text to search for, encoded by the collection's encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The words to search for, by BM25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// The sparse vector to search for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<SparseVector>,
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

    /// A query for the records whose sparse vectors of this name have the greatest products with a vector.
    pub fn sparse(using: impl Into<String>, vector: SparseVector) -> Self {
        SubQuery { sparse: Some(vector), using: Some(using.into()), ..Self::default() }
    }

    pub(super) fn part(&self) -> Result<Part<'_>> {
        let using = self.using.as_deref();
        match (&self.vector, &self.text, &self.words, &self.sparse) {
            (Some(vector), None, None, None) => Ok(Part::Vector(vector, using)),
            (None, Some(text), None, None) => Ok(Part::Text(text, using)),
            (None, None, Some(words), None) if using.is_none() => Ok(Part::Words(words)),
            (None, None, None, Some(vector)) => Ok(Part::Sparse(vector, using)),
            _ => Err(Error::new(Code::SearchNeedsVector)),
        }
    }

    pub(super) fn weight(&self) -> Result<f64> {
        match self.weight.unwrap_or(1.0) {
            weight if weight.is_finite() && weight > 0.0 => Ok(weight),
            _ => Err(Error::new(Code::InvalidValue)
                .with("field", "weight")
                .with("reason", "it is a finite number above 0")),
        }
    }
}

/// What is searched for.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Vector(&'a [f32], Option<&'a str>),
    Text(&'a str, Option<&'a str>),
    Words(&'a Words),
    Sparse(&'a SparseVector, Option<&'a str>),
}
