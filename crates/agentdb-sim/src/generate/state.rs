//! Writes of states.

use agentdb_env::sim::Random;
use agentdb_types::limits;
use serde_json::{Value, json};

use super::{OWNERS, Scene, any, bad_id, maybe_ttl, pick, words};
use crate::model::Namespace;
use crate::model::retention::NOUNS;

const KEYS: [&str; 6] = ["a", "ab", "b", "plan", "\u{0}", "counter"];

fn value(dice: &mut Random) -> Value {
    match dice.below(8) {
        0 => json!(dice.below(1000) as i64 - 500),
        1 => json!(i64::MAX - 2),
        2 => json!({"text": "x".repeat(dice.below(3000) as usize), "n": dice.below(9)}),
        3 => Value::Null,
        4 => json!([1, "two", null]),
        _ => json!({"n": dice.below(100), "text": words(dice)}),
    }
}

/// A write of a state.
pub(super) fn operation(
    dice: &mut Random,
    scene: &Scene<'_>,
    namespace: &Namespace,
) -> (&'static str, Value) {
    let mut fields = json!({"owner": pick(dice, &OWNERS), "key": pick(dice, &KEYS)});
    if dice.chance(1, 60) {
        fields["key"] = json!(bad_id(dice));
    }
    match dice.below(14) {
        13 => restore(dice, scene, fields),
        0..=2 => {
            fields["value"] = value(dice);
            maybe_ttl(dice, &mut fields);
            if dice.chance(1, 150) {
                fields["value"] = json!("x".repeat(1 << 20));
            }
            ("state.put", fields)
        }
        3 | 4 => {
            fields["value"] = value(dice);
            fields["expected_version"] = json!(scene.version(dice));
            maybe_ttl(dice, &mut fields);
            ("state.compare_and_set", fields)
        }
        5 | 6 => {
            fields["patch"] = match dice.below(10) {
                0 => json!([1]),
                _ => json!({"n": dice.below(100), "gone": null, (*pick(dice, &KEYS)): dice.below(5)}),
            };
            fields["create"] = json!(dice.chance(1, 2));
            ("state.patch", fields)
        }
        7 => {
            fields["by"] = json!(dice.below(7) as i64 - 3);
            ("state.increment", fields)
        }
        8 => {
            fields["ttl_us"] =
                if dice.chance(1, 3) { Value::Null } else { json!(1 + dice.below(20_000_000)) };
            ("state.expire", fields)
        }
        9 => {
            if dice.chance(1, 4) {
                fields["expected_version"] = json!(scene.version(dice));
            }
            ("state.delete", fields)
        }
        10 | 11 => take(dice, scene, namespace, fields),
        _ => clear(dice),
    }
}

/// Restores a value, of whichever key.
fn restore(dice: &mut Random, scene: &Scene<'_>, mut fields: Value) -> (&'static str, Value) {
    fields["at"] = scene.point(dice);
    maybe_ttl(dice, &mut fields);
    if dice.chance(1, 12) {
        fields["expected_version"] = json!(scene.version(dice));
    }
    ("state.restore", fields)
}

/// How long things are kept, and how many; now and then a mistake.
pub(super) fn retention(dice: &mut Random) -> (&'static str, Value) {
    if dice.chance(1, 3) {
        return history(dice);
    }
    let noun = pick(dice, &NOUNS);
    let mut fields = json!({"noun": noun});
    let is_part = ["message", "checkpoint"].contains(&noun);
    if !is_part || dice.chance(1, 2) {
        let age = 1_000_000 + dice.below(39_000_000);
        fields["max_age_us"] = if dice.chance(1, 2) { Value::Null } else { json!(age) };
    }
    if is_part && (fields.get("max_age_us").is_none() || dice.chance(1, 2)) || dice.chance(1, 12) {
        fields["keep_latest"] = if dice.chance(1, 3) { Value::Null } else { json!(1 + dice.below(4)) };
    }
    ("retention.set", fields)
}

/// How long history is kept.
fn history(dice: &mut Random) -> (&'static str, Value) {
    let noun = pick(dice, &["state", "session", "namespace", "namespace"]);
    // Of a namespace nothing is kept at first.
    let history_us = match dice.below(if noun == "namespace" { 12 } else { 6 }) {
        0 => Value::Null,
        1 => json!(0),
        2 | 3 => json!(1_000_000 + dice.below(60_000_000)),
        _ => json!(limits::HISTORY_KEPT_US),
    };
    ("retention.set", json!({"noun": noun, "history_us": history_us}))
}

/// Takes a value, mostly one that is there.
fn take(
    dice: &mut Random,
    scene: &Scene<'_>,
    namespace: &Namespace,
    mut fields: Value,
) -> (&'static str, Value) {
    let live: Vec<_> = namespace.states.iter().filter(|(_, state)| state.live(scene.now)).collect();
    let found = any(dice, live.iter()).filter(|_| dice.chance(7, 8));
    if let Some(((owner, key), _)) = found {
        (fields["owner"], fields["key"]) = (json!(owner), json!(key));
    }
    if dice.chance(1, 4) {
        let version = found.map(|(_, state)| state.version);
        fields["expected_version"] = json!(scene.version_of(dice, version));
    }
    ("state.take", fields)
}

/// Clears an owner, mostly not of everything.
fn clear(dice: &mut Random) -> (&'static str, Value) {
    let mut fields = json!({"owner": pick(dice, &OWNERS)});
    if dice.chance(2, 3) {
        // An empty prefix is the same request as none.
        fields["prefix"] = json!(pick(dice, &["a", "p", "\u{0}", "pl", "none"]));
    }
    if dice.chance(2, 3) {
        fields["limit"] = json!(1 + dice.below(3));
    }
    match dice.below(60) {
        0 => fields["owner"] = json!(bad_id(dice)),
        1 => fields["limit"] = json!(0),
        2 => fields["limit"] = json!(limits::PAGE + 1),
        _ => {}
    }
    ("state.clear", fields)
}
