//! Imports of what is no export, or not the one that it was; of what is there already; and twice at the same time.

use std::path::Path;

use agentdb::{Database, Value, json};

use super::{told, told_by_tool};
use crate::{json as answer, run};

/// A database of a state, and an export of it.
fn exported(dir: &Path) -> Vec<u8> {
    answer(dir, &["state", "put", "ann", "plan", "1"]);
    run(dir, &["namespace", "export", "default"]).stdout
}

/// What importing these lines into another namespace tells.
fn importing(dir: &Path, lines: &[u8], values: &[(&str, &str)]) -> Value {
    let file = dir.join("lines.jsonl");
    std::fs::write(&file, lines).unwrap();
    let error = told_by_tool(dir, &["namespace", "import", "copy", file.to_str().unwrap()]);
    for (name, expected) in values {
        let found = error["values"][*name].as_str().unwrap_or_default();
        assert!(found.contains(expected), "{name} is {found}, not {expected}: {error}");
    }
    error
}

pub(super) fn import_line() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let whole = exported(dir.path());
    let behind = [&whole[..], b"{\"noun\":\"end\"}\n"].concat();
    vec![
        importing(dir.path(), b"[1]\n", &[("line", "1"), ("reason", "not a JSON object")]),
        importing(dir.path(), b"{\"noun\":\"end\"}\n", &[("line", "1"), ("reason", "first line")]),
        importing(dir.path(), b"{\"noun\":\"export\",\"format\":0}\n", &[("reason", "format 0")]),
        importing(dir.path(), &behind, &[("line", "4"), ("reason", "behind the last")]),
    ]
}

pub(super) fn import_damaged() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let lines = String::from_utf8(exported(dir.path())).unwrap();
    let altered = lines.replacen("\"value\":1", "\"value\":2", 1);
    vec![importing(dir.path(), altered.as_bytes(), &[("line", "3"), ("reason", "another hash")])]
}

pub(super) fn import_truncated() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let lines = exported(dir.path());
    vec![
        importing(dir.path(), &lines[..lines.len() - 20], &[("line", "2")]),
        importing(dir.path(), b"", &[("line", "0")]),
    ]
}

/// An import that is begun, and its lines; `n` states.
fn begun(dir: &Path, count: u64) -> String {
    let db = Database::open(dir.join("db")).unwrap();
    for key in 0..count {
        db.namespace("default").unwrap().state("ann").put(format!("{key:05}"), json!(key)).wait().unwrap();
    }
    db.namespaces().create("copy").wait().unwrap();
    let mut lines = Vec::new();
    db.namespace("default").unwrap().export().write_to(&mut lines, &mut |_| {}).unwrap();
    let copy = db.namespace("copy").unwrap();
    assert!(copy.import(&lines[..]).begin().unwrap().step().unwrap().is_none());
    String::from_utf8(lines).unwrap()
}

pub(super) fn import_changed() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let lines = begun(dir.path(), 600);
    let changed = lines.replacen("\"value\":7,", "\"value\":8,", 1);
    let first = lines.lines().next().unwrap();
    vec![
        importing(dir.path(), changed.as_bytes(), &[("line", "501"), ("reason", "another hash")]),
        importing(dir.path(), format!("{first}\n").as_bytes(), &[("line", "501"), ("reason", "fewer")]),
    ]
}

pub(super) fn import_exists() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let lines = exported(dir.path());
    answer(dir.path(), &["namespace", "create", "copy"]);
    answer(dir.path(), &["-n", "copy", "state", "put", "ann", "plan", "2"]);
    vec![importing(dir.path(), &lines, &[("what", "the state \"plan\""), ("import_line", "2")])]
}

pub(super) fn import_moved() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let lines = begun(dir.path(), 1_200);
    let db = Database::open(dir.path().join("db")).unwrap();
    let copy = db.namespace("copy").unwrap();
    let [mut one, mut other] = [(), ()].map(|()| copy.import(lines.as_bytes()).begin().unwrap());
    for _ in 0..2 {
        assert!(one.step().unwrap().is_none());
    }
    assert!(other.step().unwrap().is_none(), "it passes over what was there");
    let err = other.step().unwrap_err();
    vec![told(&err, &[("actual", "1002"), ("expected", "501")])]
}
