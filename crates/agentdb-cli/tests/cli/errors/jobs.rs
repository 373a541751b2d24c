//! What jobs are refused for, and how those who wait for them are told.

use agentdb::modules::job::{Compact, Kind};
use agentdb::{Code, Error, Value, json};

use super::simulated::Simulated;

pub(super) fn not_found() -> Vec<Value> {
    let db = Simulated::new();
    ["job.get", "job.pause", "job.resume", "job.cancel"]
        .map(|operation| db.refuses_call(&[("job", "7")], operation, json!({"job": 7})))
        .into()
}

/// A compaction that nobody does, and its number.
fn begun(db: &Simulated) -> u64 {
    db.engine().begin_compaction(&Compact::default()).unwrap()
}

pub(super) fn ended() -> Vec<Value> {
    let db = Simulated::new();
    let job = begun(&db);
    db.call("job.cancel", json!({"job": job})).unwrap();
    let values = [("job", &*job.to_string()), ("state", "cancelled")];
    ["job.pause", "job.resume"]
        .map(|operation| db.refuses_call(&values, operation, json!({"job": job})))
        .into()
}

pub(super) fn cancelled() -> Vec<Value> {
    let db = Simulated::new();
    let job = begun(&db);
    db.call("job.cancel", json!({"job": job})).unwrap();
    vec![db.refuses(&[("job", &job.to_string())], |db| db.engine().wait_for_job::<Value>(job, &mut |_| {}))]
}

pub(super) fn failed() -> Vec<Value> {
    let db = Simulated::new();
    let failed = db.engine().journaled(Kind::Backup, None, &json!({}), |_journal| -> agentdb::Result<()> {
        Err(Error::new(Code::Closed))
    });
    assert_eq!(failed.unwrap_err().code(), Code::Closed);
    let job = db.call("job.list", json!({})).unwrap().response["items"][0]["job"].as_u64().unwrap();
    let values = [("job", &*job.to_string()), ("reason", &*Error::new(Code::Closed).to_string())];
    vec![db.refuses(&values, |db| db.engine().wait_for_job::<Value>(job, &mut |_| {}))]
}
