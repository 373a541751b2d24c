//! `record.aggregate`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::matching;
use crate::Snapshot;
use crate::filter::index::{Bucket, FieldStats};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Describes the values of a field: how many, the least, the greatest, their sum, how they are spread.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// The collection.
    pub collection: String,
    /// The field of the payload: names joined by dots.
    pub field: String,
    /// Only records whose payload matches (docs/filters.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// How wide the buckets of a histogram are, greater than 0; of times, in microseconds. There is none if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Number>,
    /// Where a bucket begins; 0 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Number>,
}

/// The answer to [`Aggregate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Aggregated {
    /// What the values are like.
    #[serde(flatten)]
    pub stats: FieldStats,
    /// The histogram, if it was asked for: buckets that have any, in ascending order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Vec<Bucket>>,
}

impl Request for Aggregate {
    type Response = Aggregated;
    const ABOUT: About = About {
        name: "record.aggregate",
        doc: "Describes the values of a field: how many records have one, the least, the greatest, sum and mean of numbers, and, if an interval is given, a histogram. Lists are not described.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection"],
        sensitive: &["filter", "min", "max", "sum", "mean", "buckets"],
        errors: &[
            Code::CollectionNotFound,
            Code::FieldNotIndexed,
            Code::FilterTypeMismatch,
            Code::TextTooLong,
            Code::HistogramBuckets,
        ],
    };
}

impl ReadRequest for Aggregate {
    fn read(&self, snapshot: &Snapshot) -> Result<Aggregated> {
        let zero = Number::from(0);
        let offset = self.offset.as_ref().unwrap_or(&zero);
        matching(snapshot, &self.collection, self.filter.as_ref(), &mut |payloads, within| {
            let histogram = |interval| payloads.histogram(&self.field, within, interval, offset);
            let stats = payloads.stats(&self.field, within)?;
            Ok(Aggregated { stats, buckets: self.interval.as_ref().map(histogram).transpose()? })
        })
    }
}
