//! Filters: typed predicates over the fields of a record's payload, written in JSON; and the index that answers them.
//!
//! `{"kind": "note", "pages": {"$gte": 3, "$lt": 10}, "$or": [{"a.b": true}, {"tags": {"$contains": "x"}}]}`. A field is
//! a path of names joined by dots. Values compare only with values of their own type; numbers exactly, whether integer
//! or not. A field that is absent matches nothing but `$exists: false`, `$ne`, `$nin` and `$not`.
//!
//! [`Filter::matches`] looks at one payload and is what a filter means. [`index::PayloadIndex`] holds what payloads have in
//! common and finds the same records without looking at them. Nothing here reads files or clocks, locks or starts threads.

mod compare;
mod field_type;
mod fields;
mod geo;
mod geo_parse;
pub(crate) mod index;
#[cfg(test)]
mod language_tests;
#[cfg(test)]
mod malformed_tests;
mod operand;
mod parse;

use std::cmp::Ordering;

use agentdb_types::Result;
use serde_json::Value;

pub use field_type::FieldType;
pub(crate) use fields::check_path;
pub use fields::{Field, Fields};
pub(crate) use geo::{Point, Shape};
pub(crate) use operand::{Operand, instant};

/// A filter that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    /// All of them match.
    All(Vec<Filter>),
    /// One of them does.
    Any(Vec<Filter>),
    /// It does not.
    Not(Box<Filter>),
    /// The field at this path passes the test.
    Field(Vec<String>, Test),
}

/// What is asked of one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// It equals.
    Equal(Operand),
    /// It does not, or is absent.
    NotEqual(Operand),
    /// It stands in one of these orders to the operand.
    Compare(Vec<Ordering>, Operand),
    /// It equals one of these.
    In(Vec<Operand>),
    /// It equals none, or is absent.
    NotIn(Vec<Operand>),
    /// It is there, be it null, or it is not.
    Exists(bool),
    /// It is a list with such a member, or a string with this text in it.
    Contains(Operand),
    /// It is a list with one of these members.
    ContainsAny(Vec<Operand>),
    /// It is a list with all of these members.
    ContainsAll(Vec<Operand>),
    /// It is a string that begins so, or a list with one in it.
    StartsWith(String),
    /// It is a point in the shape, or a list with one in it.
    GeoWithin(Shape),
}

impl Filter {
    /// Reads a filter over fields of which no types are declared.
    ///
    /// # Errors
    /// [`agentdb_types::Code::InvalidValue`] with the path of what is wrong; beyond the limits of terms and depth too.
    pub(crate) fn parse(json: &Value) -> Result<Filter> {
        Filter::parse_typed(json, &Fields::default())
    }

    /// Reads a filter over declared fields: times compare as instants, and nothing is compared with what it can never be. A
    /// field that is not declared is compared as the values are.
    ///
    /// # Errors
    /// Those of [`Filter::parse`]; [`agentdb_types::Code::FilterTypeMismatch`] for a comparison that no value of the field's
    /// type can pass.
    pub(crate) fn parse_typed(json: &Value, fields: &Fields) -> Result<Filter> {
        parse::parse(json, fields)
    }

    /// Whether a payload matches.
    pub(crate) fn matches(&self, payload: &Value) -> bool {
        match self {
            Filter::All(parts) => parts.iter().all(|p| p.matches(payload)),
            Filter::Any(parts) => parts.iter().any(|p| p.matches(payload)),
            Filter::Not(part) => !part.matches(payload),
            Filter::Field(path, test) => {
                let field = path.iter().try_fold(payload, |at, name| at.as_object()?.get(name));
                test.matches(field)
            }
        }
    }
}

impl Test {
    fn matches(&self, field: Option<&Value>) -> bool {
        match (self, field) {
            (Test::Exists(wanted), field) => field.is_some() == *wanted,
            (Test::NotEqual(value), field) => !field.is_some_and(|f| value.equals(f)),
            (Test::NotIn(values), field) => !field.is_some_and(|f| values.iter().any(|v| v.equals(f))),
            (_, None) => false,
            (Test::Equal(value), Some(field)) => value.equals(field),
            (Test::Compare(orders, value), Some(field)) => {
                value.order_of(field).is_some_and(|order| orders.contains(&order))
            }
            (Test::In(values), Some(field)) => values.iter().any(|v| v.equals(field)),
            (Test::Contains(value), Some(Value::Array(items))) => items.iter().any(|i| value.equals(i)),
            (Test::Contains(Operand::Json(Value::String(part))), Some(Value::String(text))) => {
                text.contains(part.as_str())
            }
            (Test::Contains(_), Some(_)) => false,
            (Test::ContainsAny(values), Some(field)) => values.iter().any(|v| has_member(field, v)),
            (Test::ContainsAll(values), Some(field)) => {
                field.is_array() && values.iter().all(|v| has_member(field, v))
            }
            (Test::StartsWith(prefix), Some(field)) => itself_or_member(field, &|value| {
                value.as_str().is_some_and(|text| text.starts_with(prefix.as_str()))
            }),
            (Test::GeoWithin(shape), Some(field)) => {
                itself_or_member(field, &|value| Point::of(value).is_some_and(|p| shape.contains(p)))
            }
        }
    }
}

fn has_member(field: &Value, member: &Operand) -> bool {
    field.as_array().is_some_and(|items| items.iter().any(|i| member.equals(i)))
}

fn itself_or_member(field: &Value, passes: &dyn Fn(&Value) -> bool) -> bool {
    field.as_array().map_or_else(|| passes(field), |items| items.iter().any(passes))
}
