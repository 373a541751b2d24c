//! Reading: the cases of the suite's `get_tuple`.

use serde_json::json;

use super::{Config, Saver, config, map, metadata, written};

#[test]
fn test_get_tuple_nonexistent_returns_none() {
    assert!(Saver::new().get(&config("nobody's", "")).is_none());
}

#[test]
fn test_get_tuple_latest_when_no_checkpoint_id() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 3);
    let entry = saver.get(&config("t", "")).unwrap();
    assert_eq!((&*entry.checkpoint, &entry.metadata["step"]), (stored[2].id(), &json!(2)));
}

#[test]
fn test_get_tuple_specific_checkpoint_id() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 2);
    assert_eq!(saver.get(&stored[0]).unwrap().checkpoint, stored[0].id());
}

#[test]
fn test_get_tuple_config_structure() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 1);
    let entry = saver.get(&stored[0]).unwrap();
    assert_eq!((&*entry.thread, &*entry.namespace, &*entry.checkpoint), ("t", "", stored[0].id()));
}

#[test]
fn test_get_tuple_checkpoint_fields() {
    let saver = Saver::new();
    let stored = saver.put(&config("t", ""), json!({"k": "v"}), json!({"k": 1}), metadata("loop", 0));
    let entry = saver.get(&stored).unwrap();
    assert_eq!((&entry.data["v"], &entry.data["ts"]), (&json!(1), &json!("2026-01-01T00:00:00Z")));
    assert_eq!((entry.values, entry.versions), (map(json!({"k": "v"})), map(json!({"k": 1}))));
    assert!(entry.data.contains_key("versions_seen"));
}

#[test]
fn test_get_tuple_metadata() {
    let saver = Saver::new();
    let stored = saver.put(&config("t", ""), json!({}), json!({}), metadata("input", -1));
    assert_eq!(saver.get(&stored).unwrap().metadata, map(metadata("input", -1)));
}

#[test]
fn test_get_tuple_parent_config() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 2);
    assert_eq!(saver.get(&stored[0]).unwrap().parent, None);
    assert_eq!(saver.get(&stored[1]).unwrap().parent, stored[0].checkpoint);
}

#[test]
fn test_get_tuple_pending_writes() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 1);
    saver.put_writes(&stored[0], json!([["ch", "val"]]), "task");
    let expected = [("task".to_owned(), "ch".to_owned(), json!("val"))];
    assert_eq!(written(&saver.get(&stored[0]).unwrap()), expected);
}

#[test]
fn test_get_tuple_respects_namespace() {
    let saver = Saver::new();
    let stored = ["", "child:1"].map(|namespace| saver.chain("t", namespace, 1).remove(0));
    for at in &stored {
        assert_eq!(saver.get(&Config { checkpoint: None, ..at.clone() }).unwrap().checkpoint, at.id());
    }
    assert!(saver.get(&config("t", "child")).is_none());
}

#[test]
fn test_get_tuple_nonexistent_checkpoint_id() {
    let saver = Saver::new();
    saver.chain("t", "", 1);
    assert!(saver.get(&Config { checkpoint: Some("none".into()), ..config("t", "") }).is_none());
}
