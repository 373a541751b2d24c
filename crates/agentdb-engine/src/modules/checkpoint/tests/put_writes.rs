//! Writes: the cases of the suite's `put_writes`.

use serde_json::json;

use super::{Saver, config, metadata, written};

fn saver() -> (Saver, super::Config) {
    let saver = Saver::new();
    let stored = saver.put(&config("t", ""), json!({}), json!({}), metadata("loop", 0));
    (saver, stored)
}

fn triple(task: &str, channel: &str, value: serde_json::Value) -> (String, String, serde_json::Value) {
    (task.into(), channel.into(), value)
}

#[test]
fn test_put_writes_basic() {
    let (saver, at) = saver();
    saver.put_writes(&at, json!([["channel1", "value1"]]), "task");
    assert_eq!(written(&saver.get(&at).unwrap()), [triple("task", "channel1", json!("value1"))]);
}

#[test]
fn test_put_writes_multiple_writes_same_task() {
    let (saver, at) = saver();
    saver.put_writes(&at, json!([["ch1", "v1"], ["ch2", "v2"], ["ch3", "v3"]]), "task");
    let expected: Vec<_> =
        (1..4).map(|n| triple("task", &format!("ch{n}"), json!(format!("v{n}")))).collect();
    assert_eq!(written(&saver.get(&at).unwrap()), expected);
}

#[test]
fn test_put_writes_multiple_tasks() {
    let (saver, at) = saver();
    saver.put_writes(&at, json!([["ch", "from_t1"]]), "t1");
    saver.put_writes(&at, json!([["ch", "from_t2"]]), "t2");
    let expected = [triple("t1", "ch", json!("from_t1")), triple("t2", "ch", json!("from_t2"))];
    assert_eq!(written(&saver.get(&at).unwrap()), expected);
}

#[test]
fn test_put_writes_preserves_task_id() {
    let (saver, at) = saver();
    saver.put_writes(&at, json!([["ch", "val"]]), "7f1c-\u{0}-task");
    assert_eq!(saver.get(&at).unwrap().writes[0].task, "7f1c-\u{0}-task");
}

#[test]
fn test_put_writes_preserves_channel_and_value() {
    let (saver, at) = saver();
    saver.put_writes(&at, json!([["my_channel", {"data": 123}], ["none", null]]), "task");
    let expected = [triple("task", "my_channel", json!({"data": 123})), triple("task", "none", json!(null))];
    assert_eq!(written(&saver.get(&at).unwrap()), expected);
}

#[test]
fn test_put_writes_task_path() {
    let (saver, at) = saver();
    saver.put_writes_at(&at, json!([["ch", "v"]]), "task", "a:b:c");
    let writes = saver.get(&at).unwrap().writes;
    assert_eq!((writes.len(), &*writes[0].path), (1, "a:b:c"));
}

#[test]
fn test_put_writes_idempotent() {
    let (saver, at) = saver();
    saver.put_writes(&at, json!([["ch", "val"]]), "task");
    saver.put_writes(&at, json!([["ch", "again"]]), "task");
    assert_eq!(written(&saver.get(&at).unwrap()), [triple("task", "ch", json!("val"))]);
}

#[test]
fn test_put_writes_special_channels() {
    let (saver, at) = saver();
    saver.put_writes(&at, json!([["__error__", "first"]]), "task");
    let writes = json!([["__error__", "something went wrong"], ["__interrupt__", {"reason": "human_input"}]]);
    saver.put_writes(&at, writes, "task");
    let expected = [
        triple("task", "__interrupt__", json!({"reason": "human_input"})),
        triple("task", "__error__", json!("something went wrong")),
    ];
    assert_eq!(written(&saver.get(&at).unwrap()), expected);
}

#[test]
fn test_put_writes_across_namespaces() {
    let (saver, root) = saver();
    let child = saver.put_as(&config("t", "child:1"), root.id(), json!({}), json!({}), metadata("loop", 0));
    saver.put_writes(&root, json!([["ch", "root_val"]]), "task");
    saver.put_writes(&child, json!([["ch", "child_val"]]), "task");
    assert_eq!(written(&saver.get(&root).unwrap()), [triple("task", "ch", json!("root_val"))]);
    assert_eq!(written(&saver.get(&child).unwrap()), [triple("task", "ch", json!("child_val"))]);
}

#[test]
fn test_put_writes_cleared_on_next_checkpoint() {
    let (saver, first) = saver();
    saver.put_writes(&first, json!([["ch", "old_write"]]), "task");
    let second = saver.put(&first, json!({}), json!({}), metadata("loop", 1));
    assert!(saver.get(&second).unwrap().writes.is_empty());
}
