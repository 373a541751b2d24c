//! Records and searches against a plain map.

use std::collections::BTreeMap;
use std::path::Path;

use agentdb_env::sim::World;
use agentdb_types::Code;
use agentdb_vector::Metric;
use proptest::prelude::*;
use serde_json::json;

use super::{Count, Delete, Get, List, Patch, Put, Search};
use crate::modules::collection;
use crate::{Engine, NamespaceId, Options, Page, Read, Table, Task, TextEncoder, WriteOptions, WriteRequest};

const NS: NamespaceId = NamespaceId::DEFAULT;

fn open(world: &World) -> Engine {
    let options = Options { background: false, memtable_bytes: 4 << 10, ..Options::default() };
    Engine::open(&world.env(), Path::new("/db"), options).unwrap()
}

fn write<R: WriteRequest>(engine: &Engine, request: R) -> agentdb_types::Result<R::Response> {
    engine.write(NS, request, WriteOptions::default())?.wait().map(|c| c.response)
}

fn create(engine: &Engine, metric: Metric) {
    let (collection, dimension) = ("docs".to_owned(), Some(3));
    let create = collection::Create {
        collection,
        dimension,
        metric: Some(metric),
        encoder: None,
        description: String::new(),
        ..collection::Create::default()
    };
    write(engine, create).unwrap();
}

fn put(id: u8, vector: [f32; 3], kind: u8) -> Put {
    Put {
        record: Some(format!("r{id}")),
        vector: Some(vector.to_vec()),
        text: Some(format!("text {id}")),
        payload: json!({"kind": kind}).as_object().unwrap().clone(),
        ..Put::new("docs")
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, [i8; 3], u8),
    Patch(u8, Option<[i8; 3]>, Option<u8>),
    Delete(u8),
    Search([i8; 3], usize, Option<u8>),
    Keep,
    Drain,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    // No zero vectors: the cosine to them is undefined.
    let vector = || [-3i8..4, -3i8..4, 1i8..4];
    prop_oneof![
        5 => (0u8..9, vector(), 0u8..3).prop_map(|(id, v, kind)| Step::Put(id, v, kind)),
        3 => (0u8..9, prop::option::of(vector()), prop::option::of(0u8..3))
            .prop_map(|(id, v, kind)| Step::Patch(id, v, kind)),
        2 => (0u8..9).prop_map(Step::Delete),
        4 => (vector(), 1usize..6, prop::option::of(0u8..3)).prop_map(|(v, k, kind)| Step::Search(v, k, kind)),
        1 => Just(Step::Keep),
        1 => Just(Step::Drain),
        1 => Just(Step::Reopen),
    ]
}

type Model = BTreeMap<String, ([f32; 3], u8)>;

fn floats(v: [i8; 3]) -> [f32; 3] {
    v.map(f32::from)
}

fn score(metric: Metric, a: [f32; 3], b: [f32; 3]) -> f64 {
    let dot = |a: [f32; 3], b: [f32; 3]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(y)).sum()
    };
    match metric {
        Metric::Cosine => dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt()),
        Metric::Dot => dot(a, b),
        Metric::Euclidean => (dot(a, a) + dot(b, b) - 2.0 * dot(a, b)).max(0.0).sqrt(),
    }
}

fn check(
    engine: &Engine,
    snapshot: &crate::Snapshot,
    model: &Model,
    metric: Metric,
    query: [f32; 3],
    k: usize,
    kind: Option<u8>,
) {
    let search = Search {
        vector: Some(query.to_vec()),
        limit: Some(k),
        filter: kind.map(|kind| json!({"kind": kind})),
        include_vector: true,
        ..Search::new("docs")
    };
    let found = engine.read(snapshot, search).unwrap().hits;
    let matching = model.iter().filter(|(_, (_, of))| kind.is_none_or(|kind| kind == *of));
    let mut scores: Vec<f64> = matching.map(|(_, (v, _))| score(metric, query, *v)).collect();
    scores.sort_by(|a, b| if metric == Metric::Euclidean { a.total_cmp(b) } else { b.total_cmp(a) });
    scores.truncate(k);
    assert_eq!(found.len(), scores.len());
    for (hit, expected) in found.iter().zip(scores) {
        let (vector, _) = model[&hit.record];
        assert_eq!(hit.vector.as_deref(), Some(&vector[..]));
        assert!((f64::from(hit.score) - expected).abs() < 1e-5, "{hit:?} {expected}");
        assert!((score(metric, query, vector) - expected).abs() < 1e-5);
    }
    let count = engine.read(snapshot, Count { collection: "docs".into(), filter: None }).unwrap().count;
    assert_eq!(count, model.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn searches_find_what_a_naive_scan_finds(
        steps in prop::collection::vec(step(), 1..60), metric in prop::sample::select(Metric::ALL.to_vec())
    ) {
        let world = World::new(3);
        let mut engine = open(&world);
        create(&engine, metric);
        let mut model = Model::new();
        let mut kept = Vec::new();
        for step in steps {
            match step {
                Step::Put(id, v, kind) => {
                    write(&engine, put(id, floats(v), kind)).unwrap();
                    model.insert(format!("r{id}"), (floats(v), kind));
                }
                Step::Patch(id, v, kind) => {
                    let record = format!("r{id}");
                    let patch = Patch {
                        vector: v.map(|v| Some(floats(v).to_vec())),
                        payload: kind.map(|kind| json!({"kind": kind})),
                        ..Patch::new("docs", &record)
                    };
                    match (model.get_mut(&record), write(&engine, patch)) {
                        (Some((vector, was)), Ok(patched)) => {
                            *vector = v.map_or(*vector, floats);
                            *was = kind.unwrap_or(*was);
                            prop_assert_eq!(&patched.payload["kind"], &json!(*was));
                        }
                        (None, Err(err)) => prop_assert_eq!(err.code(), Code::RecordNotFound),
                        (found, patched) => panic!("{found:?} {patched:?}"),
                    }
                }
                Step::Delete(id) => {
                    let record = format!("r{id}");
                    let existed = model.remove(&record).is_some();
                    let deleted = write(&engine, Delete { collection: "docs".into(), record, expected_version: None });
                    prop_assert_eq!(deleted.unwrap().deleted, existed);
                }
                Step::Search(v, k, kind) => {
                    check(&engine, &engine.snapshot(NS).unwrap(), &model, metric, floats(v), k, kind);
                    for (snapshot, model) in &kept {
                        check(&engine, snapshot, model, metric, floats(v), k, kind);
                    }
                }
                Step::Keep => kept.push((engine.snapshot(NS).unwrap(), model.clone())),
                Step::Drain => {
                    engine.step(Task::Freeze).unwrap();
                    engine.step(Task::Drain).unwrap();
                    engine.core.vectors.compact(engine.lsn(), 4);
                }
                Step::Reopen => {
                    kept.clear();
                    drop(engine);
                    engine = open(&world);
                }
            }
        }
        let listed = engine.read(&engine.snapshot(NS).unwrap(), List {
            collection: "docs".into(), filter: None, limit: None, cursor: None, reverse: false, include_vector: true, fields: None, omit_text: false,
        }).unwrap();
        let ids: Vec<_> = listed.items.iter().map(|e| e.record.clone()).collect();
        prop_assert_eq!(ids, model.keys().cloned().collect::<Vec<_>>());
    }
}

#[test]
fn bad_vectors_are_refused_and_leave_nothing() {
    let world = World::new(4);
    let engine = open(&world);
    create(&engine, Metric::Cosine);
    let before = engine.digest(NS).unwrap();
    let vector = |v: Vec<f32>| Put { vector: Some(v), ..put(1, [1.0; 3], 0) };
    for (request, code) in [
        (vector(vec![1.0, 2.0]), Code::DimensionMismatch),
        (vector(vec![]), Code::DimensionMismatch),
        (vector(vec![1.0, f32::NAN, 0.0]), Code::VectorNotFinite),
        (vector(vec![1.0, f32::INFINITY, 0.0]), Code::VectorNotFinite),
        (vector(vec![0.0; 3]), Code::VectorZero),
        (Put { record: Some(String::new()), ..put(1, [1.0; 3], 0) }, Code::IdEmpty),
        (Put { record: Some("x".repeat(513)), ..put(1, [1.0; 3], 0) }, Code::IdTooLong),
        (Put { text: Some("x".repeat(1 << 20) + "x"), ..put(1, [1.0; 3], 0) }, Code::ValueTooLarge),
        (Put { ttl_us: Some(0), ..put(1, [1.0; 3], 0) }, Code::TtlOutOfRange),
        (Put { collection: "none".into(), ..put(1, [1.0; 3], 0) }, Code::CollectionNotFound),
        (Put { collection: "no/ne".into(), ..put(1, [1.0; 3], 0) }, Code::InvalidName),
    ] {
        assert_eq!(write(&engine, request).unwrap_err().code(), code);
    }
    for dimension in [0, 8193] {
        let create = collection::Create {
            collection: "wide".into(),
            dimension: Some(dimension),
            metric: None,
            encoder: None,
            description: String::new(),
            ..collection::Create::default()
        };
        assert_eq!(write(&engine, create).unwrap_err().code(), Code::DimensionOutOfRange);
    }
    assert_eq!(engine.digest(NS).unwrap(), before);
}

#[test]
fn an_expired_record_is_gone_from_everything_before_and_after_the_sweep() {
    let world = World::new(5);
    let engine = open(&world);
    create(&engine, Metric::Dot);
    write(&engine, Put { ttl_us: Some(1_000_000), ..put(1, [1.0; 3], 0) }).unwrap();
    write(&engine, put(2, [0.5; 3], 0)).unwrap();
    world.advance_us(1_000_001);
    for _ in 0..2 {
        let snapshot = engine.snapshot(NS).unwrap();
        let search = Search { vector: Some(vec![1.0; 3]), ..Search::new("docs") };
        let hits = engine.read(&snapshot, search).unwrap().hits;
        assert_eq!(hits.iter().map(|h| h.record.as_str()).collect::<Vec<_>>(), ["r2"]);
        let get = Get { collection: "docs".into(), record: "r1".into(), include_vector: false };
        assert_eq!(engine.read(&snapshot, get).unwrap_err().code(), Code::RecordNotFound);
        while engine.step(Task::Sweep).unwrap() {}
    }
    let entry =
        engine.read(&engine.snapshot(NS).unwrap(), collection::Get { collection: "docs".into() }).unwrap();
    assert_eq!(entry.records, 1);
}

#[test]
fn records_that_expire_after_their_collection_was_deleted_leave_no_row() {
    let world = World::new(6);
    let engine = open(&world);
    create(&engine, Metric::Dot);
    write(&engine, Put { ttl_us: Some(1_000_000), ..put(1, [1.0; 3], 0) }).unwrap();
    write(&engine, collection::Delete { collection: "docs".into() }).unwrap();
    world.advance_us(1_000_001);
    while engine.step(Task::Sweep).unwrap() {}
    let snapshot = engine.snapshot(NS).unwrap();
    let mut counters = Vec::new();
    snapshot
        .scan_prefix(&snapshot.key(Table::Counter), Page::Forward, &mut |key, _| {
            counters.push(key.components().text()?);
            Ok(true)
        })
        .unwrap();
    assert_eq!(counters, ["collections"], "only the counter that the next collection's number comes from");
}

fn get(engine: &Engine, record: &str) -> super::Entry {
    let get = Get { collection: "docs".into(), record: record.into(), include_vector: true };
    engine.read(&engine.snapshot(NS).unwrap(), get).unwrap()
}

#[test]
fn a_patch_changes_what_it_names_and_nothing_else() {
    let world = World::new(6);
    let engine = open(&world);
    create(&engine, Metric::Dot);
    write(&engine, put(1, [1.0, 2.0, 3.0], 0)).unwrap();
    let first = get(&engine, "r1");
    world.advance_us(1_000);
    let patch = |fields: Patch| write(&engine, fields);
    let new = || Patch::new("docs", "r1");
    let patched = patch(Patch { payload: Some(json!({"kind": null, "deep": {"er": 1}})), ..new() }).unwrap();
    assert_eq!(serde_json::Value::Object(patched.payload), json!({"deep": {"er": 1}}));
    patch(Patch { text: Some(Some("other".into())), ttl_us: Some(Some(5_000)), ..new() }).unwrap();
    let entry = get(&engine, "r1");
    // The collection has no encoder: a text changes no vector.
    assert_eq!(
        (entry.text.as_deref(), &entry.vector, entry.created),
        (Some("other"), &first.vector, first.created)
    );
    assert!(entry.version > first.version && entry.updated > first.updated && entry.expires.is_some());
    patch(Patch { payload: Some(json!({"kind": 1})), ..new() }).unwrap();
    assert_eq!(get(&engine, "r1").expires, entry.expires, "a patch renews nothing that it does not name");
    patch(Patch { ttl_us: Some(None), ..new() }).unwrap();
    world.advance_us(10_000);
    let digest = engine.digest(NS).unwrap();
    let current = get(&engine, "r1").version;
    for (fields, code) in [
        (Patch { payload: Some(json!([])), ..new() }, Code::InvalidPatch),
        (Patch { vector: Some(Some(vec![1.0])), ..new() }, Code::DimensionMismatch),
        (Patch { vector: Some(Some(vec![f32::NAN; 3])), ..new() }, Code::VectorNotFinite),
        (Patch { ttl_us: Some(Some(0)), ..new() }, Code::TtlOutOfRange),
        (Patch { expected_version: Some(first.version), ..new() }, Code::VersionMismatch),
        (Patch { text: Some(Some("x".repeat((1 << 20) + 1))), ..new() }, Code::ValueTooLarge),
        (Patch { payload: Some(json!({"p": "x".repeat(1 << 20)})), ..new() }, Code::ValueTooLarge),
        (Patch::new("docs", "none"), Code::RecordNotFound),
        (Patch::new("none", "r1"), Code::CollectionNotFound),
    ] {
        assert_eq!(patch(fields).unwrap_err().code(), code);
    }
    assert_eq!(engine.digest(NS).unwrap(), digest);
    patch(Patch { expected_version: Some(current), ..new() }).unwrap();
}

#[test]
fn a_patch_with_a_time_to_live_expires_in_searches_too() {
    let world = World::new(7);
    let engine = open(&world);
    create(&engine, Metric::Dot);
    write(&engine, put(1, [1.0; 3], 0)).unwrap();
    write(&engine, Patch { ttl_us: Some(Some(1_000)), ..Patch::new("docs", "r1") }).unwrap();
    world.advance_us(1_000);
    let search = Search { vector: Some(vec![1.0; 3]), ..Search::new("docs") };
    assert!(engine.read(&engine.snapshot(NS).unwrap(), search).unwrap().hits.is_empty());
    while engine.step(Task::Sweep).unwrap() {}
    let rows = |table: Table| {
        use crate::read::{Page, Read};
        let (snapshot, mut rows) = (engine.snapshot(NS).unwrap(), 0);
        let count = &mut |_, _| {
            rows += 1;
            Ok(true)
        };
        snapshot.scan_prefix(&snapshot.key(table), Page::Forward, count).unwrap();
        rows
    };
    assert_eq!((rows(Table::Record), rows(Table::Vector), rows(Table::Expiry)), (0, 0, 0));
}

/// Makes of a text the count of three of its letters.
struct Letters;

impl TextEncoder for Letters {
    fn id(&self) -> &str {
        "letters"
    }

    fn dimension(&self) -> usize {
        3
    }

    fn encode(&self, texts: &[&str]) -> agentdb_types::Result<Vec<Vec<f32>>> {
        let count = |text: &str, letter| text.chars().filter(|c| *c == letter).count() as f32;
        Ok(texts.iter().map(|text| ['a', 'b', 'c'].map(|letter| count(text, letter)).to_vec()).collect())
    }
}

#[test]
fn a_patched_text_is_encoded_where_the_collection_encodes() {
    let world = World::new(8);
    let engine = open(&world);
    let docs = collection::Create {
        collection: "docs".into(),
        dimension: Some(3),
        metric: Some(Metric::Dot),
        encoder: Some("letters".into()),
        description: String::new(),
        ..collection::Create::default()
    };
    write(&engine, docs).unwrap();
    let text = |text: &str| Patch { text: Some(Some(text.into())), ..Patch::new("docs", "r1") };
    write(&engine, put(1, [9.0; 3], 0)).unwrap();
    assert_eq!(write(&engine, text("aab")).unwrap_err().code(), Code::NoEncoder);
    engine.set_text_encoder(std::sync::Arc::new(Letters));
    write(&engine, text("aab")).unwrap();
    assert_eq!(get(&engine, "r1").vector, Some(vec![2.0, 1.0, 0.0]));
    // A vector of the caller's own goes before the text's.
    write(&engine, Patch { vector: Some(Some(vec![5.0; 3])), ..text("c") }).unwrap();
    assert_eq!(get(&engine, "r1").vector, Some(vec![5.0; 3]));
    // So does having none.
    write(&engine, Patch { vector: Some(None), ..text("c") }).unwrap();
    assert_eq!((get(&engine, "r1").vector, get(&engine, "r1").text), (None, Some("c".into())));
    write(&engine, Patch { vector: Some(Some(vec![5.0; 3])), text: Some(None), ..text("") }).unwrap();
    assert_eq!((get(&engine, "r1").vector, get(&engine, "r1").text), (Some(vec![5.0; 3]), None));
    let search = Search { text: Some("c".into()), ..Search::new("docs") };
    let hits = engine.read(&engine.snapshot(NS).unwrap(), search).unwrap().hits;
    assert_eq!(hits.iter().map(|h| (h.record.as_str(), h.score)).collect::<Vec<_>>(), [("r1", 5.0)]);
}

/// Counts what it is asked.
#[derive(Default)]
struct Counting(std::sync::atomic::AtomicUsize);

impl TextEncoder for Counting {
    fn id(&self) -> &str {
        "counting"
    }

    fn dimension(&self) -> usize {
        3
    }

    fn encode(&self, texts: &[&str]) -> agentdb_types::Result<Vec<Vec<f32>>> {
        self.0.fetch_add(texts.len(), std::sync::atomic::Ordering::Relaxed);
        Letters.encode(texts)
    }
}

/// An outsider found that texts of collections which are searched by words alone took seconds.
#[test]
fn a_text_is_encoded_for_nobody_who_has_no_encoder() {
    let world = World::new(8);
    let engine = open(&world);
    let encoder = std::sync::Arc::new(Counting::default());
    engine.set_text_encoder(encoder.clone());
    let encoded = || encoder.0.load(std::sync::atomic::Ordering::Relaxed);
    write(&engine, collection::Create::new("words")).unwrap();
    let put = Put { record: Some("r".into()), text: Some("abc".into()), ..Put::new("words") };
    write(&engine, put).unwrap();
    write(&engine, Patch { text: Some(Some("bcd".into())), ..Patch::new("words", "r") }).unwrap();
    assert_eq!(encoded(), 0);
    let create = collection::Create { encoder: Some("counting".into()), ..collection::Create::new("new") };
    // In one batch the collection is not there yet when the text comes.
    let mut batch = crate::Batch::new();
    batch.push(&engine, create).unwrap();
    batch.push(&engine, Put { text: Some("abc".into()), ..Put::new("new") }).unwrap();
    engine.write_batch(NS, batch, WriteOptions::default()).unwrap().wait().unwrap();
    assert_eq!(encoded(), 1);
}
