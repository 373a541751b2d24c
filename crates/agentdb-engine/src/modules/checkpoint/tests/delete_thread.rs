//! Deleting threads: the cases of the suite's `delete_thread`.

use serde_json::json;

use super::{Saver, config};

#[test]
fn test_delete_thread_removes_checkpoints() {
    let saver = Saver::new();
    saver.chain("t", "", 3);
    assert!(saver.get(&config("t", "")).is_some());
    saver.delete_thread("t");
    assert!(saver.get(&config("t", "")).is_none());
    assert!(saver.list(&config("t", "")).is_empty());
}

#[test]
fn test_delete_thread_removes_writes() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 1);
    saver.put_writes(&stored[0], json!([["ch", "val"]]), "task");
    saver.delete_thread("t");
    assert!(saver.get(&stored[0]).is_none());
    // Nor do they come back with the name.
    let again = saver.put_as(&config("t", ""), stored[0].id(), json!({}), json!({}), json!({}));
    assert!(saver.get(&again).unwrap().writes.is_empty());
}

#[test]
fn test_delete_thread_removes_all_namespaces() {
    let saver = Saver::new();
    for namespace in ["", "child:1"] {
        saver.chain("t", namespace, 1);
    }
    saver.delete_thread("t");
    for namespace in ["", "child:1"] {
        assert!(saver.get(&config("t", namespace)).is_none());
    }
}

#[test]
fn test_delete_thread_preserves_other_threads() {
    let saver = Saver::new();
    for thread in ["t1", "t2"] {
        saver.chain(thread, "", 1);
    }
    saver.delete_thread("t1");
    assert!(saver.get(&config("t1", "")).is_none() && saver.get(&config("t2", "")).is_some());
}

#[test]
fn test_delete_thread_nonexistent_noop() {
    Saver::new().delete_thread("nobody's");
}
