//! Collections that change: named vectors, other names, emptied ones.

use std::collections::BTreeMap;

use agentdb_types::{Code, Result};
use agentdb_vector::Metric;

use super::{Alter, Create, Delete, Get, List, Rename, Truncate, VectorSettings};
use crate::modules::record::{self, Found, Search};
use crate::modules::testing::TestDb;
use crate::{Table, Task};

const SPACE: VectorSettings = VectorSettings { dimension: 2, metric: Metric::Dot };

fn create(db: &TestDb, name: &str) {
    let vectors = BTreeMap::from([("image".to_owned(), SPACE)]);
    db.write(Create { dimension: Some(1), vectors, ..Create::new(name) }).unwrap();
}

fn put(db: &TestDb, collection: &str, id: &str, image: [f32; 2]) -> Result<()> {
    let put = record::Put {
        record: Some(id.to_owned()),
        vector: Some(vec![1.0]),
        vectors: BTreeMap::from([("image".to_owned(), image.to_vec())]),
        ..record::Put::new(collection)
    };
    db.write(put).map(drop)
}

fn search(db: &TestDb, collection: &str, using: Option<&str>) -> Result<Vec<String>> {
    let vector = if using.is_some() { vec![1.0, 0.0] } else { vec![1.0] };
    let using = using.map(str::to_owned);
    let Found { hits, .. } = db.read(Search { vector: Some(vector), using, ..Search::new(collection) })?;
    Ok(hits.into_iter().map(|hit| hit.record).collect())
}

fn alter(db: &TestDb, name: &str, settings: Option<VectorSettings>) -> Result<()> {
    let vectors = BTreeMap::from([(name.to_owned(), settings)]);
    db.write(Alter { vectors, ..Alter::new("docs") }).map(drop)
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

#[test]
fn named_vectors_are_compared_apart_and_dropped_with_their_rows() {
    let db = TestDb::new(1);
    create(&db, "docs");
    put(&db, "docs", "a", [1.0, 0.0]).unwrap();
    put(&db, "docs", "b", [2.0, 0.0]).unwrap();
    assert_eq!(search(&db, "docs", Some("image")).unwrap(), ["b", "a"]);
    assert_eq!(search(&db, "docs", None).unwrap(), ["a", "b"]);
    assert_eq!(code(search(&db, "docs", Some("sound"))), Code::VectorUnknown);
    // A name that is there already, as it is, is no error.
    alter(&db, "image", Some(SPACE)).unwrap();
    assert_eq!(code(alter(&db, "image", Some(VectorSettings { dimension: 3, ..SPACE }))), Code::VectorExists);
    assert_eq!(db.rows(Table::Vector), 4);
    alter(&db, "image", None).unwrap();
    assert_eq!(code(search(&db, "docs", Some("image"))), Code::VectorUnknown);
    assert_eq!(code(alter(&db, "image", None)), Code::VectorUnknown);
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::Vector), 2);
    // Under the same name again there is nothing of before.
    alter(&db, "image", Some(SPACE)).unwrap();
    assert_eq!(search(&db, "docs", Some("image")).unwrap(), [""; 0]);
    let get = record::Get { collection: "docs".into(), record: "a".into(), include_vector: true };
    let entry = db.read(get).unwrap();
    assert_eq!((entry.vector, entry.vectors.len()), (Some(vec![1.0]), 0));
    put(&db, "docs", "a", [0.5, 0.0]).unwrap();
    assert_eq!(search(&db, "docs", Some("image")).unwrap(), ["a"]);
}

#[test]
fn too_many_named_vectors_are_refused() {
    let db = TestDb::new(1);
    let spaces = |from: usize, to: usize| (from..to).map(|n| (format!("v{n}"), SPACE));
    let many = Create { vectors: spaces(0, 65).collect(), ..Create::new("docs") };
    assert_eq!(code(db.write(many)), Code::TooManyVectors);
    db.write(Create { vectors: spaces(0, 64).collect(), ..Create::new("docs") }).unwrap();
    assert_eq!(code(alter(&db, "one more", Some(SPACE))), Code::InvalidName);
    assert_eq!(code(alter(&db, "more", Some(SPACE))), Code::TooManyVectors);
    assert_eq!(db.read(Get { collection: "docs".into() }).unwrap().vectors.len(), 64);
}

#[test]
fn a_collection_under_another_name_is_the_same() {
    let mut db = TestDb::new(1);
    create(&db, "docs");
    create(&db, "taken");
    put(&db, "docs", "a", [1.0, 0.0]).unwrap();
    let rename = |db: &TestDb, from: &str, to: &str| {
        db.write(Rename { collection: from.into(), to: to.into() }).map(drop)
    };
    assert_eq!(code(rename(&db, "docs", "taken")), Code::CollectionExists);
    assert_eq!(code(rename(&db, "docs", "docs")), Code::CollectionExists);
    assert_eq!(code(rename(&db, "none", "free")), Code::CollectionNotFound);
    assert_eq!(code(rename(&db, "docs", "a b")), Code::InvalidName);
    rename(&db, "docs", "pages").unwrap();
    assert_eq!(code(search(&db, "docs", None)), Code::CollectionNotFound);
    db.reopen().unwrap();
    assert_eq!(search(&db, "pages", Some("image")).unwrap(), ["a"]);
    // The old name is free, and what is under it has nothing to do with the other.
    create(&db, "docs");
    assert_eq!(search(&db, "docs", None).unwrap(), [""; 0]);
    db.write(Delete { collection: "pages".into() }).unwrap();
    db.run(Task::Sweep);
    assert_eq!((db.rows(Table::Record), db.rows(Table::Vector), db.rows(Table::Garbage)), (0, 0, 0));
    let list = db.read(List { limit: None, cursor: None, reverse: false }).unwrap();
    assert_eq!(list.items.iter().map(|e| &e.collection).collect::<Vec<_>>(), ["docs", "taken"]);
}

#[test]
fn an_emptied_collection_is_as_it_was_created() {
    let db = TestDb::new(1);
    create(&db, "docs");
    for n in 0..5 {
        put(&db, "docs", &format!("r{n}"), [n as f32, 0.0]).unwrap();
    }
    let before = db.read(Get { collection: "docs".into() }).unwrap();
    db.write(Truncate { collection: "docs".into() }).unwrap();
    let after = db.read(Get { collection: "docs".into() }).unwrap();
    assert_eq!((before.records, after.records), (5, 0));
    assert_eq!((before.vectors, before.created), (after.vectors, after.created));
    put(&db, "docs", "r1", [7.0, 0.0]).unwrap();
    db.run(Task::Sweep);
    assert_eq!(search(&db, "docs", Some("image")).unwrap(), ["r1"]);
    assert_eq!((db.rows(Table::Record), db.rows(Table::Vector), db.rows(Table::Garbage)), (1, 2, 0));
    assert_eq!(code(db.write(Truncate { collection: "none".into() })), Code::CollectionNotFound);
}
