//! Records in the order of a field.

use std::cmp::Ordering;
use std::ops::Bound::{Included, Unbounded};

use agentdb_types::Result;
use roaring::RoaringBitmap;

use super::PayloadIndex;
use super::number::Num;
use super::ordered::Ordered;
use super::paths::Node;
use super::single::Single;

type Sorted<'a> = Box<dyn Iterator<Item = (Single<'a>, u32)> + 'a>;

impl PayloadIndex {
    /// These records in the order of a field, at most `limit`, those after the record `after` if that is given (it needs to be in
    /// the index still, not among these records). Ascending, values come in the order booleans, numbers, times, strings; either
    /// way, records of equal values by ordinal, and last those without a single value (absent, null, a list, an object), by
    /// ordinal.
    ///
    /// # Errors
    /// [`agentdb_types::Code::FieldNotIndexed`]; [`agentdb_types::Code::TextTooLong`] if one of the records has a string beyond
    /// [`agentdb_types::limits::INDEXED_TEXT_BYTES`] there; [`agentdb_types::Code::InvalidValue`] for a path with an empty name.
    pub(crate) fn order(
        &self,
        path: &str,
        within: &RoaringBitmap,
        descending: bool,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<u32>> {
        let node = self.field(path)?;
        node.map_or(Ok(()), |n| n.check_texts(path, within, false))?;
        let place = after.map(|o| (node.and_then(|n| n.single(o)), o));
        let mut found = match (node, place) {
            (None, _) | (_, Some((None, _))) => Vec::new(),
            (Some(node), place) => {
                let after = place.and_then(|(value, o)| Some((value?, o)));
                // By the order, so many are passed for each that is found; else all of these are looked at.
                let passed = (limit as u64).saturating_mul(self.all.len()) / within.len().max(1);
                if passed < within.len() {
                    node.walked(within, descending, after, limit)
                } else {
                    node.sorted(within, descending, after, limit)
                }
            }
        };
        let rest = match place {
            Some((None, after)) => within.range((std::ops::Bound::Excluded(after), Unbounded)),
            _ => within.range(..),
        };
        let left = limit - found.len();
        found.extend(rest.filter(|o| node.is_none_or(|n| n.single(*o).is_none())).take(left));
        Ok(found)
    }
}

fn compare(a: (Single<'_>, u32), b: (Single<'_>, u32), descending: bool) -> Ordering {
    let order = a.0.cmp(&b.0);
    (if descending { order.reverse() } else { order }).then(a.1.cmp(&b.1))
}

impl Node {
    /// Looks at each record, and sorts.
    fn sorted(
        &self,
        within: &RoaringBitmap,
        descending: bool,
        after: Option<(Single<'_>, u32)>,
        limit: usize,
    ) -> Vec<u32> {
        let behind = |at: &(Single<'_>, u32)| after.is_none_or(|a| compare(*at, a, descending).is_gt());
        let all = within.iter().filter_map(|o| Some((self.single(o)?, o)));
        let mut all: Vec<_> = all.filter(behind).collect();
        if limit < all.len() {
            all.select_nth_unstable_by(limit, |a, b| compare(*a, *b, descending));
            all.truncate(limit);
        }
        all.sort_unstable_by(|a, b| compare(*a, *b, descending));
        all.into_iter().map(|(_, o)| o).collect()
    }

    /// Goes through the values in order.
    fn walked(
        &self,
        within: &RoaringBitmap,
        descending: bool,
        after: Option<(Single<'_>, u32)>,
        limit: usize,
    ) -> Vec<u32> {
        let behind = |at: &(Single<'_>, u32)| after.is_none_or(|a| compare(*at, a, descending).is_gt());
        let from = after.map(|(value, _)| value);
        let parts = [
            self.truths(descending),
            ordered(self.field.numbers.as_deref(), Single::Number, descending, from),
            ordered(self.field.times.as_deref(), Single::Time, descending, from),
            self.texts_in_order(descending, from),
        ];
        let all: Sorted<'_> = if descending {
            Box::new(parts.into_iter().rev().flatten())
        } else {
            Box::new(parts.into_iter().flatten())
        };
        all.filter(|(_, o)| within.contains(*o)).filter(behind).map(|(_, o)| o).take(limit).collect()
    }

    fn truths(&self, descending: bool) -> Sorted<'_> {
        let truths = if descending { [true, false] } else { [false, true] };
        Box::new(truths.into_iter().flat_map(|truth| {
            self.field.truths[usize::from(truth)].iter().map(move |o| (Single::Truth(truth), o))
        }))
    }

    fn texts_in_order<'a>(&'a self, descending: bool, from: Option<Single<'a>>) -> Sorted<'a> {
        let Some(texts) = self.field.texts.as_deref() else { return Box::new(std::iter::empty()) };
        let dictionary = &texts.dictionary;
        let bound = if let Some(Single::Text(text)) = from { Included(text) } else { Unbounded };
        let ends = if descending { (Unbounded, bound) } else { (bound, Unbounded) };
        let numbers = dictionary.between(dictionary.range(ends));
        let each = move |n| dictionary.ordinals(n).iter().map(move |o| (Single::Text(dictionary.text(n)), o));
        if descending { Box::new(numbers.rev().flat_map(each)) } else { Box::new(numbers.flat_map(each)) }
    }
}

fn ordered<'a>(
    values: Option<&'a Ordered>,
    single: fn(Num) -> Single<'a>,
    descending: bool,
    from: Option<Single<'a>>,
) -> Sorted<'a> {
    let Some(values) = values else { return Box::new(std::iter::empty()) };
    let from = match from {
        Some(value @ (Single::Number(number) | Single::Time(number))) if value == single(number) => {
            Some(number)
        }
        _ => None,
    };
    if descending {
        Box::new(values.walk_back(from).map(move |(n, o)| (single(n), o)))
    } else {
        Box::new(values.walk_from(from).map(move |(n, o)| (single(n), o)))
    }
}
