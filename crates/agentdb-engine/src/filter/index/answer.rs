//! What a field answers by itself: the records that surely have what is asked, and those that may.

use std::ops::{Bound::Included, RangeBounds};

use roaring::RoaringBitmap;
use serde_json::Value;

use super::super::{FieldType, Operand};
use super::dictionary::Place;
use super::field_index::{FieldIndex, Texts, is_long};
use super::number::Num;
use super::ordered::{Ends, Ordered};
use super::paths::Node;
use super::set::Gather;
use super::term::{Ask, at};

/// Records that surely pass, and others that may, for a look at their payloads to tell.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sure: Gather,
    pub(super) maybe: Gather,
    /// Whether the values of the candidates were looked at, instead of all that pass.
    pub(super) by_column: bool,
}

/// Asks one field.
pub(super) struct Asking<'a> {
    node: &'a Node,
    /// The candidates, if they are so few that looking at the value of each costs less than gathering all that pass.
    few: Option<&'a RoaringBitmap>,
    found: Found,
}

impl<'a> Asking<'a> {
    pub(super) fn new(node: &'a Node, few: Option<&'a RoaringBitmap>) -> Self {
        Asking { node, few, found: Found::default() }
    }

    /// The records that pass, the candidates at least if there are `few`.
    pub(super) fn ask(mut self, ask: &Ask<'_>) -> Found {
        let field = &self.node.field;
        if let Ask::Exists = ask {
            self.found.sure.add_set(&field.exists);
            return self.found;
        }
        if !self.node.indexed {
            self.found.maybe.add_set(&field.exists);
            return self.found;
        }
        match ask {
            Ask::Exists => {}
            Ask::Equal(values) => values.iter().for_each(|v| self.equal(v)),
            Ask::Truths(wanted) => {
                let wanted = field.truths.iter().zip(wanted).filter(|(_, wanted)| **wanted);
                wanted.for_each(|(set, _)| self.found.sure.add_set(set));
            }
            Ask::Numbers(ends) => {
                self.ordered(field.numbers.as_deref(), *ends);
                self.maybe_timed(false);
            }
            Ask::Times(ends) if self.timed() => self.ordered(field.times.as_deref(), *ends),
            Ask::Times(_) => self.maybe_scalars(),
            Ask::Texts(ends) => {
                let places = |texts: &Texts| texts.dictionary.range(*ends);
                self.texts(&places, &|text| ends.contains(&text));
                self.maybe_texts(false);
            }
            Ask::Contains(value) => {
                self.member(value);
                if let Operand::Json(Value::String(part)) = value {
                    self.substring(part);
                }
            }
            Ask::ContainsAny(values) => values.iter().for_each(|v| self.member(v)),
            Ask::ContainsAll(values) => self.all_members(values),
            Ask::StartsWith(prefix) => self.starts_with(prefix),
            Ask::GeoWithin(shape) => {
                field.points.iter().for_each(|p| p.within(shape, &mut self.found.sure));
            }
        }
        self.found
    }

    fn timed(&self) -> bool {
        self.node.kind == Some(FieldType::Time)
    }

    fn equal(&mut self, operand: &Operand) {
        let field = &self.node.field;
        match operand {
            Operand::Json(Value::Null) => self.found.sure.add_set(&field.nulls),
            Operand::Json(Value::Bool(truth)) => {
                self.found.sure.add_set(&field.truths[usize::from(*truth)]);
            }
            Operand::Json(Value::Number(number)) => {
                let number = Included(Num::new(number));
                self.ordered(field.numbers.as_deref(), (number, number));
                self.maybe_timed(false);
            }
            Operand::Json(Value::String(text)) if is_long(text) => {
                self.found.maybe.add_set(&field.long);
                self.maybe_timed(false);
            }
            Operand::Json(Value::String(text)) => {
                let found = field.texts.as_ref().and_then(|t| t.dictionary.find(text));
                found.into_iter().for_each(|set| self.found.sure.add_set(set));
                self.maybe_timed(false);
            }
            Operand::Json(Value::Object(_)) => self.found.maybe.add_set(&field.objects),
            Operand::Json(Value::Array(items)) => {
                let items: Vec<_> = items.iter().cloned().map(Operand::Json).collect();
                self.whole_list(&items);
            }
            Operand::Times(times) => {
                let items: Vec<_> = times.iter().copied().map(Operand::Time).collect();
                self.whole_list(&items);
            }
            Operand::Time(time) if self.timed() => self.ordered(field.times.as_deref(), at(*time)),
            Operand::Time(_) => self.maybe_scalars(),
        }
    }

    fn ordered(&mut self, values: Option<&Ordered>, ends: Ends<Num>) {
        let Some(values) = values else { return };
        let Some(few) = self.few else {
            return self.found.sure.add_bitmap(&values.range(ends));
        };
        let passing = |o: &u32| values.get(*o).is_some_and(|n| ends.contains(&n));
        self.found.sure.add(&few.iter().filter(passing).collect::<Vec<_>>());
        self.found.by_column = true;
    }

    /// The strings between two places of the dictionary, or those of the candidates that pass.
    fn texts(&mut self, places: &dyn Fn(&Texts) -> (Place, Place), passes: &dyn Fn(&str) -> bool) {
        let Some(texts) = self.node.field.texts.as_deref() else { return };
        let Some(few) = self.few else {
            return self.found.sure.add_bitmap(&texts.range(places(texts)));
        };
        let passing = |o: &u32| texts.get(*o).is_some_and(passes);
        self.found.sure.add(&few.iter().filter(passing).collect::<Vec<_>>());
        self.found.by_column = true;
    }

    fn substring(&mut self, part: &str) {
        self.maybe_texts(false);
        let Some(texts) = self.node.field.texts.as_deref() else { return };
        if self.few.is_some() {
            self.texts(&|texts| texts.dictionary.everything(), &|text| text.contains(part));
        } else {
            let dictionary = &texts.dictionary;
            let numbers = dictionary.between(dictionary.everything());
            let found = numbers.filter(|n| dictionary.text(*n).contains(part));
            found.for_each(|n| self.found.sure.add_set(dictionary.ordinals(n)));
        }
    }

    fn starts_with(&mut self, prefix: &str) {
        self.texts(&|texts| texts.dictionary.prefix(prefix), &|text| text.starts_with(prefix));
        if let Some(members) = &self.node.field.members {
            let texts = &members.texts;
            texts.between(texts.prefix(prefix)).for_each(|n| self.found.sure.add_set(texts.ordinals(n)));
        }
        self.maybe_texts(true);
    }

    fn member(&mut self, operand: &Operand) {
        let Some(members) = &self.node.field.members else { return };
        members.of(operand).into_iter().for_each(|set| self.found.sure.add_set(set));
        if members.may_have(operand) {
            self.found.maybe.add_set(&self.node.field.lists);
        }
    }

    fn all_members(&mut self, operands: &[Operand]) {
        match self.node.field.lists_with(operands) {
            (lists, true) => self.found.sure.add_bitmap(&lists),
            (lists, false) => self.found.maybe.add_bitmap(&lists),
        }
    }

    /// Lists that may be this one, member by member.
    fn whole_list(&mut self, operands: &[Operand]) {
        self.found.maybe.add_bitmap(&self.node.field.lists_with(operands).0);
    }

    /// Instants are told by payloads where they are compared as what they are written as.
    fn maybe_timed(&mut self, lists: bool) {
        let field = &self.node.field;
        field.times.iter().for_each(|times| self.found.maybe.add_bitmap(times.all()));
        if lists && field.members.as_ref().is_some_and(|m| !m.times.is_empty()) {
            self.found.maybe.add_set(&field.lists);
        }
    }

    /// The texts that are not indexed: long ones, and instants; in lists, too, if those are asked.
    fn maybe_texts(&mut self, lists: bool) {
        let field = &self.node.field;
        self.found.maybe.add_set(&field.long);
        let members = field.members.as_ref().filter(|_| lists);
        members.into_iter().for_each(|m| self.found.maybe.add_set(&m.long));
        self.maybe_timed(lists);
    }

    /// Any number or text may be an instant, if the field is not declared as a time here and was so for the filter.
    fn maybe_scalars(&mut self) {
        let field = &self.node.field;
        field.numbers.iter().for_each(|n| self.found.maybe.add_bitmap(n.all()));
        field.texts.iter().for_each(|t| self.found.maybe.add_bitmap(&t.all));
        // No instant is as long as a text that is not indexed.
    }
}

impl FieldIndex {
    /// The lists that have all of these members, and whether that is certain.
    fn lists_with(&self, operands: &[Operand]) -> (RoaringBitmap, bool) {
        let bitmap = |set| {
            let mut gather = Gather::default();
            gather.add_set(set);
            gather.finish()
        };
        let mut left = bitmap(&self.lists);
        let mut certain = true;
        let Some(members) = &self.members else { return (left, certain) };
        for operand in operands {
            if members.may_have(operand) {
                certain = false;
                continue;
            }
            match members.of(operand) {
                Some(set) => left &= bitmap(set),
                None => left.clear(),
            }
        }
        (left, certain)
    }
}

impl Texts {
    /// The records whose string lies between two places: gathered, or what is left without the others.
    fn range(&self, (from, to): (Place, Place)) -> RoaringBitmap {
        let dictionary = &self.dictionary;
        let mut gather = Gather::default();
        let mut add =
            |places| dictionary.between(places).for_each(|n| gather.add_set(dictionary.ordinals(n)));
        if dictionary.count((from, to)) * 2 <= self.all.len() {
            add((from, to));
            return gather.finish();
        }
        let (first, last) = dictionary.everything();
        add((first, from));
        add((to, last));
        &self.all - gather.finish()
    }
}
