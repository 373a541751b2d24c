//! Random requests: a few owners, keys, sessions, collections and contents, so that they meet; values small and large;
//! now and then a mistake.

mod blob;
mod checkpoint;
mod item;
mod link;
mod malformed;
mod record;
mod session;
mod state;
mod tool_call;

use agentdb_env::sim::Random;
use agentdb_types::limits;
use serde_json::{Value, json};

pub(crate) use self::checkpoint::CHANNELS;
pub(crate) use self::item::{KEYS as ITEM_KEYS, PATHS, conditions};
pub(crate) use self::link::TYPES as LINK_TYPES;
pub(crate) use self::record::{SPARSE, filter, search, sentence, sparse, vector};
pub(crate) use self::tool_call::TOOLS;
use crate::model::{Model, Namespace, Past, Request};

pub(crate) use session::MESSAGES;

pub(crate) const OWNERS: [&str; 4] = ["ann", "an", "b\u{0}b", "\u{4e2d}"];
const NAMES: [&str; 3] = ["team", "test", "default"];
const SUBJECTS: [&str; 2] = ["person-1", "person-2"];

/// What the generator knows of the database, so that what it asks for is often there.
pub(crate) struct Scene<'a> {
    pub(crate) model: &'a Model,
    /// The time of the last decision.
    pub(crate) now: i64,
    /// The namespaces that can be written to, deleted ones included.
    pub(crate) namespaces: &'a [u64],
    /// Versions that some row has or had.
    pub(crate) versions: &'a [u64],
    /// What was at each LSN.
    pub(crate) past: &'a Past,
    /// Requests with an idempotency key.
    pub(crate) earlier: &'a [&'a Request],
}

impl Scene<'_> {
    fn version(&self, dice: &mut Random) -> u64 {
        match self.versions.len() as u64 {
            0 => 0,
            _ if dice.chance(1, 4) => 0,
            n => self.versions[dice.below(n) as usize],
        }
    }

    /// A point in the past, mostly; now and then one that is still to come, or that is not kept any more.
    pub(crate) fn point(&self, dice: &mut Random) -> Value {
        let head = self.model.lsn;
        let lsn = match dice.below(12) {
            0 => dice.below(head + 1),
            1 if dice.chance(1, 4) => head + 1 + dice.below(40),
            _ => head.saturating_sub(dice.below(20)),
        };
        let moment = self.past.get(&lsn).filter(|_| dice.chance(1, 3)).map(|(_, time)| *time);
        match moment {
            Some(micros) => {
                let late = if dice.chance(1, 12) { 7_200_000_000 } else { dice.below(2) as i64 };
                crate::model::time(micros + late)
            }
            None => json!(lsn),
        }
    }

    /// Mostly the version that something has, if it is there.
    fn version_of(&self, dice: &mut Random, actual: Option<u64>) -> u64 {
        match actual {
            Some(actual) if dice.chance(2, 3) => actual,
            _ => self.version(dice),
        }
    }
}

fn pick<'a>(dice: &mut Random, from: &[&'a str]) -> &'a str {
    from[dice.below(from.len() as u64) as usize]
}

/// One of the keys of a map, in the order of the map.
fn any<'a, T>(dice: &mut Random, keys: impl ExactSizeIterator<Item = &'a T>) -> Option<&'a T> {
    let at = dice.below(keys.len() as u64) as usize;
    let mut keys = keys;
    keys.nth(at)
}

/// An id that no row can have.
fn bad_id(dice: &mut Random) -> String {
    if dice.chance(1, 2) { String::new() } else { "k".repeat(limits::ID_BYTES + 1) }
}

fn words(dice: &mut Random) -> String {
    "lorem ipsum dolor sit amet ".repeat(dice.below(20) as usize)
}

/// More than a row may hold.
fn too_large() -> String {
    "x".repeat(limits::VALUE_BYTES + 1)
}

fn metadata(dice: &mut Random) -> Value {
    json!({"n": dice.below(100), (*pick(dice, &["a", "b", "\u{0}"])): words(dice)})
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

/// A write that may be part of a batch.
fn operation(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> (&'static str, Value) {
    match dice.below(40) {
        37..=39 => link::operation(dice, scene, namespace),
        36 if dice.chance(1, 2) => state::retention(dice),
        0..=5 => state::operation(dice, scene, namespace),
        6..=12 => session::operation(dice, scene, namespace),
        13..=18 => record::operation(dice, scene, namespace),
        19..=23 => checkpoint::operation(dice, namespace),
        24..=29 => tool_call::operation(dice, scene, namespace),
        30..=34 => item::operation(dice, scene, namespace),
        _ => blob::delete(dice, namespace),
    }
}

/// A request to one of the namespaces.
pub(crate) fn request(dice: &mut Random, scene: &Scene<'_>) -> Request {
    let namespace = scene.namespaces[dice.below(scene.namespaces.len() as u64) as usize];
    let gone = Namespace::default();
    let model = scene.model.namespaces.get(&namespace).unwrap_or(&gone);
    if !scene.earlier.is_empty() && dice.chance(1, 12) {
        return retry(dice, scene, model);
    }
    let written = dice.chance(1, 4);
    let plain = Request {
        namespace,
        operations: Vec::new(),
        idempotency_key: None,
        subject: None,
        written,
        malformed: None,
        seen: None,
        found: Vec::new(),
    };
    if dice.chance(1, 20) {
        return Request { namespace: 0, operations: vec![namespace_operation(dice)], ..plain };
    }
    if dice.chance(1, 40) {
        let (operation, code) = malformed::operation(dice);
        return Request { operations: vec![operation], malformed: Some(code), ..plain };
    }
    if dice.chance(1, 3000) {
        return Request { operations: malformed::crowd(), ..plain };
    }
    let idempotency_key = dice.chance(1, 6).then(|| match dice.below(60) {
        0 => bad_id(dice),
        _ => format!("key-{}", dice.below(40)),
    });
    let subject = dice.chance(1, 5).then(|| pick(dice, &SUBJECTS).to_owned());
    if dice.chance(1, 16) {
        let operations = vec![blob::put(dice)];
        return Request { operations, idempotency_key, subject, ..plain };
    }
    if dice.chance(1, 40) {
        let operations = vec![record::alone(dice, model)];
        return Request { operations, idempotency_key, subject, ..plain };
    }
    let count = if dice.chance(1, 3) { 2 + dice.below(6) } else { 1 };
    let operations: Vec<_> = (0..count).map(|_| operation(dice, scene, model)).collect();
    // A claim may not have a key: now and then it has.
    let claims = operations.iter().any(|(name, _)| *name == "tool_call.claim");
    let idempotency_key = idempotency_key.filter(|_| !claims || dice.chance(1, 10));
    Request { operations, idempotency_key, subject, ..plain }
}

/// Something with a key once more, or the same key for something else.
fn retry(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> Request {
    let mut again = Request::clone(scene.earlier[dice.below(scene.earlier.len() as u64) as usize]);
    if dice.chance(1, 5) {
        again.operations = vec![operation(dice, scene, namespace)];
    }
    again
}

fn namespace_operation(dice: &mut Random) -> (&'static str, Value) {
    let name = if dice.chance(1, 30) { json!(".team") } else { json!(pick(dice, &NAMES)) };
    if dice.chance(2, 3) {
        ("namespace.create", json!({"name": name, "description": ""}))
    } else {
        ("namespace.delete", json!({"name": if name == ".team" { json!("nobody") } else { name }}))
    }
}
