//! Random requests: a few owners and keys, so that they meet; values small and large; now and then a mistake.

use agentdb_env::sim::Random;
use serde_json::{Value, json};

use crate::model::Request;

pub(crate) const OWNERS: [&str; 3] = ["ann", "b\u{0}b", "\u{4e2d}"];
const KEYS: [&str; 6] = ["a", "ab", "b", "plan", "\u{0}", "counter"];
const NAMES: [&str; 3] = ["team", "test", "default"];
const SUBJECTS: [&str; 2] = ["person-1", "person-2"];

fn pick<'a>(dice: &mut Random, from: &[&'a str]) -> &'a str {
    from[dice.below(from.len() as u64) as usize]
}

fn value(dice: &mut Random) -> Value {
    match dice.below(8) {
        0 => json!(dice.below(1000) as i64 - 500),
        1 => json!(i64::MAX - 2),
        2 => json!({"text": "x".repeat(dice.below(3000) as usize), "n": dice.below(9)}),
        3 => Value::Null,
        4 => json!([1, "two", null]),
        _ => {
            json!({"n": dice.below(100), "text": "lorem ipsum dolor sit amet ".repeat(dice.below(20) as usize)})
        }
    }
}

fn maybe_ttl(dice: &mut Random, fields: &mut Value) {
    if dice.chance(1, 4) {
        fields["ttl_us"] = match dice.below(12) {
            0 => json!(0),
            1 => json!(i64::MAX),
            _ => json!(1 + dice.below(20_000_000)),
        };
    }
}

/// A write of a state. `versions` are versions that some state has or had.
fn state_operation(dice: &mut Random, versions: &[u64]) -> (&'static str, Value) {
    let mut fields = json!({"owner": pick(dice, &OWNERS), "key": pick(dice, &KEYS)});
    if dice.chance(1, 60) {
        fields["key"] = json!(if dice.chance(1, 2) { String::new() } else { "k".repeat(513) });
    }
    let version = |dice: &mut Random| match versions.len() as u64 {
        0 => 0,
        _ if dice.chance(1, 4) => 0,
        n => versions[dice.below(n) as usize],
    };
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
            fields["expected_version"] = json!(version(dice));
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
                fields["expected_version"] = json!(version(dice));
            }
            ("state.delete", fields)
        }
    }
}

/// A request to one of `namespaces`.
pub(crate) fn request(
    dice: &mut Random,
    namespaces: &[u64],
    versions: &[u64],
    earlier: &[Request],
) -> Request {
    if !earlier.is_empty() && dice.chance(1, 12) {
        // A retry of something with a key, or the same key for something else.
        let mut again = earlier[dice.below(earlier.len() as u64) as usize].clone();
        if dice.chance(1, 5) {
            again.operations = vec![state_operation(dice, versions)];
        }
        return again;
    }
    let namespace = namespaces[dice.below(namespaces.len() as u64) as usize];
    let written = dice.chance(1, 4);
    if dice.chance(1, 15) {
        let name = if dice.chance(2, 3) { "namespace.create" } else { "namespace.delete" };
        let mut fields = json!({"name": pick(dice, &NAMES)});
        if name == "namespace.create" {
            fields["description"] = json!("");
        }
        let operations = vec![(name, fields)];
        return Request { namespace: 0, operations, idempotency_key: None, subject: None, written };
    }
    let count = if dice.chance(1, 3) { 2 + dice.below(6) } else { 1 };
    let operations = (0..count).map(|_| state_operation(dice, versions)).collect();
    let idempotency_key = dice.chance(1, 6).then(|| format!("key-{}", dice.below(40)));
    let subject = dice.chance(1, 5).then(|| pick(dice, &SUBJECTS).to_owned());
    Request { namespace, operations, idempotency_key, subject, written }
}
