//! The fields of an index.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Analyzer;
use crate::index::FIELDS;

/// The greatest weight of a field, and the greatest boost of a query.
pub const WEIGHT_MAX: f32 = 1e6;

/// A field of an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// By which queries name it.
    pub name: String,
    /// What its scores are multiplied by: above 0, at most 1,000,000.
    pub weight: f32,
    /// How its texts become terms.
    pub analyzer: Analyzer,
}

impl Field {
    /// A field of weight 1.
    pub fn new(name: impl Into<String>, analyzer: Analyzer) -> Self {
        Field { name: name.into(), weight: 1.0, analyzer }
    }

    pub(crate) fn check(fields: &[Field]) -> Result<()> {
        let invalid = |reason: String| {
            Err(Error::new(Code::InvalidValue).with("field", "fields").with("reason", reason))
        };
        if fields.is_empty() || fields.len() > FIELDS {
            return invalid(format!("{} fields: from 1 to {FIELDS} are allowed", fields.len()));
        }
        for (at, field) in fields.iter().enumerate() {
            if field.name.is_empty() {
                return invalid("a field has no name".into());
            }
            if fields[..at].iter().any(|f| f.name == field.name) {
                return invalid(format!("there are two fields {}", field.name));
            }
            if !(field.weight > 0.0 && field.weight <= WEIGHT_MAX) {
                return invalid(format!(
                    "the weight of {} is {}: it must be above 0, at most {WEIGHT_MAX}",
                    field.name, field.weight
                ));
            }
        }
        Ok(())
    }
}
