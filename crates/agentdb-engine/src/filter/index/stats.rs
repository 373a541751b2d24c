//! Statistics of a field among some records.

use agentdb_types::Result;
use roaring::RoaringBitmap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::FieldType;
use super::PayloadIndex;
use super::field_index::Texts;
use super::number::Num;
use super::single::Single;

/// What the values of a field are like. Of a field with values of several types, times are described if there are any (of a
/// field that is declared so), else numbers, else strings. Lists, booleans and objects are not described.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldStats {
    /// The type that is described; absent if there is nothing to describe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FieldType>,
    /// Records with a value of that type.
    pub count: u64,
    /// The other records.
    pub missing: u64,
    /// The least value; absent if there is none. A time is RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The greatest value; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// The sum of numbers: exact if all of them are integers, as a string of digits if it does not fit into 64 bits. Otherwise a
    /// 64-bit float, compensated for rounding, null if it is beyond the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<Value>,
    /// The sum by the count, as a 64-bit float, null if it is beyond the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Value>,
}

impl PayloadIndex {
    /// The statistics of a field among these records.
    ///
    /// # Errors
    /// [`agentdb_types::Code::FieldNotIndexed`]; [`agentdb_types::Code::TextTooLong`] if strings are described, and one of them is
    /// beyond [`agentdb_types::limits::INDEXED_TEXT_BYTES`]; [`agentdb_types::Code::InvalidValue`] for a path with an empty name.
    pub(crate) fn stats(&self, path: &str, within: &RoaringBitmap) -> Result<FieldStats> {
        let none = FieldStats { missing: within.len(), ..FieldStats::default() };
        let Some(node) = self.field(path)? else { return Ok(none) };
        let field = &node.field;
        let of_times = field.times.as_ref().map(|times| {
            of_ends(FieldType::Time, within.iter().filter_map(|o| times.get(o)).map(Single::Time))
        });
        let of_numbers =
            || field.numbers.as_ref().map(|n| of_numbers(within.iter().filter_map(|o| n.get(o))));
        let of_texts = || field.texts.as_ref().map(|texts| of_texts(texts, within));
        let there = |stats: &FieldStats| stats.count > 0;
        let stats = of_times.filter(there).or_else(|| of_numbers().filter(there));
        if stats.is_none() {
            node.check_texts(path, within, false)?;
        }
        let stats = stats.or_else(|| of_texts().filter(there));
        Ok(stats.map_or(none, |stats| FieldStats { missing: within.len() - stats.count, ..stats }))
    }
}

fn of_ends<'a>(kind: FieldType, values: impl Iterator<Item = Single<'a>>) -> FieldStats {
    let mut count = 0;
    let mut ends: Option<(Single<'a>, Single<'a>)> = None;
    for value in values {
        count += 1;
        ends = Some(ends.map_or((value, value), |(min, max)| (min.min(value), max.max(value))));
    }
    FieldStats {
        kind: Some(kind),
        count,
        min: ends.map(|(min, _)| min.to_value()),
        max: ends.map(|(_, max)| max.to_value()),
        ..FieldStats::default()
    }
}

fn of_texts(texts: &Texts, within: &RoaringBitmap) -> FieldStats {
    of_ends(FieldType::String, within.iter().filter_map(|o| texts.get(o)).map(Single::Text))
}

/// Sums in ascending order of ordinals.
fn of_numbers(numbers: impl Iterator<Item = Num> + Clone) -> FieldStats {
    let stats = of_ends(FieldType::Number, numbers.clone().map(Single::Number));
    // Fewer than 2^32 integers of 64 bits add up to less than 2^97.
    let exact = numbers.clone().try_fold(0i128, |sum, n| Some(sum + n.to_integer()?));
    let sum = exact.map_or_else(|| compensated(numbers.map(Num::to_f64)), |sum| sum as f64);
    let shown = match exact {
        Some(sum) => i64::try_from(sum)
            .map(Value::from)
            .or_else(|_| u64::try_from(sum).map(Value::from))
            .unwrap_or_else(|_| Value::String(sum.to_string())),
        None => Value::from(sum),
    };
    let mean = (stats.count > 0).then(|| Value::from(sum / stats.count as f64));
    FieldStats { sum: Some(shown), mean, ..stats }
}

/// The sum of floats with what each addition rounds off added at the end (Neumaier, Rundungsfehleranalyse einiger Verfahren zur
/// Summation endlicher Summen, 1974).
fn compensated(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for number in numbers {
        let next = sum + number;
        lost += if sum.abs() >= number.abs() { (sum - next) + number } else { (number - next) + sum };
        sum = next;
    }
    // Beyond the range, what was lost is no number.
    if sum.is_finite() { sum + lost } else { sum }
}
