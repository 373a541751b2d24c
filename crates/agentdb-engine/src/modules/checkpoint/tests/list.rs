//! Listing: the cases of the suite's `list`.

use serde_json::{Value, json};

use super::{Config, List, Saver, config, metadata};

/// Four checkpoints, of which the first and the third are input.
fn data() -> (Saver, Vec<Config>) {
    let saver = Saver::new();
    let (mut at, mut stored) = (config("t", ""), Vec::new());
    for step in 0..4 {
        let source = if step % 2 == 0 { "input" } else { "loop" };
        at = saver.put(&at, json!({}), json!({}), metadata(source, step));
        stored.push(at.clone());
    }
    (saver, stored)
}

fn steps(saver: &Saver, filter: Value, before: Option<&str>, limit: Option<usize>) -> Vec<i64> {
    let found = saver.list_with(&config("t", ""), filter, before, limit);
    found.iter().map(|entry| entry.metadata["step"].as_i64().unwrap()).collect()
}

#[test]
fn test_list_all() {
    assert_eq!(data().0.list(&config("t", "")).len(), 4);
}

#[test]
fn test_list_by_thread() {
    let (saver, _) = data();
    assert!(saver.list(&config("another", "")).is_empty());
    assert_eq!(saver.list(&config("t", "")).len(), 4);
}

#[test]
fn test_list_by_namespace() {
    let saver = Saver::new();
    for namespace in ["", "child:1"] {
        saver.chain("t", namespace, 1);
    }
    for namespace in ["", "child:1"] {
        assert_eq!(saver.list(&config("t", namespace)).len(), 1);
    }
}

#[test]
fn test_list_ordering() {
    let (saver, stored) = data();
    let newest_first: Vec<_> = stored.iter().rev().map(|at| at.id().to_owned()).collect();
    assert_eq!(saver.ids(&config("t", "")), newest_first);
}

#[test]
fn test_list_metadata_filter_single_key() {
    assert_eq!(steps(&data().0, json!({"source": "input"}), None, None), [2, 0]);
}

#[test]
fn test_list_metadata_filter_step() {
    assert_eq!(steps(&data().0, json!({"step": 1}), None, None), [1]);
}

#[test]
fn test_list_before() {
    let (saver, stored) = data();
    assert_eq!(steps(&saver, json!({}), Some(stored[2].id()), None), [1, 0]);
}

#[test]
fn test_list_limit() {
    let (saver, _) = data();
    assert_eq!(steps(&saver, json!({}), None, Some(1)), [3]);
    assert_eq!(steps(&saver, json!({}), None, Some(2)), [3, 2]);
}

#[test]
fn test_list_limit_plus_before() {
    let (saver, stored) = data();
    assert_eq!(steps(&saver, json!({}), Some(stored[3].id()), Some(1)), [2]);
}

#[test]
fn test_list_combined_thread_and_filter() {
    assert_eq!(steps(&data().0, json!({"source": "loop"}), None, None), [3, 1]);
}

#[test]
fn test_list_empty_result() {
    let (saver, _) = data();
    assert!(saver.list_with(&config("another", ""), json!({"source": "nonexistent"}), None, None).is_empty());
    assert!(steps(&saver, json!({"source": "nonexistent"}), None, None).is_empty());
}

#[test]
fn test_list_includes_pending_writes() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 1);
    saver.put_writes(&stored[0], json!([["ch", "val"]]), "task");
    let listed = saver.list(&config("t", ""));
    assert_eq!((listed.len(), listed[0].writes.len()), (1, 1));
    assert_eq!(listed[0].writes[0].value, Some(json!("val")));
}

#[test]
fn test_list_multiple_namespaces() {
    let saver = Saver::new();
    for namespace in ["", "child:1", "child:2"] {
        saver.chain("t", namespace, 1);
    }
    assert_eq!(saver.list(&config("t", "")).len(), 1);
    let all = saver.db.read(List::new("t")).unwrap().items;
    let namespaces: Vec<_> = all.iter().map(|entry| &*entry.namespace).collect();
    assert_eq!(namespaces, ["child:2", "child:1", ""]);
}

#[test]
fn test_list_metadata_filter_multiple_keys() {
    let saver = Saver::new();
    for (source, step) in [("input", 1), ("loop", 1), ("input", 2)] {
        saver.put(&config("t", ""), json!({}), json!({}), metadata(source, step));
    }
    assert_eq!(steps(&saver, json!({"source": "input", "step": 2}), None, None), [2]);
}

#[test]
fn test_list_metadata_filter_no_match() {
    assert!(steps(&data().0, json!({"source": "update", "step": 99}), None, None).is_empty());
}

#[test]
fn test_list_metadata_custom_keys() {
    let saver = Saver::new();
    for (score, run) in [(42, "run-abc"), (99, "run-xyz")] {
        saver.put(&config("t", ""), json!({}), json!({}), json!({"score": score, "run_id": run}));
    }
    let found = saver.list_with(&config("t", ""), json!({"score": 42}), None, None);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].metadata["run_id"], "run-abc");
}

#[test]
fn pages_of_any_size_are_the_list() {
    let saver = Saver::new();
    for namespace in ["", "b", "a\u{0}"] {
        saver.chain("t", namespace, 5);
    }
    let all = saver.db.read(List::new("t")).unwrap().items;
    assert_eq!(all.len(), 15);
    for limit in 1..=16 {
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let list = List { limit: Some(limit), cursor, brief: true, ..List::new("t") };
            let page = saver.db.read(list).unwrap();
            assert!(page.items.len() <= limit);
            pages.extend(page.items);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, all);
    }
}
