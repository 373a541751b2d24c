//! Threads against a plain model: whatever is put, copied, pruned and deleted, every value reads as it was given, and once
//! all is gone, no row is left.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{DeleteRuns, Get, List, Prune, Put};
use crate::modules::checkpoint::Encoded;
use crate::modules::checkpoint::thread::{Copy, Delete};
use crate::modules::testing::TestDb;
use crate::{Table, Task};

const THREADS: [&str; 3] = ["t", "u", "v"];
const NAMESPACES: [&str; 2] = ["", "child"];
const RUNS: [&str; 3] = ["r1", "r2", "r3"];

#[derive(Clone, Debug)]
enum Step {
    Put { thread: u8, namespace: u8, version: u8, grow: bool, packed: bool, run: u8, again: bool },
    Copy(u8, u8),
    Prune(u8, usize),
    DeleteRun(u8),
    Delete(u8),
    Sweep,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let thread = 0..THREADS.len() as u8;
    let put =
        (thread.clone(), 0..2u8, 0..5u8, any::<bool>(), any::<bool>(), 0..4u8, prop::bool::weighted(0.1));
    prop_oneof![
        12 => put.prop_map(|(thread, namespace, version, grow, packed, run, again)| Step::Put {
            thread, namespace, version, grow, packed, run, again
        }),
        2 => (thread.clone(), thread.clone()).prop_map(|(a, b)| Step::Copy(a, b)),
        1 => (thread.clone(), 1..20usize).prop_map(|(t, limit)| Step::Prune(t, limit)),
        1 => (0..3u8).prop_map(Step::DeleteRun),
        1 => thread.prop_map(Step::Delete),
        1 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
    ]
}

/// A checkpoint: what each channel has.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    values: Map<String, Value>,
    encoded: BTreeMap<String, Encoded>,
    run: Option<String>,
}

type Threads = BTreeMap<String, BTreeMap<(String, String), Model>>;

/// What a serializer makes of a list: how many items, and the items.
fn pack(items: &[String]) -> Encoded {
    let mut data = vec![0xdc, (items.len() >> 8) as u8, items.len() as u8];
    items.iter().for_each(|item| data.extend_from_slice(item.as_bytes()));
    Encoded { r#type: "packed".into(), data }
}

fn check(db: &TestDb, model: &Threads) {
    for thread in THREADS {
        let listed = db.read(List::new(thread)).unwrap().items;
        let found: BTreeMap<_, _> = listed
            .into_iter()
            .map(|entry| {
                let run = entry.metadata.get("run_id").map(|run| run.as_str().unwrap().to_owned());
                let model = Model { values: entry.values, encoded: entry.encoded, run };
                ((entry.namespace, entry.checkpoint), model)
            })
            .collect();
        assert_eq!(found, model.get(thread).cloned().unwrap_or_default(), "{thread}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn threads_are_like_their_model(steps in prop::collection::vec(step(), 1..60)) {
        let mut db = TestDb::new(3);
        let (mut model, mut clock) = (Threads::new(), 0);
        for step in steps {
            match step {
                Step::Put { thread, namespace, version, grow, packed, run, again } => {
                    let (thread, namespace) = (THREADS[usize::from(thread)], NAMESPACES[usize::from(namespace)]);
                    let of_thread = model.entry(thread.to_owned()).or_default();
                    let parent = of_thread.keys().rev().find(|(n, _)| n == namespace).map(|(_, c)| c.clone());
                    clock += 1;
                    let id = match &parent {
                        Some(latest) if again => latest.clone(),
                        _ => format!("{clock:06}"),
                    };
                    // A conversation that grows, or what is said over and over.
                    let items: Vec<String> = (0..if grow { clock } else { 3 })
                        .map(|n| format!("this was said in turn {n} by somebody"))
                        .collect();
                    let mut now = Model {
                        values: Map::from_iter([("list".to_owned(), json!(items))]),
                        encoded: BTreeMap::new(),
                        run: RUNS.get(usize::from(run)).map(|run| run.to_string()),
                    };
                    if packed {
                        now.encoded.insert("packed".into(), pack(&items));
                    }
                    let put = Put {
                        namespace: namespace.into(),
                        checkpoint: Some(id.clone()),
                        parent,
                        versions: Map::from_iter([("list".to_owned(), json!(version)), ("packed".to_owned(), json!(version))]),
                        values: now.values.clone(),
                        encoded: now.encoded.clone(),
                        empty: if packed { Vec::new() } else { vec!["packed".into()] },
                        metadata: now.run.iter().map(|run| ("run_id".to_owned(), json!(run))).collect(),
                        ..Put::new(thread)
                    };
                    db.write(put).unwrap();
                    of_thread.insert((namespace.to_owned(), id), now);
                }
                Step::Copy(from, to) => {
                    let (from, to) = (THREADS[usize::from(from)], THREADS[usize::from(to)]);
                    let copied = db.write(Copy { thread: from.into(), to: to.into(), at: None });
                    if copied.is_ok() {
                        let rows = model[from].clone();
                        prop_assert!(model.insert(to.to_owned(), rows).is_none());
                    }
                }
                Step::Prune(thread, limit) => {
                    let thread = THREADS[usize::from(thread)];
                    let prune = Prune { threads: vec![thread.into()], limit: Some(limit), ..Prune::default() };
                    while db.write(prune.clone()).unwrap().response.more {}
                    if let Some(rows) = model.get_mut(thread) {
                        let latest: BTreeMap<String, String> = rows.keys().cloned().collect();
                        rows.retain(|(namespace, id), _| latest[namespace] == *id);
                    }
                }
                Step::DeleteRun(run) => {
                    let run = RUNS[usize::from(run)];
                    db.write(DeleteRuns { runs: vec![run.into()] }).unwrap();
                    for rows in model.values_mut() {
                        rows.retain(|_, checkpoint| checkpoint.run.as_deref() != Some(run));
                    }
                }
                Step::Delete(thread) => {
                    let thread = THREADS[usize::from(thread)];
                    let deleted = db.write(Delete { thread: thread.into() }).unwrap().response.deleted;
                    prop_assert_eq!(deleted, model.remove(thread).is_some());
                }
                Step::Sweep => db.run(Task::Sweep),
                Step::Reopen => {
                    db.drain();
                    db.reopen().unwrap();
                }
            }
            check(&db, &model);
        }
        for thread in THREADS {
            db.write(Delete { thread: thread.into() }).unwrap();
        }
        db.run(Task::Sweep);
        for table in [Table::Thread, Table::Checkpoint, Table::CheckpointByRun, Table::CheckpointWrite,
            Table::ChannelVersion, Table::ChannelContent, Table::ChannelContentCount]
        {
            prop_assert_eq!(db.rows(table), 0, "{}", table.name());
        }
    }
}

#[test]
fn a_conversation_costs_its_length_and_not_its_square() {
    let db = TestDb::new(4);
    let mut items: Vec<String> = Vec::new();
    let mut parent = None;
    for turn in 0..200 {
        items.push(format!("{turn}: {}", "what was said in this turn ".repeat(8)));
        let id = format!("{turn:06}");
        let mut put = Put {
            checkpoint: Some(id.clone()),
            parent: parent.replace(id),
            versions: Map::from_iter([("list".to_owned(), json!(turn)), ("packed".to_owned(), json!(turn))]),
            values: Map::from_iter([("list".to_owned(), json!(items))]),
            ..Put::new("t")
        };
        put.encoded.insert("packed".into(), pack(&items));
        db.write(put).unwrap();
    }
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    let mut bytes = 0;
    use crate::read::Read;
    let count = &mut |_, row: crate::Row| {
        bytes += row.body.len();
        Ok(true)
    };
    snapshot.scan_prefix(&snapshot.key(Table::ChannelContent), crate::Page::Forward, count).unwrap();
    let once: usize = items.iter().map(String::len).sum();
    // Twice, in two forms; and whole now and then.
    assert!(bytes < 2 * 8 * once, "{bytes} for {once}");
    let latest = db.read(Get::new("t")).unwrap();
    assert_eq!((&latest.values["list"], &latest.encoded["packed"]), (&json!(items), &pack(&items)));
}
