//! How many records a term finds, without finding them.

use std::ops::Bound::Included;

use serde_json::Value;

use super::super::{FieldType, Operand};
use super::field_index::{FieldIndex, Members, is_long};
use super::number::Num;
use super::paths::{Known, Node};
use super::term::{Ask, Term, at};

/// At least and at most so many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub(super) low: u64,
    pub(super) high: u64,
}

impl Count {
    fn exactly(count: u64) -> Count {
        Count { low: count, high: count }
    }

    fn at_most(high: u64) -> Count {
        Count { low: 0, high }
    }

    fn plus(self, high: u64) -> Count {
        Count { low: self.low, high: self.high + high }
    }

    fn capped(self, most: u64) -> Count {
        Count { low: self.low.min(most), high: self.high.min(most) }
    }

    /// Of those that one of the terms finds.
    fn any(counts: impl Iterator<Item = Count>, total: u64) -> Count {
        counts
            .fold(Count::default(), |a, b| Count { low: a.low.max(b.low), high: a.high + b.high })
            .capped(total)
    }

    /// Of those that all terms find: at least as many as the terms' misses leave over.
    fn all(counts: impl Iterator<Item = Count>, total: u64) -> Count {
        counts.fold(Count::exactly(total), |a, b| Count {
            low: (a.low + b.low).saturating_sub(total),
            high: a.high.min(b.high),
        })
    }
}

impl Node {
    /// How many of `total` records a term finds.
    pub(super) fn estimate(&self, term: &Term<'_>, total: u64) -> Count {
        match term {
            Term::All(terms) => Count::all(terms.iter().map(|t| self.estimate(t, total)), total),
            Term::Any(terms) => Count::any(terms.iter().map(|t| self.estimate(t, total)), total),
            Term::Not(term) => {
                let count = self.estimate(term, total);
                Count { low: total - count.high, high: total - count.low }
            }
            Term::Ask(path, ask) => match self.find(path) {
                Known::Nowhere => Count::default(),
                Known::Within(node) => Count::at_most(node.field.exists.len()),
                Known::Field(node) => node.count(ask),
            },
        }
    }

    /// How many records this field says yes to.
    fn count(&self, ask: &Ask<'_>) -> Count {
        let field = &self.field;
        let exists = field.exists.len();
        if let Ask::Exists = ask {
            return Count::exactly(exists);
        }
        if !self.indexed {
            return Count::at_most(exists);
        }
        let timed = self.kind == Some(FieldType::Time);
        let lists = field.lists.len();
        let count = match ask {
            Ask::Exists => Count::exactly(exists),
            Ask::Equal(values) => Count::any(values.iter().map(|v| field.equal(v, timed)), exists),
            Ask::Truths(wanted) => Count::exactly(
                field
                    .truths
                    .iter()
                    .zip(wanted)
                    .filter(|(_, wanted)| **wanted)
                    .map(|(set, _)| set.len())
                    .sum(),
            ),
            Ask::Numbers(ends) => {
                let numbers = field.numbers.as_ref().map_or(0, |n| n.count(*ends));
                Count::exactly(numbers).plus(field.timed())
            }
            Ask::Times(ends) if timed => Count::exactly(field.times.as_ref().map_or(0, |t| t.count(*ends))),
            Ask::Times(_) => Count::at_most(field.scalars()),
            Ask::Texts(ends) => {
                let texts = field.texts.as_ref().map(|t| &t.dictionary);
                Count::exactly(texts.map_or(0, |d| d.count(d.range(*ends)))).plus(field.unknown_texts())
            }
            Ask::Contains(value) => {
                let substring = matches!(value, Operand::Json(Value::String(_)));
                let strings = field.texts.as_ref().map_or(0, |t| t.all.len()) + field.unknown_texts();
                field.member(value).plus(if substring { strings } else { 0 })
            }
            Ask::ContainsAny(values) => Count::any(values.iter().map(|v| field.member(v)), lists),
            Ask::ContainsAll(values) => Count::all(values.iter().map(|v| field.member(v)), lists),
            Ask::StartsWith(prefix) => {
                let texts = field.texts.as_ref().map(|t| &t.dictionary);
                let members = field.members.as_ref().map(|m| &m.texts);
                let unknown = field.unknown_texts();
                let unknown_lists =
                    if timed { lists } else { field.members.as_ref().map_or(0, |m| m.long.len()) };
                Count::exactly(texts.map_or(0, |d| d.count(d.prefix(prefix))))
                    .plus(members.map_or(0, |d| d.count(d.prefix(prefix))) + unknown_lists + unknown)
            }
            Ask::GeoWithin(shape) => {
                Count::at_most(field.points.as_ref().map_or(0, |p| p.most_within(shape)))
            }
        };
        count.capped(exists)
    }
}

impl FieldIndex {
    /// Records with an instant that is not among the numbers and texts.
    fn timed(&self) -> u64 {
        self.times.as_ref().map_or(0, |t| t.all().len())
    }

    /// Records with a text that is not indexed: a long one, or an instant.
    fn unknown_texts(&self) -> u64 {
        self.long.len() + self.timed()
    }

    fn scalars(&self) -> u64 {
        self.numbers.as_ref().map_or(0, |n| n.all().len()) + self.texts.as_ref().map_or(0, |t| t.all.len())
    }

    fn equal(&self, operand: &Operand, timed: bool) -> Count {
        let json = match operand {
            Operand::Json(json) => json,
            Operand::Time(time) if timed => {
                return Count::exactly(self.times.as_ref().map_or(0, |t| t.count(at(*time))));
            }
            Operand::Time(_) => return Count::at_most(self.scalars()),
            Operand::Times(_) => return Count::at_most(self.lists.len()),
        };
        match json {
            Value::Null => Count::exactly(self.nulls.len()),
            Value::Bool(truth) => Count::exactly(self.truths[usize::from(*truth)].len()),
            Value::Number(number) => {
                let number = Included(Num::new(number));
                let numbers = self.numbers.as_ref().map_or(0, |n| n.count((number, number)));
                Count::exactly(numbers).plus(self.timed())
            }
            Value::String(text) if is_long(text) => Count::at_most(self.long.len()).plus(self.timed()),
            Value::String(text) => {
                let found = self.texts.as_ref().and_then(|t| t.dictionary.find(text));
                Count::exactly(found.map_or(0, |set| set.len())).plus(self.timed())
            }
            Value::Array(_) => Count::at_most(self.lists.len()),
            Value::Object(_) => Count::at_most(self.objects.len()),
        }
    }

    /// How many lists have a member.
    fn member(&self, operand: &Operand) -> Count {
        let Some(members) = &self.members else { return Count::default() };
        let lists = self.lists.len();
        match (members.of(operand), members.may_have(operand)) {
            (found, false) => Count::exactly(found.map_or(0, |set| set.len())),
            (found, true) => Count { low: found.map_or(0, |set| set.len()), high: lists },
        }
        .capped(lists)
    }
}

impl Members {
    /// The lists that surely have a member.
    pub(super) fn of(&self, operand: &Operand) -> Option<&super::set::Set> {
        match operand {
            Operand::Json(Value::Null) => Some(&self.nulls),
            Operand::Json(Value::Bool(truth)) => Some(&self.truths[usize::from(*truth)]),
            Operand::Json(Value::Number(number)) => self.numbers.get(&Num::new(number)),
            Operand::Json(Value::String(text)) => self.texts.find(text),
            Operand::Time(time) => self.times.get(&Num::time(*time)),
            Operand::Json(Value::Array(_) | Value::Object(_)) | Operand::Times(_) => None,
        }
    }

    /// Whether others may have it, too: those with something nested, or times that are compared as what they are written as, or
    /// the other way round.
    pub(super) fn may_have(&self, operand: &Operand) -> bool {
        match operand {
            Operand::Json(Value::String(text)) if is_long(text) => !self.long.is_empty(),
            Operand::Json(Value::Number(_) | Value::String(_)) => !self.times.is_empty(),
            Operand::Json(Value::Array(_) | Value::Object(_)) | Operand::Times(_) => !self.nested.is_empty(),
            Operand::Json(_) => false,
            Operand::Time(_) => self.texts.len() + self.numbers.len() > 0,
        }
    }
}
