//! Filters: typed predicates over the fields of a record's payload, written in JSON.
//!
//! `{"kind": "note", "pages": {"$gte": 3, "$lt": 10}, "$or": [{"a.b": true}, {"tags": {"$contains": "x"}}]}`. A field is
//! a path of names joined by dots. Values compare only with values of their own type; numbers exactly, whether integer
//! or not. A field that is absent matches nothing but `$exists: false`, `$ne`, `$nin` and `$not`.

use std::cmp::Ordering;

use agentdb_types::{Code, Error, Result, limits};
use serde_json::{Number, Value};

/// A filter that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Field(Vec<String>, Test),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Equal(Value),
    NotEqual(Value),
    Compare(Vec<Ordering>, Value),
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Exists(bool),
    Contains(Value),
}

struct Parser {
    terms: usize,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`Code::InvalidValue`] with the path of what is wrong; beyond the limits of terms and depth too.
    pub(crate) fn parse(json: &Value) -> Result<Filter> {
        Parser { terms: 0 }.filter(json, "filter", limits::FILTER_DEPTH)
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
            (Test::NotEqual(value), field) => !field.is_some_and(|f| equal(f, value)),
            (Test::NotIn(values), field) => !field.is_some_and(|f| values.iter().any(|v| equal(f, v))),
            (_, None) => false,
            (Test::Equal(value), Some(field)) => equal(field, value),
            (Test::Compare(orders, value), Some(field)) => {
                compare(field, value).is_some_and(|order| orders.contains(&order))
            }
            (Test::In(values), Some(field)) => values.iter().any(|v| equal(field, v)),
            (Test::Contains(value), Some(Value::Array(items))) => items.iter().any(|i| equal(i, value)),
            (Test::Contains(Value::String(part)), Some(Value::String(text))) => text.contains(part.as_str()),
            (Test::Contains(_), Some(_)) => false,
        }
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b) == Some(Ordering::Equal),
        _ => a == b,
    }
}

/// The order of two values of one type; `None` for different types and for types without order.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Compares numbers as the numbers that they are: no integer is rounded to a floating-point number.
fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Some(a), None) => compare_mixed(a, b.as_f64()?),
        (None, Some(b)) => compare_mixed(b, a.as_f64()?).map(Ordering::reverse),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn compare_mixed(integer: i128, float: f64) -> Option<Ordering> {
    // Beyond 2^100 every float outweighs every 64-bit integer, and within it the whole part fits an `i128`.
    const FAR: f64 = 1.267_650_600_228_229_4e30;
    if float.is_nan() {
        return None;
    }
    if float.abs() >= FAR {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = float.floor();
    let order = integer.cmp(&(whole as i128));
    Some(if order == Ordering::Equal && float > whole { Ordering::Less } else { order })
}

fn invalid(at: &str, reason: &str) -> Error {
    Error::new(Code::InvalidValue).with("field", at).with("reason", reason)
}

impl Parser {
    fn count(&mut self, at: &str, terms: usize) -> Result<()> {
        self.terms += terms;
        if self.terms > limits::FILTER_TERMS {
            return Err(invalid(at, &format!("a filter has at most {} terms", limits::FILTER_TERMS)));
        }
        Ok(())
    }

    fn filter(&mut self, json: &Value, at: &str, depth: usize) -> Result<Filter> {
        let object = json.as_object().ok_or_else(|| invalid(at, "a filter is a JSON object"))?;
        if depth == 0 {
            return Err(invalid(at, &format!("a filter is at most {} deep", limits::FILTER_DEPTH)));
        }
        let mut parts = Vec::new();
        for (name, value) in object {
            let at = format!("{at}.{name}");
            parts.push(match name.as_str() {
                "$and" => Filter::All(self.list(value, &at, depth)?),
                "$or" => Filter::Any(self.list(value, &at, depth)?),
                "$not" => Filter::Not(Box::new(self.filter(value, &at, depth - 1)?)),
                _ if name.starts_with('$') => return Err(invalid(&at, "there is no such operator")),
                _ => self.field(name, value, &at)?,
            });
        }
        Ok(Filter::All(parts))
    }

    fn list(&mut self, json: &Value, at: &str, depth: usize) -> Result<Vec<Filter>> {
        let items = json.as_array().filter(|a| !a.is_empty());
        let items = items.ok_or_else(|| invalid(at, "it needs an array of at least one filter"))?;
        items
            .iter()
            .enumerate()
            .map(|(i, item)| self.filter(item, &format!("{at}[{i}]"), depth - 1))
            .collect()
    }

    fn field(&mut self, name: &str, value: &Value, at: &str) -> Result<Filter> {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(invalid(at, "a path has no empty names"));
        }
        let operators = value.as_object().filter(|o| o.keys().any(|k| k.starts_with('$')));
        let Some(operators) = operators else {
            self.count(at, 1)?;
            return Ok(Filter::Field(path, Test::Equal(value.clone())));
        };
        let mut parts = Vec::new();
        for (operator, value) in operators {
            let test = self.test(operator, value, &format!("{at}.{operator}"))?;
            parts.push(Filter::Field(path.clone(), test));
        }
        Ok(Filter::All(parts))
    }

    fn test(&mut self, operator: &str, value: &Value, at: &str) -> Result<Test> {
        use Ordering::{Equal, Greater, Less};
        self.count(at, value.as_array().map_or(1, |a| a.len().max(1)))?;
        let ordered = |orders: &[Ordering]| match value {
            Value::Number(_) | Value::String(_) | Value::Bool(_) => {
                Ok(Test::Compare(orders.to_vec(), value.clone()))
            }
            _ => Err(invalid(at, "only numbers, texts and booleans have an order")),
        };
        let list = || value.as_array().cloned().ok_or_else(|| invalid(at, "it needs an array"));
        match operator {
            "$eq" => Ok(Test::Equal(value.clone())),
            "$ne" => Ok(Test::NotEqual(value.clone())),
            "$gt" => ordered(&[Greater]),
            "$gte" => ordered(&[Greater, Equal]),
            "$lt" => ordered(&[Less]),
            "$lte" => ordered(&[Less, Equal]),
            "$in" => list().map(Test::In),
            "$nin" => list().map(Test::NotIn),
            "$exists" => {
                value.as_bool().map(Test::Exists).ok_or_else(|| invalid(at, "it needs true or false"))
            }
            "$contains" => Ok(Test::Contains(value.clone())),
            _ => Err(invalid(at, "there is no such operator")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operator_on_every_type() {
        let payload =
            json!({"n": 3, "f": 2.5, "s": "note", "b": true, "tags": ["x", 1], "deep": {"er": null}});
        for (filter, expected) in [
            (json!({}), true),
            (json!({"n": 3}), true),
            (json!({"n": 3.0}), true),
            (json!({"n": "3"}), false),
            (json!({"n": {"$gt": 2.5, "$lt": 3.5}}), true),
            (json!({"f": {"$gte": 3}}), false),
            (json!({"s": {"$lte": "o"}}), true),
            (json!({"s": {"$gt": 1}}), false),
            (json!({"missing": {"$ne": 1}}), true),
            (json!({"missing": 1}), false),
            (json!({"missing": {"$exists": false}}), true),
            (json!({"deep.er": null}), true),
            (json!({"tags": {"$contains": "x"}}), true),
            (json!({"s": {"$contains": "ot"}}), true),
            (json!({"n": {"$in": [1, 3]}}), true),
            (json!({"n": {"$nin": [1, 3]}}), false),
            (json!({"$or": [{"n": 1}, {"b": true}]}), true),
            (json!({"$not": {"n": 3}}), false),
            (json!({"$and": [{"n": 3}, {"b": false}]}), false),
        ] {
            assert_eq!(Filter::parse(&filter).unwrap().matches(&payload), expected, "{filter}");
        }
    }

    #[test]
    fn integers_beyond_the_precision_of_floats_compare_exactly() {
        let payload = json!({"n": 9_007_199_254_740_993_i64});
        let matches = |filter: Value| Filter::parse(&filter).unwrap().matches(&payload);
        assert!(!matches(json!({"n": 9_007_199_254_740_992.0})));
        assert!(matches(json!({"n": {"$gt": 9_007_199_254_740_992.0}})));
        assert!(matches(json!({"n": {"$lt": 1e300}})) && matches(json!({"n": {"$gt": -1e300}})));
    }

    #[test]
    fn a_malformed_filter_is_an_error_that_names_the_place() {
        let nested = (0..20).fold(json!({"a": 1}), |inner, _| json!({"$not": inner}));
        let wide = json!({"a": {"$in": (0..2000).collect::<Vec<_>>()}});
        for filter in [
            json!([]),
            json!({"$nor": []}),
            json!({"a": {"$regex": "x"}}),
            json!({"a": {"$gt": [1]}}),
            json!({"a": {"$in": 1}}),
            json!({"a": {"$exists": 1}}),
            json!({"$or": []}),
            json!({"a..b": 1}),
            nested,
            wide,
        ] {
            let err = Filter::parse(&filter).unwrap_err();
            assert_eq!(err.code(), Code::InvalidValue, "{filter}");
            assert!(err.value("field").unwrap().starts_with("filter"));
        }
    }
}
