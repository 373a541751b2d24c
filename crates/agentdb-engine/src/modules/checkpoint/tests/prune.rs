//! Pruning: the cases of the suite's `prune`.

use serde_json::json;

use super::{Prune, Pruned, Saver, Strategy, config, metadata, written};

#[test]
fn test_prune_keep_latest_single_thread() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 4);
    assert_eq!(saver.prune(&["t"], Strategy::KeepLatest), Pruned { deleted: 3, more: false });
    assert_eq!(saver.ids(&config("t", "")), [stored[3].id()]);
}

#[test]
fn test_prune_keep_latest_multiple_threads() {
    let saver = Saver::new();
    let stored = [saver.chain("t1", "", 3), saver.chain("t2", "", 2)];
    saver.prune(&["t1", "t2"], Strategy::KeepLatest);
    for (thread, stored) in ["t1", "t2"].iter().zip(&stored) {
        assert_eq!(saver.ids(&config(thread, "")), [stored.last().unwrap().id()]);
    }
}

#[test]
fn test_prune_keep_latest_across_namespaces() {
    let saver = Saver::new();
    let stored = [("", 3), ("child:1", 2)].map(|(namespace, count)| saver.chain("t", namespace, count));
    saver.prune(&["t"], Strategy::KeepLatest);
    for stored in &stored {
        let latest = stored.last().unwrap();
        assert_eq!(saver.ids(&config("t", &latest.namespace)), [latest.id()]);
    }
}

#[test]
fn test_prune_keep_latest_preserves_writes() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 3);
    saver.put_writes(&stored[2], json!([["ch", "val"]]), "task");
    saver.prune(&["t"], Strategy::KeepLatest);
    let expected = [("task".to_owned(), "ch".to_owned(), json!("val"))];
    assert_eq!(written(&saver.get(&config("t", "")).unwrap()), expected);
}

#[test]
fn test_prune_delete_all() {
    let saver = Saver::new();
    saver.chain("t", "", 3);
    saver.prune(&["t"], Strategy::Delete);
    assert!(saver.list(&config("t", "")).is_empty());
}

#[test]
fn test_prune_preserves_other_threads() {
    let saver = Saver::new();
    saver.chain("t1", "", 3);
    saver.chain("t2", "", 2);
    let before = saver.list(&config("t2", ""));
    saver.prune(&["t1"], Strategy::KeepLatest);
    assert_eq!(saver.list(&config("t2", "")), before);
}

#[test]
fn test_prune_empty_list_noop() {
    assert_eq!(Saver::new().prune(&[], Strategy::KeepLatest), Pruned::default());
}

#[test]
fn test_prune_nonexistent_noop() {
    assert_eq!(Saver::new().prune(&["nobody's"], Strategy::KeepLatest), Pruned::default());
}

#[test]
fn a_prune_ends_at_its_limit_and_the_next_one_goes_on() {
    let saver = Saver::new();
    let mut at = config("t", "");
    for step in 0..20 {
        at = saver.put(&at, json!({"x": step}), json!({"x": step}), metadata("loop", step));
        saver.put_writes(&at, json!([["x", 1], ["y", 2]]), "task");
    }
    let (mut deleted, mut calls) = (0, 0);
    loop {
        let prune = Prune { threads: vec!["t".into()], limit: Some(7), ..Prune::default() };
        let pruned = saver.db.write(prune).unwrap().response;
        (deleted, calls) = (deleted + pruned.deleted, calls + 1);
        if !pruned.more {
            break;
        }
    }
    assert_eq!(deleted, 19);
    assert!(calls > 8, "{calls}");
    let left = |table| saver.db.rows(table);
    use crate::Table::{ChannelContent, ChannelContentCount, ChannelVersion, Checkpoint, CheckpointWrite};
    assert_eq!([Checkpoint, ChannelVersion, ChannelContent, ChannelContentCount].map(left), [1, 1, 1, 1]);
    assert_eq!(left(CheckpointWrite), 2);
    assert_eq!(saver.get(&at).unwrap().values["x"], 19);
}
