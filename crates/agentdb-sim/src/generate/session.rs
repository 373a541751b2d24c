//! Writes of sessions and messages.

use agentdb_env::sim::Random;
use serde_json::{Value, json};

use super::{OWNERS, Scene, any, bad_id, maybe_ttl, metadata, pick, too_large, words};
use crate::model::Namespace;

const SESSIONS: [&str; 4] = ["s1", "s2", "s\u{0}", "long one"];
pub(crate) const MESSAGES: [&str; 4] = ["m1", "m2", "m3", "\u{0}"];
const ROLES: [&str; 3] = ["user", "assistant", "tool"];

/// A session, mostly one that is there.
fn session(dice: &mut Random, namespace: &Namespace) -> String {
    if dice.chance(1, 80) {
        return bad_id(dice);
    }
    match any(dice, namespace.sessions.keys()) {
        Some(session) if dice.chance(2, 3) => session.clone(),
        _ => pick(dice, &SESSIONS).to_owned(),
    }
}

/// A write of a session or a message.
pub(super) fn operation(
    dice: &mut Random,
    scene: &Scene<'_>,
    namespace: &Namespace,
) -> (&'static str, Value) {
    let session = session(dice, namespace);
    match dice.below(26) {
        24 => fork(dice, scene, session),
        25 => ("session.restore", json!({"session": session, "at": scene.point(dice)})),
        0..=2 => create(dice, session),
        3 | 4 => update(dice, session),
        5 => ("session.delete", json!({"session": session})),
        6 => ("message.clear", json!({"session": session})),
        7 | 8 => {
            let message = message(dice, namespace, &session);
            ("message.delete", json!({"session": session, "message": message}))
        }
        9..=12 => update_message(dice, scene, namespace, session),
        _ => append(dice, session),
    }
}

fn create(dice: &mut Random, session: String) -> (&'static str, Value) {
    let mut fields = json!({"owner": pick(dice, &OWNERS)});
    if dice.chance(4, 5) {
        fields["session"] = json!(session);
    }
    if dice.chance(1, 2) {
        fields["title"] = json!(words(dice));
        fields["metadata"] = metadata(dice);
    }
    if dice.chance(1, 200) {
        fields["title"] = json!(too_large());
    }
    if dice.chance(1, 60) {
        fields["owner"] = json!(bad_id(dice));
    }
    maybe_ttl(dice, &mut fields);
    if dice.chance(1, 3) {
        fields["ttl_us"] = json!(2_000_000 + dice.below(20_000_000));
    }
    ("session.create", fields)
}

fn fork(dice: &mut Random, scene: &Scene<'_>, session: String) -> (&'static str, Value) {
    let mut fields = json!({"session": session});
    if dice.chance(3, 4) {
        fields["to"] = if dice.chance(1, 30) { json!(bad_id(dice)) } else { json!(pick(dice, &SESSIONS)) };
    }
    if dice.chance(2, 3) {
        fields["at"] = scene.point(dice);
    }
    if dice.chance(1, 3) {
        fields["through_sequence"] = json!(dice.below(8));
    }
    ("session.fork", fields)
}

fn update(dice: &mut Random, session: String) -> (&'static str, Value) {
    let mut fields = json!({"session": session});
    if dice.chance(1, 2) {
        fields["title"] = if dice.chance(1, 3) { Value::Null } else { json!(words(dice)) };
    }
    if dice.chance(1, 2) {
        fields["metadata"] = match dice.below(12) {
            0 => json!([1]),
            1 => Value::Null,
            _ => json!({"n": null, "a": dice.below(9), "\u{0}": words(dice)}),
        };
    }
    maybe_ttl(dice, &mut fields);
    if dice.chance(1, 8) {
        fields["ttl_us"] = Value::Null;
    }
    ("session.update", fields)
}

/// A message, mostly one that is there.
fn message(dice: &mut Random, namespace: &Namespace, session: &str) -> String {
    let found = namespace.sessions.get(session).and_then(|session| {
        let sequence = *any(dice, session.messages.keys())?;
        Some(session.messages[&sequence].message.clone())
    });
    match found {
        Some(message) if dice.chance(9, 10) => message,
        _ if dice.chance(1, 20) => bad_id(dice),
        _ => pick(dice, &MESSAGES).to_owned(),
    }
}

fn content(dice: &mut Random) -> Value {
    match dice.below(5) {
        0 => json!([{"type": "text", "text": words(dice)}, {"type": "image", "blob": null}]),
        1 => json!({"call": pick(dice, &MESSAGES), "n": dice.below(9)}),
        _ => json!(words(dice)),
    }
}

fn update_message(
    dice: &mut Random,
    scene: &Scene<'_>,
    namespace: &Namespace,
    session: String,
) -> (&'static str, Value) {
    let said: Vec<_> = namespace.live_sessions(scene.now).filter(|(_, s)| !s.messages.is_empty()).collect();
    let session = match any(dice, said.iter()) {
        Some((session, _)) if dice.chance(9, 10) => String::clone(session),
        None if dice.chance(9, 10) => return append(dice, session),
        _ => session,
    };
    let message = message(dice, namespace, &session);
    let mut fields = json!({"session": session, "message": message});
    if dice.chance(2, 3) {
        fields["content"] = if dice.chance(1, 12) { Value::Null } else { content(dice) };
    }
    if dice.chance(1, 3) {
        fields["name"] = if dice.chance(1, 3) { Value::Null } else { json!(pick(dice, &OWNERS)) };
    }
    if dice.chance(1, 2) {
        fields["metadata"] = match dice.below(12) {
            0 => json!("no object"),
            1 => Value::Null,
            _ => json!({"n": null, "a": {"b": dice.below(9), "n": null}, "\u{0}": words(dice)}),
        };
    }
    if dice.chance(1, 5) {
        let found = namespace.sessions.get(&session);
        let found = found.and_then(|s| s.messages.values().find(|m| m.message == message));
        fields["expected_version"] = json!(scene.version_of(dice, found.map(|m| m.version)));
    }
    match dice.below(200) {
        0 => fields["name"] = json!(bad_id(dice)),
        1 => fields["content"] = json!(too_large()),
        2 => fields["metadata"] = json!({"text": too_large()}),
        _ => {}
    }
    ("message.update", fields)
}

fn append(dice: &mut Random, session: String) -> (&'static str, Value) {
    let mut fields = json!({"session": session, "role": pick(dice, &ROLES), "content": content(dice)});
    if dice.chance(1, 2) {
        fields["owner"] = json!(pick(dice, &OWNERS));
    }
    if dice.chance(1, 3) {
        fields["message"] = json!(pick(dice, &MESSAGES));
    }
    if dice.chance(1, 4) {
        fields["name"] = json!(pick(dice, &OWNERS));
        fields["metadata"] = metadata(dice);
    }
    match dice.below(200) {
        0 => fields["role"] = json!(bad_id(dice)),
        1 => fields["name"] = json!(bad_id(dice)),
        2 => fields["message"] = json!(bad_id(dice)),
        3 => fields["owner"] = json!(bad_id(dice)),
        4 => fields["content"] = json!(too_large()),
        _ => {}
    }
    ("message.append", fields)
}
