//! What the machine, the clock and other handles refuse.

use std::path::Path;

use agentdb::modules::state;
use agentdb::{Ack, Code, Database, Engine, NamespaceId, Result, Value, WriteOptions, json, limits};
use agentdb_engine::Batch;
use agentdb_env::sim::World;

use super::simulated::{DIR, Simulated, content, files, open};
use super::{told, told_by_tool};

const HOUR_US: i64 = 3_600_000_000;

fn put(key: &str, value: Value) -> state::Put {
    state::Put::new("ann", key, value)
}

pub(super) fn database_not_found() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| Database::options().create(false).open(path).err().unwrap();
    let errors = vec![
        told(&open(&dir.path().join("none")), &[("path", "none")]),
        told(&open(dir.path()), &[]),
        told_by_tool(dir.path(), &["inspect"]),
    ];
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was created");
    errors
}

pub(super) fn model_not_found() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let create = told_by_tool(dir.path(), &["collection", "create", "docs", "--encoder", "minilm-l6-int8"]);
    assert_eq!((&create["name"], &create["values"]["actual"]), (&json!("no_encoder"), &json!("none")));
    let create = ["collection", "create", "docs", "--encoder", "minilm-l6-int8", "--dimension", "384"];
    let output = crate::agentdb(dir.path()).env("AGENTDB_MODELS", dir.path()).args(create).output().unwrap();
    assert!(output.status.success(), "without a model, naming the dimension suffices: {output:?}");
    vec![told_by_tool(dir.path(), &["search", "docs", "what", "is", "known"])]
}

pub(super) fn queue_full() -> Vec<Value> {
    // Nobody commits: first as many requests as may wait, then as many bytes.
    let db = Simulated::new();
    let write = |value: &Value| {
        db.engine().write(NamespaceId::DEFAULT, put("k", value.clone()), WriteOptions::default())
    };
    let tickets: Vec<_> = (0..limits::QUEUE_REQUESTS).map(|_| write(&json!(1)).unwrap()).collect();
    let requests = db.refuses(&[("actual", "65536"), ("limit", "65536")], |_| write(&json!(1)));
    for ticket in tickets {
        ticket.wait().unwrap();
    }

    let db = Simulated::new();
    let megabyte = json!("x".repeat(limits::VALUE_BYTES - 2));
    let mut tickets = Vec::new();
    let full = loop {
        let written =
            db.engine().write(NamespaceId::DEFAULT, put("k", megabyte.clone()), WriteOptions::default());
        match written {
            Ok(ticket) => tickets.push(ticket),
            Err(err) => break err,
        }
        assert!(tickets.len() <= limits::QUEUE_BYTES / limits::VALUE_BYTES, "the bytes are not counted");
    };
    assert!(tickets.len() >= 200, "{}", tickets.len());
    let mut batch = Batch::new();
    batch.push(db.engine(), put("k", megabyte)).unwrap();
    let refused = db.refuses(&[("limit", "268435456")], |db| {
        db.engine().write_batch(NamespaceId::DEFAULT, batch, WriteOptions::default())
    });
    vec![requests, told(&full, &[("limit", "268435456")]), refused]
}

pub(super) fn rows_behind() -> Vec<Value> {
    // Nobody drains. The value changes in one byte each time: the log grows little, the memory tables do not.
    let db = Simulated::new();
    db.call("retention.set", json!({"noun": "state", "history_us": 0})).unwrap();
    let text = "x".repeat(limits::VALUE_BYTES - 64);
    let mut number = 0;
    let full = loop {
        number += 1;
        match db.write(put("k", json!(format!("{number:08}{text}")))) {
            Ok(_) => assert!(number <= limits::UNDRAINED_BYTES / limits::VALUE_BYTES + 1, "no bound"),
            Err(err) => break err,
        }
    };
    assert!(number >= 500, "{number}");
    let refused = db.refuses(&[("limit", "536870912")], |db| db.write(put("k", json!(1))));
    db.drain();
    db.write(put("k", json!(2))).unwrap();
    vec![told(&full, &[]), refused]
}

/// A write whose sync fails, and the write after it.
fn failed_sync() -> (Value, Value) {
    let mut db = Simulated::new();
    db.world.faults().fail_sync(1);
    let unknown = db.write(put("k", json!(1))).unwrap_err();
    assert_eq!(unknown.code(), Code::OutcomeUnknown);
    let poisoned = db.refuses(&[("reason", "sync")], |db| db.write(put("k", json!(2))));
    db.reopen();
    // Either is right; what was refused afterwards is not there.
    let found = db.read(state::Get::new("ann", "k"));
    assert!(found.map_or_else(|err| err.code() == Code::StateNotFound, |entry| entry.value == 1));
    (told(&unknown, &[("reason", "sync")]), poisoned)
}

pub(super) fn poisoned() -> Vec<Value> {
    let db = Simulated::new();
    db.world.faults().fail_sync(1);
    db.write(put("k", json!(1))).unwrap_err();
    let verify = db.refuses(&[("reason", "sync")], |db| db.engine().verify(&mut |_| {}));
    let upload = db.refuses(&[("reason", "sync")], |db| db.put_blob(b"more"));
    vec![failed_sync().1, verify, upload]
}

pub(super) fn outcome_unknown() -> Vec<Value> {
    let torn = Simulated::new();
    torn.world.faults().fail_write(1);
    let err = torn.write(put("k", json!(1))).unwrap_err();
    vec![failed_sync().0, told(&err, &[("reason", "write")])]
}

pub(super) fn disk_full() -> Vec<Value> {
    let mut db = Simulated::new();
    let before = content(db.engine());
    db.world.faults().set_capacity(Some(0));
    let upload = db.refuses(&[("operation", "write"), ("path", "/db/blobs/new")], |db| db.put_blob(b"more"));
    // Writes go on inside the segment that is there, and end where the next one is needed.
    let mut acknowledged = 0;
    let unknown = loop {
        match db.write(put(&format!("k{acknowledged}"), json!("x".repeat(1000)))) {
            Ok(_) => acknowledged += 1,
            Err(err) => break err,
        }
    };
    assert!(acknowledged > 5, "{acknowledged}");
    assert_eq!(unknown.code(), Code::OutcomeUnknown);
    assert!(unknown.message().contains("the disk is full"), "{unknown}");
    db.world.faults().set_capacity(None);
    db.reopen();
    assert_ne!(content(db.engine()), before);
    for number in 0..acknowledged {
        db.read(state::Get::new("ann", format!("k{number}"))).unwrap();
    }
    assert_eq!(db.engine().verify(&mut |_| {}).unwrap().problems, []);

    let world = World::new(2);
    world.faults().set_capacity(Some(4096));
    let create = open(&world).err().unwrap();
    world.faults().clear();
    world.process_kill();
    open(&world).unwrap();
    vec![upload, told(&create, &[("path", DIR)])]
}

pub(super) fn io() -> Vec<Value> {
    let db = Simulated::new();
    db.world.faults().fail_write(1);
    let upload = db.refuses(&[("operation", "write"), ("path", "/db/blobs/new")], |db| db.put_blob(b"more"));
    vec![upload, lock_as_directory()]
}

/// Something else is where the lock should be.
fn lock_as_directory() -> Value {
    let dir = tempfile::tempdir().unwrap();
    drop(Database::open(dir.path()).unwrap());
    std::fs::remove_file(dir.path().join("LOCK")).unwrap();
    std::fs::create_dir(dir.path().join("LOCK")).unwrap();
    let err = Database::open(dir.path()).err().unwrap();
    std::fs::remove_dir(dir.path().join("LOCK")).unwrap();
    Database::open(dir.path()).unwrap();
    told(&err, &[("operation", "lock"), ("path", "LOCK")])
}

pub(super) fn read_only() -> Vec<Value> {
    let mut db = Simulated::new();
    db.world.faults().set_read_only(true);
    let upload = db.refuses(&[("path", "/db/blobs/new")], |db| db.put_blob(b"more"));
    db.world.faults().set_read_only(false);
    let open = db.refuses_to_open(&[("path", "/db")], |world, _| world.faults().set_read_only(true));
    vec![upload, open]
}

pub(super) fn locked() -> Vec<Value> {
    let db = Simulated::new();
    let second = db.refuses(&[("path", "/db/LOCK")], |db| open(&db.world));
    // Another handle of this process, and another process.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let first = Database::open(&path).unwrap();
    let handle = Database::open(&path).err().unwrap();
    let process = told_by_tool(dir.path(), &["state", "get", "ann", "plan"]);
    drop(first);
    Database::open(&path).unwrap();
    vec![second, told(&handle, &[("path", "LOCK")]), process]
}

pub(super) fn clock_jump() -> Vec<Value> {
    let db = Simulated::new();
    db.world.jump_wall_us(HOUR_US + 1_000_000);
    let values = [("actual", "3601000000"), ("limit", "3600000000")];
    let errors = vec![
        db.refuses(&values, |db| db.write(put("k", json!(1)))),
        db.refuses(&values, |db| {
            let options = WriteOptions { ack: Ack::Written, ..WriteOptions::default() };
            db.engine().write(NamespaceId::DEFAULT, put("k", json!(1)), options)?.wait()
        }),
    ];
    // Once it is corrected, everything goes on.
    db.world.jump_wall_us(-HOUR_US - 1_000_000);
    db.write(put("k", json!(1))).unwrap();
    errors
}

pub(super) fn closed() -> Vec<Value> {
    let world = World::new(3);
    let engine: Engine = open(&world).unwrap();
    let before = files(&world);
    let ticket = engine.write(NamespaceId::DEFAULT, put("k", json!(1)), WriteOptions::default()).unwrap();
    let snapshot = engine.snapshot(NamespaceId::DEFAULT).unwrap();
    drop(engine);
    let result: Result<_> = ticket.wait();
    assert!(files(&world) == before, "something changed");
    assert_eq!(snapshot.lsn(), agentdb::Lsn(0));
    vec![told(&result.unwrap_err(), &[])]
}
