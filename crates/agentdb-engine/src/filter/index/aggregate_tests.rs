//! Facets, statistics, histograms and orders against a look at every payload.

use std::cmp::Ordering;

use agentdb_types::{Code, limits};
use proptest::prelude::*;
use roaring::RoaringBitmap;
use serde_json::{Number, Value, json};

use super::super::operand::instant;
use super::super::{FieldType, Fields, compare};
use super::PayloadIndex;
use super::strategies::{fields, number, payload};
use super::tests::{Pair, changes, samples};

const PATHS: [&str; 9] = ["a", "b", "s", "t", "g", "n.num", "n.x", "o.in", "none"];

/// Booleans, numbers, times and strings, in this order.
fn rank(value: &(FieldType, Value)) -> u8 {
    match value.0 {
        FieldType::Boolean => 0,
        FieldType::Number => 1,
        FieldType::Time => 2,
        FieldType::String => 3,
        FieldType::Geo => 4,
    }
}

fn order(a: &(FieldType, Value), b: &(FieldType, Value)) -> Ordering {
    rank(a).cmp(&rank(b)).then_with(|| compare::compare(&a.1, &b.1).unwrap())
}

/// A single value with its type; times as they are shown.
fn single(path: &str, value: &Value) -> Option<(FieldType, Value)> {
    if let Some(time) = instant(value).filter(|_| path == "t") {
        return Some((FieldType::Time, json!(time.to_string())));
    }
    match value {
        Value::Bool(_) => Some((FieldType::Boolean, value.clone())),
        Value::Number(_) => Some((FieldType::Number, value.clone())),
        Value::String(_) => Some((FieldType::String, value.clone())),
        _ => None,
    }
}

struct Naive<'a> {
    pair: &'a Pair,
    path: &'a str,
    within: &'a RoaringBitmap,
}

impl Naive<'_> {
    fn value(&self, ordinal: u32) -> Option<&Value> {
        self.path.split('.').try_fold(self.pair.payloads.get(&ordinal)?, |at, name| at.as_object()?.get(name))
    }

    fn single(&self, ordinal: u32) -> Option<(FieldType, Value)> {
        single(self.path, self.value(ordinal)?)
    }

    fn counts(&self) -> Vec<((FieldType, Value), u64)> {
        let mut counts: Vec<((FieldType, Value), u64)> = Vec::new();
        for value in self.within.iter().filter_map(|o| self.value(o)) {
            let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            let mut own: Vec<_> = items.iter().filter_map(|i| single(self.path, i)).collect();
            own.sort_by(order);
            own.dedup_by(|a, b| order(a, b).is_eq());
            for value in own {
                match counts.iter_mut().find(|(v, _)| order(v, &value).is_eq()) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((value, 1)),
                }
            }
        }
        counts
    }

    fn check_facets(&self, index: &PayloadIndex) {
        let mut counts = self.counts();
        counts.sort_by(|a, b| order(&a.0, &b.0));
        let distinct = index.distinct(self.path, self.within, None, usize::MAX).unwrap();
        assert_eq!(distinct.len(), counts.len(), "{}", self.path);
        assert!(
            distinct.iter().zip(&counts).all(|(d, c)| compare::equal(d, &c.0.1)),
            "{distinct:?} {counts:?}"
        );
        if let Some(after) = distinct.get(distinct.len() / 2) {
            let rest = index.distinct(self.path, self.within, Some(after), 3).unwrap();
            let expected: Vec<_> = distinct.iter().skip(distinct.len() / 2 + 1).take(3).cloned().collect();
            assert_eq!(rest, expected);
        }
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| order(&a.0, &b.0)));
        for limit in [0, 1, 3, usize::MAX] {
            let facet = index.facet(self.path, self.within, limit).unwrap();
            assert_eq!(facet.len(), counts.len().min(limit));
            for (found, counted) in facet.iter().zip(&counts) {
                assert!(
                    compare::equal(&found.0, &counted.0.1) && found.1 == counted.1,
                    "{facet:?} {counts:?}"
                );
            }
        }
    }

    fn check_stats(&self, index: &PayloadIndex) {
        let stats = index.stats(self.path, self.within).unwrap();
        let singles: Vec<_> = self.within.iter().filter_map(|o| self.single(o)).collect();
        let kind = [FieldType::Time, FieldType::Number, FieldType::String]
            .into_iter()
            .find(|kind| singles.iter().any(|s| s.0 == *kind));
        assert_eq!(stats.kind, kind);
        let mut of_kind: Vec<_> = singles.into_iter().filter(|s| Some(s.0) == kind).collect();
        assert_eq!((stats.count, stats.missing), (of_kind.len() as u64, self.within.len() - stats.count));
        let numbers: Vec<_> = of_kind.iter().map(|s| s.1.clone()).collect();
        of_kind.sort_by(order);
        let same = |a: &Option<Value>, b: Option<&(FieldType, Value)>| match (a, b) {
            (Some(a), Some(b)) => compare::equal(a, &b.1),
            (a, b) => a.is_none() && b.is_none(),
        };
        assert!(same(&stats.min, of_kind.first()) && same(&stats.max, of_kind.last()), "{stats:?}");
        if kind == Some(FieldType::Number) {
            let exact: Option<Vec<i128>> = numbers.iter().map(integer).collect();
            match exact {
                Some(all) => assert_eq!(
                    stats.sum.unwrap().to_string().replace('"', ""),
                    all.iter().sum::<i128>().to_string()
                ),
                None => check_sum(stats.sum.unwrap().as_f64(), &numbers),
            }
        }
    }

    fn check_order(&self, index: &PayloadIndex) {
        for descending in [false, true] {
            let mut expected: Vec<u32> = self.within.iter().collect();
            expected.sort_by(|a, b| match (self.single(*a), self.single(*b)) {
                (Some(x), Some(y)) if descending => order(&y, &x).then(a.cmp(b)),
                (Some(x), Some(y)) => order(&x, &y).then(a.cmp(b)),
                (x, y) => x.is_none().cmp(&y.is_none()).then(a.cmp(b)),
            });
            let all = index.order(self.path, self.within, descending, None, usize::MAX).unwrap();
            assert_eq!(all, expected, "{}", self.path);
            let (mut paged, mut after) = (Vec::new(), None);
            while paged.len() < expected.len() {
                let limit = 1 + expected.len() / 5;
                let page = index.order(self.path, self.within, descending, after, limit).unwrap();
                after = page.last().copied();
                assert!(!page.is_empty());
                paged.extend(page);
            }
            assert_eq!(paged, expected, "{}", self.path);
        }
    }

    fn check_histogram(&self, index: &PayloadIndex, interval: &Value, offset: &Value) {
        let (Value::Number(i), Value::Number(o)) = (interval, offset) else { return };
        let found = index.histogram(self.path, self.within, i, o);
        let values: Vec<_> = self.within.iter().filter_map(|o| self.single(o)).collect();
        let numbers: Vec<_> = match self.path {
            "t" => values
                .iter()
                .filter(|v| v.0 == FieldType::Time)
                .map(|v| json!(instant(&v.1).unwrap().micros()))
                .collect(),
            _ => values.into_iter().filter(|v| v.0 == FieldType::Number).map(|v| v.1).collect(),
        };
        let Ok(found) = found else {
            let (interval, offset) = (i.as_f64().unwrap(), o.as_f64().unwrap());
            let far = numbers.iter().any(|n| ((n.as_f64().unwrap() - offset) / interval).abs() > 1e18);
            assert!(far || interval <= 0.0 || self.path == "t", "{found:?}");
            return;
        };
        let mut expected: Vec<(i128, u64)> = Vec::new();
        for number in &numbers {
            let bucket = match (integer(number), integer(interval), integer(offset)) {
                (Some(n), Some(i), Some(o)) => (n - o).div_euclid(i),
                _ => ((number.as_f64().unwrap() - o.as_f64().unwrap()) / i.as_f64().unwrap()).floor() as i128,
            };
            match expected.iter_mut().find(|(b, _)| *b == bucket) {
                Some((_, count)) => *count += 1,
                None => expected.push((bucket, 1)),
            }
        }
        expected.sort_unstable();
        assert_eq!(
            found.iter().map(|b| b.count).collect::<Vec<_>>(),
            expected.iter().map(|b| b.1).collect::<Vec<_>>()
        );
        for (bucket, (number, _)) in found.iter().zip(expected) {
            let exact = integer(interval).and_then(|i| Some(integer(offset)? + number * i));
            let start =
                exact.map_or_else(|| o.as_f64().unwrap() + number as f64 * i.as_f64().unwrap(), |s| s as f64);
            assert!(
                exact == integer(&bucket.start) || bucket.start.as_f64() == Some(start),
                "{bucket:?} {start}"
            );
        }
    }
}

/// The integer that a number is, however it is written.
fn integer(value: &Value) -> Option<i128> {
    let whole =
        value.as_f64().filter(|f| f.fract() == 0.0 && (-9.3e18..1.9e19).contains(f)).map(|f| f as i128);
    let whole = whole.filter(|i| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(i));
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from)).or(whole)
}

/// A compensated sum is within a few roundings of the exact one, which integers of 2^-1074 would give; here, of the sum of the
/// magnitudes.
fn check_sum(found: Option<f64>, numbers: &[Value]) {
    let sum: f64 = numbers.iter().map(|n| n.as_f64().unwrap()).sum();
    let magnitude: f64 = numbers.iter().map(|n| n.as_f64().unwrap().abs()).sum();
    match found {
        Some(found) => assert!((found - sum).abs() <= magnitude * 1e-12, "{found} {sum}"),
        None => assert!(!sum.is_finite() || magnitude > 1e307),
    }
}

/// Whether strings are too long to be counted: itself, or one in a list.
fn long(value: &Value, lists: bool) -> bool {
    let text = |v: &Value| v.as_str().is_some_and(|t| t.len() > limits::INDEXED_TEXT_BYTES);
    text(value) || lists && value.as_array().is_some_and(|items| items.iter().any(text))
}

fn check(pair: &Pair, within: &RoaringBitmap, interval: &Value, offset: &Value) {
    for path in PATHS {
        let all = Naive { pair, path, within };
        let refused = |lists| within.iter().filter_map(|o| all.value(o)).any(|v| long(v, lists));
        let code = |lists| refused(lists).then_some(Code::TextTooLong);
        assert_eq!(pair.index.facet(path, within, 1).err().map(|e| e.code()), code(true));
        assert_eq!(pair.index.distinct(path, within, None, 1).err().map(|e| e.code()), code(true));
        assert_eq!(pair.index.order(path, within, true, None, 1).err().map(|e| e.code()), code(false));
        let short = within.iter().filter(|o| !all.value(*o).is_some_and(|v| long(v, true))).collect();
        let naive = Naive { pair, path, within: &short };
        naive.check_facets(&pair.index);
        naive.check_stats(&pair.index);
        naive.check_order(&pair.index);
        naive.check_histogram(&pair.index, interval, offset);
    }
}

proptest! {
    #[test]
    fn aggregates_are_what_payloads_say(
        changes in changes(),
        chosen in any::<u64>(),
        interval in prop_oneof![number(), (1..1_000i64).prop_map(Value::from)],
        offset in number(),
    ) {
        let mut pair = Pair::new(fields());
        for (ordinal, payload) in changes {
            match payload {
                Some(payload) => pair.put(ordinal, payload),
                None => pair.delete(ordinal),
            }
        }
        let within = pair.payloads.keys().enumerate().filter(|(i, _)| chosen >> (i % 64) & 1 == 1).map(|(_, o)| *o);
        check(&pair, &within.collect(), &interval, &offset);
        check(&pair, pair.index.ordinals(), &interval, &offset);
    }
}

#[test]
fn aggregates_are_what_payloads_say_among_thousands() {
    let mut pair = Pair::new(fields());
    for (ordinal, payload) in samples(&payload(), 3_000).into_iter().enumerate() {
        pair.put(ordinal as u32, payload);
    }
    for step in [1, 2, 40] {
        let within = (0..3_000).step_by(step).collect();
        check(&pair, &within, &json!(10), &json!(3));
    }
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let mut pair = Pair::new(fields());
    for n in 0..20_000u32 {
        pair.put(n, json!({"a": n, "t": n, "u": "x", "o": {"in": 1}, "g": {"lat": 1, "lon": 2}}));
    }
    let (index, all) = (&pair.index, pair.index.ordinals());
    let number = |f: f64| Number::from_f64(f).unwrap();
    let (one, zero) = (Number::from(1), Number::from(0));
    for path in ["u", "u.x", "o", "o.out", "g.lat"] {
        assert_eq!(index.facet(path, all, 1).unwrap_err().code(), Code::FieldNotIndexed, "{path}");
        assert_eq!(index.order(path, all, true, None, 1).unwrap_err().code(), Code::FieldNotIndexed);
        assert_eq!(index.stats(path, all).unwrap_err().code(), Code::FieldNotIndexed);
        assert_eq!(index.histogram(path, all, &one, &zero).unwrap_err().code(), Code::FieldNotIndexed);
    }
    assert_eq!(index.facet("o.in", all, 9).unwrap(), [(json!(1), 20_000)]);
    let wide = index.histogram("a", all, &one, &zero).unwrap_err();
    assert_eq!((wide.code(), wide.value("limit")), (Code::HistogramBuckets, Some("10000")));
    assert_eq!(index.histogram("a", all, &Number::from(2), &zero).unwrap().len(), 10_000);
    for (path, interval, offset) in [
        ("a", zero.clone(), zero.clone()),
        ("a", number(-0.5), zero.clone()),
        ("t", number(0.5), zero.clone()),
        ("t", one.clone(), number(0.5)),
        ("a", number(1e-300), zero.clone()),
    ] {
        let err = index.histogram(path, all, &interval, &offset).unwrap_err();
        assert_eq!(
            (err.code(), err.value("field")),
            (Code::InvalidValue, Some("interval")),
            "{path} {interval}"
        );
    }
    for value in [json!(null), json!([1]), json!({})] {
        let err = index.distinct("a", all, Some(&value), 1).unwrap_err();
        assert_eq!((err.code(), err.value("field")), (Code::InvalidValue, Some("after")));
    }
    assert_eq!(index.facet("a..b", all, 1).unwrap_err().value("field"), Some("field"));
}

#[test]
fn sums_are_exact_or_compensated() {
    let mut index = PayloadIndex::new(Fields::default());
    let all: RoaringBitmap = (0..3).collect();
    let floats = [1e100, 1.0, -1e100];
    for (n, value) in [json!(u64::MAX), json!(u64::MAX), json!(1)].into_iter().enumerate() {
        assert!(index.insert(n as u32, &json!({"a": value, "f": floats[n], "big": 1e308})));
    }
    let stats = |path| index.stats(path, &all).unwrap();
    assert_eq!(stats("a").sum, Some(json!("36893488147419103231")));
    assert_eq!(stats("f").sum, Some(json!(1.0)));
    assert_eq!((stats("big").sum, stats("big").mean), (Some(Value::Null), Some(Value::Null)));
}
