//! What requests are refused for.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use agentdb::modules::session::message::Append;
use agentdb::modules::watch::Watch;
use agentdb::modules::{blob, namespace, record, session, state};
use agentdb::{Engine, Lsn, NamespaceId, Result, TextEncoder, Timestamp, Value, WriteOptions, json, limits};
use agentdb_engine::Batch;
use agentdb_env::{Env, File, Files, Lock, OpenMode};

use super::simulated::{Simulated, collection, content};
use super::{told, told_by_tool};

fn put(value: Value) -> state::Put {
    state::Put::new("ann", "new", value)
}

pub(super) fn id_empty() -> Vec<Value> {
    let db = Simulated::new();
    vec![
        db.refuses(&[("field", "owner")], |db| db.write(state::Put::new("", "k", json!(1)))),
        db.refuses(&[("field", "key")], |db| db.read(state::Get::new("ann", ""))),
        db.refuses(&[("field", "session")], |db| db.write(Append::new("", "user", "x"))),
        db.refuses(&[("field", "role")], |db| db.write(Append::new("s", "", "x"))),
        db.refuses_call(&[("field", "record")], "record.put", json!({"collection": "docs", "record": ""})),
        db.refuses_call(&[("field", "name")], "namespace.create", json!({"name": ""})),
        db.refuses(&[("field", "subject")], |db| {
            let options = WriteOptions { subject: Some(String::new()), ..WriteOptions::default() };
            db.engine().write(NamespaceId::DEFAULT, put(json!(1)), options)?.wait()
        }),
    ]
}

pub(super) fn id_too_long() -> Vec<Value> {
    let db = Simulated::new();
    let long = "é".repeat(limits::ID_BYTES / 2 + 1);
    let values = [("actual", "514"), ("limit", "512")];
    vec![
        db.refuses(&values, |db| db.write(state::Put::new(&*long, "k", json!(1)))),
        db.refuses(&values, |db| db.write(state::Put::new("ann", &*long, json!(1)))),
        db.refuses_call(&values, "record.get", json!({"collection": "docs", "record": long})),
        db.refuses(&values, |db| {
            let options = WriteOptions { idempotency_key: Some(long.clone()), ..WriteOptions::default() };
            db.engine().write(NamespaceId::DEFAULT, put(json!(1)), options)?.wait()
        }),
    ]
}

pub(super) fn invalid_utf8() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("value");
    std::fs::write(&file, b"\"ab\xff\"").unwrap();
    let error = told_by_tool(dir.path(), &["state", "put", "ann", "k", &format!("@{}", file.display())]);
    assert_eq!(error["values"]["offset"], "3");
    let output = crate::agentdb(dir.path())
        .args(["--json", "state", "get", "ann"])
        .arg(OsStr::from_bytes(b"ab\xff"))
        .output()
        .unwrap();
    let argument = serde_json::from_slice::<Value>(&output.stderr).unwrap()["error"].take();
    assert_eq!(argument["values"]["offset"], "2");
    vec![error, argument]
}

pub(super) fn invalid_json() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let texts = ["{", r#"{"a":1,"a":2}"#, "123456789012345678901234567890", "[1e999]", "NaN", "1 2", ""];
    texts.map(|text| told_by_tool(dir.path(), &["state", "put", "ann", "k", text])).into()
}

pub(super) fn invalid_name() -> Vec<Value> {
    let db = Simulated::new();
    let mut errors = Vec::new();
    for name in ["a/b", "../x", ".hidden", "a b", "a\0b"] {
        errors.push(db.refuses_call(&[("value", name)], "namespace.create", json!({"name": name})));
        errors.push(db.refuses(&[("field", "collection")], |db| db.write(collection(name, 2))));
    }
    errors
}

pub(super) fn unknown_field() -> Vec<Value> {
    let db = Simulated::new();
    let mut errors = Vec::new();
    for operation in Engine::operations().iter().filter(|o| o.shape == agentdb::Shape::Unary) {
        let name = operation.about.name;
        let values = [("operation", name), ("field", "tll")];
        errors.push(db.refuses_call(&values, name, json!({"tll": 1})));
    }
    errors
}

pub(super) fn missing_field() -> Vec<Value> {
    let db = Simulated::new();
    vec![
        db.refuses_call(&[("field", "key")], "state.put", json!({"owner": "ann", "value": 1})),
        db.refuses_call(&[("field", "collection")], "record.search", json!({"vector": [1, 2]})),
    ]
}

pub(super) fn invalid_value() -> Vec<Value> {
    let db = Simulated::new();
    let put = |key: Value| json!({"owner": "ann", "key": key, "value": 1});
    let filter = |filter: Value| json!({"collection": "docs", "filter": filter});
    vec![
        db.refuses_call(&[("field", "state.put")], "state.put", json!([1])),
        db.refuses_call(&[("field", "key")], "state.put", put(json!(7))),
        db.refuses_call(
            &[("field", "by")],
            "state.increment",
            json!({"owner": "ann", "key": "n", "by": 1.5}),
        ),
        db.refuses_call(&[("field", "filter.a.$gt")], "record.count", filter(json!({"a": {"$gt": []}}))),
        db.refuses_call(&[("field", "filter")], "record.list", filter(json!({"$nor": []}))),
        db.refuses_call(&[("field", "blob")], "blob.stat", json!({"blob": "../../FORMAT"})),
        db.refuses_call(&[("field", "name")], "namespace.delete", json!({"name": "default"})),
    ]
}

pub(super) fn depth_exceeded() -> Vec<Value> {
    let db = Simulated::new();
    let deep = (0..limits::JSON_DEPTH).fold(json!(1), |inner, _| json!([inner]));
    let map = json!({"deep": deep}).as_object().unwrap().clone();
    let append = Append { metadata: map.clone(), ..Append::new("s", "user", "x") };
    let record = record::Put { payload: map, ..record::Put::new("docs") };
    vec![
        db.refuses(&[("field", "value"), ("limit", "32")], |db| db.write(put(deep.clone()))),
        db.refuses(&[("field", "content")], |db| db.write(Append::new("s", "user", deep.clone()))),
        db.refuses(&[("field", "metadata")], |db| db.write(append)),
        db.refuses(&[("field", "payload")], |db| db.write(record)),
        db.refuses_call(
            &[("field", "value"), ("limit", "32")],
            "state.put",
            json!({"owner": "ann", "key": "k", "value": deep}),
        ),
    ]
}

pub(super) fn value_too_large() -> Vec<Value> {
    let db = Simulated::new();
    let text = "x".repeat(limits::VALUE_BYTES + 1);
    let record = record::Put { text: Some(text.clone()), ..record::Put::new("docs") };
    let create = session::Create { title: Some(text.clone()), ..session::Create::new("ann") };
    vec![
        db.refuses(&[("field", "value"), ("limit", "1048576")], |db| db.write(put(json!(text)))),
        db.refuses(&[("field", "content")], |db| db.write(Append::new("s", "user", &*text))),
        db.refuses(&[("field", "text"), ("actual", "1048577")], |db| db.write(record)),
        db.refuses(&[("field", "title")], |db| db.write(create)),
    ]
}

pub(super) fn batch_too_large() -> Vec<Value> {
    let db = Simulated::new();
    let commit = |count: usize, value: Value| {
        let mut batch = Batch::new();
        for n in 0..count {
            batch.push(db.engine(), state::Put::new("ann", format!("{n}"), value.clone())).unwrap();
        }
        db.engine().write_batch(NamespaceId::DEFAULT, batch, WriteOptions::default())?.wait()
    };
    let megabyte = json!("x".repeat(limits::VALUE_BYTES - 2));
    vec![
        db.refuses(&[("unit", "mutations"), ("limit", "10000")], |_| commit(10_001, json!(1))),
        db.refuses(&[("unit", "bytes"), ("limit", "67108864")], |_| commit(65, megabyte)),
    ]
}

pub(super) fn page_too_large() -> Vec<Value> {
    let db = Simulated::new();
    let list = |limit: usize| json!({"owner": "ann", "limit": limit});
    vec![
        db.refuses_call(&[("actual", "10001"), ("limit", "10000")], "state.list", list(10_001)),
        db.refuses_call(&[("actual", "0")], "state.list", list(0)),
        db.refuses_call(&[("actual", "0")], "message.list", json!({"session": "s", "limit": 0})),
        db.refuses_call(&[("actual", "0")], "state.get_many", json!({"owner": "ann", "keys": []})),
    ]
}

pub(super) fn invalid_cursor() -> Vec<Value> {
    let db = Simulated::new();
    let page = db.call("state.list", json!({"owner": "ann", "limit": 1})).unwrap().response;
    let cursor = page["cursor"].as_str().unwrap();
    let altered = format!("{}{}", &cursor[..cursor.len() - 1], if cursor.ends_with('0') { '1' } else { '0' });
    let list = |owner: &str, cursor: &str| json!({"owner": owner, "cursor": cursor});
    vec![
        db.refuses_call(&[], "state.list", list("ann", "zz")),
        db.refuses_call(&[], "state.list", list("ann", "")),
        db.refuses_call(&[("reason", "altered")], "state.list", list("ann", &altered)),
        db.refuses_call(&[("reason", "another list")], "state.list", list("bob", cursor)),
        db.refuses_call(&[], "message.list", json!({"session": "s", "cursor": cursor})),
    ]
}

pub(super) fn unknown_operation() -> Vec<Value> {
    let db = Simulated::new();
    vec![db.refuses_call(&[("name", "state.steal")], "state.steal", json!({}))]
}

pub(super) fn not_unary() -> Vec<Value> {
    let db = Simulated::new();
    let shaped = Engine::operations().iter().filter(|o| o.shape != agentdb::Shape::Unary);
    let call = |name| db.refuses_call(&[("operation", name)], name, json!({}));
    shaped.map(|o| call(o.about.name)).collect()
}

pub(super) fn not_batchable() -> Vec<Value> {
    let db = Simulated::new();
    let push = |operation: &str, request: Value| Batch::new().push_json(db.engine(), operation, request);
    vec![
        db.refuses(&[("operation", "state.get")], |_| push("state.get", json!({"owner": "a", "key": "k"}))),
        db.refuses(&[("operation", "namespace.create")], |_| push("namespace.create", json!({"name": "n"}))),
        db.refuses(&[("operation", "blob.put")], |_| push("blob.put", json!({}))),
        db.refuses(&[("operation", "namespace.delete")], |db| {
            Batch::new().push(db.engine(), namespace::Delete { name: "n".into() })
        }),
    ]
}

fn with_vector(vector: &[f32]) -> record::Put {
    record::Put { vector: Some(vector.to_vec()), ..record::Put::new("docs") }
}

fn search(vector: &[f32]) -> record::Search {
    record::Search { vector: Some(vector.to_vec()), ..record::Search::new("docs") }
}

pub(super) fn dimension_mismatch() -> Vec<Value> {
    let db = Simulated::new();
    vec![
        db.refuses(&[("actual", "3"), ("expected", "2")], |db| db.write(with_vector(&[1.0; 3]))),
        db.refuses(&[("actual", "0")], |db| db.write(with_vector(&[]))),
        db.refuses(&[("actual", "1")], |db| db.read(search(&[1.0]))),
    ]
}

pub(super) fn dimension_out_of_range() -> Vec<Value> {
    let db = Simulated::new();
    vec![
        db.refuses(&[("actual", "0")], |db| db.write(collection("wide", 0))),
        db.refuses(&[("actual", "8193"), ("limit", "8192")], |db| db.write(collection("wide", 8_193))),
    ]
}

pub(super) fn vector_not_finite() -> Vec<Value> {
    let db = Simulated::new();
    let huge = json!({"collection": "docs", "vector": [1, 1e39]});
    vec![
        db.refuses(&[("index", "1"), ("value", "NaN")], |db| db.write(with_vector(&[1.0, f32::NAN]))),
        db.refuses(&[("value", "inf")], |db| db.write(with_vector(&[f32::INFINITY, 1.0]))),
        db.refuses(&[("value", "-inf")], |db| db.read(search(&[f32::NEG_INFINITY, 1.0]))),
        db.refuses_call(&[("index", "1")], "record.put", huge),
    ]
}

pub(super) fn vector_zero() -> Vec<Value> {
    let db = Simulated::new();
    vec![
        db.refuses(&[], |db| db.write(with_vector(&[0.0, -0.0]))),
        db.refuses(&[], |db| db.read(search(&[0.0, 0.0]))),
    ]
}

pub(super) fn ttl_out_of_range() -> Vec<Value> {
    let db = Simulated::new();
    let mut errors = Vec::new();
    for ttl in [0, -1, i64::MIN, i64::MAX] {
        let values = [("actual", &*ttl.to_string())];
        errors.push(db.refuses(&values, |db| db.write(state::Put { ttl_us: Some(ttl), ..put(json!(1)) })));
        let create = json!({"owner": "ann", "ttl_us": ttl});
        errors.push(db.refuses_call(&values, "session.create", create));
        let record = json!({"collection": "docs", "ttl_us": ttl});
        errors.push(db.refuses_call(&values, "record.put", record));
    }
    errors
}

pub(super) fn invalid_patch() -> Vec<Value> {
    let db = Simulated::new();
    db.write(state::Put::new("ann", "n", json!(i64::MAX))).unwrap();
    let patch = |key: &str, patch: Value| json!({"owner": "ann", "key": key, "patch": patch});
    vec![
        db.refuses_call(&[("reason", "objects")], "state.patch", patch("plan", json!([1]))),
        db.refuses_call(&[("reason", "objects")], "state.patch", patch("n", json!({"a": 1}))),
        db.refuses_call(
            &[("reason", "not a 64-bit integer")],
            "state.increment",
            json!({"owner": "ann", "key": "plan"}),
        ),
        db.refuses_call(&[("reason", "exceeds")], "state.increment", json!({"owner": "ann", "key": "n"})),
        db.refuses_call(&[], "session.update", json!({"session": "s", "metadata": [1]})),
    ]
}

pub(super) fn invalid_time() -> Vec<Value> {
    let texts = ["soon", "2001-02-29T00:00:00Z", "1969-12-31T23:59:59Z", "2026-01-01T00:00:00.1234567Z"];
    let parse = |text: &str| told(&text.parse::<Timestamp>().unwrap_err(), &[("value", text)]);
    let mut errors: Vec<Value> = texts.into_iter().map(parse).collect();
    errors.push(told(&Timestamp::from_micros(-1).unwrap_err(), &[("value", "-1")]));
    errors
}

pub(super) fn search_needs_vector() -> Vec<Value> {
    let db = Simulated::new();
    let both = json!({"collection": "docs", "vector": [1, 0], "text": "x"});
    vec![
        db.refuses_call(&[], "record.search", json!({"collection": "docs"})),
        db.refuses_call(&[], "record.search", both),
    ]
}

pub(super) fn session_mismatch() -> Vec<Value> {
    let db = Simulated::new();
    let append = Append { owner: Some("bob".into()), ..Append::new("s", "user", "x") };
    vec![db.refuses(&[("session", "s"), ("owner", "ann")], |db| db.write(append))]
}

/// A machine whose disk takes the bytes of uploads and forgets them: the limit is larger than memory should be.
struct Forgetful(Arc<dyn Files>);

struct Forgotten(Arc<dyn File>);

impl Files for Forgetful {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let file = self.0.open(path, mode)?;
        let upload = path.parent().is_some_and(|dir| dir.ends_with("blobs/new"));
        Ok(if upload { Arc::new(Forgotten(file)) } else { file })
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.0.exists(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.0.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.0.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.link(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.0.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> Result<Lock> {
        self.0.lock(path)
    }
}

impl File for Forgotten {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        self.0.read_at(offset, out)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> Result<u64> {
        self.0.len()
    }
}

pub(super) fn blob_too_large() -> Vec<Value> {
    let world = agentdb_env::sim::World::new(1);
    let env = world.env();
    let env = Env { files: Arc::new(Forgetful(env.files.clone())), ..env };
    let options = agentdb_engine::Options {
        background: false,
        log: super::simulated::LOG,
        ..agentdb_engine::Options::default()
    };
    let engine = Engine::open(&env, Path::new(super::simulated::DIR), options).unwrap();
    let before = (content(&engine), super::simulated::files(&world));
    let upload = |bytes: u64| {
        let source = &mut std::io::repeat(7).take(bytes);
        engine.put_blob(NamespaceId::DEFAULT, source, blob::Put::default(), WriteOptions::default())
    };
    let err = upload(limits::BLOB_BYTES + 1).unwrap_err();
    assert!((content(&engine), super::simulated::files(&world)) == before, "something changed");
    vec![told(&err, &[("limit", "5368709120")])]
}

/// A database whose log keeps no more than it must.
pub(super) fn log_trimmed() -> Vec<Value> {
    let world = agentdb_env::sim::World::new(1);
    let options = agentdb_engine::Options {
        background: false,
        log: super::simulated::LOG,
        log_retention_bytes: 1,
        ..agentdb_engine::Options::default()
    };
    let engine = Engine::open(&world.env(), Path::new(super::simulated::DIR), options).unwrap();
    let write = |n: usize| {
        let put = state::Put::new("ann", format!("k{n}"), json!("x".repeat(1_000)));
        engine.write(NamespaceId::DEFAULT, put, WriteOptions::default()).unwrap().wait().unwrap()
    };
    let mut slow = engine.watch(NamespaceId::DEFAULT, &Watch::default()).unwrap();
    for n in 0..100 {
        write(n);
    }
    engine.step(agentdb_engine::Task::Freeze).unwrap();
    while engine.step(agentdb_engine::Task::Drain).unwrap() {}
    let before = (content(&engine), super::simulated::files(&world));
    let earliest = engine.segments().unwrap()[0].first_lsn.unwrap().to_string();
    let values = [("from", "1"), ("earliest", &*earliest)];
    let errors = [
        engine.watch(NamespaceId::DEFAULT, &Watch::from_lsn(Lsn(1))).map(drop),
        slow.try_next().map(drop),
        engine.read_log(Some(Lsn(1)), &mut |_| Ok(true)),
    ];
    assert!((content(&engine), super::simulated::files(&world)) == before, "something changed");
    errors.into_iter().map(|refused| told(&refused.unwrap_err(), &values)).collect()
}

pub(super) fn lsn_ahead() -> Vec<Value> {
    let db = Simulated::new();
    let head = db.engine().lsn();
    let dir = tempfile::tempdir().unwrap();
    crate::json(dir.path(), &["state", "put", "ann", "plan", "1"]);
    vec![
        db.refuses(&[("from", &(head.0 + 2).to_string()), ("head", &head.to_string())], |db| {
            db.engine().watch(NamespaceId::DEFAULT, &Watch::from_lsn(head.next().next())).map(drop)
        }),
        told_by_tool(dir.path(), &["watch", "--from", "3"]),
    ]
}

pub(super) fn namespace_not_found() -> Vec<Value> {
    let db = Simulated::new();
    db.call("namespace.create", json!({"name": "team"})).unwrap();
    // Somebody holds the number of a namespace that is then deleted.
    let held = db.engine().namespace("team").unwrap();
    db.call("namespace.delete", json!({"name": "team"})).unwrap();
    vec![
        db.refuses(&[("name", "none")], |db| db.engine().namespace("none")),
        db.refuses(&[("name", "team")], |db| db.engine().namespace("team")),
        db.refuses_call(&[("name", "none")], "namespace.get", json!({"name": "none"})),
        db.refuses_call(&[("name", "none")], "namespace.delete", json!({"name": "none"})),
        db.refuses(&[("name", &held.number().to_string())], |db| {
            db.engine().write(held, put(json!(1)), WriteOptions::default())?.wait()
        }),
        db.refuses(&[], |db| db.engine().snapshot(held)),
    ]
}

pub(super) fn state_not_found() -> Vec<Value> {
    let db = Simulated::new();
    let expire = json!({"owner": "ann", "key": "none", "ttl_us": null});
    let patch = json!({"owner": "ann", "key": "none", "patch": {}});
    vec![
        db.refuses(&[("owner", "ann"), ("key", "none")], |db| db.read(state::Get::new("ann", "none"))),
        db.refuses_call(&[("key", "none")], "state.expire", expire),
        db.refuses_call(&[("key", "none")], "state.patch", patch),
    ]
}

pub(super) fn session_not_found() -> Vec<Value> {
    let db = Simulated::new();
    let values = [("session", "none")];
    let delete = json!({"session": "none", "message": "m"});
    vec![
        db.refuses(&values, |db| db.read(session::Get::new("none"))),
        db.refuses(&values, |db| db.write(Append::new("none", "user", "x"))),
        db.refuses_call(&values, "message.list", json!({"session": "none"})),
        db.refuses_call(&values, "message.clear", json!({"session": "none"})),
        db.refuses_call(&values, "message.delete", delete),
        db.refuses_call(&values, "session.update", json!({"session": "none"})),
    ]
}

pub(super) fn checkpoint_not_found() -> Vec<Value> {
    let db = Simulated::new();
    db.call("checkpoint.put", json!({"thread": "t", "checkpoint": "c"})).unwrap();
    let missing = |thread, checkpoint| [("thread", thread), ("namespace", ""), ("checkpoint", checkpoint)];
    vec![
        db.refuses_call(&missing("none", "(the latest)"), "checkpoint.get", json!({"thread": "none"})),
        db.refuses_call(&missing("t", "d"), "checkpoint.get", json!({"thread": "t", "checkpoint": "d"})),
        db.refuses_call(
            &missing("none", "(the latest)"),
            "checkpoint.history",
            json!({"thread": "none", "channels": ["a"]}),
        ),
    ]
}

pub(super) fn thread_not_found() -> Vec<Value> {
    let db = Simulated::new();
    vec![db.refuses_call(&[("thread", "none")], "thread.copy", json!({"thread": "none", "to": "copy"}))]
}

pub(super) fn thread_exists() -> Vec<Value> {
    let db = Simulated::new();
    db.call("checkpoint.put", json!({"thread": "t"})).unwrap();
    vec![db.refuses_call(&[("thread", "t")], "thread.copy", json!({"thread": "t", "to": "t"}))]
}

pub(super) fn history_trimmed() -> Vec<Value> {
    let db = Simulated::new();
    db.call("retention.set", json!({"noun": "state", "history_us": 0})).unwrap();
    let put = |n: u64| db.call("state.put", json!({"owner": "ann", "key": "k", "value": n})).unwrap();
    let (then, _) = (put(1).response["version"].clone(), put(2));
    let kept = db.call("retention.set", json!({"noun": "state", "history_us": null})).unwrap();
    let (actual, earliest) = (then.to_string(), kept.response["since"].to_string());
    let values = [("noun", "state"), ("actual", &*actual), ("earliest", &*earliest)];
    let diff = json!({"owner": "ann", "from": then});
    let restore = json!({"owner": "ann", "key": "k", "at": then});
    vec![db.refuses_call(&values, "state.diff", diff), db.refuses_call(&values, "state.restore", restore)]
}

pub(super) fn no_history() -> Vec<Value> {
    let db = Simulated::new();
    db.call("retention.set", json!({"noun": "session", "history_us": 0})).unwrap();
    let fork = json!({"session": "s", "at": 1});
    vec![db.refuses_call(&[("noun", "session")], "session.fork", fork)]
}

pub(super) fn no_past() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    crate::json(dir.path(), &["state", "put", "ann", "k", "1"]);
    let told = |arguments: &[&str], operation: &str| {
        let error = told_by_tool(dir.path(), &[arguments, &["--as-of", "1"]].concat());
        assert_eq!(error["values"]["operation"], operation);
        error
    };
    vec![
        told(&["blob", "list"], "blob.list"),
        told(&["retention", "list"], "retention.list"),
        told(&["item", "search"], "item.search"),
        told(&["state", "history", "ann", "k"], "state.history"),
    ]
}

pub(super) fn point_ahead() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    crate::json(dir.path(), &["state", "put", "ann", "k", "1"]);
    let told = |arguments: &[&str], field: &str| {
        let error = told_by_tool(dir.path(), arguments);
        assert_eq!((&error["values"]["field"], &error["values"]["head"]), (&json!(field), &json!("1")));
        error
    };
    vec![
        told(&["state", "get", "ann", "k", "--as-of", "2"], "as_of"),
        told(&["state", "get", "ann", "k", "--as-of", "2999-01-01T00:00:00Z"], "as_of"),
        told(&["state", "diff", "ann", "7"], "from"),
        told(&["state", "diff", "ann", "1", "--to", "7"], "to"),
        told(&["state", "restore", "ann", "k", "2999-01-01T00:00:00Z"], "at"),
        told(&["session", "fork", "s", "--at", "9"], "at"),
    ]
}

pub(super) fn retention_not_applicable() -> Vec<Value> {
    let db = Simulated::new();
    let values = [("noun", "tool_call"), ("field", "keep_latest"), ("known", "max_age_us")];
    let dir = tempfile::tempdir().unwrap();
    vec![
        db.refuses_call(&values, "retention.set", json!({"noun": "tool_call", "keep_latest": 3})),
        db.refuses_call(&[("noun", "message")], "retention.set", json!({"noun": "message", "history_us": 3})),
        told_by_tool(dir.path(), &["retention", "set", "item", "--history", "1d"]),
    ]
}

pub(super) fn message_not_found() -> Vec<Value> {
    let db = Simulated::new();
    let get = json!({"session": "s", "message": "none"});
    vec![db.refuses_call(&[("session", "s"), ("message", "none")], "message.get", get)]
}

pub(super) fn blob_not_found() -> Vec<Value> {
    let db = Simulated::new();
    let address = "0".repeat(64);
    vec![
        db.refuses_call(&[("blob", &address)], "blob.stat", json!({"blob": address})),
        db.refuses(&[("blob", &address)], |db| {
            db.engine().open_blob(&db.engine().snapshot(NamespaceId::DEFAULT)?, &address)
        }),
    ]
}

pub(super) fn collection_not_found() -> Vec<Value> {
    let db = Simulated::new();
    let values = [("collection", "none")];
    ["collection.get", "collection.delete", "record.count", "record.list", "record.put", "record.search"]
        .map(|operation| db.refuses_call(&values, operation, json!({"collection": "none"})))
        .into()
}

pub(super) fn record_not_found() -> Vec<Value> {
    let db = Simulated::new();
    let get = json!({"collection": "docs", "record": "none"});
    vec![db.refuses_call(&[("collection", "docs"), ("record", "none")], "record.get", get)]
}

pub(super) fn item_not_found() -> Vec<Value> {
    let db = Simulated::new();
    let get = json!({"path": ["users", "ann"], "key": "none"});
    let dir = tempfile::tempdir().unwrap();
    crate::json(dir.path(), &["item", "put", "[\"users\"]", "k", "{}"]);
    vec![
        db.refuses_call(&[("path", "[\"users\", \"ann\"]"), ("key", "none")], "item.get", get),
        told_by_tool(dir.path(), &["item", "get", "[\"users\"]", "none"]),
    ]
}

pub(super) fn items_not_indexed() -> Vec<Value> {
    let db = Simulated::new();
    let put = |more: Value| {
        let mut put = json!({"path": ["p"], "key": "k", "value": {"t": "x"}});
        put.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        put
    };
    let mut told = vec![
        db.refuses_call(&[], "item.search", json!({"query": "x"})),
        db.refuses_call(&[], "item.search", json!({"vector": [1.0]})),
        db.refuses_call(&[], "item.put", put(json!({"index": ["t"]}))),
        db.refuses_call(&[], "item.put", put(json!({"vectors": {"t": [1.0, 2.0]}}))),
    ];
    db.call("item.index", json!({"dimension": 2})).unwrap();
    told.push(db.refuses_call(&[], "item.search", json!({"query": "x"})));
    told.push(db.refuses_call(&[], "item.put", put(json!({"index": true}))));
    told
}

pub(super) fn item_index_mismatch() -> Vec<Value> {
    let db = Simulated::new();
    db.call("item.index", json!({"dimension": 2})).unwrap();
    vec![
        db.refuses_call(&[], "item.index", json!({"dimension": 3})),
        db.refuses_call(&[], "item.index", json!({"dimension": 2, "metric": "dot"})),
        db.refuses_call(&[], "item.index", json!({"dimension": 2, "encoder": "other"})),
    ]
}

pub(super) fn path_length() -> Vec<Value> {
    let db = Simulated::new();
    let said =
        |field, actual, least| [("field", field), ("actual", actual), ("least", least), ("limit", "32")];
    let long = vec!["s"; 33];
    vec![
        db.refuses_call(&said("path", "0", "1"), "item.put", json!({"path": [], "key": "k", "value": {}})),
        db.refuses_call(&said("path", "33", "1"), "item.get", json!({"path": long, "key": "k"})),
        db.refuses_call(&said("path", "33", "0"), "item.search", json!({"path": long})),
        db.refuses_call(
            &said("suffix", "33", "0"),
            "item.list_paths",
            json!({"conditions": [{"suffix": long}]}),
        ),
    ]
}

pub(super) fn too_many_vectors() -> Vec<Value> {
    let db = Simulated::new();
    let said = [("actual", "101"), ("limit", "100")];
    let fields = vec!["f"; 101];
    let refused = db.refuses_call(&said, "item.index", json!({"dimension": 1, "fields": fields}));
    db.call("item.index", json!({"dimension": 1})).unwrap();
    let vectors: serde_json::Map<String, Value> = (0..101).map(|i| (i.to_string(), json!([1.0]))).collect();
    let put = json!({"path": ["p"], "key": "k", "value": {}, "vectors": vectors});
    vec![refused, db.refuses_call(&said, "item.put", put)]
}

pub(super) fn namespace_exists() -> Vec<Value> {
    let db = Simulated::new();
    db.call("namespace.create", json!({"name": "team"})).unwrap();
    ["team", "default"]
        .map(|name| db.refuses_call(&[("name", name)], "namespace.create", json!({"name": name})))
        .into()
}

pub(super) fn version_mismatch() -> Vec<Value> {
    let db = Simulated::new();
    let put = |key: &str, version: u64| state::Put {
        expected_version: Some(Lsn(version)),
        ..state::Put::new("ann", key, json!(1))
    };
    let record = json!({"collection": "docs", "record": "r", "expected_version": 0});
    vec![
        db.refuses(&[("key", "plan"), ("actual", "1"), ("expected", "9")], |db| db.write(put("plan", 9))),
        db.refuses(&[("actual", "0")], |db| db.write(put("none", 1))),
        db.refuses_call(&[("key", "r"), ("expected", "0")], "record.put", record.clone()),
        db.refuses_call(&[("key", "r"), ("expected", "0")], "record.delete", record),
    ]
}

pub(super) fn session_exists() -> Vec<Value> {
    let db = Simulated::new();
    let create = json!({"owner": "ann", "session": "s"});
    vec![db.refuses_call(&[("session", "s")], "session.create", create)]
}

pub(super) fn collection_exists() -> Vec<Value> {
    let db = Simulated::new();
    vec![db.refuses(&[("collection", "docs")], |db| db.write(collection("docs", 2)))]
}

pub(super) fn idempotency_conflict() -> Vec<Value> {
    let db = Simulated::new();
    let write = |value: Value| {
        let options = WriteOptions { idempotency_key: Some("once".into()), ..WriteOptions::default() };
        db.engine().write(NamespaceId::DEFAULT, put(value), options)?.wait()
    };
    let first = write(json!(1)).unwrap();
    assert_eq!(write(json!(1)).unwrap(), first);
    vec![db.refuses(&[("key", "once")], |_| write(json!(2)))]
}

pub(super) fn message_exists() -> Vec<Value> {
    let db = Simulated::new();
    let append = Append { message: Some("m".into()), ..Append::new("s", "user", "x") };
    vec![db.refuses(&[("session", "s"), ("message", "m")], |db| db.write(append))]
}

pub(super) fn blob_mismatch() -> Vec<Value> {
    let db = Simulated::new();
    let expected = "0".repeat(64);
    let put = blob::Put { blob: Some(expected.clone()), ..blob::Put::default() };
    vec![db.refuses(&[("expected", &expected)], |db| {
        db.engine().put_blob(NamespaceId::DEFAULT, &mut &b"other"[..], put, WriteOptions::default())
    })]
}

pub(super) fn snapshot_not_reached() -> Vec<Value> {
    let db = Simulated::new();
    let get = json!({"owner": "ann", "key": "plan"});
    vec![
        db.refuses(&[("expected", "999")], |db| {
            let options = WriteOptions::default();
            db.engine().call_json(NamespaceId::DEFAULT, "state.get", get, options, Lsn(999))
        }),
        db.refuses(&[("expected", "998")], |db| {
            db.engine().snapshot_at_least(NamespaceId::DEFAULT, Lsn(998))
        }),
    ]
}

/// An encoder that answers with no vectors.
struct Silent;

impl TextEncoder for Silent {
    fn id(&self) -> &str {
        "silent"
    }

    fn dimension(&self) -> usize {
        2
    }

    fn encode(&self, _: &[&str]) -> Result<Vec<Vec<f32>>> {
        Ok(Vec::new())
    }
}

pub(super) fn encoder_failed() -> Vec<Value> {
    let db = Simulated::new();
    db.engine().set_text_encoder(Arc::new(Silent));
    db.call("collection.create", json!({"collection": "silent", "encoder": "silent"})).unwrap();
    let text = json!({"collection": "silent", "text": "x"});
    vec![
        db.refuses_call(&[("encoder", "silent")], "record.put", text.clone()),
        db.refuses_call(&[("encoder", "silent")], "record.search", text),
    ]
}

pub(super) fn no_encoder() -> Vec<Value> {
    let db = Simulated::new();
    let text = json!({"collection": "texts", "text": "x"});
    let create = |fields: Value| {
        let mut create = json!({"collection": "more", "encoder": "slient"});
        create.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        create
    };
    let none = [("encoder", "other"), ("actual", "none")];
    let mut errors = vec![
        db.refuses_call(&none, "record.put", text.clone()),
        db.refuses_call(&none, "record.search", text),
        db.refuses_call(&[("encoder", "slient"), ("actual", "none")], "collection.create", create(json!({}))),
    ];
    // Which encoders there are is known to a handle that has one.
    db.engine().set_text_encoder(Arc::new(Silent));
    for fields in [json!({}), json!({"dimension": 2})] {
        let values = [("encoder", "slient"), ("actual", "silent")];
        errors.push(db.refuses_call(&values, "collection.create", create(fields)));
    }
    let wrong = json!({"collection": "more", "encoder": "silent", "dimension": 3});
    let wrong = db.refuses_call(&[("field", "dimension")], "collection.create", wrong);
    assert_eq!(wrong["name"], "invalid_value", "it is not about a vector");
    errors
}

pub(super) fn collection_without_encoder() -> Vec<Value> {
    let db = Simulated::new();
    let dir = tempfile::tempdir().unwrap();
    crate::json(dir.path(), &["collection", "create", "docs", "--dimension", "2"]);
    vec![
        db.refuses_call(
            &[("collection", "docs")],
            "record.search",
            json!({"collection": "docs", "text": "x"}),
        ),
        told_by_tool(dir.path(), &["search", "docs", "what", "is", "known"]),
        told_by_tool(dir.path(), &["record", "search", "docs", "--text", "what"]),
    ]
}
