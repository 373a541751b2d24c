//! Writes of states.

use agentdb_env::sim::Random;
use serde_json::{Value, json};

use super::{OWNERS, Scene, bad_id, maybe_ttl, pick, words};

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
pub(super) fn operation(dice: &mut Random, scene: &Scene<'_>) -> (&'static str, Value) {
    let mut fields = json!({"owner": pick(dice, &OWNERS), "key": pick(dice, &KEYS)});
    if dice.chance(1, 60) {
        fields["key"] = json!(bad_id(dice));
    }
    match dice.below(10) {
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
        _ => {
            if dice.chance(1, 4) {
                fields["expected_version"] = json!(scene.version(dice));
            }
            ("state.delete", fields)
        }
    }
}
