//! What a database answers: every read, the log, digests, verification.

use std::collections::BTreeSet;

use agentdb_log::Log;
use agentdb_types::Lsn;
use serde_json::{Value, json};

use crate::operation::{Effect, Shape};
use crate::{Engine, NamespaceId, WriteOptions, modules};

/// Namespaces of the set: the system's, `default`, and `other`.
const NAMESPACES: [u64; 3] = [0, 1, 2];

/// Everything that must stay.
pub(super) fn of(engine: &Engine) -> Value {
    json!({
        "id": engine.id(),
        "lsn": engine.lsn(),
        "chain": engine.core.lock_sequencer().log.head().chain.to_string(),
        "drained": engine.stats().unwrap().drained,
        "digests": digests(engine),
        "reads": reads(engine),
        "blobs": blobs(engine),
        "log": log(engine),
        "rows": rows(engine),
        "verified": verified(engine),
    })
}

fn verified(engine: &Engine) -> Value {
    let mut report = json!(engine.verify(&mut |_| {}).unwrap());
    // What of the log is not in the base yet is a matter of the open handle, not of what is stored.
    report.as_object_mut().unwrap().remove("rows_in_log");
    for namespace in report["namespaces"].as_array_mut().unwrap() {
        namespace.as_object_mut().unwrap().remove("rows_in_log");
    }
    report
}

pub(super) fn digests(engine: &Engine) -> Value {
    NAMESPACES.map(|n| engine.digest(NamespaceId(n)).unwrap().1.to_string()).to_vec().into()
}

fn rows(engine: &Engine) -> Value {
    NAMESPACES.map(|n| json!(engine.count_rows(NamespaceId(n)).unwrap())).to_vec().into()
}

fn log(engine: &Engine) -> Value {
    let mut entries = Vec::new();
    let keep = &mut |entry| {
        let mut entry = json!(entry);
        // The key in words is for people.
        for mutation in entry["mutations"].as_array_mut().unwrap() {
            mutation.as_object_mut().unwrap().remove("key");
        }
        entries.push(entry);
        Ok(true)
    };
    engine.read_log(None, keep).unwrap();
    entries.into()
}

fn blobs(engine: &Engine) -> Value {
    let snapshot = engine.snapshot(NamespaceId::DEFAULT).unwrap();
    let listed = call(engine, NamespaceId::DEFAULT, "blob.list", json!({}));
    let read = |entry: &Value| {
        let bytes = engine.open_blob(&snapshot, entry["blob"].as_str().unwrap()).unwrap().read_all().unwrap();
        json!(String::from_utf8(bytes).unwrap())
    };
    listed["items"].as_array().unwrap().iter().map(read).collect()
}

fn call(engine: &Engine, namespace: NamespaceId, operation: &str, request: Value) -> Value {
    match engine.call_json(namespace, operation, request, WriteOptions::default(), Lsn::ZERO) {
        Ok(answer) if operation == "database.info" => {
            // The other figures are those of the open handle, not of what is stored.
            let kept = ["id", "format", "lsn", "namespaces"];
            kept.iter().map(|field| ((*field).to_owned(), answer.response[*field].clone())).collect()
        }
        Ok(answer) => answer.response,
        // How it is worded may change.
        Err(err) => json!({"error": err.code().name()}),
    }
}

/// Every read operation with its answers; refusals are answers, too.
pub(super) fn reads(engine: &Engine) -> Value {
    let address = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let calls = [
        ("state.get", json!({"owner": "ann", "key": "plan"})),
        ("state.get", json!({"owner": "ann", "key": "deleted"})),
        ("state.get", json!({"owner": "ann", "key": "sealed"})),
        ("state.get", json!({"owner": "bob", "key": "sealed"})),
        ("state.get", json!({"owner": "ann", "key": "from a newer version"})),
        ("state.get_many", json!({"owner": "ann", "keys": ["plan", "none", "long"]})),
        ("state.count", json!({"owner": "ann"})),
        ("state.list", json!({"owner": "ann", "limit": 2})),
        ("state.list", json!({"owner": "ann", "prefix": "s", "reverse": true})),
        ("state.list", json!({"owner": "bob"})),
        ("state.owners", json!({"limit": 1})),
        ("state.history", json!({"owner": "ann", "key": "plan"})),
        ("state.history", json!({"owner": "ann", "key": "sealed", "limit": 1})),
        ("state.diff", json!({"owner": "ann", "from": 5, "limit": 3})),
        ("message.diff", json!({"session": "s", "from": 14})),
        ("retention.list", json!({})),
        ("session.get", json!({"session": "s"})),
        ("session.get", json!({"session": "shares"})),
        ("message.list", json!({"session": "shares"})),
        ("message.list", json!({"session": "upper", "reverse": true})),
        ("session.get", json!({"session": "gone"})),
        ("session.list", json!({})),
        ("session.list", json!({"owner": "ann", "limit": 1, "reverse": true})),
        ("message.get", json!({"session": "s", "message": "m1"})),
        ("message.list", json!({"session": "s", "limit": 2})),
        ("message.list", json!({"session": "s", "reverse": true, "after_sequence": 1})),
        ("checkpoint.get", json!({"thread": "t"})),
        ("checkpoint.get", json!({"thread": "copied", "checkpoint": "c1"})),
        ("checkpoint.list", json!({"thread": "t", "limit": 2})),
        (
            "checkpoint.list",
            json!({"thread": "t", "namespace": "", "before": "c2", "filter": {"step": 0}, "brief": true}),
        ),
        ("checkpoint.history", json!({"thread": "t", "channels": ["said"]})),
        ("thread.list", json!({})),
        ("tool_call.get", json!({"owner": "run-1", "key": "pay"})),
        ("tool_call.get", json!({"owner": "run-1", "key": "none"})),
        ("tool_call.list", json!({"limit": 2})),
        ("tool_call.list", json!({"state": "unknown", "reverse": true})),
        ("tool_call.list", json!({"state": "claimed"})),
        ("tool_call.list", json!({"tool": "mail"})),
        ("job.get", json!({"job": 1})),
        ("job.list", json!({"kind": "compact"})),
        ("item.get", json!({"path": ["users", "ann", "notes"], "key": "n1"})),
        ("item.get", json!({"path": ["users", "*"], "key": "k"})),
        ("item.get_index", json!({})),
        ("item.list_paths", json!({"max_depth": 2, "conditions": [{"prefix": ["*", "ann"]}]})),
        ("item.list_paths", json!({"limit": 1, "reverse": true})),
        ("item.search", json!({"path": ["users"], "filter": {"stars": {"$gte": 3}}, "limit": 1})),
        ("item.search", json!({"vector": [2, 1], "offset": 0})),
        ("item.search", json!({"path": ["users", "ann"], "vector": [-2, 1]})),
        ("collection.get", json!({"collection": "dot"})),
        ("collection.list", json!({"reverse": true})),
        ("record.get", json!({"collection": "dot", "record": "r1", "include_vector": true})),
        ("record.get_many", json!({"collection": "dot", "records": ["r2", "none"]})),
        (
            "record.list",
            json!({"collection": "dot", "filter": {"kind": {"$in": ["note", "list"]}}, "limit": 1}),
        ),
        ("record.count", json!({"collection": "dot", "filter": {"pages": {"$gte": 2}}})),
        ("record.search", json!({"collection": "dot", "vector": [1, 2], "include_vector": true})),
        ("record.search", json!({"collection": "far", "vector": [3, 4], "limit": 1})),
        (
            "record.search",
            json!({"collection": "rich", "vector": [1, 0, 0], "using": "image", "include_vector": true}),
        ),
        ("record.search", json!({"collection": "rich", "words": "second"})),
        (
            "record.search",
            json!({"collection": "rich", "queries": [{"words": "first"}, {"vector": [0, 1, 0], "using": "image", "weight": 2}]}),
        ),
        ("collection.get", json!({"collection": "rich"})),
        ("record.facet", json!({"collection": "rich", "field": "kind"})),
        ("record.distinct", json!({"collection": "rich", "field": "kind"})),
        ("record.aggregate", json!({"collection": "rich", "field": "at", "interval": 3_600_000_000_i64})),
        (
            "link.get",
            json!({"collection": "rich", "record": "n1", "type": "cites", "to_collection": "dot", "to": "r1"}),
        ),
        ("link.get", json!({"collection": "rich", "record": "n3", "type": "follows", "to": "n2"})),
        ("link.list", json!({"collection": "rich", "record": "n1", "direction": "both", "limit": 1})),
        ("link.list", json!({"collection": "dot", "record": "r1", "direction": "in", "types": ["cites"]})),
        (
            "link.traverse",
            json!({"collection": "rich", "records": ["n2"], "depth": 3, "filter": {"kind": "note"}}),
        ),
        ("blob.list", json!({})),
        ("blob.stat", json!({"blob": address(b"kept")})),
        ("blob.stat", json!({"blob": address(b"deleted")})),
        ("namespace.get", json!({"name": "other"})),
        ("namespace.get", json!({"name": "gone"})),
        ("namespace.list", json!({})),
        ("database.info", json!({})),
        ("database.digest", json!({})),
    ];
    let called: BTreeSet<&str> = calls.iter().map(|(name, _)| *name).collect();
    for operation in modules::operations() {
        let read = operation.shape == Shape::Unary && operation.about.effect == Effect::Read;
        assert!(!read || called.contains(operation.about.name), "{} is not read", operation.about.name);
    }
    let mut answers = Vec::new();
    for namespace in [NamespaceId::DEFAULT, NamespaceId(2)] {
        for (operation, request) in &calls {
            let answer = call(engine, namespace, operation, request.clone());
            answers.push(json!({
                "namespace": namespace.number(), "operation": operation, "request": request, "answer": answer,
            }));
        }
    }
    answers.into()
}
