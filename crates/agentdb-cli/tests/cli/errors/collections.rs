//! Errors of collections: of their vectors, and of what their fields may be.

use agentdb::Lsn;
use agentdb_text::{Analyzer, Field, Search, TextIndex};
use serde_json::{Value, json};

use super::simulated::Simulated;

const IMAGE: [(&str, &str); 2] = [("collection", "docs"), ("name", "image")];

fn with_image() -> Simulated {
    let db = Simulated::new();
    let add = json!({"collection": "docs", "vectors": {"image": {"dimension": 3}}});
    db.call("collection.alter", add).unwrap();
    db
}

pub(super) fn vector_unknown() -> Vec<Value> {
    let db = Simulated::new();
    let drop = json!({"collection": "docs", "vectors": {"image": null}});
    let search = json!({"collection": "docs", "vector": [1, 0], "using": "image"});
    let put = json!({"collection": "docs", "vectors": {"image": [1]}});
    let patch = json!({"collection": "docs", "record": "r", "vectors": {"image": null}});
    [("collection.alter", drop), ("record.search", search), ("record.put", put), ("record.patch", patch)]
        .map(|(operation, request)| db.refuses_call(&IMAGE, operation, request))
        .into()
}

pub(super) fn link_not_found() -> Vec<Value> {
    let db = Simulated::new();
    db.call("record.put", json!({"collection": "docs", "record": "a"})).unwrap();
    let values = [("collection", "docs"), ("record", "a"), ("type", "cites"), ("to", "b")];
    let get = json!({"collection": "docs", "record": "a", "type": "cites", "to": "b"});
    vec![db.refuses_call(&values, "link.get", get)]
}

pub(super) fn vector_exists() -> Vec<Value> {
    let db = with_image();
    [json!({"dimension": 2}), json!({"dimension": 3, "metric": "dot"})]
        .map(|settings| {
            let alter = json!({"collection": "docs", "vectors": {"image": settings}});
            db.refuses_call(&IMAGE, "collection.alter", alter)
        })
        .into()
}

/// A collection with fields: one that is declared, and one that a record has.
fn with_fields(undeclared: &str) -> Simulated {
    let db = Simulated::new();
    let fields = json!({"at": {"type": "time"}, "hidden": {"type": "number", "indexed": false}});
    db.call("collection.create", json!({"collection": "c", "fields": fields, "undeclared": undeclared}))
        .unwrap();
    let payload = json!({"at": "2026-01-01T00:00:00Z", "hidden": 1});
    db.call("record.put", json!({"collection": "c", "record": "r", "payload": payload})).unwrap();
    db
}

pub(super) fn field_type_mismatch() -> Vec<Value> {
    let db = with_fields("infer");
    db.call("record.put", json!({"collection": "c", "payload": {"n": 1}})).unwrap();
    let values = [("field", "n"), ("expected", "number"), ("found", "a string")];
    let put = json!({"collection": "c", "payload": {"n": "1"}});
    let patch = json!({"collection": "c", "record": "r", "payload": {"n": "1"}});
    let at = json!({"collection": "c", "payload": {"at": "yesterday"}});
    vec![
        db.refuses_call(&values, "record.put", put),
        db.refuses_call(&values, "record.patch", patch),
        db.refuses_call(&[("field", "at"), ("expected", "time")], "record.put", at),
    ]
}

pub(super) fn filter_type_mismatch() -> Vec<Value> {
    let db = with_fields("infer");
    let filter = json!({"collection": "c", "filter": {"at": {"$gt": true}}});
    ["record.count", "record.list", "record.delete_where"]
        .map(|operation| db.refuses_call(&[("path", "at"), ("expected", "time")], operation, filter.clone()))
        .into()
}

pub(super) fn histogram_buckets() -> Vec<Value> {
    let db = with_fields("infer");
    for n in 0..40 {
        let rows: Vec<Value> = (0..256).map(|m| json!(n * 256 + m)).collect();
        for n in rows {
            db.call("record.put", json!({"collection": "c", "payload": {"n": n}})).unwrap();
        }
    }
    let aggregate = json!({"collection": "c", "field": "n", "interval": 1});
    vec![db.refuses_call(&[("field", "n"), ("limit", "10000")], "record.aggregate", aggregate)]
}

pub(super) fn field_not_indexed() -> Vec<Value> {
    let db = with_fields("infer");
    let field = json!({"collection": "c", "field": "hidden"});
    ["record.facet", "record.distinct", "record.aggregate"]
        .map(|operation| db.refuses_call(&[("field", "hidden")], operation, field.clone()))
        .into()
}

pub(super) fn too_many_fields() -> Vec<Value> {
    let db = with_fields("infer");
    let payload: serde_json::Map<String, Value> = (0..999).map(|n| (format!("f{n}"), json!(n))).collect();
    let values = [("actual", "1001"), ("limit", "1000")];
    vec![db.refuses_call(&values, "record.put", json!({"collection": "c", "payload": payload}))]
}

pub(super) fn field_undeclared() -> Vec<Value> {
    let db = with_fields("refuse");
    let put = json!({"collection": "c", "payload": {"hiden": 1}});
    vec![db.refuses_call(&[("field", "hiden")], "record.put", put)]
}

pub(super) fn field_declared() -> Vec<Value> {
    let db = with_fields("infer");
    let alter = json!({"collection": "c", "fields": {"at": {"type": "string"}}});
    let values = [("field", "at"), ("actual", "time"), ("expected", "string")];
    vec![db.refuses_call(&values, "collection.alter", alter)]
}

pub(super) fn text_too_long() -> Vec<Value> {
    let db = with_fields("infer");
    db.call("record.put", json!({"collection": "c", "payload": {"body": "x".repeat(100_000)}})).unwrap();
    let field = json!({"collection": "c", "field": "body"});
    vec![db.refuses_call(&[("field", "body")], "record.facet", field)]
}

pub(super) fn text_query_invalid() -> Vec<Value> {
    let db = Simulated::new();
    [
        json!({"match": {"text": "a", "fields": ["none"]}}),
        json!({"syntax": {"query": "none:a"}}),
        json!({"syntax": {"query": "(a"}}),
    ]
    .map(|words| {
        let search = json!({"collection": "docs", "words": words});
        db.refuses_call(&[("path", "")], "record.search", search)
    })
    .into()
}

pub(super) fn text_query_too_large() -> Vec<Value> {
    let db = Simulated::new();
    let words: String = (0..1_025).map(|n| format!("w{n} ")).collect();
    let search = json!({"collection": "docs", "words": words});
    vec![db.refuses_call(&[("limit", "1024")], "record.search", search)]
}

pub(super) fn text_expansion() -> Vec<Value> {
    let db = Simulated::new();
    let text: String = (0..10_001).map(|n| format!("w{n} ")).collect();
    db.call("record.put", json!({"collection": "docs", "text": text})).unwrap();
    let search = json!({"collection": "docs", "words": {"prefix": {"text": "w"}}});
    vec![db.refuses_call(&[("limit", "10000")], "record.search", search)]
}

/// The engine makes another index then, and no caller sees these two.
pub(super) fn text_compacted() -> Vec<Value> {
    let index = TextIndex::new(vec![Field::new("text", Analyzer::Standard)]).unwrap();
    index.insert(1, Lsn(1), &[Some("a")]).unwrap();
    index.compact(Lsn(5));
    let refused = index.search(&"a".into(), &Search::new(Lsn(2), 10)).unwrap_err();
    vec![super::told(&refused, &[])]
}

pub(super) fn text_corrupt() -> Vec<Value> {
    let fields = vec![Field::new("text", Analyzer::Standard)];
    let refused = TextIndex::open(fields, [b"no bundle".as_slice()]).unwrap_err();
    vec![super::told(&refused, &[])]
}
