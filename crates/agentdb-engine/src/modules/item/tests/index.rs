//! Finding items by vectors and texts.

use std::sync::Arc;

use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Letters, get, object, path, put, with_letters};
use crate::modules::item::ranked::FEW;
use crate::modules::item::{Delete, GetIndex, Index, Indexing, Put, Search, Unindex};
use crate::modules::testing::TestDb;
use crate::{Batch, Table, Task, WriteOptions};

fn found(db: &TestDb, search: Search) -> Vec<(String, Option<f32>)> {
    let items = db.read(search).unwrap().items;
    items.into_iter().map(|entry| (entry.key, entry.score)).collect()
}

fn query(text: &str) -> Search {
    Search { query: Some(text.into()), ..Search::default() }
}

fn keys(found: &[(String, Option<f32>)]) -> Vec<&str> {
    found.iter().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn an_item_is_as_near_as_the_best_of_its_vectors() {
    let db = with_letters(&["parts[*]"]);
    db.write(put(&["u"], "both", json!({"parts": ["cccc", "aaaa"]}))).unwrap();
    db.write(put(&["u"], "b", json!({"parts": ["bbbb"]}))).unwrap();
    db.write(put(&["u"], "none", json!({"other": "aaaa"}))).unwrap();
    assert_eq!(db.rows(Table::Vector), 3);
    for path in [vec![], path(&["u"])] {
        let first = |text: &str| found(&db, Search { path: path.clone(), ..query(text) });
        assert_eq!(keys(&first("aaaa")), ["both", "b", "none"]);
        assert_eq!(first("aaaa")[0].1, Some(1.0));
        assert_eq!(first("aaaa")[2].1, None);
        assert_eq!(keys(&first("bbbb")), ["b", "both", "none"]);
    }
    // What is put anew or deleted is found as it is now.
    db.write(put(&["u"], "both", json!({"parts": ["b"]}))).unwrap();
    let (path, key) = (path(&["u"]), "b".to_owned());
    db.write(Delete { path, key, expected_version: None }).unwrap();
    assert_eq!(keys(&found(&db, query("bbbb"))), ["both", "none"]);
    assert_eq!(db.rows(Table::Vector), 1);
}

#[test]
fn a_put_says_by_what_it_is_found() {
    let db = with_letters(&["t"]);
    let put = |key: &str, index: Option<Indexing>| {
        let put = put(&["u"], key, json!({"t": "aaa", "o": {"er": "ccc"}}));
        db.write(Put { index, ..put }).unwrap().response.vectors
    };
    assert_eq!(put("default", None), 1);
    assert_eq!(put("not", Some(Indexing::Whether(false))), 0);
    assert_eq!(put("yes", Some(Indexing::Whether(true))), 1);
    assert_eq!(put("other", Some(Indexing::Fields(path(&["o.er", "t", "missing"])))), 2);
    assert_eq!(put("whole", Some(Indexing::Fields(path(&["$"])))), 1);
    assert_eq!(keys(&found(&db, query("ccc")))[0], "other");
    let fields = Index {
        encoder: Some("letters".into()),
        fields: Some(path(&["o.er"])),
        default: Some(false),
        ..Index::default()
    };
    db.write(fields).unwrap();
    assert_eq!(put("default", None), 0);
    assert_eq!(put("yes", Some(Indexing::Whether(true))), 1);
    assert_eq!(found(&db, query("ccc"))[0].1, Some(1.0));
}

#[test]
fn vectors_of_the_callers_own_need_no_encoder() {
    let db = TestDb::new(1);
    db.write(Index { dimension: Some(2), ..Index::default() }).unwrap();
    let vectors = [("x".to_owned(), vec![1.0, 0.0]), ("y".to_owned(), vec![0.0, 1.0])].into();
    db.write(Put { vectors, ..put(&["u"], "both", json!({})) }).unwrap();
    db.write(put(&["u"], "none", json!({}))).unwrap();
    let near = |vector: [f32; 2]| found(&db, Search { vector: Some(vector.to_vec()), ..Search::default() });
    assert_eq!(near([0.0, 3.0]), [("both".into(), Some(1.0)), ("none".into(), None)]);
    let refused = db.read(query("aaa")).unwrap_err();
    assert_eq!(refused.code(), Code::ItemsNotIndexed);
}

#[test]
fn many_items_under_a_path_are_found_through_the_index() {
    let db = TestDb::new(1);
    db.write(Index { dimension: Some(2), metric: Some(crate::Metric::Dot), ..Index::default() }).unwrap();
    let options = WriteOptions::default;
    for (segment, count) in [("many", FEW + 200), ("other", 50)] {
        let mut batch = Batch::new();
        for i in 0..count {
            let near = [i as f32, 1.0].to_vec();
            let vectors = [("a".to_owned(), near), ("b".to_owned(), vec![-1.0, -1.0])].into();
            let put = put(&[segment], &format!("{i:05}"), json!({"odd": i % 2 == 1}));
            batch.push(db.engine(), Put { vectors, ..put }).unwrap();
        }
        db.engine().write_batch(db.namespace, batch, options()).unwrap().wait().unwrap();
    }
    let search = Search {
        path: path(&["many"]),
        vector: Some(vec![1.0, 0.0]),
        filter: Some(json!({"odd": false})),
        limit: Some(3),
        offset: 2,
        ..Search::default()
    };
    let expected: Vec<String> = [5, 7, 9].iter().map(|n| format!("{:05}", FEW + 200 - n + 1 - 2)).collect();
    let page = db.read(search.clone()).unwrap().items;
    assert!(page.iter().all(|entry| entry.path == path(&["many"])));
    assert_eq!(page.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>(), expected);
    // Every item has a second vector that all have alike: the hits are of items, not of vectors.
    let alike =
        Search { vector: Some(vec![-1.0, -1.0]), limit: Some(700), filter: None, offset: 0, ..search };
    let found = db.read(alike).unwrap().items;
    let keys: std::collections::BTreeSet<_> = found.iter().map(|entry| entry.key.clone()).collect();
    assert_eq!((found.len(), keys.len()), (700, 700));
}

#[test]
fn an_index_that_is_dropped_takes_its_vectors_along_and_leaves_the_items() {
    let db = with_letters(&["t"]);
    db.write(put(&["u"], "k", json!({"t": "aaa"}))).unwrap();
    let first = db.read(GetIndex {}).unwrap().index.unwrap();
    assert_eq!((first.dimension.get(), first.fields.clone()), (3, path(&["t"])));
    let kept = db.engine().snapshot(db.namespace).unwrap();
    assert_eq!(db.write(Unindex {}).unwrap().response.number, first.number);
    assert_eq!(db.write(Unindex {}).unwrap_err().code(), Code::ItemsNotIndexed);
    assert_eq!(db.read(GetIndex {}).unwrap().index, None);
    assert_eq!(db.read(query("a")).unwrap_err().code(), Code::ItemsNotIndexed);
    assert!(get(&db, &["u"], "k").is_ok());
    db.run(Task::Sweep);
    assert_eq!((db.rows(Table::Vector), db.rows(Table::Counter)), (0, 1));
    // Under a new index it has no vectors until it is put again, and the old ones' slots are no one's.
    let index = Index { encoder: Some("letters".into()), ..Index::default() };
    let second = db.write(index).unwrap().response;
    assert!(second.number > first.number);
    assert_eq!(found(&db, query("aaa")), [("k".into(), None)]);
    db.write(put(&["u"], "k", json!({"t": "aaa"}))).unwrap();
    assert!(found(&db, query("aaa"))[0].1.is_some());
    assert_eq!(db.engine().read(&kept, GetIndex {}).unwrap().index, Some(first));
}

#[test]
fn an_index_is_not_another_one_and_nothing_is_put_under_one_that_it_was_not_encoded_for() {
    let db = with_letters(&["t"]);
    for other in [
        Index { encoder: Some("letters".into()), metric: Some(crate::Metric::Dot), ..Index::default() },
        Index { dimension: Some(4), ..Index::default() },
        Index { dimension: Some(3), ..Index::default() },
    ] {
        assert_eq!(db.write(other).unwrap_err().code(), Code::ItemIndexMismatch);
    }
    let write = |put: Put| {
        let mut batch = Batch::new();
        let fields = Some(path(&["o"]));
        let index = Index { encoder: Some("letters".into()), fields, ..Index::default() };
        batch.push(db.engine(), index).unwrap();
        batch.push(db.engine(), put).unwrap();
        db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait().map(drop)
    };
    let refused = write(put(&["u"], "k", json!({"t": "a", "o": "b"}))).unwrap_err();
    assert_eq!((refused.code(), refused.value("batch_position")), (Code::ItemIndexMismatch, Some("1")));
    assert_eq!(db.read(GetIndex {}).unwrap().index.unwrap().fields, path(&["t"]), "nothing of the batch");
    write(put(&["u"], "k", json!({"t": "a"}))).unwrap();
}

#[test]
fn an_encoder_that_the_handle_lacks_is_missed_only_where_a_text_is_to_be_encoded() {
    let mut db = with_letters(&["t"]);
    db.reopen().unwrap();
    let put = |value: Value, vectors| {
        let put = Put::new(path(&["u"]), "k", object(value));
        db.write(Put { vectors, ..put }).map(|stored| stored.response.vectors)
    };
    assert_eq!(put(json!({"t": "a"}), Default::default()).unwrap_err().code(), Code::NoEncoder);
    assert_eq!(put(json!({"n": 1}), Default::default()).unwrap(), 0);
    assert_eq!(put(json!({"t": "a"}), [("t".into(), vec![1.0, 2.0, 3.0])].into()).unwrap(), 1);
    assert_eq!(db.read(query("a")).unwrap_err().code(), Code::NoEncoder);
    db.engine().set_text_encoder(Arc::new(Letters));
    assert_eq!(keys(&found(&db, query("a"))), ["k"]);
}
