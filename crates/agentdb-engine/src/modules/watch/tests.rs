//! What a feed gives, noun by noun, and where it starts, waits and ends.

use std::time::Duration;

use agentdb_env::Env;
use agentdb_types::{Code, Lsn};
use serde_json::{Value, json};

use super::{Event, Feed, Kind, Noun, Watch};
use crate::modules::testing::TestDb;
use crate::modules::{collection, namespace, operation, session, state};
use crate::operation::Call;
use crate::{Ack, Batch, Engine, NamespaceId, Options, Task, WriteOptions};

pub(super) fn batch(db: &TestDb, requests: &[(&str, Value)]) -> Lsn {
    let mut batch = Batch::new();
    for (name, request) in requests {
        assert!(matches!(operation(name).unwrap().call, Call::Write(_)));
        batch.push_json(db.engine(), name, request.clone()).unwrap();
    }
    db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait().unwrap().lsn
}

pub(super) fn write(db: &TestDb, name: &str, request: Value) -> Lsn {
    batch(db, &[(name, request)])
}

pub(super) fn all(feed: &mut Feed) -> Vec<Event> {
    std::iter::from_fn(|| feed.try_next().unwrap()).collect()
}

/// The changes of each event in words: kind, noun, key.
fn words(events: &[Event]) -> Vec<Vec<String>> {
    let word = |change: &super::Change| {
        let noun = serde_json::to_value(&change.thing).unwrap()["noun"].as_str().unwrap().to_owned();
        let kind = serde_json::to_value(change.kind).unwrap().as_str().unwrap().to_owned();
        format!("{kind} {noun} {}", change.thing.key().join("/")).trim_end().to_owned()
    };
    events.iter().map(|event| event.changes.iter().map(word).collect()).collect()
}

pub(super) fn watched(db: &TestDb, watch: &Watch) -> Vec<Vec<String>> {
    words(&all(&mut db.engine().watch(db.namespace, watch).unwrap()))
}

#[test]
fn each_noun_is_told_of_by_its_names() {
    let db = TestDb::new(1);
    let thread = |fields: Value| {
        let mut all = json!({"thread": "t", "checkpoint": "c", "metadata": {"run_id": "r"}});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        all
    };
    write(&db, "state.put", json!({"owner": "ann", "key": "plan", "value": 1}));
    write(
        &db,
        "message.append",
        json!({"session": "s", "owner": "ann", "role": "user", "content": "hi", "message": "m"}),
    );
    write(&db, "message.update", json!({"session": "s", "message": "m", "content": "ho"}));
    write(&db, "session.update", json!({"session": "s", "title": "talk"}));
    write(&db, "message.delete", json!({"session": "s", "message": "m"}));
    write(&db, "message.clear", json!({"session": "s"}));
    write(&db, "session.delete", json!({"session": "s"}));
    write(&db, "collection.create", json!({"collection": "docs", "dimension": 1}));
    // The first record with a time to live also changes the row of its collection: no change of the collection.
    write(
        &db,
        "record.put",
        json!({"collection": "docs", "record": "r", "vector": [1], "ttl_us": 1_000_000}),
    );
    write(&db, "record.patch", json!({"collection": "docs", "record": "r", "payload": {"a": 1}}));
    write(&db, "record.delete", json!({"collection": "docs", "record": "r"}));
    write(&db, "collection.delete", json!({"collection": "docs"}));
    write(&db, "checkpoint.put", thread(json!({"versions": {"a": 1}, "values": {"a": 1}})));
    write(
        &db,
        "checkpoint.put_writes",
        json!({"thread": "t", "checkpoint": "c", "task": "k", "writes": [{"channel": "a", "value": 1}]}),
    );
    write(&db, "thread.copy", json!({"thread": "t", "to": "u"}));
    write(&db, "checkpoint.delete_runs", json!({"runs": ["r"]}));
    write(&db, "thread.delete", json!({"thread": "t"}));
    let put = crate::modules::blob::Put::default();
    let blob = db.engine().put_blob(db.namespace, &mut &b"x"[..], put, WriteOptions::default()).unwrap();
    write(&db, "blob.delete", json!({"blob": blob.response.blob}));
    let expected: Vec<Vec<String>> = [
        vec!["put state ann/plan"],
        vec!["put session s", "put message s/m/1"],
        vec!["put message s/m/1"],
        vec!["put session s"],
        vec!["deleted message s/m/1"],
        vec!["deleted messages s", "put session s"],
        vec!["deleted session s"],
        vec!["put collection docs"],
        vec!["put record docs/r"],
        vec!["put record docs/r"],
        vec!["deleted record docs/r"],
        vec!["deleted collection docs"],
        vec!["put thread t", "put checkpoint t//c"],
        vec!["put checkpoint_write t//c/k/0"],
        vec!["put thread u", "put checkpoint u//c", "put checkpoint_write u//c/k/0"],
        vec![
            "deleted checkpoint t//c",
            "deleted checkpoint u//c",
            "deleted checkpoint_write t//c/k/0",
            "deleted checkpoint_write u//c/k/0",
        ],
        vec!["deleted thread t"],
        vec![&*format!("put blob {}", blob.response.blob)],
        vec![&*format!("deleted blob {}", blob.response.blob)],
    ]
    .into_iter()
    .map(|event| event.into_iter().map(str::to_owned).collect())
    .collect();
    assert_eq!(watched(&db, &Watch::default()), expected);
    // What the engine sweeps is told of already; nothing depends on when the feed is read.
    db.run(Task::Sweep);
    db.drain();
    assert_eq!(watched(&db, &Watch::default()), expected);
}

#[test]
fn what_is_emptied_and_filled_in_one_batch_is_told_in_that_order() {
    let db = TestDb::new(2);
    let append = |message: &str| json!({"session": "s", "owner": "ann", "role": "user", "content": 1, "message": message});
    let clear = || ("message.clear", json!({"session": "s"}));
    write(&db, "message.append", append("m"));
    // What is put and cleared in one batch was never there.
    batch(&db, &[("message.append", append("n")), clear(), ("message.append", append("m"))]);
    batch(&db, &[("session.delete", json!({"session": "s"})), ("message.append", append("m"))]);
    batch(&db, &[("message.append", append("n")), ("session.delete", json!({"session": "s"}))]);
    // A session that nobody saw.
    batch(&db, &[("message.append", append("m")), ("session.delete", json!({"session": "s"}))]);
    batch(&db, &[("checkpoint.put", json!({"thread": "t", "checkpoint": "c"}))]);
    let delete = ("thread.delete", json!({"thread": "t"}));
    batch(&db, &[delete, ("checkpoint.put", json!({"thread": "t", "checkpoint": "d"}))]);
    let create = json!({"collection": "docs"});
    write(&db, "collection.create", create.clone());
    let record = json!({"collection": "docs", "record": "r"});
    write(&db, "record.put", record.clone());
    batch(
        &db,
        &[("collection.delete", create.clone()), ("collection.create", create), ("record.put", record)],
    );
    assert_eq!(
        watched(&db, &Watch::default()),
        [
            vec!["put session s", "put message s/m/1"],
            vec!["deleted messages s", "put session s", "put message s/m/3"],
            vec!["deleted messages s", "put session s", "put message s/m/1"],
            vec!["deleted session s"],
            vec!["put thread t", "put checkpoint t//c"],
            vec!["deleted checkpoints t", "put thread t", "put checkpoint t//d"],
            vec!["put collection docs"],
            vec!["put record docs/r"],
            vec!["deleted records docs", "put collection docs", "put record docs/r"],
        ]
    );
}

#[test]
fn a_message_that_takes_the_place_of_another_is_told_by_its_own_id() {
    let db = TestDb::new(11);
    let append = |message: &str, owner: &str| {
        let request =
            json!({"session": "s", "message": message, "owner": owner, "role": "user", "content": 1});
        write(&db, "message.append", request)
    };
    let first = append("first", "ann");
    write(&db, "session.delete", json!({"session": "s"}));
    append("second", "ann");
    let restored = write(&db, "session.restore", json!({"session": "s", "at": first}));
    let told = watched(&db, &Watch::from_lsn(restored));
    assert_eq!(told, [["put session s", "put message s/first/1"]]);
    let deleted = write(&db, "message.delete", json!({"session": "s", "message": "first"}));
    assert_eq!(watched(&db, &Watch::from_lsn(deleted))[0], ["deleted message s/first/1"]);
}

#[test]
fn what_expires_is_told_once_when_it_is_swept() {
    let db = TestDb::new(3);
    let ttl = 1_000_000;
    write(&db, "state.put", json!({"owner": "ann", "key": "a", "value": 1, "ttl_us": ttl}));
    write(&db, "session.create", json!({"owner": "ann", "session": "s", "ttl_us": ttl}));
    write(&db, "collection.create", json!({"collection": "docs"}));
    write(&db, "record.put", json!({"collection": "docs", "record": "r", "ttl_us": ttl}));
    write(&db, "session.create", json!({"owner": "ann", "session": "again", "ttl_us": ttl}));
    let last = write(&db, "message.append", json!({"session": "s", "role": "user", "content": 1}));
    db.world.advance_us(2 * ttl);
    // One that has expired and is not swept gives way to a new one, whose messages it must not lend.
    write(&db, "session.create", json!({"owner": "ann", "session": "again"}));
    for _ in 0..3 {
        db.run(Task::Sweep);
    }
    assert_eq!(
        watched(&db, &Watch::from_lsn(last.next())),
        [
            vec!["deleted messages again", "put session again"],
            vec!["expired state ann/a", "expired session s", "expired record docs/r"],
        ]
    );
}

/// A session moved on from the layer that has its number, and expires in the batch that takes what was left there.
#[test]
fn messages_that_nobody_saw_go_in_silence_beside_their_session() {
    let db = TestDb::new(1);
    let message = |content: &str| json!({"session": "a", "owner": "ann", "role": "user", "content": content, "message": content});
    write(&db, "session.create", json!({"session": "a", "owner": "ann", "ttl_us": 5_000_000}));
    write(&db, "message.append", message("m1"));
    write(&db, "session.fork", json!({"session": "a", "to": "b"}));
    write(&db, "message.update", json!({"session": "a", "message": "m1", "content": "of a alone"}));
    write(&db, "session.delete", json!({"session": "b"}));
    db.world.advance_us(6_000_000);
    let mut feed = db.engine().watch(db.namespace, &Watch::default()).unwrap();
    db.run(Task::Sweep);
    db.run(Task::Sync);
    let told = words(&all(&mut feed));
    assert_eq!(told.last().unwrap(), &["expired session a"], "{told:#?}");
    assert_eq!(db.rows(crate::Table::Message), 0);
}

/// A batch changes a message that others see, so that its session moves on, after and before it changes one that it wrote itself.
#[test]
fn a_message_is_told_once_though_its_session_moves_on_in_the_batch() {
    for last in ["deleted", "put"] {
        let db = TestDb::new(1);
        let message =
            |id: &str| json!({"session": "a", "owner": "ann", "role": "user", "content": id, "message": id});
        write(&db, "message.append", message("m1"));
        write(&db, "session.fork", json!({"session": "a", "to": "b"}));
        write(&db, "message.append", message("m2"));
        let update = |id: &str| ("message.update", json!({"session": "a", "message": id, "content": "new"}));
        let delete = |id: &str| ("message.delete", json!({"session": "a", "message": id}));
        let change = |id: &str| if last == "put" { update(id) } else { delete(id) };
        let lsn = batch(
            &db,
            &[update("m2"), ("message.append", message("m3")), update("m1"), change("m2"), change("m3")],
        );
        let told = watched(&db, &Watch { nouns: vec![Noun::Message], ..Watch::from_lsn(lsn) });
        let mut told: Vec<&str> = told[0].iter().map(String::as_str).collect();
        told.sort_unstable();
        let expected: &[&str] = match last {
            "put" => &["put message a/m1/1", "put message a/m2/2", "put message a/m3/3"],
            _ => &["deleted message a/m2/2", "put message a/m1/1"],
        };
        assert_eq!(told, expected);
        let list = |session: &str| {
            let list: session::message::List = serde_json::from_value(json!({"session": session})).unwrap();
            let items = db.read(list).unwrap().items;
            items.iter().map(|m| format!("{} {}", m.message, m.content)).collect::<Vec<_>>()
        };
        let new = |id: &str| format!("{id} \"new\"");
        let left = if last == "put" { vec![new("m1"), new("m2"), new("m3")] } else { vec![new("m1")] };
        assert_eq!((list("a"), list("b")), (left, vec!["m1 \"m1\"".to_owned()]));
        for _ in 0..3 {
            db.run(Task::Sweep);
        }
        assert_eq!(list("b"), ["m1 \"m1\""]);
    }
}

#[test]
fn filters_let_through_what_is_watched_and_what_takes_it_away() {
    let db = TestDb::new(4);
    for (owner, key) in [("ann", "plan/a"), ("ann", "plan/b"), ("anna", "plan/a"), ("bob", "x")] {
        write(&db, "state.put", json!({"owner": owner, "key": key, "value": 1}));
    }
    for session in ["s", "t"] {
        write(
            &db,
            "message.append",
            json!({"session": session, "owner": "ann", "role": "user", "content": 1, "message": "m"}),
        );
    }
    write(&db, "message.clear", json!({"session": "s"}));
    write(&db, "session.delete", json!({"session": "s"}));
    write(&db, "checkpoint.put", json!({"thread": "ann", "checkpoint": "c"}));
    let watch = |nouns: &[Noun], key: &[&str], prefix: &str| {
        let key = key.iter().map(|part| (*part).to_owned()).collect();
        let watch = Watch { nouns: nouns.to_vec(), key, prefix: prefix.into(), ..Watch::default() };
        watched(&db, &watch).concat()
    };
    assert_eq!(watch(&[Noun::State], &["ann"], ""), ["put state ann/plan/a", "put state ann/plan/b"]);
    assert_eq!(watch(&[], &["ann"], "plan/b"), ["put state ann/plan/b"]);
    assert_eq!(
        watch(&[], &["ann"], ""),
        ["put state ann/plan/a", "put state ann/plan/b", "put thread ann", "put checkpoint ann//c"]
    );
    assert_eq!(watch(&[Noun::State], &[], "ann").len(), 3);
    assert_eq!(
        watch(&[Noun::Message], &["s"], ""),
        ["put message s/m/1", "deleted messages s", "deleted session s"]
    );
    assert_eq!(
        watch(&[Noun::Message], &["s", "m"], "1"),
        ["put message s/m/1", "deleted messages s", "deleted session s"]
    );
    assert_eq!(watch(&[Noun::Message], &["s", "other"], ""), ["deleted messages s", "deleted session s"]);
    assert_eq!(watch(&[Noun::Session], &["t"], ""), ["put session t"]);
    assert_eq!(watch(&[Noun::Record], &[], ""), [""; 0]);
}

#[test]
fn a_feed_sees_its_namespace_alone_and_ends_with_it() {
    let mut db = TestDb::new(5);
    let create = namespace::Create { name: "team".into(), description: String::new() };
    let number = db.write(create).unwrap().response.number;
    let team = db.engine().namespace("team").unwrap();
    assert_eq!(team.number(), number);
    let (mut ours, mut others) = (
        db.engine().watch(team, &Watch::default()).unwrap(),
        db.engine().watch(NamespaceId::DEFAULT, &Watch { progress: Some(1), ..Watch::default() }).unwrap(),
    );
    db.namespace = team;
    write(&db, "state.put", json!({"owner": "ann", "key": "a", "value": 1}));
    db.namespace = NamespaceId::DEFAULT;
    write(&db, "state.put", json!({"owner": "bob", "key": "b", "value": 1}));
    let gone = db.write(namespace::Delete { name: "team".into() }).unwrap().lsn;
    db.run(Task::Sweep);
    let ends = Watch { nouns: vec![Noun::Record], key: vec!["x".into()], ..Watch::default() };
    assert_eq!(db.engine().watch(team, &ends).err().unwrap().code(), Code::NamespaceNotFound);
    assert_eq!(ours.try_next().unwrap().unwrap().changes.len(), 1);
    let last = ours.try_next().unwrap().unwrap();
    assert_eq!((last.lsn, words(&[last]).concat()), (gone, vec!["deleted namespace".to_owned()]));
    assert_eq!(ours.try_next().unwrap_err().code(), Code::NamespaceNotFound);
    // Of what is not its own, a feed that tells progress gives LSN and time and no more.
    let told = all(&mut others);
    assert!(told.iter().map(|event| event.lsn.0).eq(1..=db.engine().lsn().0));
    for event in told {
        assert_eq!(
            (event.changes.len() as u64, event.operation.is_empty()),
            (u64::from(event.lsn.0 == 3), event.lsn.0 != 3)
        );
    }
}

#[test]
fn nothing_is_given_before_it_is_durable() {
    let db = TestDb::new(6);
    let mut feed = db.engine().watch(db.namespace, &Watch::default()).unwrap();
    let options = WriteOptions { ack: Ack::Written, principal: Some("me".into()), ..WriteOptions::default() };
    let put = state::Put::new("ann", "a", json!(1));
    let lsn = db.engine().write(db.namespace, put, options).unwrap().wait().unwrap().lsn;
    assert_eq!((db.engine().lsn(), feed.try_next().unwrap()), (lsn, None));
    db.run(Task::Sync);
    let event = feed.try_next().unwrap().unwrap();
    assert_eq!((event.lsn, &*event.operation, event.principal.as_deref()), (lsn, "state.put", Some("me")));
    assert_eq!((feed.position(), feed.try_next().unwrap()), (lsn, None));
}

#[test]
fn a_value_is_that_of_the_event_or_superseded() {
    let db = TestDb::new(7);
    for value in [1, 2] {
        write(&db, "state.put", json!({"owner": "ann", "key": "a", "value": value}));
    }
    let append = json!({"session": "s", "owner": "ann", "role": "user", "content": "hi", "message": "m"});
    batch(
        &db,
        &[
            ("message.append", append.clone()),
            ("collection.create", json!({"collection": "docs", "dimension": 1})),
        ],
    );
    write(
        &db,
        "record.put",
        json!({"collection": "docs", "record": "r", "vector": [0.5], "ttl_us": 60_000_000}),
    );
    write(
        &db,
        "checkpoint.put",
        json!({"thread": "t", "checkpoint": "c", "versions": {"a": 1}, "values": {"a": [7]}}),
    );
    write(
        &db,
        "checkpoint.put_writes",
        json!({"thread": "t", "checkpoint": "c", "task": "k", "writes": [{"channel": "a", "value": 8}]}),
    );
    let watch = Watch { values: true, ..Watch::default() };
    let values = || {
        let events = all(&mut db.engine().watch(db.namespace, &watch).unwrap());
        let changes = events.into_iter().flat_map(|event| event.changes);
        changes
            .map(|change| (change.kind == Kind::Put && !change.superseded, change.value.unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let shown = values();
    let whole: Vec<bool> = shown.iter().map(|(whole, _)| *whole).collect();
    assert_eq!(whole, [false, true, true, true, true, true, true, true, true], "{shown:?}");
    assert_eq!((&shown[1].1["value"], &shown[3].1["session"]), (&json!(2), &json!("s")));
    assert_eq!((&shown[4].1["content"], &shown[5].1["vector"]), (&json!("hi"), &json!([0.5])));
    assert_eq!((&shown[7].1["values"], &shown[8].1["value"]), (&json!({"a": [7]}), &json!(8)));
    assert!(shown[3].1.get("messages").is_none() && shown[7].1.get("writes").is_none(), "{shown:?}");
    // Others have the names by now, while the old rows are not swept.
    batch(&db, &[("message.clear", json!({"session": "s"})), ("message.append", append)]);
    let create = json!({"collection": "docs", "dimension": 1});
    let record = json!({"collection": "docs", "record": "r", "vector": [0.25]});
    batch(
        &db,
        &[
            ("collection.delete", json!({"collection": "docs"})),
            ("collection.create", create),
            ("record.put", record),
        ],
    );
    batch(
        &db,
        &[
            ("thread.delete", json!({"thread": "t"})),
            ("checkpoint.put", json!({"thread": "t", "checkpoint": "c"})),
        ],
    );
    assert!(values()[2..9].iter().all(|(whole, value)| !whole && value.is_null()), "{:?}", values());
}

#[test]
fn a_feed_starts_where_the_log_is_and_says_where_that_is() {
    let mut db = TestDb::new(8);
    write(&db, "state.put", json!({"owner": "ann", "key": "a", "value": 1}));
    let refused = |db: &TestDb, from: u64| db.engine().watch(db.namespace, &Watch::from_lsn(Lsn(from))).err();
    assert!(refused(&db, 0).is_none() && refused(&db, 1).is_none() && refused(&db, 2).is_none());
    let err = refused(&db, 3).unwrap();
    assert_eq!((err.code(), err.value("head")), (Code::LsnAhead, Some("1")));
    let zero = Watch { progress: Some(0), ..Watch::default() };
    assert_eq!(db.engine().watch(db.namespace, &zero).err().unwrap().code(), Code::InvalidValue);
    // A feed that reads on over a reopened database, and where the log was trimmed under it.
    let mut slow = db.engine().watch(db.namespace, &Watch::default()).unwrap();
    assert_eq!(all(&mut slow).len(), 1);
    drop(slow);
    db.reopen().unwrap();
    let mut slow = db.engine().watch(db.namespace, &Watch::from_lsn(Lsn(2))).unwrap();
    assert_eq!(slow.try_next().unwrap(), None);
}

#[test]
fn a_feed_that_the_log_left_behind_says_where_it_can_start() {
    let world = agentdb_env::sim::World::new(9);
    let options = Options {
        background: false,
        log: agentdb_log::Options { first_segment_bytes: 16 << 10, segment_bytes: 16 << 10 },
        log_retention_bytes: 1,
        ..Options::default()
    };
    let engine = Engine::open(&world.env(), std::path::Path::new("/db"), options).unwrap();
    let put = |n: usize| {
        // It cannot be packed.
        let noise: Vec<String> = (0..16u8).map(|i| blake3::hash(&[n as u8, i]).to_string()).collect();
        let put = state::Put::new("ann", format!("k{n}"), json!(noise.concat()));
        engine.write(NamespaceId::DEFAULT, put, WriteOptions::default()).unwrap().wait().unwrap().lsn
    };
    let watch = Watch::default();
    let (mut slow, mut ahead) = (
        engine.watch(NamespaceId::DEFAULT, &watch).unwrap(),
        engine.watch(NamespaceId::DEFAULT, &watch).unwrap(),
    );
    put(0);
    assert!(slow.try_next().unwrap().is_some());
    // This one reads on, across the trimming.
    for n in 1..60 {
        put(n);
        assert_eq!(ahead.try_next().unwrap().unwrap().lsn, Lsn(n as u64));
    }
    for task in [Task::Freeze, Task::Drain, Task::Drain] {
        engine.step(task).unwrap();
    }
    for lsn in 60..=60 {
        assert_eq!(ahead.try_next().unwrap().unwrap().lsn, Lsn(lsn));
    }
    let err = slow.try_next().unwrap_err();
    assert_eq!((err.code(), err.value("from")), (Code::LogTrimmed, Some("2")));
    assert_eq!(slow.try_next().unwrap_err(), err);
    let earliest = Lsn(err.value("earliest").unwrap().parse().unwrap());
    let mut again = engine.watch(NamespaceId::DEFAULT, &Watch::from_lsn(earliest)).unwrap();
    assert_eq!(again.try_next().unwrap().unwrap().lsn, earliest);
    let before = Watch::from_lsn(Lsn(earliest.0 - 1));
    assert_eq!(engine.watch(NamespaceId::DEFAULT, &before).err().unwrap().code(), Code::LogTrimmed);
    assert!(
        engine.read_log(Some(Lsn(1)), &mut |_| Ok(true)).is_err_and(|err| err.code() == Code::LogTrimmed)
    );
}

/// Writers on threads of their own, and feeds that wait, are dropped and go on: each batch once, in order.
#[test]
fn feeds_beside_writers_wait_miss_nothing_and_repeat_nothing() {
    const WRITERS: u64 = 4;
    const PUTS: u64 = 150;
    let (env, dir) = (Env::real(), tempfile::tempdir().unwrap());
    let engine = Engine::open(&env, dir.path(), Options::default()).unwrap();
    collection_of(&engine);
    let first = engine.lsn().next();
    let watch = |engine: Engine, owner: Option<u64>, every: u64| {
        let mut watch = Watch::from_lsn(first);
        watch.key.extend(owner.map(|owner| format!("w{owner}")));
        let mut seen = Vec::new();
        let expected = PUTS * if owner.is_some() { 1 } else { WRITERS };
        while (seen.len() as u64) < expected {
            let mut feed = engine.watch(NamespaceId::DEFAULT, &watch).unwrap();
            for _ in 0..every.min(expected - seen.len() as u64) {
                let event =
                    feed.wait_next(Some(Duration::from_secs(30))).unwrap().expect("an event within 30 s");
                seen.extend(event.changes.iter().map(|change| (event.lsn, change.thing.key().join("/"))));
            }
            watch.from = Some(feed.position().next());
        }
        assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
        seen
    };
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let engine = engine.clone();
            scope.spawn(move || {
                for n in 0..PUTS {
                    let put = state::Put::new(format!("w{writer}"), format!("{n:04}"), json!(n));
                    let options = WriteOptions {
                        ack: if n % 3 == 0 { Ack::Written } else { Ack::Durable },
                        ..WriteOptions::default()
                    };
                    engine.write(NamespaceId::DEFAULT, put, options).unwrap().wait().unwrap();
                }
            });
        }
        let whole = scope.spawn({
            let engine = engine.clone();
            move || watch(engine, None, 1_000)
        });
        let resumed = scope.spawn({
            let engine = engine.clone();
            move || watch(engine, None, 7)
        });
        for owner in 0..WRITERS {
            let seen = watch(engine.clone(), Some(owner), 11);
            let keys: Vec<String> = seen.into_iter().map(|(_, key)| key).collect();
            assert!(keys.into_iter().eq((0..PUTS).map(|n| format!("w{owner}/{n:04}"))));
        }
        assert_eq!(whole.join().unwrap(), resumed.join().unwrap());
    });
    let mut feed = engine.watch(NamespaceId::DEFAULT, &Watch::from_lsn(engine.lsn().next())).unwrap();
    assert_eq!(feed.wait_next(Some(Duration::from_millis(20))).unwrap(), None);
}

fn collection_of(engine: &Engine) {
    let create = collection::Create {
        collection: "docs".into(),
        dimension: None,
        metric: None,
        encoder: None,
        description: String::new(),
        ..collection::Create::default()
    };
    engine.write(NamespaceId::DEFAULT, create, WriteOptions::default()).unwrap().wait().unwrap();
}
