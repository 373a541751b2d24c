//! Searches by sparse vectors, of a collection that changes.

use std::collections::BTreeMap;

use agentdb_types::Code;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::modules::collection::{self, Alter, Create, SparseSettings};
use crate::modules::record::{self, Delete, Found, Get, Patch, Put, Rerank, Search, SubQuery};
use crate::modules::testing::TestDb;
use crate::{Snapshot, SparseVector, Task};

fn create(db: &TestDb) {
    let sparse = [("words".to_owned(), SparseSettings {})].into();
    db.write(Create { sparse, dimension: Some(2), ..Create::new("docs") }).unwrap();
}

fn put(id: u8, vector: Option<SparseVector>, ttl: bool) -> Put {
    let Value::Object(payload) = json!({"n": id % 3}) else { panic!("no object") };
    let sparse = vector.into_iter().map(|vector| ("words".to_owned(), vector)).collect();
    let ttl_us = ttl.then_some(2_000_000);
    let vector = Some(vec![f32::from(id), 1.0]);
    Put { record: Some(format!("r{id}")), vector, sparse, payload, ttl_us, ..Put::new("docs") }
}

fn ids(found: &Found) -> Vec<(String, f32)> {
    found.hits.iter().map(|hit| (hit.record.clone(), hit.score)).collect()
}

fn search(
    db: &TestDb,
    snapshot: &Snapshot,
    query: &SparseVector,
    n: Option<u8>,
    limit: usize,
) -> Vec<(String, f32)> {
    let (sparse, using) = (Some(query.clone()), Some("words".to_owned()));
    let filter = n.map(|n| json!({"n": n}));
    let search = Search { sparse, using, filter, limit: Some(limit), ..Search::new("docs") };
    ids(&db.engine().read(snapshot, search).unwrap())
}

/// The products with all vectors of a snapshot, one after another.
fn expected(
    db: &TestDb,
    snapshot: &Snapshot,
    query: &SparseVector,
    n: Option<u8>,
    limit: usize,
) -> Vec<(String, f32)> {
    let all: record::List = crate::decode(json!({"collection": "docs", "limit": 1_000})).unwrap();
    let mut found = Vec::new();
    for entry in db.engine().read(snapshot, all).unwrap().items {
        let get = Get { collection: "docs".into(), record: entry.record.clone(), include_vector: true };
        let got = db.engine().read(snapshot, get).unwrap();
        if n.is_some_and(|n| got.payload["n"] != json!(n)) {
            continue;
        }
        if let Some(score) = got.sparse.get("words").and_then(|vector| product(query, vector)) {
            found.push((entry.record, score));
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.truncate(limit);
    found
}

fn product(a: &SparseVector, b: &SparseVector) -> Option<f32> {
    let of = |v: &SparseVector| -> BTreeMap<u32, f32> {
        v.indices.iter().copied().zip(v.values.iter().copied()).collect()
    };
    let (a, b) = (of(a), of(b));
    let shared: Vec<f32> = a.iter().filter_map(|(index, value)| Some(value * b.get(index)?)).collect();
    (!shared.is_empty()).then(|| shared.iter().fold(0.0, |sum, product| sum + product))
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Option<SparseVector>, bool),
    Patch(u8, Option<SparseVector>),
    Delete(u8),
    Search(SparseVector, Option<u8>, usize),
    Keep,
    Wait,
    Index,
    Again,
}

fn vector() -> impl Strategy<Value = SparseVector> {
    prop::collection::btree_map(0..12u32, -4..5i8, 1..6).prop_map(|map| {
        SparseVector::new(map.into_iter().rev().map(|(index, value)| (index, f32::from(value) / 2.0)))
    })
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..24u8;
    prop_oneof![
        10 => (id(), prop::option::weighted(0.9, vector()), prop::bool::weighted(0.2))
            .prop_map(|(id, vector, ttl)| Step::Put(id, vector, ttl)),
        3 => (id(), prop::option::of(vector())).prop_map(|(id, vector)| Step::Patch(id, vector)),
        3 => id().prop_map(Step::Delete),
        8 => (vector(), prop::option::of(0..3u8), 1..12usize).prop_map(|(v, n, limit)| Step::Search(v, n, limit)),
        1 => Just(Step::Keep),
        1 => Just(Step::Wait),
        1 => Just(Step::Index),
        1 => Just(Step::Again),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_best_are_those_of_one_product_after_another(steps in prop::collection::vec(step(), 1..60)) {
        let mut db = TestDb::new(1);
        create(&db);
        let (mut kept, everything) = (Vec::new(), SparseVector::new((0..12).map(|index| (index, 1.0))));
        for step in steps {
            match step {
                Step::Put(id, vector, ttl) => drop(db.write(put(id, vector, ttl)).unwrap()),
                Step::Patch(id, vector) => {
                    let sparse = [("words".to_owned(), vector)].into();
                    drop(db.write(Patch { sparse, ..Patch::new("docs", format!("r{id}")) }));
                }
                Step::Delete(id) => {
                    let record = format!("r{id}");
                    db.write(Delete { collection: "docs".into(), record, expected_version: None }).unwrap();
                },
                Step::Search(query, n, limit) => {
                    let now = db.engine().snapshot(db.namespace).unwrap();
                    prop_assert_eq!(search(&db, &now, &query, n, limit), expected(&db, &now, &query, n, limit));
                }
                Step::Keep => kept.push(db.engine().snapshot(db.namespace).unwrap()),
                Step::Wait => db.world.advance_us(1_500_000),
                Step::Index => drop(db.engine().step(Task::Index).unwrap()),
                Step::Again => {
                    kept.clear();
                    db.reopen().unwrap();
                }
            }
            for then in &kept {
                prop_assert_eq!(search(&db, then, &everything, None, 9), expected(&db, then, &everything, None, 9));
            }
        }
    }
}

#[test]
fn it_is_one_of_several_queries_and_a_second_stage() {
    let db = TestDb::new(2);
    create(&db);
    for (id, weight) in [(1, 0.5), (2, 3.0), (3, 1.0)] {
        db.write(put(id, Some(SparseVector::new([(7, weight)])), false)).unwrap();
    }
    let query = SparseVector::new([(7, 2.0), (9, 1.0)]);
    let several = Search {
        queries: vec![SubQuery::sparse("words", query.clone()), SubQuery::vector([1.0, 1.0])],
        ..Search::new("docs")
    };
    let found = db.read(several).unwrap();
    let best = &found.hits[0];
    let share = best.shares.iter().find(|share| share.query == 0).unwrap();
    assert_eq!(
        (share.rank, share.score),
        (if best.record == "r2" { 1 } else { 3 }, if best.record == "r2" { 6.0 } else { 1.0 })
    );
    let rerank = Rerank { sparse: Some(query.clone()), using: Some("words".into()), ..Rerank::default() };
    let second = Search { vector: Some(vec![1.0, 1.0]), rerank: Some(rerank), ..Search::new("docs") };
    let order: Vec<_> = db.read(second).unwrap().hits.into_iter().map(|hit| hit.record).collect();
    assert_eq!(order, ["r2", "r3", "r1"]);
    let alone =
        Search { sparse: Some(query), using: Some("words".into()), explain: true, ..Search::new("docs") };
    let plan = db.read(alone).unwrap().plan.unwrap();
    assert_eq!(serde_json::to_value(plan.queries[0].method).unwrap(), "sparse");
}

#[test]
fn what_was_under_a_name_that_was_dropped_does_not_come_back() {
    let db = TestDb::new(3);
    create(&db);
    let vector = || SparseVector::new([(7, 1.0)]);
    db.write(put(1, Some(vector()), false)).unwrap();
    let alter = |settings| Alter { sparse: [("words".to_owned(), settings)].into(), ..Alter::new("docs") };
    db.write(alter(None)).unwrap();
    let by = || Search { sparse: Some(vector()), using: Some("words".into()), ..Search::new("docs") };
    assert_eq!(db.read(by()).unwrap_err().code(), Code::VectorUnknown);
    assert_eq!(db.write(put(2, Some(vector()), false)).unwrap_err().code(), Code::VectorUnknown);
    db.write(alter(Some(SparseSettings {}))).unwrap();
    assert_eq!(db.read(by()).unwrap().hits, []);
    let get = || Get { collection: "docs".into(), record: "r1".into(), include_vector: true };
    assert!(db.read(get()).unwrap().sparse.is_empty());
    db.write(put(1, Some(vector()), false)).unwrap();
    assert_eq!(db.read(get()).unwrap().sparse["words"], vector());
    assert_eq!(ids(&db.read(by()).unwrap()), [("r1".to_owned(), 1.0)]);
    let known = db.read(collection::Get { collection: "docs".into() }).unwrap().sparse;
    assert_eq!(known.keys().collect::<Vec<_>>(), ["words"]);
}

#[test]
fn products_that_leave_32_bits_are_refused_and_sums_that_come_back_are_not() {
    let db = TestDb::new(5);
    create(&db);
    db.write(put(1, Some(SparseVector::new([(7, 3e38), (8, -3e38)])), false)).unwrap();
    let by = |indices: &[u32]| Search {
        sparse: Some(SparseVector::new(indices.iter().map(|index| (*index, 3e38)))),
        using: Some("words".into()),
        ..Search::new("docs")
    };
    assert_eq!(ids(&db.read(by(&[7, 8])).unwrap()), [("r1".to_owned(), 0.0)]);
    assert_eq!(db.read(by(&[7])).unwrap_err().code(), Code::ScoreNotFinite);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let db = TestDb::new(4);
    create(&db);
    let refused = |request: Value| {
        let search = crate::decode::<Search>(request).unwrap();
        db.read(search).unwrap_err()
    };
    let vector = json!({"indices": [1], "values": [1]});
    for (more, code, said) in [
        (json!({"sparse": vector}), Code::InvalidValue, "which of the sparse vectors"),
        (json!({"sparse": vector, "using": "none"}), Code::VectorUnknown, "none"),
        (json!({"sparse": vector, "using": "words", "words": "a"}), Code::SearchNeedsVector, "exactly one"),
        (
            json!({"sparse": {"indices": [1, 1], "values": [1, 2]}, "using": "words"}),
            Code::InvalidValue,
            "index 1 twice",
        ),
        (
            json!({"sparse": {"indices": [], "values": []}, "using": "words"}),
            Code::InvalidValue,
            "no components",
        ),
        (
            json!({"queries": [{"sparse": {"indices": [1], "values": []}, "using": "words"}]}),
            Code::InvalidValue,
            "queries[0]",
        ),
        (json!({"vector": [1, 0], "using": "words"}), Code::VectorUnknown, "words"),
    ] {
        let mut request = json!({"collection": "docs"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let err = refused(request);
        assert_eq!(err.code(), code, "{more}: {err}");
        assert!(err.to_string().contains(said), "{more}: {err}");
    }
}
