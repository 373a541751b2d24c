//! Writes of threads and their checkpoints.

use agentdb_env::sim::Random;
use serde_json::{Map, Value, json};

use super::{any, bad_id, pick, too_large};
use crate::model::Namespace;
use crate::model::checkpoint::Thread;

const THREADS: [&str; 4] = ["t1", "t2", "t\u{0}", "copy"];
const PARTS: [&str; 3] = ["", "child", "child\u{0}"];
pub(crate) const CHANNELS: [&str; 3] = ["said", "plan", "delta"];
const RUNS: [&str; 3] = ["run-1", "run-2", "run\u{0}"];
const TASKS: [&str; 3] = ["task-1", "task-2", "task\u{0}"];

/// A thread, mostly one that is there.
fn thread(dice: &mut Random, namespace: &Namespace) -> String {
    if dice.chance(1, 60) {
        return bad_id(dice);
    }
    match any(dice, namespace.threads.keys()) {
        Some(thread) if dice.chance(3, 4) => thread.clone(),
        _ => pick(dice, &THREADS).to_owned(),
    }
}

fn checkpoint(dice: &mut Random) -> String {
    if dice.chance(1, 80) { bad_id(dice) } else { format!("c{:02}", dice.below(12)) }
}

/// A write of a thread.
pub(super) fn operation(dice: &mut Random, namespace: &Namespace) -> (&'static str, Value) {
    let thread = thread(dice, namespace);
    match dice.below(20) {
        0 => ("thread.delete", json!({"thread": thread})),
        1 | 2 => {
            let to = if dice.chance(1, 20) { bad_id(dice) } else { pick(dice, &THREADS).to_owned() };
            let mut fields = json!({"thread": thread, "to": to});
            if dice.chance(1, 3) {
                fields["at"] = json!(checkpoint(dice));
            }
            ("thread.copy", fields)
        }
        3 => prune(dice, thread),
        4 => {
            let run = if dice.chance(1, 10) { bad_id(dice) } else { pick(dice, &RUNS).to_owned() };
            ("checkpoint.delete_runs", json!({"runs": [run, pick(dice, &RUNS)]}))
        }
        5..=9 => {
            let there = namespace.threads.get(&thread);
            put_writes(dice, thread, there.map(|thread| &**thread))
        }
        _ => {
            let there = namespace.threads.get(&thread);
            put(dice, thread, there.map(|thread| &**thread))
        }
    }
}

fn prune(dice: &mut Random, thread: String) -> (&'static str, Value) {
    let mut fields = json!({"threads": [thread, pick(dice, &THREADS)]});
    if dice.chance(1, 4) {
        fields["strategy"] = json!("delete");
    }
    if dice.chance(1, 10) {
        fields["limit"] = json!(0);
    }
    ("thread.prune", fields)
}

/// A value that goes on from others of its length, or is another one.
fn value(dice: &mut Random) -> Value {
    let said = |n: u64| format!("this was said in turn {n} by somebody who is in this conversation");
    match dice.below(6) {
        0 => json!(null),
        1 => json!({"n": dice.below(9)}),
        _ => (0..dice.below(12)).map(said).collect(),
    }
}

fn encoded(dice: &mut Random) -> Value {
    json!({"type": "packed", "data": *pick(dice, &["", "AAEC", "AAECAwQF/w=="])})
}

fn put(dice: &mut Random, thread: String, there: Option<&Thread>) -> (&'static str, Value) {
    let (mut versions, mut values, mut coded) = (Map::new(), Map::new(), Map::new());
    let mut empty = Vec::new();
    for channel in CHANNELS {
        if dice.chance(3, 4) {
            let version = dice.below(4);
            versions.insert(channel.into(), if version == 0 { json!("v\u{0}0") } else { json!(version) });
        }
        match dice.below(5) {
            0 => {}
            1 => empty.push(channel),
            2 if channel == "plan" => drop(coded.insert(channel.into(), encoded(dice))),
            _ if channel == "delta" && dice.chance(2, 3) => {}
            _ => drop(values.insert(channel.into(), value(dice))),
        }
    }
    let mut metadata = json!({"step": dice.below(4)});
    if dice.chance(1, 2) {
        metadata["run_id"] = json!(pick(dice, &RUNS));
    }
    if dice.chance(1, 3) {
        metadata["counters_since_delta_snapshot"] = json!({"delta": [1, 1]});
    }
    let mut fields = json!({
        "thread": thread, "namespace": pick(dice, &PARTS), "versions": versions, "values": values, "encoded": coded,
        "empty": empty, "metadata": metadata,
    });
    if dice.chance(9, 10) {
        fields["checkpoint"] = json!(checkpoint(dice));
    }
    let ids = there.into_iter().flat_map(|thread| thread.checkpoints.keys());
    let ids: Vec<&String> = ids.map(|(_, id)| id).collect();
    if !ids.is_empty() && dice.chance(3, 4) {
        fields["parent"] = json!(ids[dice.below(ids.len() as u64) as usize]);
    }
    match dice.below(100) {
        0 => fields["values"]["said"] = json!(too_large()),
        1 => fields["versions"]["said"] = json!([1]),
        2 => {
            fields["empty"] = json!(["said"]);
            fields["values"]["said"] = json!(1);
        }
        3 => fields["encoded"] = json!({"": {"type": "packed", "data": ""}}),
        4 => fields["encoded"] = json!({"more": {"type": "json", "data": ""}}),
        5..=40 => fields["data"] = json!({"v": 1, "versions_seen": {"node": {"said": dice.below(9)}}}),
        _ => {}
    }
    ("checkpoint.put", fields)
}

/// Writes behind a checkpoint, which is there in half of the cases.
fn put_writes(dice: &mut Random, thread: String, there: Option<&Thread>) -> (&'static str, Value) {
    let mut writes = Vec::new();
    for _ in 0..dice.below(4) {
        let mut write = json!({"channel": pick(dice, &["said", "delta", "__error__", "__resume__"])});
        if dice.chance(1, 4) {
            write["encoded"] = encoded(dice);
        } else {
            write["value"] = value(dice);
        }
        if dice.chance(1, 6) {
            write["index"] = json!(dice.below(6) as i64 - 2);
        }
        writes.push(write);
    }
    let found = there.and_then(|thread| any(dice, thread.checkpoints.keys())).filter(|_| dice.chance(1, 2));
    let (part, id) = found.cloned().unwrap_or_else(|| (pick(dice, &PARTS).to_owned(), checkpoint(dice)));
    let fields = json!({
        "thread": thread, "namespace": part, "checkpoint": id, "task": pick(dice, &TASKS),
        "path": *pick(dice, &["", "~pull, 1", "~pull, 2"]), "writes": writes,
    });
    ("checkpoint.put_writes", fields)
}
