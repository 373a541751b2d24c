//! How a filter was answered, for people and tests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a filter was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The filter, term by term, those of a conjunction in the order in which they were answered.
    pub term: PlanTerm,
    /// Records that the index could not tell of: their payloads were looked at, each with the whole filter.
    pub verified: u64,
}

/// How a term was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanTerm {
    /// The test (`equal`, `range`, …), or `and`, `or`, `not`.
    pub test: String,
    /// The path of the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How it was answered.
    pub how: How,
    /// By the estimate, at least so many records of the whole index pass.
    pub low: u64,
    /// By the estimate, at most so many do.
    pub high: u64,
    /// Records that surely pass, among those that the terms before left over.
    pub found: u64,
    /// Records that may pass, among those that the terms before left over.
    pub unsure: u64,
    /// The terms within.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<PlanTerm>,
}

/// How a term was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// From the values, by sets of records.
    Index,
    /// By the values of the candidates, which were few.
    Column,
    /// Left to payloads, in whole or in part: the index does not have all that is asked, or asking it costs more.
    Verified,
    /// No record has the field, or every record passes.
    Constant,
    /// By the terms within.
    Combined,
    /// Not at all: no candidate was left.
    Skipped,
}
