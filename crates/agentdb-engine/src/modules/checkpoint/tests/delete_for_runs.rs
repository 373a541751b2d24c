//! Deleting runs: the cases of the suite's `delete_for_runs`.

use serde_json::json;

use super::{Config, RunsDeleted, Saver, config};

fn put_with_run(saver: &Saver, at: &Config, run: &str) -> Config {
    saver.put(at, json!({"x": run}), json!({"x": run}), json!({"run_id": run}))
}

fn runs(saver: &Saver, namespace: &str) -> Vec<String> {
    let listed = saver.list(&config("t", namespace));
    listed.iter().map(|entry| entry.metadata["run_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn test_delete_for_runs_single() {
    let saver = Saver::new();
    let first = put_with_run(&saver, &config("t", ""), "run1");
    put_with_run(&saver, &first, "run2");
    assert_eq!(runs(&saver, ""), ["run2", "run1"]);
    assert_eq!(saver.delete_for_runs(&["run1"]), RunsDeleted { deleted: 1, kept: 0 });
    assert_eq!(runs(&saver, ""), ["run2"]);
}

#[test]
fn test_delete_for_runs_multiple() {
    let saver = Saver::new();
    let mut at = config("t", "");
    for run in ["run1", "run2", "run3"] {
        at = put_with_run(&saver, &at, run);
    }
    saver.delete_for_runs(&["run1", "run2"]);
    assert_eq!(runs(&saver, ""), ["run3"]);
}

#[test]
fn test_delete_for_runs_preserves_other_runs() {
    let saver = Saver::new();
    for run in ["run_keep", "run_delete", "run_delete_not"] {
        put_with_run(&saver, &config("t", ""), run);
    }
    saver.delete_for_runs(&["run_delete"]);
    assert_eq!(runs(&saver, ""), ["run_delete_not", "run_keep"]);
}

#[test]
fn test_delete_for_runs_removes_writes() {
    let saver = Saver::new();
    let stored = put_with_run(&saver, &config("t", ""), "run1");
    saver.put_writes(&stored, json!([["ch", "val"]]), "task");
    saver.delete_for_runs(&["run1"]);
    assert!(saver.get(&stored).is_none());
    saver.put_as(&config("t", ""), stored.id(), json!({}), json!({}), json!({}));
    assert!(saver.get(&stored).unwrap().writes.is_empty());
}

#[test]
fn test_delete_for_runs_empty_list_noop() {
    assert_eq!(Saver::new().delete_for_runs(&[]), RunsDeleted { deleted: 0, kept: 0 });
}

#[test]
fn test_delete_for_runs_nonexistent_noop() {
    assert_eq!(Saver::new().delete_for_runs(&["none"]), RunsDeleted { deleted: 0, kept: 0 });
}

#[test]
fn test_delete_for_runs_across_namespaces() {
    let saver = Saver::new();
    for namespace in ["", "child:1"] {
        put_with_run(&saver, &config("t", namespace), "run1");
    }
    saver.delete_for_runs(&["run1"]);
    assert!(runs(&saver, "").is_empty() && runs(&saver, "child:1").is_empty());
}
