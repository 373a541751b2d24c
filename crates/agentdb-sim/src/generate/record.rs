//! Writes of collections and records, searches and filters. Components are small integers, so that scores tie.

use agentdb_env::sim::Random;
use agentdb_types::limits;
use serde_json::{Value, json};

use super::{Scene, any, bad_id, maybe_ttl, pick, too_large, words};
use crate::model::record::Collection;
use crate::model::{Namespace, Search};

const COLLECTIONS: [&str; 3] = ["docs", "notes.v2", "\u{4e2d}"];
const RECORDS: [&str; 7] = ["r1", "r2", "r3", "r4", "r\u{0}", "r", "x"];
const WORDS: [&str; 8] =
    ["lorem", "Ipsum", "dolor", "sit", "am\u{e9}t", "\u{4e2d}\u{6587}", "lorem-ipsum", "x"];
const SPACES: [&str; 3] = ["image", "\u{4e2d}", "v"];
/// The name of sparse vectors.
pub(crate) const SPARSE: &str = "terms";
const METRICS: [&str; 3] = ["cosine", "dot", "euclidean"];
const KINDS: [&str; 3] = ["note", "fact", "plan"];
/// Greater than any finite `f32`: it reads as an infinity.
const INFINITE: f64 = 1e39;

/// A write of a collection or a record.
pub(super) fn operation(
    dice: &mut Random,
    scene: &Scene<'_>,
    namespace: &Namespace,
) -> (&'static str, Value) {
    let collection = pick(dice, &COLLECTIONS);
    let Some(found) = namespace.collections.get(collection) else {
        return if dice.chance(3, 4) { create(dice, collection) } else { put(dice, scene, collection, None) };
    };
    match dice.below(42) {
        0 => ("collection.delete", json!({"collection": collection})),
        40 => alter(dice, collection),
        41 if dice.chance(1, 3) => (
            "collection.truncate",
            json!({"collection": if dice.chance(1, 8) { "none" } else { collection }}),
        ),
        1 => create(dice, collection),
        2 => ("collection.delete", json!({"collection": pick(dice, &["none", "a b", "."])})),
        3..=8 => {
            let mut fields = json!({"collection": collection, "record": record(dice, found)});
            if dice.chance(1, 5) {
                fields["expected_version"] = json!(scene.version(dice));
            }
            ("record.delete", fields)
        }
        9..=18 => patch(dice, scene, collection, found),
        _ => put(dice, scene, collection, Some(found)),
    }
}

/// What cannot be part of a batch: another name for a collection, or a deletion by a filter.
pub(super) fn alone(dice: &mut Random, namespace: &Namespace) -> (&'static str, Value) {
    if dice.chance(1, 2) {
        return rename(dice, namespace);
    }
    let collection = if dice.chance(1, 20) { "none" } else { pick(dice, &COLLECTIONS) };
    let mut fields = json!({"collection": collection, "filter": filter(dice)});
    match dice.below(20) {
        0 => fields["limit"] = json!(0),
        1 => fields["limit"] = json!(limits::DELETE_WHERE + 1),
        2..=9 => fields["limit"] = json!(limits::DELETE_WHERE),
        _ => {}
    }
    ("record.delete_where", fields)
}

/// A new name for a collection, mostly one that is not in use.
fn rename(dice: &mut Random, namespace: &Namespace) -> (&'static str, Value) {
    let collection = pick(dice, &COLLECTIONS);
    let free = COLLECTIONS.iter().find(|name| !namespace.collections.contains_key(**name));
    let to = match dice.below(12) {
        0 => ".hidden",
        1 => pick(dice, &COLLECTIONS),
        _ => free.copied().unwrap_or("docs"),
    };
    ("collection.rename", json!({"collection": collection, "to": to}))
}

fn alter(dice: &mut Random, collection: &str) -> (&'static str, Value) {
    let mut fields = json!({"collection": collection});
    if dice.chance(1, 4) {
        fields["description"] = json!(words(dice));
    }
    if dice.chance(5, 6) {
        let settings = if dice.chance(1, 3) { Value::Null } else { space(dice) };
        fields["vectors"] = json!({(*pick(dice, &SPACES)): settings});
    }
    if dice.chance(1, 3) {
        fields["sparse"] = json!({SPARSE: if dice.chance(1, 3) { Value::Null } else { json!({}) }});
    }
    ("collection.alter", fields)
}

/// What a named vector is.
fn space(dice: &mut Random) -> Value {
    let mut settings = json!({"dimension": 1 + dice.below(2)});
    if dice.chance(1, 2) {
        settings["metric"] = json!(pick(dice, &METRICS));
    }
    settings
}

/// Named vectors for a record of a collection.
fn named(dice: &mut Random, fields: &mut Value, found: &Collection) {
    if let Some((name, space)) =
        any(dice, found.spaces.keys()).and_then(|name| found.spaces.get_key_value(name))
        && dice.chance(2, 3)
    {
        fields["vectors"] = json!({(name): vector(dice, space.dimension)});
    } else if dice.chance(1, 100) {
        fields["vectors"] = json!({"nothing": [1.0]});
    }
}

/// A sparse vector for a record of a collection.
fn sparse_of(dice: &mut Random, fields: &mut Value, found: &Collection) {
    if dice.chance(if found.sparse.contains_key(SPARSE) { 40 } else { 1 }, 60) {
        fields["sparse"] = json!({SPARSE: sparse(dice)});
    }
}

/// A sparse vector, but for a mistake. Its components are small integers, so that sums are exact.
pub(crate) fn sparse(dice: &mut Random) -> Value {
    let mut indices: Vec<u64> =
        (0..9).filter(|_| dice.chance(1, 3)).map(|n| n * n * 1_000_003 % 4_294_967_296).collect();
    if indices.is_empty() {
        indices.push(4_294_967_295);
    }
    if dice.chance(1, 2) {
        indices.reverse();
    }
    let mut values: Vec<f64> = indices.iter().map(|_| dice.below(7) as f64 - 3.0).collect();
    match dice.below(100) {
        0 => values.push(1.0),
        1 => indices[0] = indices[indices.len() - 1],
        2 => values[0] = INFINITE,
        3 => (indices, values) = (Vec::new(), Vec::new()),
        _ => {}
    }
    json!({"indices": indices, "values": values})
}

/// A record, one that is there if any is.
fn record(dice: &mut Random, collection: &Collection) -> String {
    let found = any(dice, collection.records.keys());
    found.cloned().unwrap_or_else(|| pick(dice, &RECORDS).to_owned())
}

fn create(dice: &mut Random, collection: &str) -> (&'static str, Value) {
    let mut fields = json!({"collection": collection});
    if dice.chance(5, 6) {
        fields["dimension"] = json!(1 + dice.below(3));
    }
    if dice.chance(4, 5) {
        fields["metric"] = json!(pick(dice, &METRICS));
    }
    if dice.chance(1, 2) {
        fields["description"] = json!(words(dice));
    }
    if dice.chance(1, 2) {
        fields["vectors"] = json!({(*pick(dice, &SPACES)): space(dice)});
    }
    if dice.chance(1, 2) {
        fields["sparse"] = json!({SPARSE: {}});
    }
    match dice.below(60) {
        0 => fields["dimension"] = json!(0),
        1 => fields["dimension"] = json!(limits::DIMENSION + 1),
        2 => fields["collection"] = json!(".hidden"),
        3 => fields["collection"] = json!("two words"),
        4 => fields["collection"] = json!(bad_id(dice)),
        _ => {}
    }
    ("collection.create", fields)
}

/// A vector that is not zero, but for a mistake.
pub(crate) fn vector(dice: &mut Random, dimension: usize) -> Vec<f64> {
    let mut vector: Vec<f64> = (0..dimension).map(|_| dice.below(5) as f64 - 2.0).collect();
    if vector.iter().all(|x| *x == 0.0) {
        vector[0] = 1.0;
    }
    match dice.below(80) {
        0 => vector.push(1.0),
        1 => vector.fill(0.0),
        2 => vector[0] = INFINITE,
        3 => vector.clear(),
        _ => {}
    }
    vector
}

pub(super) fn payload(dice: &mut Random) -> Value {
    let mut payload = json!({"kind": pick(dice, &KINDS), "n": dice.below(6)});
    if dice.chance(1, 3) {
        payload["tags"] = json!([pick(dice, &KINDS), pick(dice, &KINDS)]);
    }
    payload
}

fn put(
    dice: &mut Random,
    scene: &Scene<'_>,
    collection: &str,
    found: Option<&Collection>,
) -> (&'static str, Value) {
    let mut fields = json!({"collection": collection});
    if dice.chance(14, 15) {
        fields["record"] = json!(pick(dice, &RECORDS));
    }
    if dice.chance(5, 6) {
        fields["payload"] = payload(dice);
    }
    match found.and_then(|c| c.dimension) {
        Some(dimension) if dice.chance(7, 8) => fields["vector"] = json!(vector(dice, dimension)),
        None if dice.chance(1, 20) => fields["vector"] = json!([1.0]),
        _ => {}
    }
    if let Some(found) = found {
        named(dice, &mut fields, found);
        sparse_of(dice, &mut fields, found);
    }
    if dice.chance(1, 2) {
        fields["text"] = json!(sentence(dice, 12));
    }
    maybe_ttl(dice, &mut fields);
    if dice.chance(1, 8) {
        fields["expected_version"] = json!(scene.version(dice));
    }
    match dice.below(200) {
        0 => fields["record"] = json!(bad_id(dice)),
        1 => fields["payload"] = json!({"text": too_large()}),
        _ => {}
    }
    ("record.put", fields)
}

fn patch(
    dice: &mut Random,
    scene: &Scene<'_>,
    collection: &str,
    found: &Collection,
) -> (&'static str, Value) {
    let live: Vec<_> = found.live(scene.now).map(|(id, _)| id).collect();
    let record = match any(dice, live.iter()) {
        Some(id) if dice.chance(15, 16) => String::clone(id),
        None if dice.chance(15, 16) => return put(dice, scene, collection, Some(found)),
        _ => record(dice, found),
    };
    let mut fields = json!({"collection": collection, "record": record});
    if dice.chance(2, 3) {
        fields["payload"] = match dice.below(16) {
            0 => json!(["no object"]),
            1 => Value::Null,
            2..=5 => json!({"at": {"x": dice.below(9), "y": null}, "n": dice.below(6)}),
            6..=9 => json!({"at": {"y": {"z": null}}, "kind": pick(dice, &KINDS), "tags": null}),
            10..=12 => json!({"at": [dice.below(9)], "n": null, "tags": [pick(dice, &KINDS)]}),
            _ => payload(dice),
        };
    }
    if dice.chance(1, 3) {
        fields["text"] = if dice.chance(1, 6) { Value::Null } else { json!(sentence(dice, 12)) };
    }
    match found.dimension {
        _ if dice.chance(1, 12) => fields["vector"] = Value::Null,
        Some(dimension) if dice.chance(1, 2) => fields["vector"] = json!(vector(dice, dimension)),
        None if dice.chance(1, 20) => fields["vector"] = json!([1.0]),
        _ => {}
    }
    named(dice, &mut fields, found);
    sparse_of(dice, &mut fields, found);
    if found.sparse.contains_key(SPARSE) && dice.chance(1, 8) {
        fields["sparse"] = json!({SPARSE: null});
    }
    if dice.chance(1, 8)
        && let Some((name, _)) = found.spaces.first_key_value()
    {
        fields["vectors"] = json!({(name): null});
    }
    maybe_ttl(dice, &mut fields);
    if dice.chance(1, 8) {
        fields["ttl_us"] = Value::Null;
    }
    if dice.chance(1, 5) {
        let version = found.records.get(&record).map(|r| r.version);
        fields["expected_version"] = json!(scene.version_of(dice, version));
    }
    match dice.below(200) {
        0 => fields["record"] = json!(bad_id(dice)),
        1 => fields["payload"] = json!({"text": too_large()}),
        _ => {}
    }
    ("record.patch", fields)
}

/// Some words, up to so many.
pub(crate) fn sentence(dice: &mut Random, most: u64) -> String {
    let words: Vec<&str> = (0..dice.below(most + 1)).map(|_| pick(dice, &WORDS)).collect();
    words.join(" ")
}

/// A search of a collection.
pub(crate) fn search(dice: &mut Random, collection: &Collection) -> Search {
    let named = any(dice, collection.spaces.keys()).filter(|_| dice.chance(1, 2)).cloned();
    let using = if dice.chance(1, 60) { Some("nothing".to_owned()) } else { named };
    let space = using.as_ref().and_then(|name| collection.spaces.get(name));
    let dimension = space.map_or(collection.dimension.unwrap_or(2), |space| space.dimension);
    let limit = dice.chance(2, 3).then(|| 1 + dice.below(6) as usize);
    let threshold = dice.chance(1, 3).then(|| [0.0, 0.5, 1.0, 2.0, -1.0][dice.below(5) as usize]);
    Search {
        vector: vector(dice, dimension),
        using,
        limit,
        filter: dice.chance(1, 2).then(|| filter(dice)),
        threshold,
        include_vector: dice.chance(1, 2),
    }
}

/// A filter of payloads.
pub(crate) fn filter(dice: &mut Random) -> Value {
    let kind = pick(dice, &KINDS);
    match dice.below(9) {
        0 => json!({"kind": kind}),
        1 => json!({"n": {"$gte": dice.below(6)}}),
        2 => json!({"n": {"$gte": dice.below(4), "$lt": 2 + dice.below(4)}, "kind": {"$ne": kind}}),
        3 => json!({"tags": {"$contains": kind}}),
        4 => json!({"$or": [{"kind": kind}, {"tags": {"$exists": true}}]}),
        5 => json!({"$not": {"kind": {"$in": [kind, "fact"]}}}),
        6 => json!({"kind": {"$nin": [kind]}, "tags": {"$exists": dice.chance(1, 2)}}),
        7 => json!({"$and": [{"n": {"$lt": dice.below(6)}}, {"$not": {"kind": kind}}]}),
        _ => json!({}),
    }
}
