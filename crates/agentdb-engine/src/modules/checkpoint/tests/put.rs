//! Putting: the cases of the suite's `put`.

use serde_json::json;

use super::{Saver, config, map, metadata};
use crate::modules::checkpoint::{Encoded, Get, Put};

#[test]
fn test_put_returns_config() {
    let saver = Saver::new();
    let put = Put {
        checkpoint: Some("c1".into()),
        values: map(json!({"k": "v"})),
        versions: map(json!({"k": 1})),
        ..Put::new("t")
    };
    let stored = saver.db.write(put).unwrap().response;
    assert_eq!((&*stored.thread, &*stored.namespace, &*stored.checkpoint), ("t", "", "c1"));
    assert!(stored.created);
}

#[test]
fn test_put_roundtrip() {
    let saver = Saver::new();
    let stored =
        saver.put(&config("t", ""), json!({"msg": "hello"}), json!({"msg": 1}), metadata("input", -1));
    let entry = saver.get(&stored).unwrap();
    assert_eq!(entry.checkpoint, stored.id());
    assert_eq!(entry.values, map(json!({"msg": "hello"})));
}

#[test]
fn test_put_preserves_channel_values() {
    let saver = Saver::new();
    let values = json!({
        "str_val": "hello", "int_val": 42, "list_val": [1, 2, 3], "dict_val": {"nested": true}, "none_val": null,
        "float_val": 0.1, "empty": "", "long": "x".repeat(100_000),
    });
    let versions =
        map(values.clone()).keys().map(|name| (name.clone(), json!(1))).collect::<serde_json::Map<_, _>>();
    let mut put = Put { values: map(values.clone()), versions, ..Put::new("t") };
    let bytes = Encoded { r#type: "bytes".into(), data: vec![0, 255, 1] };
    put.versions.insert("bytes_val".into(), json!(1));
    put.encoded.insert("bytes_val".into(), bytes.clone());
    saver.db.write(put).unwrap();
    let entry = saver.db.read(Get::new("t")).unwrap();
    assert_eq!(entry.values, map(values));
    assert_eq!(entry.encoded["bytes_val"], bytes);
    let json = serde_json::to_value(&entry).unwrap();
    assert_eq!(json["encoded"]["bytes_val"], json!({"type": "bytes", "data": "AP8B"}));
    assert_eq!(serde_json::from_value::<super::Entry>(json).unwrap(), entry);
}

#[test]
fn test_put_preserves_channel_versions() {
    let saver = Saver::new();
    let versions = json!({"a": 1, "b": "00000000000000000000000000000002.0.25", "c": 1.5});
    let stored =
        saver.put(&config("t", ""), json!({"a": "x", "b": "y"}), versions.clone(), metadata("loop", 0));
    assert_eq!(saver.get(&stored).unwrap().versions, map(versions));
}

#[test]
fn test_put_preserves_versions_seen() {
    let saver = Saver::new();
    let data = json!({"v": 1, "ts": "now", "versions_seen": {"node1": {"ch": 1}, "node2": {"ch": 2}}});
    saver.db.write(Put { data: map(data.clone()), ..Put::new("t") }).unwrap();
    assert_eq!(saver.db.read(Get::new("t")).unwrap().data, map(data));
}

#[test]
fn test_put_preserves_metadata() {
    let saver = Saver::new();
    let given = json!({"source": "loop", "step": 3, "parents": {}, "custom_key": "custom_value"});
    let stored = saver.put(&config("t", ""), json!({}), json!({}), given.clone());
    assert_eq!(saver.get(&stored).unwrap().metadata, map(given));
}

#[test]
fn test_put_root_namespace() {
    let saver = Saver::new();
    let stored = saver.put(&config("t", ""), json!({}), json!({}), metadata("loop", 0));
    assert_eq!(saver.get(&stored).unwrap().namespace, "");
}

#[test]
fn test_put_child_namespace() {
    let saver = Saver::new();
    let stored = saver.put(&config("t", "child:abc"), json!({}), json!({}), metadata("loop", 0));
    assert_eq!(saver.get(&stored).unwrap().namespace, "child:abc");
}

#[test]
fn test_put_default_namespace() {
    let saver = Saver::new();
    let request = serde_json::from_value::<Put>(json!({"thread": "t", "checkpoint": "c"})).unwrap();
    saver.db.write(request).unwrap();
    let get = serde_json::from_value::<Get>(json!({"thread": "t"})).unwrap();
    assert_eq!(saver.db.read(get).unwrap().namespace, "");
}

#[test]
fn test_put_multiple_checkpoints_same_thread() {
    let saver = Saver::new();
    for stored in saver.chain("t", "", 3) {
        assert_eq!(saver.get(&stored).unwrap().checkpoint, stored.id());
    }
}

#[test]
fn test_put_multiple_threads_isolated() {
    let saver = Saver::new();
    for thread in ["t1", "t2"] {
        saver.put(&config(thread, ""), json!({"x": thread}), json!({"x": 1}), metadata("loop", 0));
    }
    for thread in ["t1", "t2"] {
        assert_eq!(saver.get(&config(thread, "")).unwrap().values["x"], thread);
    }
}

#[test]
fn test_put_parent_config() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 2);
    assert_eq!(saver.get(&stored[1]).unwrap().parent.as_deref(), stored[0].checkpoint.as_deref());
}

#[test]
fn test_put_incremental_channel_update() {
    let saver = Saver::new();
    let first = saver.put(
        &config("t", ""),
        json!({"a": "v1", "b": "v2"}),
        json!({"a": 1, "b": 1}),
        metadata("loop", 0),
    );
    // Only what is new is given: the rest is that of its version.
    let second = saver.put(&first, json!({"a": "v1_updated"}), json!({"a": 2, "b": 1}), metadata("loop", 1));
    assert_eq!(saver.get(&second).unwrap().values, map(json!({"a": "v1_updated", "b": "v2"})));
    assert_eq!(saver.get(&first).unwrap().values, map(json!({"a": "v1", "b": "v2"})));
}

#[test]
fn test_put_new_channel_added() {
    let saver = Saver::new();
    let first = saver.put(&config("t", ""), json!({"a": "v1"}), json!({"a": 1}), metadata("loop", 0));
    let second = saver.put(&first, json!({"b": "new_channel"}), json!({"a": 1, "b": 1}), metadata("loop", 1));
    assert_eq!(saver.get(&second).unwrap().values, map(json!({"a": "v1", "b": "new_channel"})));
}

#[test]
fn test_put_channel_removed() {
    let saver = Saver::new();
    let first = saver.put(
        &config("t", ""),
        json!({"a": "v1", "b": "v2"}),
        json!({"a": 1, "b": 1}),
        metadata("loop", 0),
    );
    let second = saver.put(&first, json!({"a": "v1_updated"}), json!({"a": 2}), metadata("loop", 1));
    assert_eq!(saver.get(&second).unwrap().values, map(json!({"a": "v1_updated"})));
}

#[test]
fn test_put_preserves_run_id() {
    let saver = Saver::new();
    let given = json!({"source": "loop", "step": 0, "run_id": "run-1"});
    let stored = saver.put(&config("t", ""), json!({}), json!({}), given);
    assert_eq!(saver.get(&stored).unwrap().metadata["run_id"], "run-1");
}

#[test]
fn test_put_preserves_versions_seen_values() {
    let saver = Saver::new();
    let data = json!({"versions_seen": {"node1": {"ch_a": 1, "ch_b": 2}, "node2": {"ch_a": 3}}});
    saver.db.write(Put { data: map(data.clone()), ..Put::new("t") }).unwrap();
    assert_eq!(saver.db.read(Get::new("t")).unwrap().data, map(data));
}

#[test]
fn versions_that_meet_after_a_fork_keep_their_values_apart() {
    let saver = Saver::new();
    let root = saver.put(&config("t", ""), json!({"a": "root"}), json!({"a": 1}), metadata("loop", 0));
    let left = saver.put(&root, json!({"a": "left"}), json!({"a": 2}), metadata("loop", 1));
    let right = saver.put(&root, json!({"a": "right"}), json!({"a": 2}), metadata("loop", 1));
    let put = Put {
        checkpoint: Some("2".into()),
        parent: right.checkpoint.clone(),
        versions: map(json!({"a": 2})),
        empty: vec!["a".into()],
        ..Put::new("t")
    };
    saver.db.write(put).unwrap();
    let values = |at: &super::Config| saver.get(at).unwrap().values;
    assert_eq!(values(&left), map(json!({"a": "left"})));
    assert_eq!(values(&right), map(json!({"a": "right"})));
    assert!(values(&config("t", "")).is_empty());
}
