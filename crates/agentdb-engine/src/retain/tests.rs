//! What goes, what stays, when, and that looking for it costs nothing while there is nothing.

use std::num::NonZeroU64;

use agentdb_types::{Code, Result};
use serde_json::{Value, json};

use super::Noun;
use crate::modules::retention::{self, Set};
use crate::modules::testing::TestDb;
use crate::{Engine, NamespaceId, Table, Task, WriteOptions};

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;

fn set(db: &TestDb, noun: Noun, max_age_us: Option<u64>, keep_latest: Option<u64>) {
    let number = |n: Option<u64>| Some(n.map(|n| NonZeroU64::new(n).unwrap()));
    let keep_latest = noun.is_part().then(|| number(keep_latest)).flatten();
    db.write(Set { max_age_us: number(max_age_us), keep_latest, ..Set::new(noun) }).unwrap();
}

fn call(db: &TestDb, operation: &str, request: Value) -> Result<Value> {
    let (engine, options): (&Engine, _) = (db.engine(), WriteOptions::default());
    Ok(engine
        .call_json(NamespaceId::DEFAULT, operation, request, options, agentdb_types::Lsn::ZERO)?
        .response)
}

fn ok(db: &TestDb, operation: &str, request: Value) -> Value {
    call(db, operation, request).unwrap()
}

/// Time passes, and what is kept no longer goes.
fn later(db: &TestDb, us: u64) {
    db.world.advance_us(us);
    db.run(Task::Retain);
}

fn say(db: &TestDb, session: &str, count: usize) {
    for _ in 0..count {
        ok(
            db,
            "message.append",
            json!({"session": session, "owner": "ann", "role": "user", "content": "hi"}),
        );
    }
}

fn sequences(db: &TestDb, session: &str) -> Vec<u64> {
    let listed = ok(db, "message.list", json!({"session": session, "limit": 1000}));
    listed["items"].as_array().unwrap().iter().map(|m| m["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn a_thing_goes_once_it_is_as_old_as_it_may_be() {
    let db = TestDb::new(1);
    ok(&db, "collection.create", json!({"collection": "c", "dimension": 2}));
    for noun in [Noun::State, Noun::Item, Noun::Record] {
        set(&db, noun, Some(10 * SECOND), None);
    }
    let put = |n: u64| {
        ok(&db, "state.put", json!({"owner": "ann", "key": format!("k{n}"), "value": n}));
        ok(&db, "item.put", json!({"path": ["p"], "key": format!("k{n}"), "value": {"n": n}}));
        ok(&db, "record.put", json!({"collection": "c", "record": format!("k{n}"), "vector": [1, n]}));
    };
    let left = || [Table::State, Table::Item, Table::Record, Table::Vector].map(|table| db.rows(table));
    put(1);
    later(&db, 5 * SECOND);
    put(2);
    later(&db, 5 * SECOND - 1);
    assert_eq!(left(), [2, 2, 2, 2]);
    later(&db, SECOND);
    assert_eq!(left(), [1, 1, 1, 1]);
    // What is written again is young.
    put(2);
    later(&db, 9 * SECOND);
    assert_eq!(left(), [1, 1, 1, 1]);
    later(&db, 2 * SECOND);
    assert_eq!(left(), [0, 0, 0, 0]);
    assert_eq!(ok(&db, "record.count", json!({"collection": "c"}))["count"], 0);
}

#[test]
fn the_newest_messages_stay_and_their_session_is_not_renewed_by_it() {
    let db = TestDb::new(2);
    say(&db, "s", 5);
    set(&db, Noun::Message, None, Some(3));
    db.run(Task::Retain);
    assert_eq!(sequences(&db, "s"), [3, 4, 5]);
    let before = ok(&db, "session.get", json!({"session": "s"}));
    assert_eq!((&before["messages"], &before["last_sequence"]), (&json!(3), &json!(5)));
    // Where nothing was written, nothing is looked at; where something was, soon.
    db.world.advance_us(SECOND);
    say(&db, "s", 2);
    say(&db, "t", 4);
    let written = ok(&db, "session.get", json!({"session": "s"}))["updated"].clone();
    later(&db, SECOND);
    assert_eq!((sequences(&db, "s"), sequences(&db, "t")), (vec![5, 6, 7], vec![2, 3, 4]));
    assert_eq!(ok(&db, "session.get", json!({"session": "s"}))["updated"], written);
}

#[test]
fn old_messages_go_and_those_that_a_fork_copies_are_as_old_as_they_were() {
    let db = TestDb::new(3);
    set(&db, Noun::Message, Some(10 * SECOND), None);
    say(&db, "s", 2);
    later(&db, 8 * SECOND);
    say(&db, "s", 1);
    ok(&db, "session.fork", json!({"session": "s", "to": "f"}));
    later(&db, 3 * SECOND);
    assert_eq!((sequences(&db, "s"), sequences(&db, "f")), (vec![3], vec![3]));
    later(&db, 9 * SECOND);
    assert!(sequences(&db, "s").is_empty() && sequences(&db, "f").is_empty());
}

#[test]
fn an_idle_session_goes_with_its_messages_and_a_used_one_stays() {
    let db = TestDb::new(4);
    set(&db, Noun::Session, Some(10 * SECOND), None);
    say(&db, "idle", 3);
    say(&db, "used", 1);
    later(&db, 6 * SECOND);
    say(&db, "used", 1);
    later(&db, 6 * SECOND);
    assert_eq!(
        call(&db, "session.get", json!({"session": "idle"})).unwrap_err().code(),
        Code::SessionNotFound
    );
    assert_eq!(sequences(&db, "used"), [1, 2]);
    db.run(Task::Sweep);
    assert_eq!([Table::Session, Table::Message, Table::Name].map(|table| db.rows(table)), [1, 2, 1]);
}

#[test]
fn a_tool_call_goes_only_after_it_was_settled() {
    let db = TestDb::new(5);
    set(&db, Noun::ToolCall, Some(10 * SECOND), None);
    let claim = |key: &str| {
        let request =
            json!({"owner": "run", "key": key, "tool": "mail", "arguments": 1, "lease_us": 5_000_000});
        ok(&db, "tool_call.claim", request)["epoch"].clone()
    };
    for (key, told) in [("done", "complete"), ("failed", "fail"), ("retry", "fail")] {
        let mut outcome = json!({"owner": "run", "key": key, "epoch": claim(key)});
        match told {
            "complete" => outcome["result"] = json!(1),
            _ => outcome["error"] = json!("no"),
        }
        if key == "retry" {
            outcome["retry"] = json!(true);
        }
        ok(&db, &format!("tool_call.{told}"), outcome);
    }
    claim("unknown");
    later(&db, 8 * SECOND);
    let epoch = claim("late");
    later(&db, SECOND * 3);
    let keys = || -> Vec<String> {
        let listed = ok(&db, "tool_call.list", json!({}));
        listed["items"].as_array().unwrap().iter().map(|c| c["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(), ["late", "retry", "unknown"]);
    ok(&db, "tool_call.complete", json!({"owner": "run", "key": "late", "epoch": epoch, "result": 1}));
    // It counts from when it was settled.
    later(&db, 9 * SECOND);
    assert_eq!(keys(), ["late", "retry", "unknown"]);
    later(&db, 2 * SECOND);
    assert_eq!(keys(), ["retry", "unknown"]);
    later(&db, 100 * HOUR);
    assert_eq!(keys(), ["retry", "unknown"]);
}

fn checkpoint(db: &TestDb, thread: &str, id: &str, parent: Option<&str>) {
    let request = json!({
        "thread": thread, "checkpoint": id, "parent": parent, "versions": {"x": id}, "values": {"x": id},
    });
    ok(db, "checkpoint.put", request);
}

fn checkpoints(db: &TestDb, thread: &str) -> Vec<String> {
    let listed = ok(db, "checkpoint.list", json!({"thread": thread}));
    listed["items"].as_array().unwrap().iter().map(|c| c["checkpoint"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_latest_checkpoint_stays_however_old_it_is() {
    let db = TestDb::new(6);
    for (id, parent) in [("1", None), ("2", Some("1")), ("3", Some("2")), ("4", Some("3"))] {
        checkpoint(&db, "t", id, parent);
        db.world.advance_us(SECOND);
    }
    set(&db, Noun::Checkpoint, None, Some(3));
    db.run(Task::Retain);
    assert_eq!(checkpoints(&db, "t"), ["4", "3", "2"]);
    set(&db, Noun::Checkpoint, Some(10 * SECOND), Some(3));
    later(&db, HOUR);
    assert_eq!(checkpoints(&db, "t"), ["4"]);
    let left = [Table::Checkpoint, Table::ChannelVersion, Table::ChannelContent].map(|table| db.rows(table));
    assert_eq!(left, [1, 1, 1]);
    // The one before goes as soon as there is a later one.
    checkpoint(&db, "t", "5", Some("4"));
    db.run(Task::Retain);
    assert_eq!(checkpoints(&db, "t"), ["5"]);
}

#[test]
fn a_thread_is_idle_when_it_gets_neither_checkpoints_nor_writes() {
    let db = TestDb::new(7);
    set(&db, Noun::Thread, Some(10 * SECOND), None);
    checkpoint(&db, "idle", "1", None);
    checkpoint(&db, "used", "1", None);
    checkpoint(&db, "works", "1", None);
    later(&db, 6 * SECOND);
    checkpoint(&db, "used", "2", Some("1"));
    let write =
        json!({"thread": "works", "checkpoint": "1", "task": "t", "writes": [{"channel": "x", "value": 1}]});
    ok(&db, "checkpoint.put_writes", write);
    later(&db, 6 * SECOND);
    let threads = || ok(&db, "thread.list", json!({}))["items"].as_array().unwrap().len();
    assert_eq!((threads(), checkpoints(&db, "idle").len(), checkpoints(&db, "works").len()), (2, 0, 1));
    later(&db, 6 * SECOND);
    assert_eq!(threads(), 0);
    db.run(Task::Sweep);
    assert_eq!(
        [Table::Checkpoint, Table::CheckpointWrite, Table::ChannelContent].map(|t| db.rows(t)),
        [0, 0, 0]
    );
}

#[test]
fn thousands_go_in_small_batches_and_a_restart_goes_on() {
    let mut db = TestDb::new(8);
    for n in 0..1_300 {
        ok(&db, "state.put", json!({"owner": "ann", "key": format!("{n:05}"), "value": n}));
    }
    say(&db, "s", 1_300);
    set(&db, Noun::State, Some(SECOND), None);
    set(&db, Noun::Message, None, Some(10));
    db.world.advance_us(2 * SECOND);
    let before = db.engine().lsn().0;
    assert!(db.engine().step(Task::Retain).unwrap());
    assert_eq!((db.rows(Table::State), db.engine().lsn().0), (800, before + 1));
    db.drain();
    db.reopen().unwrap();
    db.run(Task::Retain);
    assert_eq!((db.rows(Table::State), sequences(&db, "s").len()), (0, 10));
    assert!(db.engine().lsn().0 <= before + 7, "{}", db.engine().lsn());
}

#[test]
fn nothing_is_read_before_something_can_be_due() {
    let db = TestDb::new(9);
    for n in 0..100 {
        ok(&db, "state.put", json!({"owner": "ann", "key": format!("{n:05}"), "value": n}));
    }
    set(&db, Noun::State, Some(16 * HOUR), None);
    let due = || {
        let stands = db.engine().core.retainer.stands();
        stands.into_iter().find(|(noun, _)| *noun == Noun::State).unwrap().1
    };
    db.run(Task::Retain);
    let first = due();
    later(&db, 15 * HOUR);
    ok(&db, "state.put", json!({"owner": "ann", "key": "young", "value": 1}));
    later(&db, HOUR / 2);
    assert_eq!((due(), db.rows(Table::State)), (first, 101), "the first round told that nothing is due yet");
    later(&db, HOUR);
    assert_eq!(db.rows(Table::State), 1);
    assert!(due() > first);
}

#[test]
fn what_is_said_anew_counts_at_once_and_what_is_said_no_more_is_forgotten() {
    let db = TestDb::new(10);
    say(&db, "s", 4);
    set(&db, Noun::Message, Some(HOUR), None);
    later(&db, SECOND);
    set(&db, Noun::Message, Some(HOUR), Some(2));
    db.run(Task::Retain);
    assert_eq!(sequences(&db, "s"), [3, 4]);
    set(&db, Noun::Message, None, None);
    assert_eq!(db.rows(Table::Policy), 0);
    say(&db, "s", 4);
    later(&db, 2 * HOUR);
    assert_eq!(sequences(&db, "s").len(), 6);
    let listed = db.read(retention::List {}).unwrap().items;
    assert!(listed.iter().all(|entry| entry.max_age_us.is_none() && entry.keep_latest.is_none()));
}

#[test]
fn a_retention_that_means_nothing_for_a_noun_is_refused() {
    let db = TestDb::new(11);
    for (noun, field) in [("item", "keep_latest"), ("tool_call", "keep_latest"), ("message", "history_us")] {
        let refused = call(&db, "retention.set", json!({"noun": noun, (field): 1})).unwrap_err();
        assert_eq!((refused.code(), refused.value("field")), (Code::RetentionNotApplicable, Some(field)));
    }
    for request in [
        json!({"noun": "item"}),
        json!({"noun": "item", "max_age_us": 0}),
        json!({"noun": "message", "keep_latest": 0}),
        json!({"noun": "blob", "max_age_us": 1}),
    ] {
        assert_eq!(call(&db, "retention.set", request).unwrap_err().code(), Code::InvalidValue);
    }
    // Of one that is refused, nothing stays.
    call(&db, "retention.set", json!({"noun": "message", "keep_latest": 1, "history_us": 1})).unwrap_err();
    assert_eq!(db.rows(Table::Policy), 0);
}
