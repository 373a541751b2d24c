//! Groups: the best hits of each value of a field.

use std::collections::HashMap;

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::ranking::Candidate;
use super::searcher::Searcher;
use crate::filter::{FieldType, instant};

/// By which field hits are grouped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupBy {
    /// The path of the field in the payload: names joined by dots.
    pub field: String,
    /// Hits of a group at most: 1 or more, and times the limit no more than 10,000; 1, the best alone, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// What becomes of records that have no single value there, but nothing, null, a list or an object.
    #[serde(default)]
    pub missing: Missing,
}

/// What becomes of records without a value to group by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// They are left out.
    #[default]
    Ignore,
    /// Each is a group by itself.
    Expand,
    /// All are one group.
    Collapse,
}

impl GroupBy {
    /// Groups by a field: the best hit of each.
    pub fn new(field: impl Into<String>) -> Self {
        GroupBy { field: field.into(), size: None, missing: Missing::default() }
    }

    /// Refuses a path that names no field, and more hits than a page may have.
    pub(super) fn check(&self, limit: usize) -> Result<()> {
        if self.field.split('.').any(str::is_empty) {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "group_by.field")
                .with("reason", "a path has no empty names"));
        }
        let hits = limit.saturating_mul(self.size());
        if self.size() == 0 || hits > limits::PAGE {
            return Err(Error::new(Code::PageTooLarge)
                .with("actual", hits)
                .with("limit", limits::PAGE)
                .in_part("group_by.size"));
        }
        Ok(())
    }

    pub(super) fn size(&self) -> usize {
        self.size.unwrap_or(1)
    }
}

/// What records are grouped under: equal numbers are one, however they are written, and so are equal times of a field that is declared
/// so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Boolean(bool),
    Integer(i128),
    /// The bits of a number that is no integer.
    Fraction(u64),
    Time(i64),
    Text(String),
    Missing,
    Alone(String),
}

/// A group: its value, and the hits in it, best first.
#[derive(Clone, Debug)]
pub(super) struct Group {
    value: Option<Value>,
    members: Vec<Candidate>,
}

/// Groups rankings, deeper and deeper ones.
pub(super) struct Grouper<'a> {
    by: &'a GroupBy,
    path: Vec<&'a str>,
    is_time: bool,
    /// What was read of records.
    known: HashMap<String, Option<(Key, Option<Value>)>>,
}

impl<'a> Grouper<'a> {
    pub(super) fn of(by: &'a GroupBy, searcher: &Searcher<'_>) -> Self {
        let declared = searcher.head.fields.get(&by.field);
        let is_time = declared.is_some_and(|field| field.kind == FieldType::Time);
        Grouper { by, path: by.field.split('.').collect(), is_time, known: HashMap::new() }
    }

    /// The groups of a ranking, in the order of their best hits. `is_whole` says whether all of the first so many groups have as
    /// many hits as they may have: a deeper ranking changes nothing about them.
    pub(super) fn group(
        &mut self,
        searcher: &Searcher<'_>,
        ranked: Vec<Candidate>,
        wanted: usize,
    ) -> Result<(Vec<Group>, bool)> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        for candidate in ranked {
            let Some((key, value)) = self.key(searcher, &candidate.record)? else { continue };
            let at = *places.entry(key).or_insert_with(|| {
                groups.push(Group { value, members: Vec::new() });
                groups.len() - 1
            });
            if groups[at].members.len() < self.by.size() {
                groups[at].members.push(candidate);
            }
        }
        let full = |group: &Group| group.members.len() == self.by.size() || !self.grows(group);
        let is_whole = groups.len() >= wanted && groups.iter().take(wanted).all(full);
        Ok((groups, is_whole))
    }

    /// Whether a group can have more than one hit.
    fn grows(&self, group: &Group) -> bool {
        group.value.is_some()
    }

    /// What a record is grouped under, and the value that its group shows; none if it is left out.
    fn key(&mut self, searcher: &Searcher<'_>, record: &str) -> Result<Option<(Key, Option<Value>)>> {
        if let Some(known) = self.known.get(record) {
            return Ok(known.clone());
        }
        let payload = searcher.record(record)?.1.payload;
        let mut names = self.path.iter();
        let first = names.next().and_then(|name| payload.get(*name));
        let value = names.try_fold(first, |at, name| at.map(|at| at.as_object()?.get(*name)));
        let key = match value.flatten().and_then(|value| Some((self.single(value)?, value.clone()))) {
            Some((key, value)) => Some((key, Some(value))),
            None => match self.by.missing {
                Missing::Ignore => None,
                Missing::Expand => Some((Key::Alone(record.to_owned()), None)),
                Missing::Collapse => Some((Key::Missing, Some(Value::Null))),
            },
        };
        self.known.insert(record.to_owned(), key.clone());
        Ok(key)
    }

    fn single(&self, value: &Value) -> Option<Key> {
        if self.is_time {
            return instant(value).map(|time| Key::Time(time.micros()));
        }
        match value {
            Value::Bool(value) => Some(Key::Boolean(*value)),
            Value::String(text) => Some(Key::Text(text.clone())),
            Value::Number(number) => Some(number_key(number)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl Group {
    /// Its hits, each with the value of the group.
    pub(super) fn into_members(self) -> impl Iterator<Item = Candidate> {
        let Group { value, members } = self;
        members.into_iter().map(move |member| Candidate { group: value.clone(), ..member })
    }
}

fn number_key(number: &Number) -> Key {
    if let Some(integer) = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)) {
        return Key::Integer(integer);
    }
    // Within the range of `i128` every whole float is an integer of it.
    const FAR: f64 = 1.0e38;
    match number.as_f64().unwrap_or_default() {
        whole if whole.fract() == 0.0 && whole.abs() < FAR => Key::Integer(whole as i128),
        fraction => Key::Fraction(fraction.to_bits()),
    }
}
