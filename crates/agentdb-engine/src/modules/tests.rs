//! What holds for the operations of all nouns.

use serde_json::json;

use super::operation;
use super::testing::TestDb;
use crate::operation::Call;

#[test]
fn what_a_request_holds_counts_while_it_waits() {
    let db = TestDb::new(1);
    let large = "x".repeat(1_000_000);
    let (text, object, list) = (json!(large), json!({"text": large}), json!([{"text": large}]));
    let state = json!({"owner": "ann", "key": "a"});
    let message = json!({"session": "s", "message": "m"});
    let record = json!({"collection": "c", "record": "r"});
    let call = json!({"owner": "ann", "key": "k", "epoch": 1});
    let resolve = json!({"owner": "ann", "key": "k", "epoch": 1, "resolution": "completed"});
    for (name, ids, field, value) in [
        ("state.put", &state, "value", &list),
        ("state.patch", &state, "patch", &object),
        ("session.create", &json!({"owner": "ann"}), "title", &text),
        ("session.create", &json!({"owner": "ann"}), "metadata", &object),
        ("session.update", &json!({"session": "s"}), "title", &text),
        ("session.update", &json!({"session": "s"}), "metadata", &object),
        ("message.append", &json!({"session": "s", "role": "user"}), "content", &list),
        ("message.append", &json!({"session": "s", "role": "user", "content": 1}), "metadata", &object),
        ("message.update", &message, "content", &text),
        ("message.update", &message, "content", &list),
        ("message.update", &message, "metadata", &object),
        ("record.put", &record, "text", &text),
        ("record.put", &record, "payload", &object),
        ("record.patch", &record, "text", &text),
        ("record.patch", &record, "payload", &object),
        ("tool_call.claim", &json!({"owner": "ann", "key": "k", "tool": "t"}), "arguments", &list),
        ("tool_call.complete", &call, "result", &object),
        ("tool_call.fail", &call, "error", &text),
        ("tool_call.renew", &call, "progress", &list),
        ("tool_call.resolve", &resolve, "result", &text),
        ("tool_call.resolve", &resolve, "error", &object),
        ("item.put", &json!({"path": ["p"], "key": "k"}), "value", &object),
        ("collection.create", &json!({"collection": "c"}), "description", &text),
        ("namespace.create", &json!({"name": "n"}), "description", &text),
    ] {
        let mut request = ids.clone();
        request[field] = value.clone();
        let Call::Write(prepare) = operation(name).unwrap().call else { panic!("{name} is no write") };
        let weight = prepare(db.engine(), request).unwrap().weight();
        assert!((1_000_000..1_010_000).contains(&weight), "{name} with a large {field} weighs {weight}");
    }
}
