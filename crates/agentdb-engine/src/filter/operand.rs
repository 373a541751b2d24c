//! What a field is compared with: a JSON value, or an instant if the field is declared as a time.

use std::cmp::Ordering;

use agentdb_types::Timestamp;
use serde_json::Value;

use super::compare;

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    /// As a value of its own type.
    Json(Value),
    /// As an instant: a field that is no time is not equal to it and has no order to it.
    Time(Timestamp),
    /// As a list of instants, member by member.
    Times(Vec<Timestamp>),
}

impl Operand {
    /// Whether a value equals it.
    pub(super) fn equals(&self, value: &Value) -> bool {
        match self {
            Operand::Json(json) => compare::equal(value, json),
            Operand::Time(time) => instant(value) == Some(*time),
            Operand::Times(times) => value.as_array().is_some_and(|items| {
                items.len() == times.len() && items.iter().zip(times).all(|(i, t)| instant(i) == Some(*t))
            }),
        }
    }

    /// How a value stands to it; `None` if they have no order.
    pub(super) fn order_of(&self, value: &Value) -> Option<Ordering> {
        match self {
            Operand::Json(json) => compare::compare(value, json),
            Operand::Time(time) => instant(value).map(|v| v.cmp(time)),
            Operand::Times(_) => None,
        }
    }
}

/// The instant that a value tells: RFC 3339 text, or an integer of microseconds since 1970, within the years 1970 to 9999.
pub(crate) fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => Timestamp::from_micros(number.as_i64()?).ok(),
        _ => None,
    }
}
