//! Copying threads: the cases of the suite's `copy_thread`.

use agentdb_types::Code;
use serde_json::json;

use super::{Config, Entry, Saver, config, metadata};

fn source(saver: &Saver, count: i64, namespaces: &[&str]) -> Vec<Config> {
    let mut stored = Vec::new();
    for namespace in namespaces {
        let mut at = config("src", namespace);
        for step in 0..count {
            at = saver.put(&at, json!({"step": step}), json!({"step": 1}), metadata("loop", step));
            stored.push(at.clone());
        }
    }
    stored
}

/// An entry but for what tells the copy from its source.
fn content(entry: Entry) -> Entry {
    Entry { thread: String::new(), version: Default::default(), ..entry }
}

fn contents(saver: &Saver, thread: &str) -> Vec<Entry> {
    saver.list(&config(thread, "")).into_iter().map(content).collect()
}

#[test]
fn test_copy_thread_basic() {
    let saver = Saver::new();
    source(&saver, 3, &[""]);
    assert_eq!(saver.copy_thread("src", "dst").unwrap().checkpoints, 3);
    assert_eq!(saver.list(&config("dst", "")).len(), 3);
}

#[test]
fn test_copy_thread_all_checkpoints() {
    let saver = Saver::new();
    source(&saver, 3, &[""]);
    saver.copy_thread("src", "dst").unwrap();
    assert_eq!(contents(&saver, "dst"), contents(&saver, "src"));
    let steps: Vec<_> = contents(&saver, "dst").iter().map(|entry| entry.values["step"].clone()).collect();
    assert_eq!(steps, [json!(2), json!(1), json!(0)]);
}

#[test]
fn test_copy_thread_preserves_metadata() {
    let saver = Saver::new();
    source(&saver, 2, &[""]);
    saver.copy_thread("src", "dst").unwrap();
    for (copy, original) in contents(&saver, "dst").iter().zip(contents(&saver, "src")) {
        assert_eq!(copy.metadata, original.metadata);
    }
}

#[test]
fn test_copy_thread_preserves_namespaces() {
    let saver = Saver::new();
    source(&saver, 1, &["", "child:1"]);
    saver.copy_thread("src", "dst").unwrap();
    for namespace in ["", "child:1"] {
        assert_eq!(saver.list(&config("dst", namespace)).len(), 1);
    }
}

#[test]
fn test_copy_thread_preserves_writes() {
    let saver = Saver::new();
    let stored = source(&saver, 1, &[""]);
    saver.put_writes_at(&stored[0], json!([["ch", "write_val"]]), "task", "path");
    saver.copy_thread("src", "dst").unwrap();
    let copy = saver.get(&config("dst", "")).unwrap();
    assert_eq!(copy.writes, saver.get(&config("src", "")).unwrap().writes);
    assert_eq!(copy.writes[0].value, Some(json!("write_val")));
}

#[test]
fn test_copy_thread_preserves_ordering() {
    let saver = Saver::new();
    source(&saver, 4, &[""]);
    saver.copy_thread("src", "dst").unwrap();
    assert_eq!(saver.ids(&config("dst", "")), saver.ids(&config("src", "")));
}

#[test]
fn test_copy_thread_source_unchanged() {
    let saver = Saver::new();
    source(&saver, 2, &[""]);
    let before = saver.list(&config("src", ""));
    saver.copy_thread("src", "dst").unwrap();
    assert_eq!(saver.list(&config("src", "")), before);
    // Nor does what happens to one reach the other.
    saver.delete_thread("dst");
    saver.db.run(crate::Task::Sweep);
    assert_eq!(saver.list(&config("src", "")), before);
}

#[test]
fn test_copy_thread_nonexistent_source() {
    let saver = Saver::new();
    assert_eq!(saver.copy_thread("src", "dst").unwrap_err().code(), Code::ThreadNotFound);
    assert!(saver.list(&config("dst", "")).is_empty());
    source(&saver, 1, &[""]);
    assert_eq!(saver.copy_thread("src", "src").unwrap_err().code(), Code::ThreadExists);
}

#[test]
fn a_copy_at_a_checkpoint_is_what_the_thread_was_then() {
    let saver = Saver::new();
    let stored = source(&saver, 2, &["", "child:1"]);
    saver.put_writes_at(&stored[1], json!([["ch", "written"]]), "task", "path");
    let at = saver.get(&stored[3]).unwrap().checkpoint;
    saver.copy_thread("src", "then").unwrap();
    let later = saver.put(&stored[1], json!({"step": "later"}), json!({"step": 2}), metadata("loop", 2));
    saver.put(&later, json!({"step": "later still"}), json!({"step": 3}), metadata("loop", 3));
    assert_eq!(saver.copy_thread_at("src", "dst", Some(at)).unwrap().checkpoints, 4);
    for part in ["", "child:1"] {
        let of = |thread| saver.list(&config(thread, part)).into_iter().map(content).collect::<Vec<_>>();
        assert_eq!(of("dst"), of("then"));
    }
    let missing = saver.copy_thread_at("src", "more", Some("none".into())).unwrap_err();
    assert_eq!(missing.code(), Code::CheckpointNotFound);
    // Versions that came later are not there, and values are shared.
    let contents = saver.db.rows(crate::Table::ChannelContent);
    let versions_after_deleting = |thread| {
        saver.delete_thread(thread);
        saver.db.run(crate::Task::Sweep);
        saver.db.rows(crate::Table::ChannelVersion)
    };
    let all = saver.db.rows(crate::Table::ChannelVersion);
    let without_then = versions_after_deleting("then");
    assert!(without_then < all);
    assert_eq!(without_then - versions_after_deleting("dst"), all - without_then);
    assert_eq!(saver.db.rows(crate::Table::ChannelContent), contents);
}
