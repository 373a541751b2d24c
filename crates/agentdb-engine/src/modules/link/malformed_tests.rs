//! A table of wrong requests with the error that each must give; none of them changes anything.

use agentdb_types::{Code, Lsn};
use serde_json::{Value, json};

use crate::WriteOptions;
use crate::modules::testing::TestDb;

/// An operation, what its request has besides what a right one has, the error, and what that says.
type Row = (&'static str, Value, Code, &'static str);

fn puts() -> Vec<Row> {
    let mut rows = Vec::new();
    let long = "x".repeat(513);
    for operation in ["link.put", "link.get", "link.delete"] {
        let mut row = |more, code, said| rows.push((operation, more, code, said));
        row(json!({"type": ""}), Code::IdEmpty, "type");
        row(json!({"type": long}), Code::IdTooLong, "type");
        row(json!({"type": 1}), Code::InvalidValue, "type");
        row(json!({"type": null}), Code::InvalidValue, "type");
        row(json!({"record": ""}), Code::IdEmpty, "record");
        row(json!({"record": long}), Code::IdTooLong, "record");
        row(json!({"record": ["a"]}), Code::InvalidValue, "record");
        row(json!({"to": ""}), Code::IdEmpty, "to");
        row(json!({"to": long}), Code::IdTooLong, "to");
        row(json!({"to": 7}), Code::InvalidValue, "to");
        row(json!({"collection": "none"}), Code::CollectionNotFound, "none");
        row(json!({"collection": "a b"}), Code::InvalidName, "a b");
        row(json!({"collection": ""}), Code::IdEmpty, "collection");
        row(json!({"to_collection": "none"}), Code::CollectionNotFound, "none");
        row(json!({"to_collection": ".x"}), Code::InvalidName, ".x");
        row(json!({"to_collection": ""}), Code::IdEmpty, "collection");
        row(json!({"to_collection": 1}), Code::InvalidValue, "to_collection");
        row(json!({"link_type": "x"}), Code::UnknownField, "link_type");
        row(json!({"weight": 1}), Code::UnknownField, "weight");
    }
    let deep = (0..32).fold(json!(1), |inner, _| json!([inner]));
    for payload in [json!([1]), json!("x"), json!(null), json!(1), json!(true)] {
        rows.push(("link.put", json!({"payload": payload}), Code::InvalidValue, "payload"));
    }
    rows.push(("link.put", json!({"payload": {"a": deep}}), Code::DepthExceeded, "payload"));
    rows.push(("link.put", json!({"payload": {"a": "x".repeat(1 << 20)}}), Code::ValueTooLarge, "payload"));
    rows.push(("link.put", json!({"record": "none"}), Code::RecordNotFound, "none"));
    rows.push(("link.put", json!({"to": "none"}), Code::RecordNotFound, "none"));
    rows.push(("link.put", json!({"to_collection": "tags"}), Code::RecordNotFound, "tags"));
    rows.push(("link.get", json!({"record": "none"}), Code::LinkNotFound, "none"));
    rows.push(("link.get", json!({"to_collection": "tags"}), Code::LinkNotFound, "tags"));
    rows.push(("link.get", json!({"type": "other"}), Code::LinkNotFound, "other"));
    rows.push(("link.get", json!({"payload": {}}), Code::UnknownField, "payload"));
    rows.push(("link.delete", json!({"payload": {}}), Code::UnknownField, "payload"));
    rows
}

fn reads() -> Vec<Row> {
    let many = |count: usize| (0..count).map(|n| json!(format!("r{n}"))).collect::<Value>();
    let mut rows = Vec::new();
    for operation in ["link.list", "link.traverse"] {
        let mut row = |more, code, said| rows.push((operation, more, code, said));
        row(json!({"collection": "none"}), Code::CollectionNotFound, "none");
        row(json!({"collection": "a b"}), Code::InvalidName, "a b");
        row(json!({"direction": "up"}), Code::InvalidValue, "direction");
        row(json!({"direction": null}), Code::InvalidValue, "direction");
        row(json!({"direction": ["out"]}), Code::InvalidValue, "direction");
        row(json!({"types": "cites"}), Code::InvalidValue, "types");
        row(json!({"types": [""]}), Code::IdEmpty, "types");
        row(json!({"types": ["x".repeat(513)]}), Code::IdTooLong, "types");
        row(json!({"types": [1]}), Code::InvalidValue, "types");
        row(json!({"types": many(101)}), Code::InvalidValue, "101");
        row(json!({"filter": 1}), Code::InvalidValue, "filter");
        row(json!({"filter": {"$what": 1}}), Code::InvalidValue, "$what");
        row(json!({"filter": {"n": {"$gt": []}}}), Code::InvalidValue, "n");
        row(json!({"filter": {"n": {"$gt": true}}}), Code::FilterTypeMismatch, "n");
        row(json!({"limit": -1}), Code::InvalidValue, "limit");
        row(json!({"limit": "5"}), Code::InvalidValue, "limit");
        row(json!({"limit": 1.5}), Code::InvalidValue, "limit");
        row(json!({"type": "cites"}), Code::UnknownField, "type");
    }
    let mut row = |more, code, said| rows.push(("link.list", more, code, said));
    row(json!({"record": ""}), Code::IdEmpty, "record");
    row(json!({"record": "none"}), Code::RecordNotFound, "none");
    row(json!({"limit": 0}), Code::PageTooLarge, "0");
    row(json!({"limit": 10_001}), Code::PageTooLarge, "10001");
    row(json!({"cursor": "xyz"}), Code::InvalidCursor, "hexadecimal");
    row(json!({"cursor": ""}), Code::InvalidCursor, "short");
    row(json!({"cursor": "00112233"}), Code::InvalidCursor, "altered");
    row(json!({"cursor": 1}), Code::InvalidValue, "cursor");
    row(json!({"reverse": true}), Code::UnknownField, "reverse");
    let mut row = |more, code, said| rows.push(("link.traverse", more, code, said));
    row(json!({"records": []}), Code::InvalidValue, "records");
    row(json!({"records": many(101)}), Code::InvalidValue, "101");
    row(json!({"records": "a"}), Code::InvalidValue, "records");
    row(json!({"records": [1]}), Code::InvalidValue, "records[0]");
    row(json!({"records": [""]}), Code::IdEmpty, "record");
    row(json!({"records": ["a", "none"]}), Code::RecordNotFound, "none");
    row(json!({"depth": 0}), Code::InvalidValue, "depth");
    row(json!({"depth": 11}), Code::InvalidValue, "11");
    row(json!({"depth": -1}), Code::InvalidValue, "depth");
    row(json!({"depth": "1"}), Code::InvalidValue, "depth");
    row(json!({"limit": 0}), Code::InvalidValue, "limit");
    row(json!({"limit": 1_001}), Code::InvalidValue, "1001");
    row(json!({"through": []}), Code::InvalidValue, "filter");
    row(json!({"through": {"n": {"$gt": true}}}), Code::FilterTypeMismatch, "n");
    row(json!({"through": {"$and": 1}}), Code::InvalidValue, "$and");
    row(json!({"cursor": "00"}), Code::UnknownField, "cursor");
    rows
}

fn call(db: &TestDb, operation: &str, request: Value) -> agentdb_types::Result<Value> {
    let options = WriteOptions::default();
    Ok(db.engine().call_json(db.namespace, operation, request, options, Lsn::ZERO)?.response)
}

fn right(operation: &str) -> Value {
    match operation {
        "link.list" => json!({"collection": "docs", "record": "a"}),
        "link.traverse" => json!({"collection": "docs", "records": ["a"]}),
        _ => json!({"collection": "docs", "record": "a", "type": "cites", "to": "b"}),
    }
}

#[test]
fn each_of_many_wrong_requests_gives_its_error_and_changes_nothing() {
    let db = TestDb::new(1);
    for (operation, request) in [
        ("collection.create", json!({"collection": "docs", "fields": {"n": {"type": "number"}}})),
        ("collection.create", json!({"collection": "tags"})),
        ("record.put", json!({"collection": "docs", "record": "a"})),
        ("record.put", json!({"collection": "docs", "record": "b", "payload": {"n": 1}})),
        ("link.put", right("link.put")),
    ] {
        call(&db, operation, request).unwrap();
    }
    let before = (db.engine().lsn(), db.engine().digest(db.namespace).unwrap());
    let rows = [puts(), reads()].concat();
    assert!(rows.len() >= 120, "{}", rows.len());
    let mut wrong = Vec::new();
    for (operation, more, code, said) in rows {
        let mut request = right(operation);
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let shown: String = format!("{operation} {more}").chars().take(160).collect();
        match call(&db, operation, request) {
            Ok(answer) => wrong.push(format!("{shown}: answered {answer}")),
            Err(err) if err.code() != code => wrong.push(format!("{shown}: {err}, not {code}")),
            Err(err) if !err.to_string().contains(said) => {
                wrong.push(format!("{shown}: {err} says nothing of {said:?}"))
            }
            Err(_) => {}
        }
    }
    for (operation, field) in [
        ("link.put", "collection"),
        ("link.put", "record"),
        ("link.put", "type"),
        ("link.put", "to"),
        ("link.get", "type"),
        ("link.delete", "to"),
        ("link.list", "record"),
        ("link.traverse", "records"),
    ] {
        let mut request = right(operation);
        request.as_object_mut().unwrap().remove(field);
        let refused = call(&db, operation, request).unwrap_err();
        assert_eq!(
            (refused.code(), refused.value("field")),
            (Code::MissingField, Some(field)),
            "{operation}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((db.engine().lsn(), db.engine().digest(db.namespace).unwrap()), before);
}

#[test]
fn a_cursor_is_for_the_list_that_gave_it() {
    let db = TestDb::new(2);
    call(&db, "collection.create", json!({"collection": "docs"})).unwrap();
    for record in ["a", "b", "c"] {
        call(&db, "record.put", json!({"collection": "docs", "record": record})).unwrap();
    }
    for to in ["b", "c"] {
        call(&db, "link.put", json!({"collection": "docs", "record": "a", "type": "x", "to": to})).unwrap();
    }
    let list = |record: &str, cursor: Option<&str>| {
        call(&db, "link.list", json!({"collection": "docs", "record": record, "limit": 1, "cursor": cursor}))
    };
    let first = list("a", None).unwrap();
    let cursor = first["cursor"].as_str().unwrap();
    assert_eq!(list("a", Some(cursor)).unwrap()["items"][0]["record"], "c");
    assert_eq!(list("b", Some(cursor)).unwrap_err().code(), Code::InvalidCursor);
    // It is another record, whatever its name.
    call(&db, "record.delete", json!({"collection": "docs", "record": "a"})).unwrap();
    call(&db, "record.put", json!({"collection": "docs", "record": "a"})).unwrap();
    assert_eq!(list("a", Some(cursor)).unwrap_err().code(), Code::InvalidCursor);
}
