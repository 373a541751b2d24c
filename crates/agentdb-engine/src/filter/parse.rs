//! Reading filters from JSON.

use std::cmp::Ordering::{self, Equal, Greater, Less};

use agentdb_types::{Code, Error, Result, Timestamp, limits};
use serde_json::Value;

use super::field_type::shown;
use super::operand::instant;
use super::{FieldType, Fields, Filter, Operand, Test, geo_parse};

/// Reads a filter.
pub(super) fn parse(json: &Value, fields: &Fields) -> Result<Filter> {
    Parser { terms: 0, fields }.filter(json, "filter", limits::FILTER_DEPTH)
}

/// The error for what is wrong at a place of a filter.
pub(super) fn invalid(at: &str, reason: &str) -> Error {
    Error::new(Code::InvalidValue).with("field", at).with("reason", reason)
}

struct Parser<'a> {
    terms: usize,
    fields: &'a Fields,
}

/// The field that a test is of: where it stands in the filter, its path, and its type if it is declared.
#[derive(Clone, Copy)]
struct Subject<'a> {
    at: &'a str,
    path: &'a str,
    kind: Option<FieldType>,
}

impl Parser<'_> {
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
        let kind = self.fields.get(name).map(|f| f.kind);
        let operators = value.as_object().filter(|o| o.keys().any(|k| k.starts_with('$')));
        let Some(operators) = operators else {
            self.count(at, 1)?;
            let subject = Subject { at, path: name, kind };
            return Ok(Filter::Field(path, Test::Equal(subject.whole(value)?)));
        };
        let mut parts = Vec::new();
        for (operator, value) in operators {
            let at = format!("{at}.{operator}");
            let terms = geo_parse::vertices(value).or_else(|| value.as_array().map(Vec::len));
            self.count(&at, terms.unwrap_or(1).max(1))?;
            let subject = Subject { at: &at, path: name, kind };
            parts.push(Filter::Field(path.clone(), subject.test(operator, value)?));
        }
        Ok(Filter::All(parts))
    }
}

impl Subject<'_> {
    fn test(self, operator: &str, value: &Value) -> Result<Test> {
        match operator {
            "$eq" => self.whole(value).map(Test::Equal),
            "$ne" => self.whole(value).map(Test::NotEqual),
            "$gt" => self.ordered(&[Greater], value),
            "$gte" => self.ordered(&[Greater, Equal], value),
            "$lt" => self.ordered(&[Less], value),
            "$lte" => self.ordered(&[Less, Equal], value),
            "$in" => self.list(value, Self::whole).map(Test::In),
            "$nin" => self.list(value, Self::whole).map(Test::NotIn),
            "$exists" => {
                let wanted = value.as_bool().ok_or_else(|| invalid(self.at, "it needs true or false"))?;
                Ok(Test::Exists(wanted))
            }
            "$contains" => self.single(value).map(Test::Contains),
            "$contains_any" => self.list(value, Self::single).map(Test::ContainsAny),
            "$contains_all" => self.list(value, Self::single).map(Test::ContainsAll),
            "$starts_with" => {
                let text = value.as_str().ok_or_else(|| invalid(self.at, "it needs a string"))?;
                self.only(FieldType::String, value)?;
                Ok(Test::StartsWith(text.to_owned()))
            }
            "$geo_within" => {
                let shape = geo_parse::shape(value, self.at)?;
                self.only(FieldType::Geo, value)?;
                Ok(Test::GeoWithin(shape))
            }
            _ => Err(invalid(self.at, "there is no such operator")),
        }
    }

    /// What a whole field is compared with: null, a value, or a list.
    fn whole(self, value: &Value) -> Result<Operand> {
        match (self.kind, value) {
            (None, _) | (_, Value::Null) => Ok(Operand::Json(value.clone())),
            (Some(FieldType::Time), Value::Array(items)) => {
                let times = items.iter().map(|i| self.time(i)).collect::<Result<Vec<_>>>()?;
                Ok(Operand::Times(times))
            }
            (Some(_), Value::Array(items)) => {
                items.iter().try_for_each(|i| self.single(i).map(drop))?;
                Ok(Operand::Json(value.clone()))
            }
            (Some(_), _) => self.single(value),
        }
    }

    /// What one value, or one member of a list, is compared with.
    fn single(self, value: &Value) -> Result<Operand> {
        match self.kind {
            Some(FieldType::Time) => self.time(value).map(Operand::Time),
            Some(kind) if !kind.has(value) => Err(self.never(kind, value)),
            _ => Ok(Operand::Json(value.clone())),
        }
    }

    fn time(self, value: &Value) -> Result<Timestamp> {
        instant(value).ok_or_else(|| self.never(FieldType::Time, value))
    }

    fn ordered(self, orders: &[Ordering], value: &Value) -> Result<Test> {
        if !matches!(value, Value::Number(_) | Value::String(_) | Value::Bool(_)) {
            return Err(invalid(self.at, "only numbers, texts and booleans have an order"));
        }
        Ok(Test::Compare(orders.to_vec(), self.single(value)?))
    }

    fn list(self, value: &Value, each: fn(Self, &Value) -> Result<Operand>) -> Result<Vec<Operand>> {
        let items = value.as_array().ok_or_else(|| invalid(self.at, "it needs an array"))?;
        items.iter().map(|item| each(self, item)).collect()
    }

    /// Refuses an operator that is for another type than the declared one.
    fn only(self, kind: FieldType, value: &Value) -> Result<()> {
        match self.kind {
            Some(declared) if declared != kind => Err(self.never(declared, value)),
            _ => Ok(()),
        }
    }

    fn never(self, kind: FieldType, value: &Value) -> Error {
        Error::new(Code::FilterTypeMismatch)
            .with("field", self.at)
            .with("path", self.path)
            .with("expected", kind)
            .with("value", shown(value))
    }
}
