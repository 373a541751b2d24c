//! Requests that are refused before they are queued, and one that is too large to be decided.

use agentdb_env::sim::Random;
use agentdb_types::{Code, limits};
use serde_json::{Value, json};

use super::too_large;

/// A request that is no request, and what it is refused with.
pub(super) fn operation(dice: &mut Random) -> ((&'static str, Value), Code) {
    let mut deep = json!(1);
    for _ in 0..limits::JSON_DEPTH {
        deep = json!([deep]);
    }
    let state = |field: &str, value: Value| {
        let mut fields = json!({"owner": "ann", "key": "a", "value": 1});
        fields[field] = value;
        ("state.put", fields)
    };
    match dice.below(12) {
        0 => (("state.putt", json!({})), Code::UnknownOperation),
        1 => (state("colour", json!("red")), Code::UnknownField),
        2 => (("state.put", json!({"owner": "ann", "key": "a"})), Code::MissingField),
        3 => (state("owner", json!(7)), Code::InvalidValue),
        4 => (state("value", deep), Code::DepthExceeded),
        5 => (("state.get", json!({"owner": "ann", "key": "a"})), Code::NotBatchable),
        6 => (("blob.put", json!({})), Code::NotBatchable),
        7 => (("collection.create", json!({"collection": "e", "encoder": "none"})), Code::NoEncoder),
        8 => (("record.put", json!({"collection": "docs", "vector": [1, null]})), Code::InvalidValue),
        9 => (("record.put", json!({"collection": "docs", "text": too_large()})), Code::ValueTooLarge),
        10 => (("session.create", json!(["ann"])), Code::InvalidValue),
        _ => (("collection.create", json!({"collection": "m", "metric": "taxicab"})), Code::InvalidValue),
    }
}

/// A batch of more mutations than one may have: puts of different keys, nothing else.
pub(super) fn crowd() -> Vec<(&'static str, Value)> {
    let put = |i: usize| ("state.put", json!({"owner": "crowd", "key": i.to_string(), "value": i}));
    (0..=limits::BATCH_MUTATIONS).map(put).collect()
}
