//! Hubs, what keeps links and what takes them along, and refusals.

use agentdb_types::{Code, Lsn};
use serde_json::{Value, json};

use super::model_tests::{call, list, ok};
use crate::key::Key;
use crate::modules::testing::TestDb;
use crate::read::Read;
use crate::{Batch, Table, Task, WriteOptions};

fn records(db: &TestDb, records: &[&str]) {
    ok(db, "collection.create", json!({"collection": "docs"}));
    for record in records {
        ok(db, "record.put", json!({"collection": "docs", "record": record}));
    }
}

fn link(db: &TestDb, from: &str, to: &str) -> Value {
    ok(db, "link.put", json!({"collection": "docs", "record": from, "type": "cites", "to": to}))
}

fn outgoing(db: &TestDb, from: &str) -> usize {
    list(db, json!({"collection": "docs", "record": from}), 100).items.len()
}

#[test]
fn a_hub_is_deleted_at_once_and_its_links_are_swept_from_both_ends() {
    let db = TestDb::new(1);
    records(&db, &["hub"]);
    for piece in 0..20 {
        let mut batch = Batch::new();
        for n in piece * 1_000..(piece + 1) * 1_000 {
            let record = format!("r{n}");
            batch
                .push_json(db.engine(), "record.put", json!({"collection": "docs", "record": record}))
                .unwrap();
            let cites = json!({"collection": "docs", "record": record, "type": "cites", "to": "hub"});
            batch.push_json(db.engine(), "link.put", cites).unwrap();
        }
        db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait().unwrap();
    }
    let incoming = json!({"collection": "docs", "record": "hub", "direction": "in", "limit": 10_000});
    assert_eq!(list(&db, incoming, 10_000).items.len(), 20_000);
    let around = json!({"collection": "docs", "records": ["hub"], "direction": "in", "limit": 1_000, "filter": {"none": 1}});
    let traversed = ok(&db, "link.traverse", around);
    assert_eq!((traversed["items"].as_array().unwrap().len(), &traversed["more"]), (0, &json!(true)));
    let log = |from: Lsn| {
        let mut mutations = 0;
        db.engine()
            .read_log(Some(from), &mut |entry| {
                mutations += json!(entry)["mutations"].as_array().unwrap().len();
                Ok(true)
            })
            .unwrap();
        mutations
    };
    let before = db.engine().lsn();
    ok(&db, "record.delete", json!({"collection": "docs", "record": "hub"}));
    assert!(log(before.next()) < 8);
    assert_eq!((outgoing(&db, "r7"), db.rows(Table::LinkBack)), (0, 20_000));
    // One of the same name has none of them.
    ok(&db, "record.put", json!({"collection": "docs", "record": "hub"}));
    assert_eq!(outgoing(&db, "r7"), 0);
    link(&db, "r7", "hub");
    db.run(Task::Sweep);
    assert_eq!([Table::Link, Table::LinkBack, Table::Garbage].map(|table| db.rows(table)), [1, 1, 0]);
    assert_eq!(outgoing(&db, "r7"), 1);
}

#[test]
fn a_record_that_is_linked_keeps_its_version_and_one_that_is_put_again_its_links() {
    let db = TestDb::new(2);
    records(&db, &["a", "b"]);
    let version = || ok(&db, "record.get", json!({"collection": "docs", "record": "a"}))["version"].clone();
    let before = version();
    assert_eq!(link(&db, "a", "b")["created"], true);
    assert_eq!(version(), before);
    ok(&db, "record.put", json!({"collection": "docs", "record": "a", "payload": {"new": 1}}));
    ok(&db, "record.patch", json!({"collection": "docs", "record": "b", "payload": {"new": 1}}));
    assert_eq!(outgoing(&db, "a"), 1);
    assert_eq!(link(&db, "a", "b")["created"], false);
    assert_eq!(
        ok(&db, "link.delete", json!({"collection": "docs", "record": "a", "type": "cites", "to": "b"})),
        json!({"deleted": true})
    );
    assert_eq!(
        ok(&db, "link.delete", json!({"collection": "docs", "record": "a", "type": "cites", "to": "b"})),
        json!({"deleted": false})
    );
}

#[test]
fn what_is_kept_no_longer_takes_its_links_along() {
    let db = TestDb::new(3);
    records(&db, &["old", "new"]);
    link(&db, "new", "old");
    ok(&db, "retention.set", json!({"noun": "record", "max_age_us": 10_000_000}));
    db.world.advance_us(8_000_000);
    ok(&db, "record.put", json!({"collection": "docs", "record": "new"}));
    db.world.advance_us(3_000_000);
    db.run(Task::Retain);
    assert_eq!(outgoing(&db, "new"), 0);
    db.run(Task::Sweep);
    let left = [Table::Link, Table::LinkBack, Table::Node].map(|table| db.rows(table));
    assert_eq!(left, [0, 0, 1]);
}

#[test]
fn a_refusal_names_the_record_that_is_missing() {
    let db = TestDb::new(4);
    records(&db, &["a"]);
    for (record, to, missing) in [("a", "x", "x"), ("y", "a", "y")] {
        let put = json!({"collection": "docs", "record": record, "type": "cites", "to": to});
        let refused = call(&db, "link.put", put.clone()).unwrap_err();
        assert_eq!((refused.code(), refused.value("record")), (Code::RecordNotFound, Some(missing)));
        let refused = call(&db, "link.get", put).unwrap_err();
        assert_eq!(refused.code(), Code::LinkNotFound);
    }
    assert_eq!(db.rows(Table::Node), 0);
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    let of = |table| Key::new(db.namespace, table);
    assert!(snapshot.get(&of(Table::Counter).text("nodes")).unwrap().is_none());
}
