//! Histograms of numbers and times.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result, limits};
use roaring::RoaringBitmap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::super::FieldType;
use super::number::Num;
use super::{PayloadIndex, invalid};

/// A part of a histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// Where it begins: a number; of times, microseconds since 1970. It ends before the next multiple of the interval.
    pub start: Value,
    /// Records with a value in it.
    pub count: u64,
}

impl PayloadIndex {
    /// How many of these records have a number, or of a field declared as a time an instant, in each of equally wide intervals:
    /// bucket i is from `offset + i * interval`, included, to the next, excluded, for every integer i. Buckets without a record are
    /// left out; so are values of other types, and lists. Times are counted in microseconds.
    ///
    /// Integers are divided exactly if the interval and the offset are integers; otherwise i is
    /// `floor((value - offset) / interval)` and the start `offset + i * interval`, computed in 64-bit floats.
    ///
    /// # Errors
    /// [`Code::FieldNotIndexed`]; [`Code::InvalidValue`] for an interval that is not positive, or so small that i is beyond 2^63,
    /// for a fraction of a microsecond, and for a path with an empty name; [`Code::HistogramBuckets`] beyond
    /// [`limits::HISTOGRAM_BUCKETS`].
    pub(crate) fn histogram(
        &self,
        path: &str,
        within: &RoaringBitmap,
        interval: &Number,
        offset: &Number,
    ) -> Result<Vec<Bucket>> {
        let steps = Steps { interval: Num::new(interval), offset: Num::new(offset) };
        if steps.interval.to_f64() <= 0.0 {
            return Err(invalid("interval", "it is greater than 0"));
        }
        let Some(node) = self.field(path)? else { return Ok(Vec::new()) };
        let timed = node.kind == Some(FieldType::Time);
        if timed && steps.integers().is_none() {
            return Err(invalid("interval", "it and the offset are whole microseconds for times"));
        }
        let values = if timed { &node.field.times } else { &node.field.numbers };
        let mut counts: BTreeMap<i128, u64> = BTreeMap::new();
        for value in values.iter().flat_map(|v| within.iter().filter_map(|o| v.get(o))) {
            *counts.entry(steps.number(value)?).or_default() += 1;
            if counts.len() > limits::HISTOGRAM_BUCKETS {
                let err = Error::new(Code::HistogramBuckets).with("field", path);
                return Err(err.with("limit", limits::HISTOGRAM_BUCKETS));
            }
        }
        Ok(counts.into_iter().map(|(i, count)| Bucket { start: steps.start(i), count }).collect())
    }
}

struct Steps {
    interval: Num,
    offset: Num,
}

impl Steps {
    /// The interval and the offset, if both are integers.
    fn integers(&self) -> Option<(i128, i128)> {
        Some((self.interval.to_integer()?, self.offset.to_integer()?))
    }

    /// The number of the bucket of a value.
    fn number(&self, value: Num) -> Result<i128> {
        if let (Some((interval, offset)), Some(value)) = (self.integers(), value.to_integer()) {
            return Ok((value - offset).div_euclid(interval));
        }
        let number = ((value.to_f64() - self.offset.to_f64()) / self.interval.to_f64()).floor();
        if number.abs() < 2f64.powi(63) {
            return Ok(number as i128);
        }
        Err(invalid("interval", &format!("it is too small for the value {}", value.to_value())))
    }

    fn start(&self, number: i128) -> Value {
        if let Some((interval, offset)) = self.integers() {
            let start = offset + number * interval;
            let small = i64::try_from(start).map(Value::from);
            return small
                .or_else(|_| u64::try_from(start).map(Value::from))
                .unwrap_or(Value::from(start as f64));
        }
        Value::from(self.offset.to_f64() + number as f64 * self.interval.to_f64())
    }
}
