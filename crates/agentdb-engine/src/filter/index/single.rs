//! Single values of fields, in the order in which they are sorted and listed.

use agentdb_types::{Code, Error, Result, limits};
use roaring::RoaringBitmap;
use serde_json::Value;

use super::field_index::time_of;
use super::number::Num;
use super::paths::Node;

/// A value that has an order. Of different types, booleans come first, then numbers, times (of fields that are declared so)
/// and strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Single<'a> {
    Truth(bool),
    Number(Num),
    Time(Num),
    Text(&'a str),
}

impl<'a> Single<'a> {
    /// The value as JSON: a number as an integer if it is one, a time as RFC 3339 in UTC.
    pub(super) fn to_value(self) -> Value {
        match self {
            Single::Truth(truth) => Value::Bool(truth),
            Single::Number(number) => number.to_value(),
            Single::Time(time) => Value::String(time.to_time().to_string()),
            Single::Text(text) => Value::String(text.to_owned()),
        }
    }

    /// A value as [`Self::to_value`] shows it, of a field of this node; `None` for null, lists and objects. Times are shown as
    /// strings, so that a number is none.
    pub(super) fn shown(value: &'a Value, node: &Node) -> Option<Single<'a>> {
        if let Some(time) = time_of(value, node.kind).filter(|_| value.is_string()) {
            return Some(Single::Time(time));
        }
        match value {
            Value::Bool(truth) => Some(Single::Truth(*truth)),
            Value::Number(number) => Some(Single::Number(Num::new(number))),
            Value::String(text) => Some(Single::Text(text)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl Node {
    /// Refuses to count or to sort strings that the index does not have; those in lists too, if they are to be counted.
    ///
    /// # Errors
    /// [`Code::TextTooLong`].
    pub(super) fn check_texts(&self, path: &str, within: &RoaringBitmap, lists: bool) -> Result<()> {
        let in_lists = self.field.members.as_ref().filter(|_| lists).is_some_and(|m| m.long.meets(within));
        if in_lists || self.field.long.meets(within) {
            let err = Error::new(Code::TextTooLong).with("field", path);
            return Err(err.with("limit", limits::INDEXED_TEXT_BYTES));
        }
        Ok(())
    }

    /// The value of a record, if it has a single one.
    pub(super) fn single(&self, ordinal: u32) -> Option<Single<'_>> {
        let field = &self.field;
        let number = || field.numbers.as_ref()?.get(ordinal).map(Single::Number);
        let time = || field.times.as_ref()?.get(ordinal).map(Single::Time);
        let text = || field.texts.as_ref()?.get(ordinal).map(Single::Text);
        let truth = || [false, true].into_iter().find(|t| field.truths[usize::from(*t)].contains(ordinal));
        number().or_else(time).or_else(text).or_else(|| truth().map(Single::Truth))
    }
}
