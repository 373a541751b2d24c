//! What is refused, and leaves nothing.

use agentdb_types::{Code, limits};
use serde_json::json;

use super::{get, path, put};
use crate::modules::item::{Condition, Index, Indexing, ListPaths, Put, Search, Touch};
use crate::modules::testing::TestDb;

#[test]
fn a_put_that_is_refused_leaves_nothing() {
    let db = TestDb::new(1);
    db.write(Index { dimension: Some(2), ..Index::default() }).unwrap();
    let first = db.write(put(&["u"], "k", json!({"n": 1}))).unwrap().response;
    let before = db.engine().digest(db.namespace).unwrap();
    let item = || put(&["u"], "k", json!({"n": 2}));
    let vectors = |vector: Vec<f32>| Put { vectors: [("v".to_owned(), vector)].into(), ..item() };
    let long = vec!["s".to_owned(); limits::PATH_SEGMENTS + 1];
    for (put, code) in [
        (put(&[], "k", json!({})), Code::PathLength),
        (Put { path: long, ..item() }, Code::PathLength),
        (put(&["u", ""], "k", json!({})), Code::IdEmpty),
        (put(&["u"], "", json!({})), Code::IdEmpty),
        (put(&[&"x".repeat(513)], "k", json!({})), Code::IdTooLong),
        (put(&["u"], &"x".repeat(513), json!({})), Code::IdTooLong),
        (put(&["u"], "k", json!({"text": "x".repeat(1 << 20)})), Code::ValueTooLarge),
        (Put { ttl_us: Some(0), ..item() }, Code::TtlOutOfRange),
        (Put { expected_version: Some(agentdb_types::Lsn(0)), ..item() }, Code::VersionMismatch),
        (vectors(vec![1.0]), Code::DimensionMismatch),
        (vectors(vec![0.0, 0.0]), Code::VectorZero),
        (vectors(vec![f32::NAN, 0.0]), Code::VectorNotFinite),
        (Put { index: Some(Indexing::Whether(false)), ..vectors(vec![1.0, 0.0]) }, Code::InvalidValue),
        (Put { index: Some(Indexing::Whether(true)), ..item() }, Code::ItemsNotIndexed),
        (
            Put { vectors: (0..101).map(|i| (i.to_string(), vec![1.0, 1.0])).collect(), ..item() },
            Code::TooManyVectors,
        ),
    ] {
        assert_eq!(db.write(put).unwrap_err().code(), code);
    }
    assert_eq!(db.engine().digest(db.namespace).unwrap(), before);
    db.write(Put { expected_version: Some(first.version), ..item() }).unwrap();
    let deepest = path(&["s"; limits::PATH_SEGMENTS]);
    db.write(Put { path: deepest, ..item() }).unwrap();
}

#[test]
fn a_segment_is_a_segment() {
    let db = TestDb::new(1);
    for segments in [&["a"][..], &["ab"], &["a", "b"], &["*"], &["A"], &["a\u{0}"], &["a", "\u{0}\u{1}"]] {
        db.write(put(segments, "k", json!({"path": segments}))).unwrap();
    }
    let below = |segments: &[&str]| {
        let found = db.read(Search { path: path(segments), ..Search::default() }).unwrap().items;
        found.into_iter().map(|entry| entry.path).collect::<Vec<_>>()
    };
    assert_eq!(below(&["a"]), [path(&["a"]), path(&["a", "\u{0}\u{1}"]), path(&["a", "b"])]);
    assert_eq!(below(&["*"]), [path(&["*"])]);
    assert_eq!(below(&["a\u{0}"]), [path(&["a\u{0}"])]);
    assert_eq!(get(&db, &["a", "b"], "k").unwrap().value["path"], json!(["a", "b"]));
    assert!(get(&db, &["a", "*"], "k").is_err());
}

#[test]
fn reads_that_make_no_sense_are_refused() {
    let db = TestDb::new(1);
    let search =
        |fields: serde_json::Value| db.read(serde_json::from_value::<Search>(fields).unwrap()).map(drop);
    let too_many = limits::PAGE + 1;
    for (fields, code) in [
        (json!({"query": "a"}), Code::ItemsNotIndexed),
        (json!({"vector": [1.0]}), Code::ItemsNotIndexed),
        (json!({"limit": too_many}), Code::PageTooLarge),
        (json!({"vector": [1.0], "limit": 0}), Code::PageTooLarge),
        (json!({"cursor": "00112233"}), Code::InvalidCursor),
        (json!({"vector": [1.0], "cursor": "00112233"}), Code::InvalidValue),
        (json!({"filter": {"a": {"$near": 1}}}), Code::InvalidValue),
        (json!({"path": [""]}), Code::IdEmpty),
    ] {
        assert_eq!(search(fields.clone()).unwrap_err().code(), code, "{fields}");
    }
    db.write(Index { dimension: Some(1), ..Index::default() }).unwrap();
    let both = json!({"query": "a", "vector": [1.0]});
    assert_eq!(search(both).unwrap_err().code(), Code::SearchNeedsVector);
    assert_eq!(search(json!({"vector": [1.0, 2.0]})).unwrap_err().code(), Code::DimensionMismatch);
    let prefix = |segments: Vec<String>| vec![Condition::Prefix(segments)];
    let list = |list: ListPaths| db.read(list).map(drop).unwrap_err().code();
    let default = ListPaths::default;
    assert_eq!(list(ListPaths { max_depth: Some(0), ..default() }), Code::InvalidValue);
    assert_eq!(list(ListPaths { limit: Some(0), ..default() }), Code::PageTooLarge);
    assert_eq!(list(ListPaths { cursor: Some("zz".into()), ..default() }), Code::InvalidCursor);
    assert_eq!(list(ListPaths { conditions: prefix(vec!["s".into(); 33]), ..default() }), Code::PathLength);
    assert_eq!(list(ListPaths { conditions: prefix(vec![String::new()]), ..default() }), Code::IdEmpty);
    let many = vec![Condition::Suffix(Vec::new()); 33];
    assert_eq!(list(ListPaths { conditions: many, ..default() }), Code::InvalidValue);
    assert_eq!(db.write(Touch { items: Vec::new() }).unwrap_err().code(), Code::PageTooLarge);
    for index in
        [Index::default(), Index { dimension: Some(1), fields: Some(path(&["a["])), ..Index::default() }]
    {
        assert_eq!(db.write(index).unwrap_err().code(), Code::InvalidValue);
    }
}
