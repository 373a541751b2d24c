//! How a search was answered: for people who wonder why it is slow, or why it found what it did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::filter::index::Plan;

/// How a search was answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchPlan {
    /// The one query, or each of several.
    pub queries: Vec<QueryPlan>,
    /// How many records the second stage scored anew, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reranked: Option<usize>,
    /// From how many records diverse ones were chosen, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversified: Option<usize>,
    /// How many records were grouped, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grouped: Option<usize>,
}

impl SearchPlan {
    pub(super) fn of(queries: Vec<QueryPlan>) -> Self {
        SearchPlan { queries, ..Self::default() }
    }
}

/// How a query was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryPlan {
    /// How records were ranked.
    pub method: Method,
    /// Which of the named vectors were compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// How the records were found that the filter lets through; none if every record was let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordPlan>,
    /// How many records it was to find.
    pub limit: usize,
    /// How many it found.
    pub found: usize,
}

/// How records were ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every vector was compared; those of records that the filter does not let through were passed over.
    Scan,
    /// The vectors of the records that match were compared, since they are few.
    Matching,
    /// By the index of words.
    Words,
    /// By the lists of the indices of sparse vectors.
    Sparse,
}

/// How the records were found that a query ranks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordPlan {
    /// How the filter was answered; none if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Plan>,
    /// Records of the collection, by the newest state of the index.
    pub total: u64,
    /// Records that may be found: they match the filter, and have not expired. None if that is every record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<u64>,
    /// Records that were changed since the LSN of the search: they were looked at in the rows.
    pub changed: u64,
    /// Whether the index was made for this search: the one there is does not reach back to its LSN.
    pub made: bool,
}
