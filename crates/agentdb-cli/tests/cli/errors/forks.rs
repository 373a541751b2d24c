//! Forks of namespaces.

use agentdb::Result;
use agentdb_engine::modules::namespace::Fork;
use agentdb_engine::{Batch, Engine, NamespaceId, WriteOptions};
use serde_json::{Value, json};

use super::simulated::Simulated;

fn fork(engine: &Engine, to: &str) -> Result<u64> {
    engine.begin_fork(&Fork::new("default", to))
}

pub(super) fn running() -> Vec<Value> {
    let db = Simulated::new();
    let job = fork(db.engine(), "copy").unwrap().to_string();
    let values = [("name", "default"), ("to", "copy"), ("job", &*job)];
    vec![db.refuses(&values, |db| fork(db.engine(), "second"))]
}

pub(super) fn behind() -> Vec<Value> {
    const ROWS: usize = 68;
    let db = Simulated::new();
    let key = |n: usize| json!({"owner": "ann", "key": n.to_string()});
    for n in 0..ROWS {
        let mut put = key(n);
        put["value"] = json!("x".repeat(1_000_000));
        db.call("state.put", put).unwrap();
    }
    fork(db.engine(), "copy").unwrap();
    let delete_all = |db: &Simulated| {
        let mut batch = Batch::new();
        for n in 0..ROWS {
            batch.push_json(db.engine(), "state.delete", key(n))?;
        }
        db.engine().write_batch(NamespaceId::DEFAULT, batch, WriteOptions::default())?.wait()
    };
    vec![db.refuses(&[("limit", "67108864")], delete_all)]
}
