//! Writes of items and of their index, and what paths are listed by.

use agentdb_env::sim::Random;
use agentdb_types::limits;
use serde_json::{Value, json};

use super::record::{payload, vector};
use super::{Scene, any, bad_id, maybe_ttl, pick, too_large, words};
use crate::model::Namespace;
use crate::model::item::{ENCODER, ItemIndex};

pub(crate) const PATHS: [&[&str]; 6] =
    [&["a"], &["a", "b"], &["ab"], &["*"], &["a", "\u{0}"], &["\u{4e2d}", "a", "b"]];
pub(crate) const KEYS: [&str; 4] = ["k", "k2", "\u{0}", "a"];
const FIELDS: [&str; 4] = ["text", "parts[*]", "deep.er", "n"];

/// A write of an item or of the index.
pub(super) fn operation(
    dice: &mut Random,
    scene: &Scene<'_>,
    namespace: &Namespace,
) -> (&'static str, Value) {
    let found = namespace.item_index.as_deref();
    match dice.below(40) {
        0 | 1 => index(dice, found),
        2 => ("item.unindex", json!({})),
        3..=5 if found.is_none() => index(dice, found),
        6..=10 => {
            let mut fields = place(dice, scene, namespace);
            if dice.chance(1, 5) {
                fields["expected_version"] = json!(scene.version(dice));
            }
            ("item.delete", fields)
        }
        11..=18 => touch(dice, scene, namespace),
        _ => put(dice, scene, namespace),
    }
}

/// Where an item is, mostly one that is there.
fn place(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> Value {
    let live: Vec<_> = namespace.items.iter().filter(|(_, item)| item.live(scene.now)).collect();
    let mut place = match any(dice, live.iter()) {
        Some(((path, key), _)) if dice.chance(3, 4) => json!({"path": path, "key": key}),
        _ => json!({"path": PATHS[dice.below(6) as usize], "key": pick(dice, &KEYS)}),
    };
    match dice.below(150) {
        0 => place["key"] = json!(bad_id(dice)),
        1 => place["path"] = json!([]),
        2 => place["path"] = json!(vec!["s"; limits::PATH_SEGMENTS + 1]),
        3 => place["path"] = json!(["a", bad_id(dice)]),
        _ => {}
    }
    place
}

fn index(dice: &mut Random, found: Option<&ItemIndex>) -> (&'static str, Value) {
    let mut fields = json!({});
    match found {
        Some(found) if dice.chance(4, 5) => {
            fields["dimension"] = json!(found.dimension);
            fields["metric"] = json!(found.metric);
            if let Some(encoder) = &found.encoder {
                fields["encoder"] = json!(encoder);
            }
        }
        _ => {
            if dice.chance(1, 2) {
                fields["encoder"] = json!(ENCODER);
            } else if dice.chance(9, 10) {
                fields["dimension"] = json!(1 + dice.below(3));
            }
            if dice.chance(2, 3) {
                fields["metric"] = json!(pick(dice, &["cosine", "dot", "euclidean"]));
            }
        }
    }
    if dice.chance(2, 3) {
        fields["fields"] = json!(some_fields(dice));
    }
    if dice.chance(1, 4) {
        fields["default"] = json!(false);
    }
    if dice.chance(1, 12) {
        fields["fields"] = json!(["a[0"]);
    }
    ("item.index", fields)
}

fn some_fields(dice: &mut Random) -> Vec<&'static str> {
    FIELDS.into_iter().filter(|_| dice.chance(1, 2)).collect()
}

fn touch(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> (&'static str, Value) {
    let count = if dice.chance(1, 30) { 0 } else { 1 + dice.below(3) };
    let items: Vec<Value> = (0..count).map(|_| place(dice, scene, namespace)).collect();
    ("item.touch", json!({"items": items}))
}

fn put(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> (&'static str, Value) {
    let mut fields = place(dice, scene, namespace);
    let mut value = payload(dice);
    if dice.chance(2, 3) {
        value["text"] = json!(words(dice));
    }
    if dice.chance(1, 3) {
        value["parts"] = (0..dice.below(4)).map(|_| json!(words(dice))).collect();
    }
    if dice.chance(1, 3) {
        value["deep"] = json!({"er": words(dice)});
    }
    fields["value"] = value;
    maybe_ttl(dice, &mut fields);
    let dimension = namespace.item_index.as_ref().map(|index| index.dimension);
    match dimension {
        Some(dimension) if dice.chance(1, 2) => {
            for name in ["x", "y", "z"].into_iter().take(1 + dice.below(3) as usize) {
                fields["vectors"][name] = json!(vector(dice, dimension));
            }
        }
        None if dice.chance(1, 40) => fields["vectors"] = json!({"x": [1.0]}),
        _ => {}
    }
    if dice.chance(1, if dimension.is_some() { 4 } else { 40 }) {
        fields["index"] = match dice.below(8) {
            0..=2 => json!(false),
            3 | 4 => json!(true),
            _ => json!(some_fields(dice)),
        };
    }
    if dice.chance(1, 8) {
        fields["expected_version"] = json!(scene.version(dice));
    }
    if dice.chance(1, 200) {
        fields["value"] = json!({"text": too_large()});
    }
    ("item.put", fields)
}

/// Conditions of a list of paths.
pub(crate) fn conditions(dice: &mut Random) -> Value {
    let mut conditions = Vec::new();
    for kind in ["prefix", "suffix"] {
        if dice.chance(1, 2) {
            let pattern: Vec<&str> = (0..dice.below(3)).map(|_| *pick_segment(dice)).collect();
            conditions.push(json!({kind: pattern}));
        }
    }
    json!(conditions)
}

fn pick_segment(dice: &mut Random) -> &'static &'static str {
    const SEGMENTS: [&str; 6] = ["a", "b", "ab", "*", "\u{0}", "\u{4e2d}"];
    &SEGMENTS[dice.below(6) as usize]
}
