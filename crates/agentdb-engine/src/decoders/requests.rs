//! Requests in JSON form, one a line, on a small database of their own.

use std::path::Path;
use std::sync::Arc;

use agentdb_env::sim::World;
use agentdb_types::{ErrorKind, Lsn, Result, json as strict};
use serde_json::{Value, json};

use crate::modules::{self, backup, blob, database, job, transfer, watch};
use crate::operation::{Request, decode};
use crate::{Engine, NamespaceId, Options, Task, WriteOptions};

const LOG: agentdb_log::Options =
    agentdb_log::Options { first_segment_bytes: 64 << 10, segment_bytes: 64 << 10 };

pub(super) fn open(world: &World) -> Engine {
    let options = Options { background: false, log: LOG, ..Options::default() };
    Engine::open(&world.env(), Path::new("/db"), options).expect("a whole database opens")
}

/// Lines of `{"op": name, "request": {…}}`, with `"key"` for an idempotency key and `"subject"`; `drain` and `sweep` are
/// steps of the engine. Whatever is asked: an answer or a typed error; a refusal changes nothing; the database is whole,
/// and the same when it is opened again.
pub(super) fn requests(bytes: &[u8]) -> bool {
    let lines: Vec<Value> =
        bytes.split(|b| *b == b'\n').take(64).filter_map(|line| strict::parse("line", line).ok()).collect();
    !lines.is_empty() && play(lines).iter().any(Result::is_ok)
}

fn play(lines: Vec<Value>) -> Vec<Result<()>> {
    let world = World::new(1);
    let engine = open(&world);
    let mut answers = Vec::new();
    for line in lines {
        world.advance_us(1000);
        let before = (engine.lsn(), digests(&engine));
        let answer = act(&world, &engine, line.clone());
        if let Err(err) = &answer {
            assert!(!err.message().contains("(not given)"), "{line}: {err:?}");
            let fault = matches!(err.kind(), ErrorKind::Corruption | ErrorKind::Unavailable);
            assert!(!fault, "{line}: {err:?}");
            assert_eq!((engine.lsn(), digests(&engine)), before, "{line}: {err:?}");
        }
        answers.push(answer);
    }
    let report = engine.verify(&mut |_| {}).expect("the handle works");
    assert_eq!(report.problems, []);
    let before = (engine.lsn(), digests(&engine));
    drop(engine);
    world.process_kill();
    let engine = open(&world);
    assert_eq!((engine.lsn(), digests(&engine)), before, "another database after opening again");
    answers
}

fn act(world: &World, engine: &Engine, line: Value) -> Result<()> {
    match line["op"].as_str() {
        Some("drain") => engine.step(Task::Freeze).and_then(|_| engine.step(Task::Drain)).map(drop),
        Some("sweep") => {
            world.advance_us(60_000_000);
            while engine.step(Task::Sweep)? {}
            Ok(())
        }
        _ => call(engine, line),
    }
}

fn digests(engine: &Engine) -> [crate::Digest; 2] {
    [NamespaceId::SYSTEM, NamespaceId::DEFAULT].map(|n| engine.digest(n).expect("rows are whole").1)
}

fn call(engine: &Engine, mut line: Value) -> Result<()> {
    let text = |field: &Value| field.as_str().map(str::to_owned);
    let options = WriteOptions {
        idempotency_key: text(&line["key"]),
        subject: text(&line["subject"]),
        ..WriteOptions::default()
    };
    let name = text(&line["op"]).unwrap_or_default();
    let request = line.get_mut("request").map_or_else(|| json!({}), Value::take);
    let (namespace, operation) = (NamespaceId::DEFAULT, modules::operation(&name)?);
    match name.as_str() {
        "blob.put" => {
            let (put, bytes) = (checked::<blob::Put>(request)?, b"bytes of a blob");
            engine.put_blob(namespace, &mut &bytes[..], put, options).map(drop)
        }
        "blob.get" => {
            let get = checked::<blob::Get>(request)?;
            engine.open_blob(&engine.snapshot(namespace)?, &get.blob)?.read_all().map(drop)
        }
        "log.read" => engine.read_log(checked::<database::ReadLog>(request)?.from, &mut |_| Ok(true)),
        "change.watch" => {
            let mut feed = engine.watch(namespace, &checked::<watch::Watch>(request)?)?;
            while feed.try_next()?.is_some() {}
            Ok(())
        }
        _ if name.starts_with("backup.") => back_up(engine, &name, request),
        "database.compact" => {
            engine.begin_compaction(&checked::<job::Compact>(request)?)?;
            while engine.step(Task::Work)? {}
            Ok(())
        }
        "namespace.export" => {
            let mut job = engine.begin_export(&checked::<transfer::Export>(request)?)?;
            job.try_for_each(|piece| piece.map(drop))
        }
        "namespace.import" => {
            let import = checked::<transfer::Import>(request)?;
            let lines = b"{\"noun\":\"export\",\"format\":1}\n{\"noun\":\"end\"}\n";
            let mut job = engine.begin_import(&import, Box::new(&lines[..]), options)?;
            while job.step()?.is_none() {}
            Ok(())
        }
        "collection.load" => {
            let load = checked::<modules::load::Load>(request)?;
            let rows = ["a", "b"].map(|id| {
                let row = modules::load::Row {
                    record: (!load.generate_ids).then(|| id.to_owned()),
                    vector: Some(vec![1.0, 0.5]),
                    text: Some("a text".to_owned()),
                    ..modules::load::Row::default()
                };
                Ok(row)
            });
            let mut job = engine.begin_load(
                NamespaceId::DEFAULT,
                &load,
                "rows",
                Box::new(rows.into_iter()),
                options,
            )?;
            while job.step()?.is_none() {}
            Ok(())
        }
        "log.release" => {
            checked::<backup::Release>(request)?;
            engine.release_log().map(drop)
        }
        "namespace.fork" => {
            engine.begin_fork(&checked::<modules::namespace::Fork>(request)?)?;
            while engine.step(crate::Task::Work)? {}
            Ok(())
        }
        "database.verify" => {
            checked::<database::Verify>(request)?;
            engine.verify(&mut |_| {}).map(drop)
        }
        _ => {
            assert!(operation.shape == crate::Shape::Unary, "{name} is not called here");
            engine.call_json(namespace, &name, request, options, Lsn::ZERO).map(drop)
        }
    }
}

/// An operation on backups, which lie in a directory beside the database, whatever the request says.
fn back_up(engine: &Engine, name: &str, request: Value) -> Result<()> {
    let env = engine.env();
    let store = backup::DirectoryStore::new(env, Path::new("/backups"))?;
    let backups = backup::Backups::open(env, Arc::new(store), None)?;
    match name {
        "backup.create" => {
            let create = checked::<backup::Create>(request)?;
            engine.backup(&backups, create.full, &mut |_| {}).map(drop)
        }
        "backup.archive" => {
            let archive = checked::<backup::Archive>(request)?;
            engine.archive(&backups, archive.hold, &mut |_| {}).map(drop)
        }
        "backup.list" => checked::<backup::List>(request).and_then(|_| backups.list()).map(drop),
        "backup.verify" => {
            let verify = checked::<backup::Verify>(request)?;
            backups.verify(verify.backup.as_deref(), &mut |_| {}).map(drop)
        }
        "backup.delete" => backups.delete(&checked::<backup::Delete>(request)?.backup).map(drop),
        "backup.prune" => backups.prune(checked::<backup::Prune>(request)?.keep).map(drop),
        _ => {
            let restore = backup::Restore {
                dir: "/restored".to_owned(),
                keys: None,
                ..checked::<backup::Restore>(request)?
            };
            backups.restore(&restore, &mut |_| {}).map(drop)
        }
    }
}

/// A request of an operation that is called in a way of its own.
fn checked<R: Request>(request: Value) -> Result<R> {
    modules::operation(R::ABOUT.name)?.check(&request)?;
    decode(request)
}

/// Requests of every operation, as the corpus has them.
#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Vec<Value>)> {
    let line = |op: &str, request: Value| json!({"op": op, "request": request});
    let address = blake3::hash(b"bytes of a blob").to_hex().to_string();
    let state = |more: Value| {
        let mut request = json!({"owner": "ann", "key": "k"});
        if let (Value::Object(request), Value::Object(more)) = (&mut request, more) {
            request.extend(more);
        }
        request
    };
    let call = state;
    vec![
        (
            "state",
            vec![
                line("state.put", state(json!({"value": {"n": 1}, "ttl_us": 5_000_000}))),
                line("state.patch", state(json!({"patch": {"n": null, "m": [1.5]}, "expected_version": 1}))),
                line("state.get", state(json!({}))),
                line("state.compare_and_set", state(json!({"expected_version": 2, "value": 7}))),
                line("state.increment", state(json!({"by": -2}))),
                line("state.expire", state(json!({"ttl_us": 1_000_000}))),
                json!({"op": "sweep"}),
                line("state.get_many", json!({"owner": "ann", "keys": ["k", "l"]})),
                line("state.count", json!({"owner": "ann"})),
                line("state.list", json!({"owner": "ann", "prefix": "k", "limit": 2, "reverse": true})),
                line("state.owners", json!({"prefix": "a", "limit": 3, "reverse": true})),
                line("state.delete", state(json!({}))),
                line("state.put", state(json!({"value": "again"}))),
                line("state.take", state(json!({}))),
                line("state.clear", json!({"owner": "ann", "prefix": "", "limit": 2})),
            ],
        ),
        (
            "checkpoint",
            vec![
                line(
                    "checkpoint.put",
                    json!({
                        "thread": "t", "checkpoint": "1", "versions": {"a": 1, "b": "1.5", "c": 1}, "values": {"a": [1]},
                        "encoded": {"b": {"type": "bytes", "data": "AAH/"}}, "empty": ["c"], "data": {"v": 1},
                        "metadata": {"run_id": "r", "counters_since_delta_snapshot": {"c": [1, 1]}},
                    }),
                ),
                line(
                    "checkpoint.put_writes",
                    json!({
                        "thread": "t", "checkpoint": "1", "task": "k", "path": "p",
                        "writes": [{"channel": "c", "value": 7, "index": 3}, {"channel": "__error__", "value": "no"}],
                    }),
                ),
                line(
                    "checkpoint.put",
                    json!({
                        "thread": "t", "checkpoint": "2", "parent": "1", "versions": {"a": 1}, "values": {"a": [2]},
                        "metadata": {"run_id": "s", "counters_since_delta_snapshot": {"c": [2, 2]}},
                    }),
                ),
                line("checkpoint.get", json!({"thread": "t", "checkpoint": "1"})),
                line(
                    "checkpoint.list",
                    json!({"thread": "t", "namespace": "", "before": "2", "filter": {"run_id": "r"}, "limit": 3, "brief": true}),
                ),
                line("checkpoint.history", json!({"thread": "t", "channels": ["c", "a"]})),
                line("thread.copy", json!({"thread": "t", "to": "u", "at": "1"})),
                line("thread.list", json!({"prefix": "", "limit": 1, "reverse": true})),
                line(
                    "thread.prune",
                    json!({"threads": ["u", "none"], "strategy": "keep_latest", "limit": 5}),
                ),
                json!({"op": "drain"}),
                line("checkpoint.delete_runs", json!({"runs": ["r", "s"]})),
                line("thread.delete", json!({"thread": "u"})),
                json!({"op": "sweep"}),
            ],
        ),
        (
            "history",
            vec![
                line("state.put", json!({"owner": "ann", "key": "k", "value": 1, "ttl_us": 2_000_000})),
                line("state.put", json!({"owner": "ann", "key": "k", "value": 2})),
                line(
                    "message.append",
                    json!({"session": "s", "owner": "ann", "role": "user", "content": 1, "message": "m"}),
                ),
                line("message.update", json!({"session": "s", "message": "m", "content": 2})),
                json!({"op": "drain"}),
                line("state.history", json!({"owner": "ann", "key": "k", "limit": 1})),
                line("state.diff", json!({"owner": "ann", "prefix": "k", "from": 0, "to": 2, "limit": 1})),
                line("message.diff", json!({"session": "s", "from": 3, "to": "2026-01-01T00:00:00Z"})),
                line(
                    "state.restore",
                    json!({"owner": "ann", "key": "k", "at": 1, "ttl_us": 5, "expected_version": 2}),
                ),
                line("session.fork", json!({"session": "s", "to": "t", "at": 3, "through_sequence": 1})),
                line("session.restore", json!({"session": "s", "at": 3})),
                line("retention.set", json!({"noun": "state", "history_us": 1})),
                line("retention.set", json!({"noun": "session", "history_us": null})),
                line(
                    "retention.set",
                    json!({"noun": "message", "max_age_us": 2_592_000_000_000_u64, "keep_latest": 100}),
                ),
                line("retention.set", json!({"noun": "thread", "max_age_us": null})),
                line("retention.list", json!({})),
                json!({"op": "sweep"}),
            ],
        ),
        (
            "load",
            vec![
                line(
                    "collection.load",
                    json!({"collection": "docs", "create": true, "source": "rows", "metric": "dot"}),
                ),
                line(
                    "collection.load",
                    json!({"collection": "docs", "generate_ids": true, "anew": true, "existing": "skip"}),
                ),
                line("record.list", json!({"collection": "docs"})),
            ],
        ),
        (
            "export",
            vec![
                line("state.put", state(json!({"value": 1}))),
                line("namespace.export", json!({"name": "default", "versions": true})),
                line("namespace.import", json!({"name": "default", "existing": "skip"})),
                line("namespace.import", json!({"name": "default"})),
            ],
        ),
        (
            "backup",
            vec![
                line("state.put", state(json!({"value": 1}))),
                line("backup.create", json!({"store": "b"})),
                line("state.put", state(json!({"value": 2}))),
                line("backup.archive", json!({"store": "b", "hold": true})),
                line("state.put", state(json!({"value": 3}))),
                line("backup.create", json!({"store": "b", "full": true})),
                line("log.release", json!({})),
                line("backup.list", json!({"store": "b"})),
                line("backup.verify", json!({"store": "b"})),
                line("backup.restore", json!({"store": "b", "dir": "d", "lsn": 1})),
                line("backup.prune", json!({"store": "b", "keep": 1})),
            ],
        ),
        (
            "job",
            vec![
                line("state.put", state(json!({"value": 1}))),
                line("database.compact", json!({"trim_log": true})),
                line("job.pause", json!({"job": 2})),
                json!({"op": "drain"}),
                line("job.resume", json!({"job": 2})),
                line("job.get", json!({"job": 2})),
                line("job.list", json!({"kind": "compact", "state": "waiting", "limit": 1, "reverse": true})),
                line("job.cancel", json!({"job": 2})),
            ],
        ),
        (
            "tool_call",
            vec![
                // The epoch of a claim is its LSN, and here each write takes the next one.
                line(
                    "tool_call.claim",
                    json!({
                        "owner": "ann", "key": "k", "tool": "pay", "arguments": {"to": "bob"}, "idempotent": true,
                        "lease_us": 2_000_000, "worker": "w", "max_attempts": 3, "keep_us": 5_000_000,
                    }),
                ),
                line(
                    "tool_call.renew",
                    json!({"owner": "ann", "key": "k", "epoch": 1, "lease_us": 1_000_000, "progress": [null]}),
                ),
                line("tool_call.fail", call(json!({"epoch": 1, "error": null, "retry": true}))),
                line("tool_call.claim", call(json!({"tool": "pay", "arguments": {"to": "bob"}}))),
                line("tool_call.complete", call(json!({"epoch": 4, "result": {"receipt": 1.5}}))),
                line("tool_call.claim", call(json!({"tool": "pay", "arguments": {"to": "bob"}}))),
                line("tool_call.get", call(json!({}))),
                line("tool_call.delete", call(json!({}))),
                line(
                    "tool_call.claim",
                    call(json!({"tool": "pay", "arguments": null, "lease_us": 1, "keep_us": 1})),
                ),
                line(
                    "tool_call.list",
                    json!({"owner": "ann", "prefix": "k", "state": "unknown", "tool": "pay", "limit": 1, "reverse": true}),
                ),
                json!({"op": "drain"}),
                line(
                    "tool_call.resolve",
                    call(json!({"epoch": 7, "resolution": "completed", "result": "found"})),
                ),
                line("tool_call.list", json!({"state": "completed"})),
                json!({"op": "sweep"}),
            ],
        ),
        (
            "item",
            vec![
                line(
                    "item.index",
                    json!({"dimension": 2, "metric": "dot", "fields": ["a.b", "c[*].d", "{e,f}"], "default": true}),
                ),
                line(
                    "item.put",
                    json!({
                        "path": ["users", "*"], "key": "k", "value": {"n": 1, "c": [{"d": "x"}]}, "ttl_us": 1_000_000,
                        "vectors": {"x": [1, 2], "y": [-1, 0.5]}, "expected_version": 0,
                    }),
                ),
                line("item.put", json!({"path": ["users", "ann"], "key": "k", "value": {}, "index": false})),
                line("item.touch", json!({"items": [{"path": ["users", "*"], "key": "k"}]})),
                line("item.get", json!({"path": ["users", "*"], "key": "k"})),
                json!({"op": "drain"}),
                line(
                    "item.search",
                    json!({"path": ["users"], "vector": [1, 1], "filter": {"n": {"$gte": 1}}, "limit": 2, "offset": 0}),
                ),
                line("item.search", json!({"limit": 1})),
                line(
                    "item.list_paths",
                    json!({
                        "conditions": [{"prefix": ["*"]}, {"suffix": ["ann"]}], "max_depth": 1, "limit": 1, "offset": 0,
                        "reverse": true,
                    }),
                ),
                line("item.get_index", json!({})),
                line("item.delete", json!({"path": ["users", "ann"], "key": "k", "expected_version": 3})),
                line("item.unindex", json!({})),
                json!({"op": "sweep"}),
            ],
        ),
        (
            "session",
            vec![
                line(
                    "session.create",
                    json!({"owner": "ann", "session": "s", "title": "t", "metadata": {"a": 1}, "ttl_us": 9_000_000}),
                ),
                line(
                    "message.append",
                    json!({"session": "s", "role": "user", "content": ["hi"], "message": "m", "name": "n"}),
                ),
                line(
                    "message.append",
                    json!({"session": "s2", "role": "tool", "content": 1, "owner": "bob"}),
                ),
                line(
                    "message.list",
                    json!({"session": "s", "limit": 1, "reverse": true, "after_sequence": 0, "before_sequence": 9}),
                ),
                line("message.get", json!({"session": "s", "message": "m"})),
                line(
                    "message.update",
                    json!({"session": "s", "message": "m", "content": "ho", "name": null, "metadata": {"a": 1}}),
                ),
                line(
                    "session.update",
                    json!({"session": "s", "title": null, "metadata": {"a": null}, "ttl_us": null}),
                ),
                json!({"op": "drain"}),
                line("session.list", json!({"owner": "ann", "limit": 5})),
                line("message.delete", json!({"session": "s", "message": "m"})),
                line("message.clear", json!({"session": "s"})),
                line("session.delete", json!({"session": "s"})),
                json!({"op": "sweep"}),
                line("session.get", json!({"session": "s2"})),
            ],
        ),
        (
            "record",
            vec![
                line(
                    "collection.create",
                    json!({"collection": "docs", "dimension": 2, "metric": "euclidean", "description": "d"}),
                ),
                line(
                    "record.put",
                    json!({"collection": "docs", "record": "r", "vector": [1, 0.5], "text": "x", "payload": {"k": 1}, "ttl_us": 8_000_000}),
                ),
                line("record.put", json!({"collection": "docs", "vector": [0, -1]})),
                line(
                    "record.search",
                    json!({"collection": "docs", "vector": [1, 1], "limit": 3, "filter": {"k": {"$gte": 1}}, "threshold": 9.5, "include_vector": true}),
                ),
                line("record.get", json!({"collection": "docs", "record": "r", "include_vector": true})),
                line("record.get_many", json!({"collection": "docs", "records": ["r", "q"]})),
                line(
                    "record.list",
                    json!({"collection": "docs", "filter": {"k": 1}, "reverse": true, "limit": 1}),
                ),
                line("record.count", json!({"collection": "docs"})),
                line(
                    "record.patch",
                    json!({"collection": "docs", "record": "r", "payload": {"k": null}, "vector": [2, 2], "ttl_us": null}),
                ),
                line(
                    "collection.alter",
                    json!({"collection": "docs", "vectors": {"image": {"dimension": 1, "metric": "dot"}}, "fields": {"at": {"type": "time"}}, "texts": {"text": {"weight": 2, "analyzer": "english"}}}),
                ),
                line(
                    "record.put",
                    json!({"collection": "docs", "record": "n", "vectors": {"image": [2]}, "text": "some words", "payload": {"k": 2}}),
                ),
                line(
                    "record.search",
                    json!({"collection": "docs", "words": {"phrase": {"text": "some words"}}}),
                ),
                line(
                    "record.search",
                    json!({"collection": "docs", "queries": [{"words": "words", "weight": 2}, {"vector": [1], "using": "image", "limit": 5}], "fusion": {"method": "weighted", "normalize": "distribution"}}),
                ),
                line(
                    "record.search",
                    json!({"collection": "docs", "words": "words", "pages": true, "explain": true, "highlight": {"fields": ["text"], "fragment_size": 9, "fragments": 1, "pre_tag": "<", "post_tag": ">"}, "group_by": {"field": "k", "size": 2, "missing": "expand"}, "diversity": {"lambda": 0.2, "candidates": 3, "using": "image"}, "rerank": {"formula": {"max": ["score", {"decay": {"path": "k", "origin": 1, "scale": 2, "shape": "linear"}}]}, "candidates": 5, "weight": 2, "first_weight": 1}}),
                ),
                line("record.facet", json!({"collection": "docs", "field": "k", "limit": 2})),
                line("record.distinct", json!({"collection": "docs", "field": "k", "after": 1})),
                line(
                    "record.aggregate",
                    json!({"collection": "docs", "field": "k", "interval": 2, "offset": 1}),
                ),
                line("record.delete_where", json!({"collection": "docs", "filter": {"k": 2}, "limit": 5})),
                line("record.delete", json!({"collection": "docs", "record": "r", "expected_version": 4})),
                line("collection.truncate", json!({"collection": "docs"})),
                line("collection.rename", json!({"collection": "docs", "to": "pages"})),
                line("collection.rename", json!({"collection": "pages", "to": "docs"})),
                line("collection.get", json!({"collection": "docs"})),
                line("collection.list", json!({"reverse": false})),
                line("collection.delete", json!({"collection": "docs"})),
                json!({"op": "sweep"}),
            ],
        ),
        (
            "link",
            vec![
                line("collection.create", json!({"collection": "docs"})),
                line("collection.create", json!({"collection": "tags"})),
                line("record.put", json!({"collection": "docs", "record": "a", "payload": {"k": 1}})),
                line("record.put", json!({"collection": "docs", "record": "b", "ttl_us": 8_000_000})),
                line("record.put", json!({"collection": "tags", "record": "t", "payload": {"k": 2}})),
                line(
                    "link.put",
                    json!({"collection": "docs", "record": "a", "type": "cites", "to": "b", "payload": {"p": 1}}),
                ),
                line(
                    "link.put",
                    json!({"collection": "docs", "record": "b", "type": "has", "to": "t", "to_collection": "tags"}),
                ),
                line("link.get", json!({"collection": "docs", "record": "a", "type": "cites", "to": "b"})),
                line(
                    "link.list",
                    json!({"collection": "docs", "record": "b", "direction": "both", "types": ["has", "cites"], "filter": {"k": {"$gte": 1}}, "limit": 1}),
                ),
                line(
                    "link.traverse",
                    json!({"collection": "docs", "records": ["a"], "direction": "out", "types": ["has", "cites"], "depth": 3, "filter": {"k": 2}, "through": {"k": {"$exists": false}}, "limit": 2}),
                ),
                json!({"op": "drain"}),
                line("namespace.export", json!({"name": "default"})),
                line("change.watch", json!({"nouns": ["link"], "values": true})),
                json!({"op": "sweep"}),
                line(
                    "link.delete",
                    json!({"collection": "docs", "record": "b", "type": "has", "to": "t", "to_collection": "tags"}),
                ),
                line("collection.delete", json!({"collection": "tags"})),
                json!({"op": "sweep"}),
            ],
        ),
        (
            "database",
            vec![
                line("namespace.create", json!({"name": "team", "description": "d"})),
                line("namespace.get", json!({"name": "team"})),
                line("namespace.list", json!({"limit": 1})),
                line("blob.put", json!({"media_type": "text/plain", "name": "n", "metadata": {"a": 1}})),
                line("blob.stat", json!({"blob": address})),
                line("blob.get", json!({"blob": address})),
                line("blob.list", json!({"prefix": "", "reverse": true})),
                line("blob.delete", json!({"blob": address})),
                line("database.info", json!({})),
                line("database.digest", json!({})),
                line("database.verify", json!({})),
                line("log.read", json!({"from": 1})),
                line("change.watch", json!({})),
                line(
                    "change.watch",
                    json!({"from": 2, "nouns": ["state", "message"], "key": ["ann"], "prefix": "k", "values": true, "progress": 2}),
                ),
                line("namespace.fork", json!({"name": "team", "to": "forked"})),
                line("namespace.delete", json!({"name": "team"})),
                json!({"op": "sweep"}),
                json!({"op": "state.put", "key": "once", "subject": "ann", "request": state(json!({"value": "x".repeat(200)}))}),
                json!({"op": "state.put", "key": "once", "subject": "ann", "request": state(json!({"value": "x".repeat(200)}))}),
            ],
        ),
    ]
}

#[cfg(test)]
#[test]
fn the_examples_call_every_operation_and_each_is_answered() {
    let mut called = std::collections::BTreeSet::new();
    for (name, lines) in examples() {
        for (line, answer) in lines.iter().zip(play(lines.clone())) {
            assert_eq!(answer, Ok(()), "{name}: {line}");
            called.extend(line["op"].as_str().map(str::to_owned));
        }
    }
    // The name of a backup is made of its time and chance.
    called.insert("backup.delete".to_owned());
    for operation in modules::operations() {
        assert!(called.contains(operation.about.name), "{} is in no example", operation.about.name);
    }
}
