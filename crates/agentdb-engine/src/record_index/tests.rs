//! The index under readers of other moments, and under writers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use agentdb_env::Env;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::filter::Filter;
use crate::modules::collection::{self, Create, Truncate};
use crate::modules::record::{Count, Delete, List, Put, Search};
use crate::modules::testing::TestDb;
use crate::{Engine, NamespaceId, Options, Snapshot, Task, WriteOptions};

fn put(id: u8, n: i64, vector: bool) -> Put {
    let Value::Object(payload) = json!({"n": n, "tags": [n % 3, n % 2]}) else { panic!("no object") };
    let record = Some(format!("r{id}"));
    Put { record, payload, vector: vector.then(|| vec![n as f32, 1.0]), ..Put::new("docs") }
}

fn delete(id: u8) -> Delete {
    Delete { collection: "docs".into(), record: format!("r{id}"), expected_version: None }
}

/// The ids that a search finds, by the index and by looking at every record of the snapshot.
fn compare(db: &TestDb, snapshot: &Snapshot, filter: &Value) {
    let read = |filter: &Value| Search {
        vector: Some(vec![1.0, 0.5]),
        limit: Some(100),
        filter: Some(filter.clone()),
        ..Search::new("docs")
    };
    let engine = db.engine();
    let everything = List {
        collection: "docs".into(),
        filter: None,
        limit: Some(1000),
        cursor: None,
        reverse: false,
        include_vector: true,
        fields: None,
        omit_text: false,
    };
    let all = engine.read(snapshot, everything).unwrap().items;
    let parsed = Filter::parse(filter).unwrap();
    let matching: Vec<_> = all.iter().filter(|r| parsed.matches(&Value::Object(r.payload.clone()))).collect();
    let count = Count { collection: "docs".into(), filter: Some(filter.clone()) };
    assert_eq!(engine.read(snapshot, count).unwrap().count, matching.len() as u64, "{filter}");
    let hits = engine.read(snapshot, read(filter)).unwrap().hits;
    let found: BTreeSet<&str> = hits.iter().map(|hit| hit.record.as_str()).collect();
    let expected: BTreeSet<&str> =
        matching.iter().filter(|r| r.vector.is_some()).map(|r| r.record.as_str()).collect();
    assert_eq!(found, expected, "{filter}");
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, i64, bool),
    Ttl(u8, i64),
    Delete(u8),
    Truncate,
    Wait,
    Index,
    Keep,
    Drain,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..12u8, 0..6i64, any::<bool>()).prop_map(|(id, n, vector)| Step::Put(id, n, vector)),
        3 => (0..12u8, 0..6i64).prop_map(|(id, n)| Step::Ttl(id, n)),
        5 => (0..12u8).prop_map(Step::Delete),
        1 => Just(Step::Truncate),
        2 => Just(Step::Wait),
        3 => Just(Step::Index),
        3 => Just(Step::Keep),
        2 => Just(Step::Drain),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Readers of any moment find what a look at every record of their snapshot finds.
    #[test]
    fn readers_of_any_moment_find_what_is_there(
        steps in prop::collection::vec(step(), 1..80),
        seed in any::<u64>(),
    ) {
        let mut db = TestDb::new(seed);
        db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
        let filters = [json!({}), json!({"n": 2}), json!({"n": {"$gte": 3}}), json!({"tags": {"$contains": 1}})];
        let mut kept: Vec<Snapshot> = Vec::new();
        for step in steps {
            match step {
                Step::Put(id, n, vector) => drop(db.write(put(id, n, vector)).unwrap()),
                Step::Ttl(id, n) => {
                    let ttl_us = Some(2_000_000);
                    db.write(Put { ttl_us, ..put(id, n, true) }).unwrap();
                }
                Step::Delete(id) => drop(db.write(delete(id)).unwrap()),
                Step::Truncate => drop(db.write(Truncate { collection: "docs".into() }).unwrap()),
                Step::Wait => db.world.advance_us(1_000_000),
                Step::Index => db.run(Task::Index),
                Step::Keep => kept.push(db.engine().snapshot(db.namespace).unwrap()),
                Step::Drain => db.drain(),
                Step::Reopen => {
                    kept.clear();
                    db.reopen().unwrap();
                }
            }
            let now = db.engine().snapshot(db.namespace).unwrap();
            for snapshot in kept.iter().rev().take(3).chain([&now]) {
                for filter in &filters {
                    compare(&db, snapshot, filter);
                }
            }
        }
    }
}

/// Records of an index that is far behind, and of one that forgot what an old snapshot would need.
#[test]
fn more_changes_than_are_remembered() {
    let db = TestDb::new(1);
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    db.write(put(0, 0, true)).unwrap();
    let old = db.engine().snapshot(db.namespace).unwrap();
    compare(&db, &old, &json!({"n": 0}));
    for n in 0..20_000i64 {
        db.write(put((n % 200) as u8, n % 7, false)).unwrap();
    }
    compare(&db, &db.engine().snapshot(db.namespace).unwrap(), &json!({"n": {"$lt": 3}}));
    compare(&db, &old, &json!({"n": 0}));
    // Records that are mostly gone: the index is made anew.
    for id in 10..200 {
        db.write(delete(id)).unwrap();
    }
    db.run(Task::Index);
    compare(&db, &db.engine().snapshot(db.namespace).unwrap(), &json!({"n": {"$gte": 3}}));
}

#[test]
fn searches_while_others_write_see_their_own_writes() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(&Env::real(), dir.path(), Options::default()).unwrap();
    let ns = NamespaceId::DEFAULT;
    let create = Create { dimension: Some(2), ..Create::new("docs") };
    engine.write(ns, create, WriteOptions::default()).unwrap().wait().unwrap();
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let writer = {
        let (engine, stop) = (engine.clone(), stop.clone());
        let body = move || {
            let mut n = 0;
            while !stop.load(Ordering::Acquire) {
                let write = put(100 + (n % 50) as u8, n % 6, true);
                engine.write(ns, write, WriteOptions::default()).unwrap().wait().unwrap();
                n += 1;
            }
        };
        Env::real().threads.spawn("writer", Box::new(body)).unwrap()
    };
    for n in 0..500i64 {
        engine.write(ns, put(1, 1_000 + n, true), WriteOptions::default()).unwrap().wait().unwrap();
        let snapshot = engine.snapshot(ns).unwrap();
        let search = Search {
            vector: Some(vec![1.0, 0.0]),
            filter: Some(json!({"n": 1_000 + n})),
            ..Search::new("docs")
        };
        let hits = engine.read(&snapshot, search).unwrap().hits;
        assert_eq!(hits.iter().map(|hit| &hit.record[..]).collect::<Vec<_>>(), ["r1"]);
        let filter = Some(json!({"n": {"$gte": 1_000}}));
        let count = Count { collection: "docs".into(), filter };
        assert_eq!(engine.read(&snapshot, count).unwrap().count, 1);
    }
    stop.store(true, Ordering::Release);
    writer.join();
    assert!(engine.stats().unwrap().record_index_bytes > 0);
    let get = collection::Get { collection: "docs".into() };
    assert!(engine.read(&engine.snapshot(ns).unwrap(), get).unwrap().records > 1);
}

/// What has no collection any more takes no memory.
#[test]
fn an_index_goes_with_its_collection() {
    let db = TestDb::new(1);
    let bytes = || db.engine().stats().unwrap().record_index_bytes;
    let fill = || {
        for id in 0..20 {
            db.write(put(id, i64::from(id), true)).unwrap();
        }
        let now = db.engine().snapshot(db.namespace).unwrap();
        compare(&db, &now, &json!({"n": {"$gt": 3}}));
        assert!(bytes() > 0);
    };
    let create = || db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    create();
    fill();
    db.write(Truncate { collection: "docs".into() }).unwrap();
    assert_eq!(bytes(), 0);
    fill();
    db.write(collection::Delete { collection: "docs".into() }).unwrap();
    assert_eq!(bytes(), 0);
    create();
    fill();
}
