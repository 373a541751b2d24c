//! What tool calls are refused for.

use agentdb::modules::tool_call::{Answer, Claim};
use agentdb::{NamespaceId, Value, WriteOptions, json};
use agentdb_engine::Batch;

use super::simulated::Simulated;

const PLACE: [(&str, &str); 2] = [("owner", "run-1"), ("key", "pay")];

fn claim() -> Claim {
    Claim::new("run-1", "pay", "pay", json!({"cents": 100}))
}

/// The values of an error about the call, and more.
fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    PLACE.iter().chain(more).copied().collect()
}

fn request(more: Value) -> Value {
    let mut request = json!({"owner": "run-1", "key": "pay"});
    more.as_object().unwrap().iter().for_each(|(field, value)| request[field] = value.clone());
    request
}

/// A database in which the call is claimed; its epoch.
fn claimed() -> (Simulated, u64) {
    let db = Simulated::new();
    let answer = db.write(Claim { worker: Some("host-1".into()), ..claim() }).unwrap();
    assert!(matches!(answer.response, Answer::Claimed { epoch, .. } if epoch == answer.lsn));
    (db, answer.lsn.0)
}

pub(super) fn not_repeatable() -> Vec<Value> {
    let db = Simulated::new();
    let options = || WriteOptions { idempotency_key: Some("once".into()), ..WriteOptions::default() };
    let values = [("operation", "tool_call.claim")];
    vec![
        db.refuses(&values, |db| db.engine().write(NamespaceId::DEFAULT, claim(), options())?.wait()),
        db.refuses(&values, |db| {
            let mut batch = Batch::new();
            batch.push(db.engine(), claim())?;
            db.engine().write_batch(NamespaceId::DEFAULT, batch, options())?.wait()
        }),
    ]
}

pub(super) fn not_found() -> Vec<Value> {
    let db = Simulated::new();
    let told = |field: &str| request(json!({"epoch": 1, field: 1}));
    vec![
        db.refuses_call(&PLACE, "tool_call.get", request(json!({}))),
        db.refuses_call(&PLACE, "tool_call.complete", told("result")),
        db.refuses_call(&PLACE, "tool_call.fail", told("error")),
        db.refuses_call(&PLACE, "tool_call.renew", told("progress")),
        db.refuses_call(&PLACE, "tool_call.resolve", request(json!({"epoch": 1, "resolution": "retry"}))),
    ]
}

pub(super) fn running() -> Vec<Value> {
    let (db, epoch) = claimed();
    let number = epoch.to_string();
    let values = with(&[("epoch", &number), ("until", "T"), ("worker", "host-1")]);
    let resolve = request(json!({"epoch": epoch, "resolution": "retry"}));
    vec![
        db.refuses(&values, |db| db.write(claim())),
        db.refuses_call(&values, "tool_call.resolve", resolve),
        db.refuses_call(&values, "tool_call.delete", request(json!({}))),
    ]
}

pub(super) fn unknown() -> Vec<Value> {
    let (db, epoch) = claimed();
    db.world.advance_us(60_000_000);
    let number = epoch.to_string();
    let values = with(&[("epoch", &number), ("since", "T"), ("idempotent", "false"), ("attempt", "1")]);
    vec![
        db.refuses(&values, |db| db.write(claim())),
        db.refuses_call(&values, "tool_call.delete", request(json!({}))),
    ]
}

pub(super) fn mismatch() -> Vec<Value> {
    let (db, _) = claimed();
    let (tool, arguments) = ("refund".to_owned(), json!({"cents": 101}));
    vec![
        db.refuses(&with(&[("field", "tool")]), |db| db.write(Claim { tool, ..claim() })),
        db.refuses(&with(&[("field", "arguments")]), |db| db.write(Claim { arguments, ..claim() })),
    ]
}

pub(super) fn fenced() -> Vec<Value> {
    let (db, first) = claimed();
    db.world.advance_us(60_000_000);
    let resolve = |epoch: u64| request(json!({"epoch": epoch, "resolution": "retry"}));
    db.call("tool_call.resolve", resolve(first)).unwrap();
    let second = db.write(claim()).unwrap().lsn.to_string();
    let number = first.to_string();
    let values = with(&[("actual", &second), ("expected", &number), ("state", "claimed")]);
    let told = |field: &str| request(json!({"epoch": first, field: 1}));
    vec![
        db.refuses_call(&values, "tool_call.complete", told("result")),
        db.refuses_call(&values, "tool_call.fail", told("error")),
        db.refuses_call(&values, "tool_call.renew", told("progress")),
        db.refuses_call(&values, "tool_call.resolve", resolve(first)),
        db.refuses_call(
            &with(&[("expected", "999999"), ("reason", "no claim or resolution of it has had that epoch")]),
            "tool_call.complete",
            request(json!({"epoch": 999_999, "result": 1})),
        ),
    ]
}

pub(super) fn finished() -> Vec<Value> {
    let (db, epoch) = claimed();
    db.call("tool_call.complete", request(json!({"epoch": epoch, "result": 1}))).unwrap();
    let values = with(&[("state", "completed")]);
    let told = |field: &str| request(json!({"epoch": epoch, field: 2}));
    vec![
        db.refuses_call(&values, "tool_call.complete", told("result")),
        db.refuses_call(&values, "tool_call.fail", told("error")),
        db.refuses_call(&values, "tool_call.renew", told("progress")),
        db.refuses_call(
            &values,
            "tool_call.resolve",
            request(json!({"epoch": epoch, "resolution": "retry"})),
        ),
    ]
}
