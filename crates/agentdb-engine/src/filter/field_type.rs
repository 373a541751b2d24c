//! Types of fields.

use std::fmt;

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::geo::Point;
use super::operand::instant;

/// The type that a field of a payload is declared to have. Its value is one value of the type, null, or a list of values of the
/// type (without null and without lists in it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text; ordered by the bytes of its UTF-8.
    String,
    /// A number: integers of 64 bits exactly, fractions as 64-bit floats.
    Number,
    /// True or false; false comes first.
    Boolean,
    /// An instant: RFC 3339 text with any offset, or an integer of microseconds since 1970; years 1970 to 9999.
    Time,
    /// A point on the earth: `{"lat": …, "lon": …}` in degrees, -90 to 90 and -180 to 180. Other members are let be.
    Geo,
}

impl FieldType {
    /// The type that a value shows by itself: a string, a number or a boolean; that of a list if all its members agree. Times and
    /// points are declared, never guessed.
    pub fn infer(value: &Value) -> Option<FieldType> {
        match value {
            Value::String(_) => Some(FieldType::String),
            Value::Number(_) => Some(FieldType::Number),
            Value::Bool(_) => Some(FieldType::Boolean),
            Value::Array(items) => {
                let mut types = items.iter().map(|i| if i.is_array() { None } else { FieldType::infer(i) });
                let first = types.next()??;
                types.all(|t| t == Some(first)).then_some(first)
            }
            Value::Null | Value::Object(_) => None,
        }
    }

    /// Checks the value of a field.
    ///
    /// # Errors
    /// [`Code::FieldTypeMismatch`] with the field, the type that was expected, and what was found.
    pub fn check(&self, path: &str, value: &Value) -> Result<()> {
        let wrong = match value {
            Value::Null => None,
            Value::Array(items) => items.iter().enumerate().find(|(_, i)| !self.has(i)).map(|(at, i)| {
                let found = format!("a list with {} at position {at}", found(i));
                (i, found)
            }),
            value => (!self.has(value)).then(|| (value, found(value))),
        };
        let Some((value, found)) = wrong else { return Ok(()) };
        Err(Error::new(Code::FieldTypeMismatch)
            .with("field", path)
            .with("expected", self)
            .with("found", found)
            .with("value", shown(value)))
    }

    /// Whether a single value, not null and not a list, is of the type.
    pub(super) fn has(self, value: &Value) -> bool {
        match self {
            FieldType::String => value.is_string(),
            FieldType::Number => value.is_number(),
            FieldType::Boolean => value.is_boolean(),
            FieldType::Time => instant(value).is_some(),
            FieldType::Geo => Point::of(value).is_some(),
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldType::String => "string",
            FieldType::Number => "number",
            FieldType::Boolean => "boolean",
            FieldType::Time => "time",
            FieldType::Geo => "geo",
        })
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
    .to_owned()
}

/// A value for a message, shortened so that the message stays readable.
pub(super) fn shown(value: &Value) -> String {
    const CHARS: usize = 100;
    let text = value.to_string();
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
