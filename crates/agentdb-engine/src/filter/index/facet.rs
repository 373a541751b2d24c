//! Facets: which values a field has among some records, and in how many.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound::{Excluded, Unbounded};

use agentdb_types::Result;
use roaring::RoaringBitmap;
use serde_json::Value;

use super::PayloadIndex;
use super::dictionary::Dictionary;
use super::number::Num;
use super::ordered::Ordered;
use super::paths::Node;
use super::set::Set;
use super::single::Single;

type Counts<'a> = Vec<(Single<'a>, u64)>;
type Values<'a> = Box<dyn Iterator<Item = Single<'a>> + 'a>;

impl PayloadIndex {
    /// The values that a field has among these records, with how many of them have each: most frequent first, equally frequent
    /// ones by value, at most `limit`. Each member of a list counts, once a record. Null, objects and lists within lists are no
    /// values here. Of equal numbers there is one, as an integer if it is one; times of a field that is declared so are RFC 3339
    /// in UTC. Different types come in the order booleans, numbers, times, strings.
    ///
    /// # Errors
    /// [`agentdb_types::Code::FieldNotIndexed`]; [`agentdb_types::Code::TextTooLong`] if one of the records has a string beyond
    /// [`agentdb_types::limits::INDEXED_TEXT_BYTES`] there; [`agentdb_types::Code::InvalidValue`] for a path with an empty name.
    pub(crate) fn facet(
        &self,
        path: &str,
        within: &RoaringBitmap,
        limit: usize,
    ) -> Result<Vec<(Value, u64)>> {
        let Some(node) = self.field(path)? else { return Ok(Vec::new()) };
        node.check_texts(path, within, true)?;
        let mut counts = node.counts(within);
        let by_count =
            |a: &(Single<'_>, u64), b: &(Single<'_>, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0));
        if limit < counts.len() {
            counts.select_nth_unstable_by(limit, by_count);
            counts.truncate(limit);
        }
        counts.sort_unstable_by(by_count);
        Ok(counts.into_iter().map(|(value, count)| (value.to_value(), count)).collect())
    }

    /// The values that a field has among these records, by value, those after `after` (one that was listed), at most `limit`: what [`Self::facet`] counts.
    ///
    /// # Errors
    /// Those of [`Self::facet`]; [`agentdb_types::Code::InvalidValue`] if `after` is null, a list or an object.
    pub(crate) fn distinct(
        &self,
        path: &str,
        within: &RoaringBitmap,
        after: Option<&Value>,
        limit: usize,
    ) -> Result<Vec<Value>> {
        let Some(node) = self.field(path)? else { return Ok(Vec::new()) };
        node.check_texts(path, within, true)?;
        let single = |value| {
            Single::shown(value, node)
                .ok_or_else(|| super::invalid("after", "it is a boolean, a number, a time or a string"))
        };
        let after = after.map(single).transpose()?;
        Ok(node.values(within, after).take(limit).map(Single::to_value).collect())
    }
}

impl Node {
    fn counts(&self, within: &RoaringBitmap) -> Counts<'_> {
        let field = &self.field;
        let mut counts = Vec::new();
        let mut add = |value, count| counts.extend((count > 0).then_some((value, count)));
        for truth in [false, true] {
            add(Single::Truth(truth), field.truths[usize::from(truth)].shared(within));
        }
        let runs =
            |values: &Option<Box<Ordered>>| values.as_ref().map(|v| v.runs(within)).unwrap_or_default();
        runs(&field.numbers).into_iter().for_each(|(n, count)| add(Single::Number(n), count));
        runs(&field.times).into_iter().for_each(|(n, count)| add(Single::Time(n), count));
        if let Some(texts) = &field.texts {
            let mut numbers: Vec<_> = within.iter().filter_map(|o| texts.column.get(o)).collect();
            numbers.sort_unstable();
            let runs = numbers.chunk_by(|a, b| a == b);
            runs.for_each(|run| add(Single::Text(texts.dictionary.text(run[0])), run.len() as u64));
        }
        self.count_members(within, counts)
    }

    /// Adds the members of lists, to those values that are in both.
    fn count_members<'a>(&'a self, within: &RoaringBitmap, counts: Counts<'a>) -> Counts<'a> {
        let Some(members) = self.field.members.as_deref() else { return counts };
        let mut all: BTreeMap<Single<'a>, u64> = counts.into_iter().collect();
        let mut add = |value, set: &Set| {
            let count = set.shared(within);
            if count > 0 {
                *all.entry(value).or_default() += count;
            }
        };
        for truth in [false, true] {
            add(Single::Truth(truth), &members.truths[usize::from(truth)]);
        }
        members.numbers.iter().for_each(|(n, set)| add(Single::Number(*n), set));
        members.times.iter().for_each(|(n, set)| add(Single::Time(*n), set));
        let texts = &members.texts;
        texts.between(texts.everything()).for_each(|n| add(Single::Text(texts.text(n)), texts.ordinals(n)));
        all.into_iter().collect()
    }

    /// The values among these records after a given one, in order, found one by one.
    fn values<'a>(&'a self, within: &'a RoaringBitmap, after: Option<Single<'a>>) -> Values<'a> {
        let field = &self.field;
        let members = field.members.as_deref();
        let after_number = if let Some(Single::Number(n)) = after { Some(n) } else { None };
        let after_time = if let Some(Single::Time(n)) = after { Some(n) } else { None };
        let after_text = if let Some(Single::Text(text)) = after { Some(text) } else { None };
        let truths = [false, true].into_iter().filter(move |t| {
            let sets = [Some(&field.truths[usize::from(*t)]), members.map(|m| &m.truths[usize::from(*t)])];
            sets.into_iter().flatten().any(|set| set.meets(within))
        });
        let numbers = merged(
            ordered(field.numbers.as_deref(), after_number, within),
            sets(members.map(|m| &m.numbers), after_number, within),
        );
        let times = merged(
            ordered(field.times.as_deref(), after_time, within),
            sets(members.map(|m| &m.times), after_time, within),
        );
        let texts = merged(
            dictionary(field.texts.as_ref().map(|t| &t.dictionary), after_text, within),
            dictionary(members.map(|m| &m.texts), after_text, within),
        );
        let all = truths.map(Single::Truth).chain(numbers.map(Single::Number));
        let all = all.chain(times.map(Single::Time)).chain(texts.map(Single::Text));
        Box::new(all.skip_while(move |value| after.is_some_and(|after| *value <= after)))
    }
}

fn ordered<'a>(
    values: Option<&'a Ordered>,
    after: Option<Num>,
    within: &'a RoaringBitmap,
) -> Box<dyn Iterator<Item = Num> + 'a> {
    let all = values.into_iter().flat_map(move |v| v.walk(after));
    let mut last = None;
    Box::new(all.filter(|(_, o)| within.contains(*o)).map(|(n, _)| n).filter(move |n| {
        let other = last != Some(*n);
        last = Some(*n);
        other
    }))
}

fn sets<'a>(
    values: Option<&'a BTreeMap<Num, Set>>,
    after: Option<Num>,
    within: &'a RoaringBitmap,
) -> Box<dyn Iterator<Item = Num> + 'a> {
    let range = (after.map_or(Unbounded, Excluded), Unbounded);
    let all = values.into_iter().flat_map(move |v| v.range(range));
    Box::new(all.filter(|(_, set)| set.meets(within)).map(|(n, _)| *n))
}

fn dictionary<'a>(
    texts: Option<&'a Dictionary>,
    after: Option<&'a str>,
    within: &'a RoaringBitmap,
) -> Box<dyn Iterator<Item = &'a str> + 'a> {
    let range = (after.map_or(Unbounded, Excluded), Unbounded);
    Box::new(texts.into_iter().flat_map(move |texts| {
        let numbers = texts.between(texts.range(range));
        numbers.filter(|n| texts.ordinals(*n).meets(within)).map(|n| texts.text(n))
    }))
}

/// Two sorted sequences as one, what is in both once.
fn merged<'a, T: Ord + 'a>(
    a: Box<dyn Iterator<Item = T> + 'a>,
    b: Box<dyn Iterator<Item = T> + 'a>,
) -> impl Iterator<Item = T> + 'a {
    let (mut a, mut b): (Peekable<_>, Peekable<_>) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x == y => {
            b.next();
            a.next()
        }
        (Some(x), Some(y)) if y < x => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}
