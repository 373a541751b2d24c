//! Uploads and deletions of blobs.

use agentdb_env::sim::Random;
use serde_json::{Value, json};

use super::{any, bad_id, metadata, pick};
use crate::model::Namespace;
use crate::model::blob::CONTENTS;

fn content(dice: &mut Random) -> usize {
    // The large one takes time.
    let choices = CONTENTS.len() as u64 - u64::from(!dice.chance(1, 4));
    dice.below(choices) as usize
}

/// An upload; `content` tells of which content, and is no field of the request.
pub(super) fn put(dice: &mut Random) -> (&'static str, Value) {
    let content = content(dice);
    let mut fields = json!({"content": content});
    if dice.chance(1, 3) {
        fields["media_type"] = json!(pick(dice, &["text/plain", "image/png"]));
    }
    if dice.chance(1, 3) {
        fields["name"] = json!(pick(dice, &["a.txt", "b\u{0}"]));
    }
    if dice.chance(1, 4) {
        fields["metadata"] = metadata(dice);
    }
    match dice.below(24) {
        0..=3 => fields["blob"] = json!(CONTENTS[content].1),
        4 => fields["blob"] = json!(CONTENTS[(content + 1) % CONTENTS.len()].1),
        5 => fields["blob"] = json!(CONTENTS[content].1.to_uppercase()),
        6 => fields["name"] = json!(bad_id(dice)),
        _ => {}
    }
    ("blob.put", fields)
}

/// A deletion, mostly of a blob that is there.
pub(super) fn delete(dice: &mut Random, namespace: &Namespace) -> (&'static str, Value) {
    let blob = match any(dice, namespace.blobs.keys()) {
        Some(blob) if dice.chance(3, 4) => blob.clone(),
        _ if dice.chance(1, 10) => "no address".to_owned(),
        _ => CONTENTS[content(dice)].1.clone(),
    };
    ("blob.delete", json!({"blob": blob}))
}
