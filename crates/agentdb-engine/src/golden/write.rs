//! Writing the set of the current version: every format, by this version's own code, on a simulated machine.

use std::path::Path;

use agentdb_env::sim::World;
use agentdb_env::{Env, OpenMode};
use agentdb_log::{LocalLog, Log, NewGroup};
use agentdb_types::{Lsn, json as strict};
use serde_json::{Value, json};

use super::{DIR, Files, LOG, backups, expected, open, root, sparse, world_of};
use crate::modules::job::Compact;
use crate::modules::namespace::Fork;
use crate::modules::{blob, state};
use crate::mutation::{Body, Change, Entry, Mutation, put_entry};
use crate::{Engine, Key, NamespaceId, Table, Task, WriteOptions, format};

/// Bytes of a file from which on its zeros are left out.
const SMALL: usize = 4096;

/// Writes `tests/golden/v<version>`, unless it exists.
#[test]
#[ignore = "it writes into the source tree: make golden"]
fn write_the_set_of_this_version() {
    let (env, set) = (Env::real(), root().join(format!("v{}", format::VERSION)));
    if env.files.exists(&set).unwrap() {
        return println!("{} exists: a set is never rewritten", set.display());
    }
    let files = database();
    assert!(files == database(), "two runs differ");
    let save = |path: &Path, bytes: &[u8]| {
        env.files.create_dir_all(path.parent().unwrap()).unwrap();
        env.files.open(path, OpenMode::CreateNew).unwrap().write_at(0, bytes).unwrap();
    };
    let (stores, backups) = backups::write();
    assert!(stores == backups::write().0, "two runs differ");
    for (root, files) in [("db", &files), ("backups", &stores)] {
        for (path, bytes) in files {
            if bytes.len() < SMALL {
                save(&set.join(root).join(path), bytes);
            } else {
                save(&set.join(root).join(format!("{path}{}", sparse::SUFFIX)), &sparse::shrink(bytes));
            }
        }
    }
    save(&set.join("backups.json"), (serde_json::to_string_pretty(&backups).unwrap() + "\n").as_bytes());
    let expected = expected::of(&open(&world_of(&files)));
    save(&set.join("expected.json"), (serde_json::to_string_pretty(&expected).unwrap() + "\n").as_bytes());
}

/// The files of a database that was killed with part of its rows in the base and part in the log alone.
fn database() -> Files {
    let world = World::new(1);
    let engine = open(&world);
    drained(&world, &engine);
    for task in [Task::Stamp, Task::Freeze] {
        engine.step(task).unwrap();
    }
    while engine.step(Task::Drain).unwrap() {}
    undrained(&world, &engine);
    engine.step(Task::Stamp).unwrap();
    assert!(engine.core.keyring.destroy("bob").unwrap());
    drop(engine);
    world.process_kill();
    newer_entry(&world);
    let files = world.list_all().into_iter();
    let below = |path: &Path| path.strip_prefix(DIR).unwrap().to_string_lossy().into_owned();
    files.map(|path| (below(&path), world.read_file(&path).unwrap())).collect()
}

/// Lines of an operation and its request.
fn play(world: &World, engine: &Engine, namespace: NamespaceId, options: &WriteOptions, lines: &str) {
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        world.advance_us(1_000);
        let (operation, request) = line.trim().split_once(' ').unwrap();
        let request: Value = strict::parse("line", request.as_bytes()).unwrap();
        engine.call_json(namespace, operation, request, options.clone(), Lsn::ZERO).unwrap();
    }
}

fn drained(world: &World, engine: &Engine) {
    let options = WriteOptions { principal: Some("alice".into()), ..WriteOptions::default() };
    play(
        world,
        engine,
        NamespaceId::DEFAULT,
        &options,
        r#"
        namespace.create {"name": "other", "description": "another one"}
        namespace.create {"name": "gone"}
        namespace.delete {"name": "gone"}
        state.put {"owner": "ann", "key": "plan", "value": {"step": 1, "é": [null, true, -2.5e-3, 18446744073709551615]}}
        state.put {"owner": "ann", "key": "deleted", "value": 1}
        state.put {"owner": "ann", "key": "lives a year", "value": "x", "ttl_us": 31536000000000}
        session.create {"owner": "ann", "session": "s", "title": "Talk", "metadata": {"a": 1}, "ttl_us": 31536000000000}
        session.create {"owner": "ann", "session": "gone"}
        session.delete {"session": "gone"}
        message.append {"session": "s", "role": "user", "content": "hi", "message": "m1", "name": "Ann", "metadata": {"k": [1]}}
        message.append {"session": "s", "role": "assistant", "content": [{"type": "text", "text": "ho"}], "message": "m2"}
        collection.create {"collection": "dot", "dimension": 2, "metric": "dot", "encoder": "some-encoder", "description": "notes"}
        collection.create {"collection": "far", "dimension": 2, "metric": "euclidean"}
        collection.create {"collection": "gone"}
        collection.delete {"collection": "gone"}
        collection.create {"collection": "named", "vectors": {"image": {"dimension": 3}, "gone": {"dimension": 1, "metric": "dot"}}, "fields": {"at": {"type": "time"}, "secret": {"type": "string", "indexed": false}}, "texts": {"text": {"analyzer": "english"}, "title": {"weight": 2}}}
        collection.alter {"collection": "named", "description": "richer", "vectors": {"gone": null, "sound": {"dimension": 2, "metric": "euclidean"}}}
        collection.create {"collection": "strict", "undeclared": "refuse"}
        collection.truncate {"collection": "strict"}
        record.put {"collection": "named", "record": "n1", "text": "the first", "vectors": {"image": [1, 0, 0]}, "payload": {"kind": "a", "at": "2026-01-01T00:00:00Z", "title": "second"}}
        record.put {"collection": "named", "record": "n2", "text": "the second", "vectors": {"image": [0, 1, 0], "sound": [1, 2]}, "payload": {"kind": "b", "at": 1767225600000000}}
        record.put {"collection": "named", "record": "n3", "payload": {"kind": "c"}}
        retention.set {"noun": "session", "history_us": null}
        retention.set {"noun": "checkpoint", "max_age_us": 31536000000000, "keep_latest": 100}
        state.put {"owner": "ann", "key": "plan", "value": "changed"}
        message.append {"session": "s", "role": "user", "content": "was said otherwise", "message": "m0"}
        message.update {"session": "s", "message": "m0", "content": "changed"}
        session.fork {"session": "s", "to": "forked", "through_sequence": 1}
        session.fork {"session": "s", "to": "shares", "at": 20}
        message.update {"session": "shares", "message": "m1", "content": "hi, says the fork"}
        message.append {"session": "shares", "role": "user", "content": "of the fork alone", "message": "m4"}
        session.fork {"session": "shares", "to": "upper"}
        message.update {"session": "shares", "message": "m4", "content": "of both, and changed"}
        checkpoint.put {"thread": "t", "checkpoint": "c1", "versions": {"said": 1}, "values": {"said": ["what was said first was long enough to be worth its while, so long that it is said but once"]}, "data": {"v": 1}, "metadata": {"run_id": "r1", "step": 0}}
        checkpoint.put {"thread": "t", "checkpoint": "c2", "parent": "c1", "versions": {"said": 2}, "values": {"said": ["what was said first was long enough to be worth its while, so long that it is said but once", "then"]}, "encoded": {"packed": {"type": "msgpack", "data": "3AABwA=="}}, "metadata": {"run_id": "r1", "step": 1}}
        checkpoint.put {"thread": "t", "namespace": "child", "checkpoint": "c3", "versions": {"said": 2}, "empty": ["said"]}
        checkpoint.put_writes {"thread": "t", "checkpoint": "c1", "task": "t1", "path": "p", "writes": [{"channel": "said", "value": null}, {"channel": "__error__", "encoded": {"type": "msgpack", "data": "wA=="}}]}
        thread.copy {"thread": "t", "to": "copied"}
        tool_call.claim {"owner": "run-1", "key": "wait", "tool": "mail", "arguments": null, "lease_us": 1}
        tool_call.claim {"owner": "run-1", "key": "ask", "tool": "ask", "arguments": {"of": "bob"}, "worker": "w1", "idempotent": true, "max_attempts": 3, "lease_us": 31536000000000}
        tool_call.claim {"owner": "run-1", "key": "sent", "tool": "mail", "arguments": ["ann"]}
        tool_call.claim {"owner": "run-1", "key": "lost", "tool": "mail", "arguments": [], "lease_us": 1}
        record.put {"collection": "dot", "record": "r1", "vector": [1, 2], "text": "a note", "payload": {"kind": "note", "pages": 3}}
        record.put {"collection": "dot", "record": "r2", "vector": [0.5, -1], "payload": {"kind": "list"}, "ttl_us": 31536000000000}
        record.put {"collection": "far", "record": "f1", "vector": [0, 0]}
        item.index {"encoder": "some-encoder", "dimension": 2, "metric": "dot", "fields": ["title", "parts[*].text"], "default": false}
        item.put {"path": ["users", "ann"], "key": "prefs", "value": {"theme": "dark", "stars": 3}}
        item.put {"path": ["users", "ann", "notes"], "key": "n1", "value": {"title": "one"}, "vectors": {"title": [1, 2], "parts[*].text.0": [-1, 0.5]}, "ttl_us": 31536000000000}
        item.put {"path": ["users", "*"], "key": "k", "value": {"title": "deleted"}, "vectors": {"title": [1, 1]}}
        item.delete {"path": ["users", "*"], "key": "k"}
        item.touch {"items": [{"path": ["users", "ann", "notes"], "key": "n1"}]}
        link.put {"collection": "named", "record": "n1", "type": "cites", "to_collection": "dot", "to": "r1", "payload": {"page": 3}}
        link.put {"collection": "named", "record": "n2", "type": "follows", "to": "n1"}
        link.put {"collection": "named", "record": "n3", "type": "follows", "to": "n2"}
        link.put {"collection": "named", "record": "n1", "type": "follows", "to": "n1"}
        link.delete {"collection": "named", "record": "n1", "type": "follows", "to": "n1"}
    "#,
    );
    play(
        world,
        engine,
        NamespaceId(2),
        &options,
        r#"
        state.put {"owner": "ann", "key": "plan", "value": "of the other namespace"}
        message.append {"session": "s", "owner": "carl", "role": "user", "content": 1, "message": "m1"}
    "#,
    );
    tell(
        engine,
        &[
            ("tool_call.renew", "ask", json!({"progress": {"asked": 1}})),
            ("tool_call.fail", "sent", json!({"error": {"status": 503}, "retry": true})),
            ("tool_call.resolve", "lost", json!({"resolution": "completed", "result": "found"})),
        ],
    );
    let once = WriteOptions { idempotency_key: Some("once".into()), ..WriteOptions::default() };
    play(
        world,
        engine,
        NamespaceId::DEFAULT,
        &once,
        r#"state.increment {"owner": "ann", "key": "n", "by": 41}"#,
    );
    for bytes in [&b"kept"[..], b"deleted"] {
        let about = blob::Put {
            media_type: Some("text/plain".into()),
            name: Some("b.txt".into()),
            ..blob::Put::default()
        };
        let put = engine.put_blob(NamespaceId::DEFAULT, &mut &bytes[..], about, WriteOptions::default());
        if bytes == b"deleted" {
            let delete = blob::Delete { blob: put.unwrap().response.blob };
            engine.write(NamespaceId::DEFAULT, delete, WriteOptions::default()).unwrap().wait().unwrap();
        }
    }
    // A fork under way that has put a blob aside.
    engine.begin_fork(&Fork::new("default", "fork")).unwrap();
    for _ in 0..2 {
        engine.step(Task::Work).unwrap();
    }
    engine.begin_compaction(&Compact { trim_log: true }).unwrap();
    crate::modules::transfer::leave_unfinished(engine);
    crate::modules::load::leave_unfinished(engine, "far");
    // Moments for more than one chunk.
    for _ in 0..70 {
        play(
            world,
            engine,
            NamespaceId::DEFAULT,
            &WriteOptions::default(),
            r#"state.increment {"owner": "ann", "key": "moments"}"#,
        );
    }
    let long = state::Put::new("ann", "long", json!("0123456789".repeat(40)));
    engine.write(NamespaceId::DEFAULT, long, WriteOptions::default()).unwrap().wait().unwrap();
}

/// Tells what became of tool calls, under the epochs that their claims have.
fn tell(engine: &Engine, outcomes: &[(&str, &str, Value)]) {
    for (operation, key, told) in outcomes {
        let call = |operation: &str, request: Value| {
            let options = WriteOptions::default();
            engine.call_json(NamespaceId::DEFAULT, operation, request, options, Lsn::ZERO).unwrap().response
        };
        let mut request = json!({"owner": "run-1", "key": key});
        request["epoch"] = call("tool_call.get", request.clone())["epoch"].clone();
        told.as_object().unwrap().iter().for_each(|(field, value)| request[field] = value.clone());
        call(operation, request);
    }
}

/// What cannot be part of a batch.
fn alone(engine: &Engine) {
    for (operation, request) in [
        ("record.delete_where", json!({"collection": "named", "filter": {"kind": "c"}})),
        ("collection.rename", json!({"collection": "named", "to": "rich"})),
    ] {
        let options = WriteOptions::default();
        engine.call_json(NamespaceId::DEFAULT, operation, request, options, Lsn::ZERO).unwrap();
    }
}

/// Changes of every kind, some of them sealed, over several segments.
fn undrained(world: &World, engine: &Engine) {
    let options = WriteOptions::default();
    play(
        world,
        engine,
        NamespaceId::DEFAULT,
        &options,
        r#"
        state.delete {"owner": "ann", "key": "deleted"}
        tool_call.claim {"owner": "run-1", "key": "pay", "tool": "pay", "arguments": {"to": "bob", "cents": 100}, "keep_us": 31536000000000}
        message.append {"session": "s", "role": "user", "content": "later", "message": "m3"}
        message.delete {"session": "s", "message": "m2"}
        state.increment {"owner": "ann", "key": "n"}
        record.put {"collection": "far", "record": "f2", "vector": [3, 3]}
    "#,
    );
    alone(engine);
    tell(engine, &[("tool_call.complete", "pay", json!({"result": {"receipt": 7}}))]);
    for (subject, text) in [("ann", "a".repeat(300)), ("bob", "b".repeat(300))] {
        let options = WriteOptions { subject: Some(subject.into()), ..WriteOptions::default() };
        for end in ["", " and more"] {
            // The second one is a splice.
            let sealed = state::Put::new(subject, "sealed", json!(format!("{text}{end}")));
            engine.write(NamespaceId::DEFAULT, sealed, options.clone()).unwrap().wait().unwrap();
        }
    }
    let mut batch = crate::Batch::new();
    for number in 0..3 {
        let put = state::Put::new("ann", format!("step {number}"), json!(number));
        batch.push(engine, put).unwrap();
    }
    engine.write_batch(NamespaceId::DEFAULT, batch, options.clone()).unwrap().wait().unwrap();
    for number in 0..20 {
        world.advance_us(1_000);
        let text = format!("{number:04}").repeat(150);
        let put = state::Put::new("ann", "filler", json!({"number": number, "text": text}));
        engine.write(NamespaceId::DEFAULT, put, options.clone()).unwrap().wait().unwrap();
    }
    let spliced = json!(format!("{}!", "0123456789".repeat(40)));
    engine
        .write(NamespaceId::DEFAULT, state::Put::new("ann", "long", spliced), options)
        .unwrap()
        .wait()
        .unwrap();
}

/// An entry with fields that this version does not know and need not, between those that it knows and behind them.
fn newer_entry(world: &World) {
    let mut log = LocalLog::open(&world.env(), &Path::new(DIR).join("log"), LOG, Lsn::ZERO).unwrap().log;
    let key = Key::new(NamespaceId::DEFAULT, Table::State).text("ann").text("from a newer version");
    let mut row = vec![1];
    for time in [log.head().time, log.head().time, Default::default()] {
        row.extend_from_slice(&time.micros().to_le_bytes());
    }
    row.extend_from_slice(b"\"read all the same\"");
    let entry = Entry {
        operation: "state.put".into(),
        principal: Some("a newer version".into()),
        subject: None,
        mutations: vec![Mutation {
            key: key.as_bytes().to_vec(),
            body: Body::Clear(Change::Put(row.into())),
            keeps: false,
        }],
        names: Default::default(),
        unknown: vec![(5, b"between".to_vec()), (77, b"behind".to_vec())],
    };
    let mut body = Vec::new();
    put_entry(&mut body, &entry);
    let head = log.head();
    let group =
        NewGroup { epoch: head.epoch, expected_head: head.lsn, count: 1, time: head.time, body: &body };
    log.append(group).unwrap();
    log.sync().unwrap();
    let head = log.head();
    // A stamp ends the log.
    log.append(NewGroup { expected_head: head.lsn, count: 0, body: &[], ..group }).unwrap();
    log.sync().unwrap();
}
