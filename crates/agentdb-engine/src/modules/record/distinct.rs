//! `record.distinct`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::matching;
use crate::Snapshot;
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use agentdb_types::limits;

/// Lists the values that a field has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Distinct {
    /// The collection.
    pub collection: String,
    /// The field of the payload: names joined by dots.
    pub field: String,
    /// Only records whose payload matches (docs/filters.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Only values behind this one: the last of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The answer to [`Distinct`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DistinctValues {
    /// The values in their order: booleans, numbers, times, strings. There may be more if there are as many as asked for.
    pub values: Vec<Value>,
}

impl Request for Distinct {
    type Response = DistinctValues;
    const ABOUT: About = About {
        name: "record.distinct",
        doc: "Lists the values that a field has, each once and in order, those in lists included.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection"],
        sensitive: &["filter", "after", "values"],
        errors: &[
            Code::CollectionNotFound,
            Code::PageTooLarge,
            Code::FieldNotIndexed,
            Code::FilterTypeMismatch,
            Code::TextTooLong,
        ],
    };
}

impl ReadRequest for Distinct {
    fn read(&self, snapshot: &Snapshot) -> Result<DistinctValues> {
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        matching(snapshot, &self.collection, self.filter.as_ref(), &mut |payloads, within| {
            Ok(DistinctValues { values: payloads.distinct(&self.field, within, self.after.as_ref(), limit)? })
        })
    }
}
