//! `record.facet`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::matching;
use crate::Snapshot;
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Counts how many records have which values of a field.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facet {
    /// The collection.
    pub collection: String,
    /// The field of the payload: names joined by dots.
    pub field: String,
    /// Only records whose payload matches (docs/filters.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// How many values at most, the most frequent ones; 10 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A value, and how many records have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValueCount {
    /// A string, a number, a boolean or null; a time in RFC 3339.
    pub value: Value,
    /// The records that have it, be it in a list.
    pub count: u64,
}

/// The answer to [`Facet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Faceted {
    /// The values, the most frequent first; equally frequent ones in their order.
    pub values: Vec<ValueCount>,
    /// How many records match.
    pub records: u64,
}

impl Request for Facet {
    type Response = Faceted;
    const ABOUT: About = About {
        name: "record.facet",
        doc: "Counts how many records have which values of a field, the most frequent first. A list counts for each of its values once.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection"],
        sensitive: &["filter", "values"],
        errors: &[
            Code::CollectionNotFound,
            Code::PageTooLarge,
            Code::FieldNotIndexed,
            Code::FilterTypeMismatch,
            Code::TextTooLong,
        ],
    };
}

impl ReadRequest for Facet {
    fn read(&self, snapshot: &Snapshot) -> Result<Faceted> {
        let limit = self.limit.unwrap_or(10);
        check_page(limit)?;
        matching(snapshot, &self.collection, self.filter.as_ref(), &mut |payloads, within| {
            let counts = payloads.facet(&self.field, within, limit)?;
            let values = counts.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
            Ok(Faceted { values, records: within.len() })
        })
    }
}
