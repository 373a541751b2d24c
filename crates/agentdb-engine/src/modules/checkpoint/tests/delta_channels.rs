//! Delta channels: the cases of history, reconstruction and keep set in the suite's repository.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ChannelHistory, Config, Saver, Strategy, config, metadata};
use crate::modules::checkpoint::history::needed;
use crate::modules::checkpoint::rows::{self, Place};
use crate::modules::checkpoint::thread;

const FIRST: &str = "00000000-0000-0000-0000-000000000000";
const LAST: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/// A line of checkpoints that have a value of the channel at some steps, and a write behind them at the others.
fn chain(
    saver: &Saver,
    channel: &str,
    snapshots: &[i64],
    steps: i64,
    value: fn(i64) -> Value,
) -> Vec<Config> {
    let (mut at, mut stored) = (config("t", ""), Vec::new());
    for step in 0..steps {
        let is_snapshot = snapshots.contains(&step);
        let (values, versions) = match is_snapshot {
            true => (json!({channel: value(step)}), json!({channel: step + 1})),
            false => (json!({}), json!({})),
        };
        let mut metadata = metadata("loop", step);
        metadata["counters_since_delta_snapshot"] = json!({channel: [1, 1]});
        at = saver.put(&at, values, versions, metadata);
        if !is_snapshot {
            saver.put_writes(&at, json!([[channel, value(step)]]), "task");
        }
        stored.push(at.clone());
    }
    stored
}

fn number(step: i64) -> Value {
    json!(step)
}

fn list(step: i64) -> Value {
    json!([step])
}

fn values(history: &ChannelHistory) -> Vec<Value> {
    history.writes.iter().map(|write| write.value.clone().unwrap()).collect()
}

fn reconstruct(history: &ChannelHistory) -> Vec<Value> {
    let seed = history.seed.iter().flat_map(|seed| seed.as_array().unwrap().clone());
    seed.chain(values(history).iter().flat_map(|value| value.as_array().unwrap().clone())).collect()
}

#[test]
fn test_history_returns_writes_oldest_first() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0], 5, number);
    assert_eq!(values(&saver.history(&stored[4], &["ch"])[0]), [1, 2, 3]);
}

#[test]
fn test_history_seed_is_nearest_snapshot() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0, 3], 6, number);
    let history = saver.history(&stored[5], &["ch"]).remove(0);
    assert_eq!((history.seed.as_ref(), values(&history)), (Some(&json!(3)), vec![json!(4)]));
}

#[test]
fn test_history_excludes_target_pending_writes() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0], 3, number);
    saver.put_writes(&stored[2], json!([["ch", "extra"]]), "other");
    assert_eq!(values(&saver.history(&stored[2], &["ch"])[0]), [1]);
}

#[test]
fn test_history_multi_channel() {
    let saver = Saver::new();
    let mut at = config("t", "");
    for step in 0..5 {
        let (values, versions) = match step {
            1 => (json!({"a": "snap_a"}), json!({"a": 2})),
            3 => (json!({"b": "snap_b"}), json!({"b": 4})),
            _ => (json!({}), json!({})),
        };
        at = saver.put(&at, values, versions, metadata("loop", step));
        saver.put_writes(&at, json!([["a", step], ["b", step]]), "task");
    }
    let histories = saver.history(&at, &["a", "b"]);
    assert_eq!(values(&histories[0]), [1, 2, 3]);
    assert_eq!(values(&histories[1]), [3]);
}

#[test]
fn test_history_empty_channels_returns_empty() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0], 3, number);
    assert!(saver.history(&stored[2], &[]).is_empty());
}

#[test]
fn test_history_walk_to_root_no_seed() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[], 4, number);
    let history = saver.history(&stored[3], &["ch"]).remove(0);
    assert_eq!((history.seed.as_ref(), values(&history).len()), (None, 3));
}

#[test]
fn test_history_migration_plain_value_as_seed() {
    let saver = Saver::new();
    let mut at = config("t", "");
    for step in 0..4 {
        let (values, versions) = match step {
            1 => (json!({"ch": [10, 20, 30]}), json!({"ch": 2})),
            _ => (json!({}), json!({})),
        };
        at = saver.put(&at, values, versions, metadata("loop", step));
        if step != 1 {
            saver.put_writes(&at, json!([["ch", step]]), "task");
        }
    }
    let history = saver.history(&at, &["ch"]).remove(0);
    assert_eq!((history.seed.as_ref(), values(&history)), (Some(&json!([10, 20, 30])), vec![json!(2)]));
}

#[test]
fn test_history_seed_ancestor_own_writes_are_replayed() {
    let saver = Saver::new();
    let mut at = config("t", "");
    for (step, write) in ["older-than-seed", "at-seed", "after-seed", "pending-at-head"].iter().enumerate() {
        let (values, versions) = match step {
            0 => (json!({"ch": [10]}), json!({"ch": 1})),
            1 => (json!({"ch": [10, 20]}), json!({"ch": 2})),
            _ => (json!({}), json!({})),
        };
        at = saver.put(&at, values, versions, metadata("loop", step as i64));
        saver.put_writes(&at, json!([["ch", write]]), "task");
    }
    let history = saver.history(&at, &["ch"]).remove(0);
    assert_eq!(history.seed, Some(json!([10, 20])));
    assert_eq!(values(&history), ["at-seed", "after-seed"]);
}

#[test]
fn test_history_orders_parallel_writes_by_task_path() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0], 3, number);
    saver.put_writes_at(&stored[1], json!([["ch", "second"]]), FIRST, "~pull, 02");
    saver.put_writes_at(&stored[1], json!([["ch", "first"]]), LAST, "~pull, 01");
    let found = values(&saver.history(&stored[2], &["ch"])[0]);
    assert_eq!(found, [json!(1), json!("first"), json!("second")]);
}

#[test]
fn test_history_orders_pathless_writes_first() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0], 3, number);
    saver.put_writes_at(&stored[1], json!([["ch", "from_node"]]), FIRST, "~pull, a");
    saver.put_writes_at(&stored[1], json!([["ch", "from_input"]]), "u", "");
    let found = values(&saver.history(&stored[2], &["ch"])[0]);
    assert_eq!(found, [json!(1), json!("from_input"), json!("from_node")]);
}

#[test]
fn test_reconstruction_basic() {
    let saver = Saver::new();
    let stored = chain(&saver, "msgs", &[0], 5, list);
    assert_eq!(reconstruct(&saver.history(&stored[4], &["msgs"])[0]), [0, 1, 2, 3]);
}

#[test]
fn test_reconstruction_mid_chain_snapshot() {
    let saver = Saver::new();
    let stored = chain(&saver, "msgs", &[0, 3], 6, list);
    assert_eq!(reconstruct(&saver.history(&stored[5], &["msgs"])[0]), [3, 4]);
}

#[test]
fn test_reconstruction_no_snapshot() {
    let saver = Saver::new();
    let stored = chain(&saver, "msgs", &[], 4, list);
    assert_eq!(reconstruct(&saver.history(&stored[3], &["msgs"])[0]), [0, 1, 2]);
}

fn keepset(saver: &Saver, at: &Config) -> BTreeSet<String> {
    let snapshot = saver.db.engine().snapshot(saver.db.namespace).unwrap();
    let thread = thread::find(&snapshot, &at.thread).unwrap().unwrap();
    let place = Place { number: thread.number, namespace: &at.namespace, checkpoint: at.id() };
    let all = rows::of_part(&snapshot, thread.number, &at.namespace).unwrap();
    let root = at.id().to_owned();
    let needed = needed(&snapshot, place, &all, [&root]).unwrap();
    needed.into_iter().cloned().collect()
}

fn ids(stored: &[Config]) -> BTreeSet<String> {
    stored.iter().map(|at| at.id().to_owned()).collect()
}

#[test]
fn test_keepset_empty_channels_returns_target_only() {
    let saver = Saver::new();
    let stored = saver.chain("t", "", 4);
    assert_eq!(keepset(&saver, &stored[3]), ids(&stored[3..]));
}

#[test]
fn test_keepset_snapshot_at_target() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0, 3], 4, number);
    assert_eq!(keepset(&saver, &stored[3]), ids(&stored[3..]));
}

#[test]
fn test_keepset_snapshot_n_back() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0], 5, number);
    assert_eq!(keepset(&saver, &stored[4]), ids(&stored));
}

#[test]
fn test_keepset_multi_channel_union() {
    let saver = Saver::new();
    let (mut at, mut stored) = (config("t", ""), Vec::new());
    for step in 0..6 {
        let (values, versions) = match step {
            1 => (json!({"b": "snap_b"}), json!({"b": 2})),
            3 => (json!({"a": "snap_a"}), json!({"a": 4})),
            _ => (json!({}), json!({})),
        };
        let counters = json!({"counters_since_delta_snapshot": {"a": [1, 1], "b": [1, 1]}});
        at = saver.put(&at, values, versions, counters);
        stored.push(at.clone());
    }
    assert_eq!(keepset(&saver, &at), ids(&stored[1..]));
}

#[test]
fn test_keepset_walk_to_root() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[], 4, number);
    assert_eq!(keepset(&saver, &stored[3]), ids(&stored));
}

#[test]
fn test_keepset_deterministic() {
    let saver = Saver::new();
    let stored = chain(&saver, "ch", &[0], 5, number);
    assert_eq!(keepset(&saver, &stored[4]), keepset(&saver, &stored[4]));
}

#[test]
fn histories_read_the_same_after_copy_prune_and_deletion_of_runs() {
    let saver = Saver::new();
    let stored = chain(&saver, "msgs", &[0, 4], 9, list);
    let whole = reconstruct(&saver.history(&stored[8], &["msgs"])[0]);
    saver.copy_thread("t", "copy").unwrap();
    saver.prune(&["t", "copy"], Strategy::KeepLatest);
    for thread in ["t", "copy"] {
        let latest = config(thread, "");
        assert_eq!(saver.ids(&latest).len(), 5);
        assert_eq!(reconstruct(&saver.history(&latest, &["msgs"])[0]), whole);
    }
    // A line that ends in itself ends.
    saver.put_as(&stored[8], stored[4].id(), json!({}), json!({}), json!({}));
    saver.history(&stored[8], &["msgs"]);
}
