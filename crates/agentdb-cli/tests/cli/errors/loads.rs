//! Loads of files that are malformed, of files that were changed, of what is there already, and twice at the same time.

use std::path::Path;

use agentdb::{Database, LoadSource, Value, json};

use super::{told, told_by_tool};
use crate::json as answer;

/// What loading a file with this content tells.
fn loading(dir: &Path, name: &str, content: &[u8], more: &[&str], values: &[(&str, &str)]) -> Value {
    let file = dir.join(name);
    std::fs::write(&file, content).unwrap();
    let arguments = [&["collection", "load", "docs", file.to_str().unwrap()], more].concat();
    let error = told_by_tool(dir, &arguments);
    for (name, expected) in values {
        let found = error["values"][*name].as_str().unwrap_or_default();
        assert!(found.contains(expected), "{name} is {found}, not {expected}: {error}");
    }
    error
}

fn created() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    answer(dir.path(), &["collection", "create", "docs"]);
    dir
}

fn lines(count: u64) -> String {
    (0..count).map(|n| format!("{}\n", json!({"id": format!("r{n}"), "n": n}))).collect()
}

pub(super) fn load_row() -> Vec<Value> {
    let dir = created();
    let path = dir.path();
    vec![
        loading(
            path,
            "a.csv",
            b"id,x\na,\"1\n",
            &[],
            &[("row", "1"), ("line", "2"), ("column", "x"), ("reason", "not closed")],
        ),
        loading(path, "b.csv", b"id\na\na\n", &[], &[("row", "2"), ("column", "id"), ("loaded", "0")]),
        loading(path, "c.jsonl", b"{\"id\":7}", &[], &[("row", "1"), ("reason", "integers_as_ids")]),
    ]
}

pub(super) fn load_source() -> Vec<Value> {
    let dir = created();
    let path = dir.path();
    vec![
        loading(path, "a.csv", b"", &[], &[("source", "a.csv"), ("reason", "empty")]),
        loading(
            path,
            "b.parquet",
            b"PAR1PAR1",
            &[],
            &[("source", "b.parquet"), ("reason", "damaged or cut off")],
        ),
        loading(path, "c.csv", b"id\na\n", &["--text", "body"], &[("reason", "no column \"body\"")]),
        loading(path, "d", b"id\na\n", &[], &[("reason", "format")]),
    ]
}

pub(super) fn load_changed() -> Vec<Value> {
    let dir = created();
    let rows = lines(10_500);
    {
        let db = Database::open(dir.path().join("db")).unwrap();
        let docs = db.namespace("default").unwrap().collection("docs");
        let mut job = docs.load(LoadSource::stream("rows.jsonl", rows.as_bytes())).begin().unwrap();
        assert!(job.step().unwrap().is_none());
    }
    let changed = rows.replacen("\"n\":17", "\"n\":18", 1);
    vec![
        loading(
            dir.path(),
            "rows.jsonl",
            changed.as_bytes(),
            &[],
            &[("row", "10000"), ("reason", "another hash")],
        ),
        loading(dir.path(), "rows.jsonl", lines(10).as_bytes(), &[], &[("collection", "docs")]),
    ]
}

pub(super) fn load_moved() -> Vec<Value> {
    let dir = created();
    let db = Database::open(dir.path().join("db")).unwrap();
    let docs = db.namespace("default").unwrap().collection("docs");
    let rows = lines(10);
    let [mut one, mut other] =
        [(), ()].map(|()| docs.load(LoadSource::stream("rows.jsonl", rows.as_bytes())).begin().unwrap());
    assert!(one.step().unwrap().is_some());
    let err = other.step().unwrap_err();
    vec![told(&err, &[("source", "rows.jsonl"), ("expected", "0")])]
}

pub(super) fn record_exists() -> Vec<Value> {
    let dir = created();
    answer(dir.path(), &["record", "put", "docs", "--record", "r3"]);
    let refuse = ["--existing", "refuse"];
    vec![loading(dir.path(), "rows.jsonl", lines(9).as_bytes(), &refuse, &[("record", "r3"), ("row", "4")])]
}
