//! The index against looking at every payload.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use roaring::RoaringBitmap;
use serde_json::{Value, json};

use super::super::{Fields, Filter};
use super::strategies::{fields, filter_json, payload, read};
use super::{How, PayloadIndex};

/// An index, and the payloads in it.
pub(super) struct Pair {
    pub(super) index: PayloadIndex,
    pub(super) payloads: BTreeMap<u32, Value>,
}

impl Pair {
    pub(super) fn new(fields: Fields) -> Pair {
        Pair { index: PayloadIndex::new(fields), payloads: BTreeMap::new() }
    }

    pub(super) fn put(&mut self, ordinal: u32, payload: Value) {
        self.delete(ordinal);
        assert!(self.index.insert(ordinal, &payload));
        assert!(!self.index.insert(ordinal, &payload));
        self.payloads.insert(ordinal, payload);
    }

    pub(super) fn delete(&mut self, ordinal: u32) {
        let payload = self.payloads.remove(&ordinal);
        assert_eq!(self.index.remove(ordinal, payload.as_ref().unwrap_or(&Value::Null)), payload.is_some());
    }

    fn naive(&self, filter: &Filter) -> RoaringBitmap {
        self.payloads.iter().filter(|(_, p)| filter.matches(p)).map(|(o, _)| *o).collect()
    }

    /// The index finds what a look at every payload finds, is sure only of what is so, and its estimate holds that many.
    pub(super) fn check(&self, filter: &Filter) {
        let expected = self.naive(filter);
        let found = self.index.evaluate(filter, &|o| Ok(filter.matches(&self.payloads[&o]))).unwrap();
        assert_eq!(found.ordinals, expected, "{filter:?} {:?}", found.plan);
        let among: RoaringBitmap =
            expected.iter().step_by(2).chain(self.payloads.keys().copied().take(3)).collect();
        let part = self.index.candidates(filter, Some(&among));
        assert!(part.sure.is_subset(&expected) && part.sure.is_disjoint(&part.maybe), "{filter:?}");
        assert!((part.sure | part.maybe).is_superset(&(&among & &expected)), "{filter:?}");
        let (low, high) = self.index.estimate(filter);
        assert!((low..=high).contains(&expected.len()), "{low} {high} {} {filter:?}", expected.len());
    }
}

/// Changes to apply: a payload to put, or none to delete what is there.
pub(super) fn changes() -> impl Strategy<Value = Vec<(u32, Option<Value>)>> {
    // Ordinals near each other and far apart.
    let ordinal = prop_oneof![0u32..30, (0u32..8).prop_map(|o| o * 70_000), Just(u32::MAX)];
    proptest::collection::vec((ordinal, proptest::option::weighted(0.8, payload())), 1..60)
}

proptest! {
    #[test]
    fn the_index_finds_what_matches(
        changes in changes(),
        filters in proptest::collection::vec(filter_json(), 1..12),
    ) {
        let mut pair = Pair::new(fields());
        let filters: Vec<_> = filters.iter().flat_map(read).collect();
        for (at, (ordinal, payload)) in changes.into_iter().enumerate() {
            match payload {
                Some(payload) => pair.put(ordinal, payload),
                None => pair.delete(ordinal),
            }
            if at % 16 == 0 {
                filters.iter().for_each(|f| pair.check(f));
            }
        }
        filters.iter().for_each(|f| pair.check(f));
        // Nothing stays of what is removed.
        let ordinals: Vec<_> = pair.payloads.keys().copied().collect();
        ordinals.into_iter().for_each(|o| pair.delete(o));
        prop_assert!(pair.index.bytes() < 1_000, "{}", pair.index.bytes());
    }
}

/// Samples of a strategy, the same ones every time.
pub(super) fn samples<T: std::fmt::Debug>(strategy: &BoxedStrategy<T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn the_index_finds_what_matches_among_thousands() {
    let mut pair = Pair::new(fields());
    let payloads = samples(&payload(), 6_000);
    let filters: Vec<_> = samples(&filter_json(), 400).iter().flat_map(read).collect();
    for (ordinal, payload) in payloads.iter().enumerate() {
        pair.put(ordinal as u32 * 3, payload.clone());
    }
    filters.iter().for_each(|f| pair.check(f));
    // Out of order, half of them go and others come.
    for step in 0..4_000u32 {
        let ordinal = step.wrapping_mul(2_654_435_761) % 18_000;
        match step % 3 {
            0 => pair.put(ordinal, payloads[(step as usize * 7) % payloads.len()].clone()),
            _ => pair.delete(ordinal / 3 * 3),
        }
    }
    filters.iter().for_each(|f| pair.check(f));
}

#[test]
fn a_plan_tells_how_each_term_was_answered() {
    let mut pair = Pair::new(fields());
    for n in 0..2_000u32 {
        let point = json!({"lat": f64::from(n % 10), "lon": 1});
        let tag = ["x", "y"][n as usize % 2];
        pair.put(n, json!({"a": n, "b": n % 2 == 0, "g": point, "u": "text", "tags": [tag], "c": {"d": n}}));
    }
    let plan = |json: Value| {
        let filter = Filter::parse(&json).unwrap();
        pair.check(&filter);
        pair.index.evaluate(&filter, &|o| Ok(filter.matches(&pair.payloads[&o]))).unwrap().plan
    };
    let one = plan(json!({"a": {"$gte": 10, "$lt": 20}}));
    assert_eq!((one.term.how, one.term.low, one.term.high, one.term.found), (How::Index, 10, 10, 10));
    // The range comes first; of what it leaves, the points are looked at by payload, which costs less than the shape.
    let circle = json!({"circle": {"lat": 5, "lon": 1, "radius_m": 1e6}});
    let two = plan(json!({"g": {"$geo_within": circle}, "a": {"$lt": 5}, "b": true}));
    let terms: Vec<_> = two.term.terms.iter().map(|t| (t.test.as_str(), t.how)).collect();
    assert_eq!(terms, [("range", How::Index), ("equal", How::Index), ("geo_within", How::Verified)]);
    assert_eq!(two.verified, 3);
    let three = plan(json!({"a": 7, "a2": 1}));
    assert_eq!(three.term.terms.iter().map(|t| t.how).collect::<Vec<_>>(), [How::Constant, How::Skipped]);
    let four = plan(json!({"a": {"$lt": 5}, "c.d": {"$lt": 1_000}}));
    assert_eq!(four.term.terms[1].how, How::Column);
    let five = plan(json!({"u": "text", "c": {"d": 3}}));
    assert!(five.term.terms.iter().all(|t| t.how == How::Verified) && five.verified == 2_000);
    let everything = plan(json!({}));
    assert_eq!((everything.term.how, everything.term.found), (How::Constant, 2_000));
    let text = serde_json::to_string(&two).unwrap();
    assert_eq!(serde_json::from_str::<super::Plan>(&text).unwrap(), two);
}

#[test]
fn many_values_are_counted_exactly() {
    let mut pair = Pair::new(Fields::default());
    let payload =
        |n: u32| json!({"n": n * 2, "s": format!("{n:05}"), "l": [n % 700, format!("{:03}", n % 700)]});
    for n in 0..5_000u32 {
        let n = n * 2_741 % 5_000;
        pair.put(n, payload(n));
    }
    let exactly = |pair: &Pair, json: Value| {
        let filter = Filter::parse(&json).unwrap();
        pair.check(&filter);
        let (low, high) = pair.index.estimate(&filter);
        assert_eq!(low, high, "{json}");
        low
    };
    assert_eq!(exactly(&pair, json!({"n": {"$gt": 10, "$gte": 10, "$lte": 20, "$lt": 20}})), 4);
    assert_eq!(exactly(&pair, json!({"n": {"$gt": 8, "$gte": 10, "$lte": 20, "$lt": 22}})), 6);
    for n in (0..5_000u32).step_by(613) {
        let text = format!("{n:05}");
        assert_eq!(exactly(&pair, json!({"n": {"$gte": n * 2}})), u64::from(5_000 - n));
        assert_eq!(exactly(&pair, json!({"n": {"$lt": n * 2 + 1}})), u64::from(n + 1));
        assert_eq!(exactly(&pair, json!({"s": {"$gt": text}})), u64::from(4_999 - n));
        assert_eq!(
            exactly(&pair, json!({"s": {"$lte": text, "$gt": "00007"}})),
            u64::from((n + 1).saturating_sub(8))
        );
        assert_eq!(exactly(&pair, json!({"s": {"$gte": text, "$gt": text}})), u64::from(4_999 - n));
        assert_eq!(exactly(&pair, json!({"l": {"$contains": n % 700}})), if n % 700 < 100 { 8 } else { 7 });
    }
    for n in (0..5_000u32).filter(|n| n % 10 != 3) {
        pair.delete(n * 4_999 % 5_000);
        if n % 500 == 0 {
            exactly(&pair, json!({"n": {"$gte": n}}));
            exactly(&pair, json!({"s": {"$gte": format!("{n:05}")}}));
        }
    }
    assert_eq!(exactly(&pair, json!({"n": {"$gte": 0}})), 500);
    let prefix = Filter::parse(&json!({"s": {"$starts_with": "00"}})).unwrap();
    pair.check(&prefix);
    assert_eq!(pair.index.estimate(&prefix), (100, 100));
}
