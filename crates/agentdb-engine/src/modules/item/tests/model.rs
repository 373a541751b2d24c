//! Items against a plain map.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_types::{Code, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{object, path};
use crate::modules::item::{Condition, Delete, Entry, Get, Index, ListPaths, Place, Put, Search, Touch};
use crate::modules::testing::TestDb;
use crate::{Read, Snapshot, Task};

const PATHS: [&[&str]; 7] =
    [&["a"], &["a", "b"], &["a", "\u{0}"], &["ab"], &["*"], &["a", "b", "c"], &["\u{4e2d}", "a"]];
const KEYS: [&str; 4] = ["k", "k2", "\u{0}", "a"];
const VECTORS: [[f32; 2]; 5] = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 2.0], [3.0, 1.0]];

#[derive(Clone, Debug)]
enum Step {
    /// A path, a key, a number in the value, a time to live, vectors.
    Put(usize, usize, i64, Option<i64>, Vec<usize>),
    Delete(usize, usize),
    Touch(Vec<(usize, usize)>),
    Wait(u64),
    Sweep,
    Drain,
    Reopen,
    Look(usize, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..PATHS.len(), 0..KEYS.len());
    let vectors = || prop::collection::vec(0..VECTORS.len(), 0..3);
    let ttl = || prop::option::weighted(0.4, 1_000i64..50_000);
    prop_oneof![
        8 => (place(), 0i64..4, ttl(), vectors()).prop_map(|((p, k), n, ttl, v)| Step::Put(p, k, n, ttl, v)),
        3 => place().prop_map(|(p, k)| Step::Delete(p, k)),
        3 => prop::collection::vec(place(), 1..4).prop_map(Step::Touch),
        2 => (0u64..20_000).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
        1 => Just(Step::Drain),
        1 => Just(Step::Reopen),
        4 => (0..=PATHS.len(), 0i64..4).prop_map(|(p, n)| Step::Look(p, n)),
    ]
}

#[derive(Clone, Debug)]
struct Item {
    n: i64,
    expires: Option<Timestamp>,
    ttl: Option<i64>,
    vectors: Vec<usize>,
}

type Id = (Vec<String>, String);
type Model = BTreeMap<Id, Item>;

fn id(p: usize, k: usize) -> Id {
    (path(PATHS[p]), KEYS[k].to_owned())
}

fn live(model: &Model, now: Timestamp) -> Model {
    let live = model.iter().filter(|(_, item)| item.expires.is_none_or(|at| at > now));
    live.map(|(id, item)| (id.clone(), item.clone())).collect()
}

fn ids(entries: &[Entry]) -> Vec<Id> {
    entries.iter().map(|entry| (entry.path.clone(), entry.key.clone())).collect()
}

/// Compares what can be read with the model.
fn check(db: &TestDb, snapshot: &Snapshot, model: &Model, prefix: &[String], n: i64) {
    let read = |search: Search| db.engine().read(snapshot, search).unwrap();
    let all = live(model, snapshot.now());
    for p in 0..PATHS.len() {
        for k in 0..KEYS.len() {
            let (path, key) = id(p, k);
            let found = db.engine().read(snapshot, Get { path: path.clone(), key: key.clone() });
            match (all.get(&(path, key)), found) {
                (Some(item), Ok(entry)) => {
                    assert_eq!((entry.value["n"].as_i64(), entry.expires), (Some(item.n), item.expires));
                }
                (None, Err(err)) => assert_eq!(err.code(), Code::ItemNotFound),
                (item, found) => panic!("{item:?} {found:?}"),
            }
        }
    }
    // Pages by cursor, two at a time.
    let below: Vec<(&Id, &Item)> = all.iter().filter(|((path, _), _)| path.starts_with(prefix)).collect();
    let filtered: Vec<Id> =
        below.iter().filter(|(_, item)| item.n >= n).map(|(id, _)| (*id).clone()).collect();
    let mut found = Vec::new();
    let mut search = Search {
        path: prefix.to_vec(),
        filter: Some(json!({"n": {"$gte": n}})),
        limit: Some(2),
        ..Search::default()
    };
    loop {
        let page = read(search.clone());
        found.extend(ids(&page.items));
        search.cursor = page.cursor;
        if search.cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, filtered);
    for query in VECTORS {
        ranked(db, snapshot, &below, prefix, query);
    }
    let paths: BTreeSet<Vec<String>> = all.keys().map(|(path, _)| path.clone()).collect();
    for conditions in [
        vec![],
        vec![Condition::Prefix(prefix.to_vec())],
        vec![Condition::Prefix(path(&["*", "b"]))],
        vec![Condition::Suffix(path(&["a"])), Condition::Prefix(path(&["*"]))],
    ] {
        for max_depth in [None, Some(1), Some(2)] {
            listed(db, snapshot, &paths, &conditions, max_depth);
        }
    }
}

/// A search by a vector: the scores of the plainest computation, then what has none.
fn ranked(db: &TestDb, snapshot: &Snapshot, below: &[(&Id, &Item)], prefix: &[String], query: [f32; 2]) {
    let norm = |v: [f32; 2]| f64::from(v[0]).hypot(f64::from(v[1]));
    let cosine = |v: [f32; 2]| {
        (f64::from(v[0]) * f64::from(query[0]) + f64::from(v[1]) * f64::from(query[1]))
            / (norm(v) * norm(query))
    };
    let best = |item: &Item| item.vectors.iter().map(|v| cosine(VECTORS[*v])).reduce(f64::max);
    let mut scores: Vec<f64> = below.iter().filter_map(|(_, item)| best(item)).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let search =
        Search { path: prefix.to_vec(), vector: Some(query.to_vec()), limit: Some(100), ..Search::default() };
    let found = db.engine().read(snapshot, search.clone()).unwrap().items;
    assert_eq!(found.len(), below.len());
    for (entry, score) in found.iter().zip(&scores) {
        let (_, item) = below.iter().find(|((p, k), _)| (p, k) == (&entry.path, &entry.key)).unwrap();
        assert!((best(item).unwrap() - score).abs() < 1e-6);
        assert!((f64::from(entry.score.unwrap()) - score).abs() < 1e-6);
    }
    let unscored: Vec<Id> =
        below.iter().filter(|(_, item)| item.vectors.is_empty()).map(|(id, _)| (*id).clone()).collect();
    assert_eq!(ids(&found[scores.len()..]), unscored);
    // Every page is a part of the whole.
    for offset in [0, 1, scores.len(), scores.len() + 1] {
        let page =
            db.engine().read(snapshot, Search { offset, limit: Some(2), ..search.clone() }).unwrap().items;
        let expected: Vec<&Entry> = found.iter().skip(offset).take(2).collect();
        assert_eq!(page.iter().collect::<Vec<_>>(), expected);
    }
}

fn listed(
    db: &TestDb,
    snapshot: &Snapshot,
    paths: &BTreeSet<Vec<String>>,
    conditions: &[Condition],
    max_depth: Option<usize>,
) {
    let like = |s: &String, p: &String| p == "*" || s == p;
    let matches = |path: &&Vec<String>| {
        conditions.iter().all(|condition| match condition {
            Condition::Prefix(p) => p.len() <= path.len() && path.iter().zip(p).all(|(s, p)| like(s, p)),
            Condition::Suffix(p) => {
                p.len() <= path.len() && path[path.len() - p.len()..].iter().zip(p).all(|(s, p)| like(s, p))
            }
        })
    };
    let cut = |path: &Vec<String>| path[..path.len().min(max_depth.unwrap_or(99))].to_vec();
    let expected: BTreeSet<Vec<String>> = paths.iter().filter(matches).map(cut).collect();
    for reverse in [false, true] {
        let (mut found, conditions) = (Vec::new(), conditions.to_vec());
        let mut list = ListPaths { conditions, max_depth, limit: Some(2), reverse, ..ListPaths::default() };
        loop {
            let page = db.engine().read(snapshot, list.clone()).unwrap();
            found.extend(page.items.into_iter().map(|found| found.path));
            list.cursor = page.cursor;
            if list.cursor.is_none() {
                break;
            }
        }
        let mut expected: Vec<_> = expected.iter().cloned().collect();
        if reverse {
            expected.reverse();
        }
        assert_eq!(found, expected, "{list:?}");
    }
}

fn put(
    db: &TestDb,
    model: &mut Model,
    (p, k): (usize, usize),
    n: i64,
    ttl: Option<i64>,
    vectors: Vec<usize>,
) {
    let (path, key) = id(p, k);
    let named = vectors.iter().enumerate().map(|(i, v)| (format!("v{i}"), VECTORS[*v].to_vec()));
    let put = Put { ttl_us: ttl, vectors: named.collect(), ..Put::new(path, key, object(json!({"n": n}))) };
    let stored = db.write(put).unwrap();
    let (expires, response) = (stored.response.expires, &stored.response);
    assert_eq!((response.version, response.vectors), (stored.lsn, vectors.len()));
    let before = model.insert(id(p, k), Item { n, expires, ttl, vectors });
    if before.is_none_or(|item| item.expires.is_none()) {
        assert_eq!(response.created, !model.contains_key(&id(p, k)) || response.created);
    }
}

fn touch(db: &TestDb, model: &mut Model, places: &[(usize, usize)]) {
    let items = places.iter().map(|(p, k)| id(*p, *k)).map(|(path, key)| Place { path, key }).collect();
    let now = db.engine().snapshot(db.namespace).unwrap().now();
    let there = live(model, now);
    let touched = db.write(Touch { items }).unwrap().response.items;
    for ((p, k), entry) in places.iter().zip(touched) {
        assert_eq!(entry.is_some(), there.contains_key(&id(*p, *k)));
        let Some(entry) = entry else { continue };
        let item = model.get_mut(&id(*p, *k)).unwrap();
        assert_eq!(entry.value["n"], Value::from(item.n));
        assert_eq!(entry.expires.is_some(), item.ttl.is_some());
        assert!(entry.expires >= item.expires, "a time to live never gets shorter by being renewed");
        item.expires = entry.expires;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn items_are_those_of_a_map(steps in prop::collection::vec(step(), 1..50)) {
        let mut db = TestDb::new(11);
        db.write(Index { dimension: Some(2), ..Index::default() }).unwrap();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Put(p, k, n, ttl, vectors) => put(&db, &mut model, (p, k), n, ttl, vectors),
                Step::Delete(p, k) => {
                    let (path, key) = id(p, k);
                    let now = db.engine().snapshot(db.namespace).unwrap().now();
                    let existed = live(&model, now).contains_key(&(path.clone(), key.clone()));
                    let deleted = db.write(Delete { path: path.clone(), key: key.clone(), expected_version: None });
                    prop_assert_eq!(deleted.unwrap().response.deleted, existed);
                    model.remove(&(path, key));
                }
                Step::Touch(places) => touch(&db, &mut model, &places),
                Step::Wait(us) => db.world.advance_us(us),
                Step::Sweep => db.run(Task::Sweep),
                Step::Drain => {
                    db.drain();
                    db.engine().core.vectors.compact(db.engine().lsn(), 2);
                }
                Step::Reopen => db.reopen().unwrap(),
                Step::Look(p, n) => {
                    let snapshot = db.engine().snapshot(db.namespace).unwrap();
                    let prefix = PATHS.get(p).map(|p| path(p)).unwrap_or_default();
                    check(&db, &snapshot, &model, &prefix, n);
                }
            }
        }
        let snapshot = db.engine().snapshot(db.namespace).unwrap();
        check(&db, &snapshot, &model, &[], 0);
        // Once swept, there are the rows of what there is and no more.
        db.run(Task::Sweep);
        let left = live(&model, db.engine().snapshot(db.namespace).unwrap().now());
        prop_assert_eq!(db.rows(crate::Table::Item), left.len());
        prop_assert_eq!(db.rows(crate::Table::ItemExpiry), left.values().filter(|i| i.ttl.is_some()).count());
        prop_assert_eq!(db.rows(crate::Table::Vector), left.values().map(|i| i.vectors.len()).sum::<usize>());
    }
}
