//! What is known of one field: which records have it, and with which values.

use std::collections::BTreeMap;

use agentdb_types::limits;
use roaring::RoaringBitmap;
use serde_json::Value;

use super::super::operand::instant;
use super::super::{FieldType, Point};
use super::column::Column;
use super::dictionary::Dictionary;
use super::number::Num;
use super::ordered::Ordered;
use super::points::Points;
use super::set::{Set, bitmap_bytes};

/// The values of one field, each type apart.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldIndex {
    pub(super) exists: Set,
    pub(super) nulls: Set,
    /// False and true.
    pub(super) truths: [Set; 2],
    pub(super) objects: Set,
    pub(super) lists: Set,
    /// Strings that are too long to be indexed; not those in lists.
    pub(super) long: Set,
    pub(super) numbers: Option<Box<Ordered>>,
    /// Of a field that is declared as a time: its instants, which are then not among the numbers and texts.
    pub(super) times: Option<Box<Ordered>>,
    pub(super) texts: Option<Box<Texts>>,
    pub(super) members: Option<Box<Members>>,
    pub(super) points: Option<Box<Points>>,
}

/// The strings of a field, one a record.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    pub(super) dictionary: Dictionary,
    /// The numbers of the texts in the dictionary.
    pub(super) column: Column<u32>,
    pub(super) all: RoaringBitmap,
}

/// The members of the lists of a field.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    pub(super) texts: Dictionary,
    pub(super) numbers: BTreeMap<Num, Set>,
    pub(super) times: BTreeMap<Num, Set>,
    pub(super) truths: [Set; 2],
    pub(super) nulls: Set,
    /// Lists with an object or another list in them.
    pub(super) nested: Set,
    /// Lists with a string in them that is too long to be indexed.
    pub(super) long: Set,
}

impl FieldIndex {
    /// Adds the value of an ordinal.
    pub(super) fn insert(&mut self, ordinal: u32, value: &Value, kind: Option<FieldType>) {
        match value {
            Value::Null => drop(self.nulls.insert(ordinal)),
            Value::Bool(truth) => drop(self.truths[usize::from(*truth)].insert(ordinal)),
            Value::Number(_) | Value::String(_) => self.insert_scalar(ordinal, value, kind),
            Value::Array(items) => {
                self.lists.insert(ordinal);
                let members = self.members.get_or_insert_default();
                items.iter().for_each(|item| members.insert(ordinal, item, kind));
                items.iter().filter_map(Point::of).for_each(|p| self.points().insert(ordinal, p));
            }
            Value::Object(_) => {
                self.objects.insert(ordinal);
                if let Some(point) = Point::of(value) {
                    self.points().insert(ordinal, point);
                }
            }
        }
    }

    fn insert_scalar(&mut self, ordinal: u32, value: &Value, kind: Option<FieldType>) {
        match (time_of(value, kind), value) {
            (Some(time), _) => self.times.get_or_insert_default().insert(ordinal, time),
            (None, Value::Number(number)) => {
                self.numbers.get_or_insert_default().insert(ordinal, Num::new(number));
            }
            (None, Value::String(text)) if is_long(text) => drop(self.long.insert(ordinal)),
            (None, Value::String(text)) => {
                let texts = self.texts.get_or_insert_default();
                let number = texts.dictionary.insert(text, ordinal);
                texts.column.set(ordinal, number);
                texts.all.insert(ordinal);
            }
            _ => {}
        }
    }

    /// Takes the value of an ordinal out.
    pub(super) fn remove(&mut self, ordinal: u32, value: &Value, kind: Option<FieldType>) {
        match value {
            Value::Null => drop(self.nulls.remove(ordinal)),
            Value::Bool(truth) => drop(self.truths[usize::from(*truth)].remove(ordinal)),
            Value::Number(_) | Value::String(_) => self.remove_scalar(ordinal, value, kind),
            Value::Array(items) => {
                self.lists.remove(ordinal);
                if let Some(members) = &mut self.members {
                    items.iter().for_each(|item| members.remove(ordinal, item, kind));
                }
                self.remove_points(ordinal, items);
            }
            Value::Object(_) => {
                self.objects.remove(ordinal);
                self.remove_points(ordinal, std::slice::from_ref(value));
            }
        }
    }

    fn remove_scalar(&mut self, ordinal: u32, value: &Value, kind: Option<FieldType>) {
        match (time_of(value, kind), value) {
            (Some(_), _) => {
                if let Some(times) = &mut self.times {
                    times.remove(ordinal);
                }
            }
            (None, Value::Number(_)) => {
                if let Some(numbers) = &mut self.numbers {
                    numbers.remove(ordinal);
                }
            }
            (None, Value::String(text)) if is_long(text) => drop(self.long.remove(ordinal)),
            (None, Value::String(text)) => {
                if let Some(texts) = &mut self.texts {
                    texts.dictionary.remove(text, ordinal);
                    texts.column.unset(ordinal);
                    texts.all.remove(ordinal);
                }
            }
            _ => {}
        }
    }

    fn points(&mut self) -> &mut Points {
        self.points.get_or_insert_default()
    }

    fn remove_points(&mut self, ordinal: u32, values: &[Value]) {
        let Some(points) = &mut self.points else { return };
        values.iter().filter_map(Point::of).for_each(|p| points.remove(ordinal, p));
        if points.is_empty() {
            self.points = None;
        }
    }

    /// Bytes on the heap, about.
    pub(super) fn bytes(&self) -> usize {
        let sets = [&self.exists, &self.nulls, &self.objects, &self.lists, &self.long];
        let ordered = [&self.numbers, &self.times].into_iter().flatten();
        sets.into_iter().chain(&self.truths).map(Set::bytes).sum::<usize>()
            + ordered.map(|o| size_of::<Ordered>() + o.bytes()).sum::<usize>()
            + self.texts.as_ref().map_or(0, |t| size_of::<Texts>() + t.bytes())
            + self.members.as_ref().map_or(0, |m| size_of::<Members>() + m.bytes())
            + self.points.as_ref().map_or(0, |p| size_of::<Points>() + p.bytes())
    }
}

impl Texts {
    /// The text of an ordinal.
    pub(super) fn get(&self, ordinal: u32) -> Option<&str> {
        self.column.get(ordinal).map(|number| self.dictionary.text(number))
    }

    fn bytes(&self) -> usize {
        self.dictionary.bytes() + self.column.bytes() + bitmap_bytes(&self.all)
    }
}

impl Members {
    fn insert(&mut self, ordinal: u32, item: &Value, kind: Option<FieldType>) {
        let time = time_of(item, kind);
        if let (None, Value::String(text)) = (time, item)
            && !is_long(text)
        {
            self.texts.insert(text, ordinal);
            return;
        }
        let added = match (time, item) {
            (Some(time), _) => self.times.entry(time).or_default(),
            (_, Value::Null) => &mut self.nulls,
            (_, Value::Bool(truth)) => &mut self.truths[usize::from(*truth)],
            (_, Value::Number(number)) => self.numbers.entry(Num::new(number)).or_default(),
            (_, Value::String(_)) => &mut self.long,
            (_, Value::Array(_) | Value::Object(_)) => &mut self.nested,
        };
        added.insert(ordinal);
    }

    fn remove(&mut self, ordinal: u32, item: &Value, kind: Option<FieldType>) {
        match (time_of(item, kind), item) {
            (Some(time), _) => remove_from(&mut self.times, time, ordinal),
            (_, Value::Null) => drop(self.nulls.remove(ordinal)),
            (_, Value::Bool(truth)) => drop(self.truths[usize::from(*truth)].remove(ordinal)),
            (_, Value::Number(number)) => remove_from(&mut self.numbers, Num::new(number), ordinal),
            (_, Value::String(text)) if is_long(text) => drop(self.long.remove(ordinal)),
            (_, Value::String(text)) => self.texts.remove(text, ordinal),
            (_, Value::Array(_) | Value::Object(_)) => drop(self.nested.remove(ordinal)),
        }
    }

    fn bytes(&self) -> usize {
        let sets =
            self.truths.iter().chain([&self.nulls, &self.nested, &self.long]).chain(self.numbers.values());
        let entries = (self.numbers.len() + self.times.len()) * (size_of::<(Num, Set)>() * 4 / 3);
        self.texts.bytes() + sets.chain(self.times.values()).map(Set::bytes).sum::<usize>() + entries
    }
}

fn remove_from(sets: &mut BTreeMap<Num, Set>, number: Num, ordinal: u32) {
    let Some(set) = sets.get_mut(&number) else { return };
    set.remove(ordinal);
    if set.is_empty() {
        sets.remove(&number);
    }
}

/// Whether a string is too long to be indexed.
pub(super) fn is_long(text: &str) -> bool {
    text.len() > limits::INDEXED_TEXT_BYTES
}

/// The instant that a value of a field declared as a time tells.
pub(super) fn time_of(value: &Value, kind: Option<FieldType>) -> Option<Num> {
    (kind == Some(FieldType::Time)).then(|| instant(value).map(Num::time)).flatten()
}
