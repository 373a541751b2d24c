//! Writes of tool calls, by several workers who come early and late.

use agentdb_env::sim::Random;
use serde_json::{Value, json};

use super::{OWNERS, Scene, any, bad_id, pick, too_large, words};
use crate::model::Namespace;
use crate::model::tool_call::Place;

const KEYS: [&str; 4] = ["pay", "mail", "p\u{0}", "pa"];
pub(crate) const TOOLS: [&str; 2] = ["bank", "ban"];

/// A write of a tool call.
pub(super) fn operation(
    dice: &mut Random,
    scene: &Scene<'_>,
    namespace: &Namespace,
) -> (&'static str, Value) {
    match dice.below(20) {
        0..=7 => claim(dice, scene, namespace),
        8..=11 => {
            let mut fields = place(dice, scene, namespace, &["claimed", "unknown", "completed"]);
            fields["result"] = told(dice);
            ("tool_call.complete", fields)
        }
        12 | 13 => {
            let mut fields = place(dice, scene, namespace, &["claimed", "unknown", "retryable"]);
            fields["error"] = told(dice);
            fields["retry"] = json!(dice.chance(2, 3));
            ("tool_call.fail", fields)
        }
        14 | 15 => renew(dice, scene, namespace),
        16 | 17 => resolve(dice, scene, namespace),
        _ => {
            let mut fields = place(dice, scene, namespace, &["retryable", "completed", "failed"]);
            fields.as_object_mut().and_then(|fields| fields.remove("epoch"));
            ("tool_call.delete", fields)
        }
    }
}

/// A call that is mostly in one of these states, with an epoch that is mostly its own.
fn place(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace, states: &[&str]) -> Value {
    if dice.chance(1, 100) {
        return json!({"owner": pick(dice, &OWNERS), "key": bad_id(dice), "epoch": 1});
    }
    let found: Vec<(&Place, u64)> = namespace
        .live_calls(scene.now)
        .filter(|(_, call)| states.contains(&call.state(scene.now)))
        .map(|(place, call)| (place, call.epoch))
        .collect();
    match any(dice, found.iter()) {
        Some(((owner, key), epoch)) if dice.chance(7, 8) => {
            let epoch = match dice.below(12) {
                0 => scene.version(dice),
                // That of a claim in the same batch, if it is the next one.
                1 => scene.model.lsn + 1,
                _ => *epoch,
            };
            json!({"owner": owner, "key": key, "epoch": epoch})
        }
        _ => json!({"owner": pick(dice, &OWNERS), "key": pick(dice, &KEYS), "epoch": scene.model.lsn + 1}),
    }
}

/// What is told is mostly the same.
fn told(dice: &mut Random) -> Value {
    match dice.below(40) {
        0 => json!(too_large()),
        1..=5 => Value::Null,
        6..=12 => json!({"text": words(dice), "n": dice.below(3)}),
        _ => json!("done"),
    }
}

fn claim(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> (&'static str, Value) {
    let (mut owner, mut key) = (pick(dice, &OWNERS).to_owned(), pick(dice, &KEYS).to_owned());
    let found: Vec<&Place> = namespace.live_calls(scene.now).map(|(place, _)| place).collect();
    if let Some(place) = any(dice, found.iter()).filter(|_| dice.chance(1, 2)) {
        (owner, key) = Place::clone(place);
    }
    // The same key mostly comes with the same tool and arguments.
    let tool = TOOLS[usize::from((key == "pay") != dice.chance(1, 12))];
    let arguments = json!({"of": if dice.chance(1, 12) { "another" } else { &key }, "n": [1, null, 0.5]});
    let mut fields = json!({"owner": owner, "key": key, "tool": tool, "arguments": arguments});
    if dice.chance(1, 3) {
        fields["idempotent"] = json!(true);
    }
    if dice.chance(7, 8) {
        fields["lease_us"] = json!(1 + dice.below(3_000_000));
    }
    if dice.chance(1, 3) {
        fields["max_attempts"] = json!(1 + dice.below(3));
    }
    if dice.chance(1, 3) {
        fields["worker"] = json!(pick(dice, &OWNERS));
    }
    if dice.chance(1, 2) {
        fields["keep_us"] = json!(1 + dice.below(10_000_000));
    }
    match dice.below(150) {
        0 => fields["tool"] = json!(bad_id(dice)),
        1 => fields["worker"] = json!(bad_id(dice)),
        2 => fields["arguments"] = json!(too_large()),
        3 => fields["max_attempts"] = json!(0),
        4 => fields["lease_us"] = json!(0),
        5 => fields["keep_us"] = json!(i64::MAX),
        _ => {}
    }
    ("tool_call.claim", fields)
}

fn renew(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> (&'static str, Value) {
    let mut fields = place(dice, scene, namespace, &["claimed", "unknown"]);
    if dice.chance(1, 2) {
        fields["lease_us"] = json!(1 + dice.below(4_000_000));
    }
    if dice.chance(1, 2) {
        fields["progress"] = told(dice);
    }
    if dice.chance(1, 40) {
        fields["lease_us"] = json!(-1);
    }
    ("tool_call.renew", fields)
}

fn resolve(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> (&'static str, Value) {
    let mut fields = place(dice, scene, namespace, &["unknown"]);
    let (resolution, field) =
        [("completed", "result"), ("failed", "error"), ("retry", "result")][dice.below(3) as usize];
    fields["resolution"] = json!(resolution);
    // A result has no place in a call that is to be run again.
    if dice.chance(2, 3) && (resolution != "retry" || dice.chance(1, 20)) {
        fields[field] = told(dice);
    }
    ("tool_call.resolve", fields)
}
