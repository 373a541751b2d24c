//! Formulas: scores computed of the first stage's score and of fields of the payload.

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::filter::instant;

/// What a score is computed by: in JSON `"score"`, or an object of one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Formula {
    /// The score of the first stage; a Euclidean distance d counts as 1 / (1 + d).
    Score,
    /// A number.
    Constant(f64),
    /// The value of a field.
    Field(FieldValue),
    /// The sum of several.
    Sum(Vec<Formula>),
    /// The product of several.
    Product(Vec<Formula>),
    /// The least of several.
    Min(Vec<Formula>),
    /// The greatest of several.
    Max(Vec<Formula>),
    /// The natural logarithm of 1 plus it.
    Log1p(Box<Formula>),
    /// How near a field is to a value.
    Decay(Decay),
}

/// The value of a field of the payload: a number; true as 1, false as 0; a time in RFC 3339 as microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldValue {
    /// The path of the field: names joined by dots.
    pub path: String,
    /// What records count that have no such value there; 0 if not given.
    #[serde(default)]
    pub default: f64,
}

/// A number from 1, where the field is the origin, to `decay` at a distance of `scale`, and on towards 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decay {
    /// The path of the field, which holds numbers or times.
    pub path: String,
    /// The best value: a number, a time in RFC 3339, or the time of the search if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Value>,
    /// At which distance from the origin it is `decay`: above 0; of times in microseconds.
    pub scale: f64,
    /// What it is there: between 0 and 1; 0.5 if not given.
    #[serde(default = "half")]
    pub decay: f64,
    /// How it falls.
    #[serde(default)]
    pub shape: Shape,
    /// What records count that have no such value there; 0 if not given.
    #[serde(default)]
    pub default: f64,
}

/// How a decay falls with the distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `decay ^ (distance / scale)`.
    #[default]
    Exponential,
    /// `decay ^ (distance / scale) ^ 2`.
    Gaussian,
    /// `1 - (1 - decay) * distance / scale`, and 0 from where that is.
    Linear,
}

fn half() -> f64 {
    0.5
}

/// What a formula is computed of.
pub(super) struct Inputs<'a> {
    pub(super) score: f64,
    pub(super) payload: &'a Map<String, Value>,
    pub(super) now_us: i64,
}

impl Formula {
    /// Refuses what has no value, and too many parts. `at` is where it stands in the request.
    pub(super) fn check(&self, at: &str) -> Result<()> {
        let mut parts = 0;
        self.check_part(at, &mut parts)
    }

    fn check_part(&self, at: &str, parts: &mut usize) -> Result<()> {
        let invalid =
            |reason: &str| Err(Error::new(Code::InvalidValue).with("field", at).with("reason", reason));
        *parts += 1;
        if *parts > limits::FORMULA_PARTS {
            return invalid("a formula has at most 256 parts");
        }
        match self {
            Formula::Score => Ok(()),
            Formula::Constant(number) if !number.is_finite() => invalid("it is not a finite number"),
            Formula::Constant(_) => Ok(()),
            Formula::Field(FieldValue { path, .. }) | Formula::Decay(Decay { path, .. })
                if path.split('.').any(str::is_empty) =>
            {
                invalid("a path has no empty names")
            }
            Formula::Field(field) if !field.default.is_finite() => invalid("default is not a finite number"),
            Formula::Field(_) => Ok(()),
            Formula::Sum(of) | Formula::Product(of) | Formula::Min(of) | Formula::Max(of)
                if of.is_empty() =>
            {
                invalid("it is of one formula at least")
            }
            Formula::Sum(of) | Formula::Product(of) | Formula::Min(of) | Formula::Max(of) => {
                of.iter().try_for_each(|part| part.check_part(at, parts))
            }
            Formula::Log1p(of) => of.check_part(at, parts),
            Formula::Decay(decay) if !(decay.scale.is_finite() && decay.scale > 0.0) => {
                invalid("scale is a finite number above 0")
            }
            Formula::Decay(decay) if !(decay.decay > 0.0 && decay.decay < 1.0) => {
                invalid("decay is a number between 0 and 1")
            }
            Formula::Decay(decay) if !decay.default.is_finite() => invalid("default is not a finite number"),
            Formula::Decay(Decay { origin: Some(origin), .. }) if number(origin).is_none() => {
                invalid("origin is a number, or a time in RFC 3339")
            }
            Formula::Decay(_) => Ok(()),
        }
    }

    /// Its value, which may be none (not a number, or infinite) where the arithmetic leaves its range.
    pub(super) fn value(&self, of: &Inputs<'_>) -> f64 {
        let each = |parts: &[Formula]| parts.iter().map(|part| part.value(of)).collect::<Vec<f64>>();
        match self {
            Formula::Score => of.score,
            Formula::Constant(number) => *number,
            Formula::Field(field) => field_of(of.payload, &field.path).unwrap_or(field.default),
            Formula::Sum(parts) => each(parts).into_iter().sum(),
            Formula::Product(parts) => each(parts).into_iter().product(),
            Formula::Min(parts) => each(parts).into_iter().fold(f64::INFINITY, f64::min),
            Formula::Max(parts) => each(parts).into_iter().fold(f64::NEG_INFINITY, f64::max),
            Formula::Log1p(part) => part.value(of).ln_1p(),
            Formula::Decay(decay) => match field_of(of.payload, &decay.path) {
                Some(value) => decay.at(value, of.now_us),
                None => decay.default,
            },
        }
    }
}

impl Decay {
    fn at(&self, value: f64, now_us: i64) -> f64 {
        let origin = self.origin.as_ref().and_then(number).unwrap_or(now_us as f64);
        let distance = (value - origin).abs() / self.scale;
        match self.shape {
            Shape::Exponential => self.decay.powf(distance),
            Shape::Gaussian => self.decay.powf(distance * distance),
            Shape::Linear => (1.0 - (1.0 - self.decay) * distance).max(0.0),
        }
    }
}

fn field_of(payload: &Map<String, Value>, path: &str) -> Option<f64> {
    let mut names = path.split('.');
    let first = payload.get(names.next()?)?;
    number(names.try_fold(first, |at, name| at.as_object()?.get(name))?)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Number(number) => number.as_f64(),
        Value::String(_) => instant(value).map(|time| time.micros() as f64),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(formula: Value) -> f64 {
        let formula: Formula = serde_json::from_value(formula).unwrap();
        formula.check("formula").unwrap();
        let Value::Object(payload) =
            json!({"n": 3, "deep": {"yes": true}, "at": "1970-01-01T00:00:10Z", "list": [1]})
        else {
            panic!("no object")
        };
        formula.value(&Inputs { score: 2.0, payload: &payload, now_us: 20_000_000 })
    }

    #[test]
    fn values_by_hand() {
        let decay = |more: Value| {
            let mut decay = json!({"path": "n", "origin": 1, "scale": 4});
            decay.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            value(json!({"decay": decay}))
        };
        for (found, expected) in [
            (value(json!("score")), 2.0),
            (value(json!({"sum": ["score", {"constant": 1.5}, {"field": {"path": "n"}}]})), 6.5),
            (value(json!({"product": [{"field": {"path": "deep.yes"}}, {"constant": -2}]})), -2.0),
            (value(json!({"field": {"path": "at"}})), 10_000_000.0),
            (value(json!({"field": {"path": "list", "default": 7}})), 7.0),
            (value(json!({"field": {"path": "deep.no.more"}})), 0.0),
            (value(json!({"min": ["score", {"constant": 1}]})), 1.0),
            (value(json!({"max": ["score", {"constant": 1}]})), 2.0),
            (value(json!({"log1p": {"constant": 0}})), 0.0),
            (decay(json!({})), 0.5f64.sqrt()),
            (decay(json!({"shape": "gaussian"})), 0.5f64.powf(0.25)),
            (decay(json!({"shape": "linear"})), 0.75),
            (decay(json!({"shape": "linear", "scale": 0.5})), 0.0),
            (decay(json!({"path": "none", "default": 0.25})), 0.25),
            (value(json!({"decay": {"path": "at", "scale": 10_000_000}})), 0.5),
            (
                value(json!({"decay": {"path": "at", "scale": 5_000_000, "origin": "1970-01-01T00:00:15Z"}})),
                0.5,
            ),
        ] {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn what_has_no_value_is_refused() {
        let many: Vec<Value> = (0..256).map(|_| json!("score")).collect();
        for formula in [
            json!({"sum": []}),
            json!({"max": [{"min": []}]}),
            json!({"field": {"path": "a..b"}}),
            json!({"decay": {"path": "n", "scale": 0}}),
            json!({"decay": {"path": "n", "scale": 1, "decay": 1}}),
            json!({"decay": {"path": "n", "scale": 1, "origin": "yesterday"}}),
            json!({"sum": many}),
        ] {
            let read: Formula = serde_json::from_value(formula.clone()).unwrap();
            let err = read.check("rerank.formula").unwrap_err();
            assert_eq!(err.value("field"), Some("rerank.formula"), "{formula}");
        }
    }
}
