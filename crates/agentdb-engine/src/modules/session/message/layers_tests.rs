//! Sessions that share messages, held against sessions that are copied.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_env::sim::Random;
use agentdb_types::{Code, Lsn};
use serde_json::{Value, json};

use super::super::{self as session, Fork, Get, Restore};
use super::layers::{self, MOST};
use super::{Append, Clear, Delete, List, Update};
use crate::history::Point;
use crate::key::Key;
use crate::modules::testing::TestDb;
use crate::read::{Page, Read};
use crate::{Table, Task};

/// Ids and contents by sequence number.
type Messages = BTreeMap<u64, (String, Value)>;

#[derive(Clone, Default)]
struct Copied {
    messages: Messages,
    sequence: u64,
}

type Sessions = BTreeMap<String, Copied>;

fn messages(db: &TestDb, list: List) -> Vec<(u64, String, Value)> {
    let mut list = List { limit: Some(3), ..list };
    let mut all = Vec::new();
    loop {
        let page = db.read(list.clone()).unwrap();
        all.extend(page.items.into_iter().map(|found| (found.sequence, found.message, found.content)));
        match page.cursor {
            Some(cursor) => list.cursor = Some(cursor),
            None => return all,
        }
    }
}

fn compare(db: &TestDb, sessions: &Sessions) {
    let found = db.read(session::List::default()).unwrap().items;
    assert!(found.iter().map(|found| &found.session).eq(sessions.keys()));
    for (id, copied) in sessions {
        let told = db.read(Get::new(id)).unwrap();
        assert_eq!(
            (told.messages, told.last_sequence),
            (copied.messages.len() as u64, copied.sequence),
            "{id}"
        );
        let expected = |between: std::ops::RangeInclusive<u64>| -> Vec<_> {
            let messages = copied.messages.range(between);
            messages.map(|(sequence, (id, content))| (*sequence, id.clone(), content.clone())).collect()
        };
        let mut all = expected(0..=u64::MAX);
        assert_eq!(messages(db, List::new(id)), all, "{id}");
        let (first, last) = (copied.sequence / 3, copied.sequence / 2 + 1);
        let between = List { after_sequence: Some(first), before_sequence: Some(last), ..List::new(id) };
        let within = if first + 1 < last { expected(first + 1..=last - 1) } else { Vec::new() };
        assert_eq!(messages(db, between), within, "{id}");
        all.reverse();
        assert_eq!(messages(db, List { reverse: true, ..List::new(id) }), all, "{id}");
        for (sequence, (message, content)) in &copied.messages {
            let got = db.read(super::Get { session: id.clone(), message: message.clone() }).unwrap();
            assert_eq!((got.sequence, &got.content), (*sequence, content), "{id}");
        }
        let absent = (0..12).map(|n| format!("m{n}"));
        for message in absent.filter(|m| copied.messages.values().all(|(message, _)| message != m)) {
            let get = super::Get { session: id.clone(), message };
            assert_eq!(db.read(get).unwrap_err().code(), Code::MessageNotFound, "{id}");
        }
    }
}

/// What is left when everything is swept: of each layer what somebody sees, and marks of what is deleted.
fn check_leftovers(db: &TestDb) {
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::Garbage), 0);
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    let keys = |table: Table| {
        let mut rows = Vec::new();
        snapshot
            .scan_prefix(&snapshot.key(table), Page::Forward, &mut |key, row| {
                rows.push((key, row));
                Ok(true)
            })
            .unwrap();
        rows
    };
    let (mut seen, mut own) = (BTreeSet::new(), BTreeSet::new());
    for found in db.read(session::List::default()).unwrap().items {
        let layers = session::require(&snapshot, &found.session).unwrap().layers(&snapshot).unwrap();
        own.insert(layers.own);
        let visible = |layer: u64, sequence: u64| {
            snapshot.get(&super::row_key(&snapshot, layer, sequence)).unwrap().map(|_| (layer, sequence))
        };
        for message in db.read(List { limit: Some(10_000), ..List::new(&found.session) }).unwrap().items {
            let below = layers.below.iter().filter(|layer| message.sequence <= layer.through);
            let all = std::iter::once(layers.own).chain(below.map(|layer| layer.number));
            seen.insert(all.filter_map(|layer| visible(layer, message.sequence)).next().unwrap());
        }
    }
    let place = |key: &Key| {
        let mut parts = key.components();
        (parts.u64().unwrap(), parts.u64().unwrap())
    };
    let rows = keys(Table::Message);
    let bodies: BTreeSet<_> =
        rows.iter().filter(|(_, row)| !row.body.is_empty()).map(|(key, _)| place(key)).collect();
    assert_eq!(bodies, seen, "rows of messages that nobody sees, or that are missing");
    assert_eq!(keys(Table::MessageById).len(), bodies.len());
    // Whoever has a list is a session's own layer, and every use is in it.
    let lists: BTreeSet<_> =
        keys(Table::MessageLayer).iter().map(|(key, _)| key.components().u64().unwrap()).collect();
    assert!(lists.is_subset(&own), "{lists:?} {own:?}");
    let mut uses: BTreeSet<_> = keys(Table::MessageLayerUse).iter().map(|(key, _)| place(key)).collect();
    for (key, row) in keys(Table::MessageLayer) {
        let user = key.components().u64().unwrap();
        for lower in layers::decode(&row.body).unwrap() {
            assert!(uses.remove(&(lower.number, user)));
            assert!(
                own.contains(&lower.number)
                    || snapshot.get(&super::layers::use_key(&snapshot, lower.number, 0)).unwrap().is_some()
            );
        }
    }
    assert!(uses.iter().all(|(_, user)| *user == 0), "{uses:?}");
    for (key, _) in rows.iter().filter(|(_, row)| row.body.is_empty()) {
        let (layer, sequence) = place(key);
        let below = snapshot.get(&super::layers::list_key(&snapshot, layer)).unwrap();
        assert!(below.is_some() || !own.contains(&layer), "a mask of {layer}, {sequence} over nothing");
    }
}

#[test]
fn shared_messages_read_as_copies_do_and_leave_nothing() {
    let mut shared = 0;
    for seed in 0..60 {
        let mut dice = Random::new(seed);
        let mut db = TestDb::new(seed);
        let mut sessions = Sessions::new();
        // What there was at an LSN.
        let mut past: Vec<(Lsn, Sessions)> = Vec::new();
        for step in 0..220u64 {
            let names: Vec<_> = sessions.keys().cloned().collect();
            let name = match dice.below(names.len() as u64 + 1) as usize {
                n if n < names.len() => names[n].clone(),
                _ => format!("s{}", dice.below(5)),
            };
            let some = |dice: &mut Random, of: &Copied| {
                let ids: Vec<_> = of.messages.iter().map(|(s, (id, _))| (*s, id.clone())).collect();
                (!ids.is_empty()).then(|| ids[dice.below(ids.len() as u64) as usize].clone())
            };
            let here = sessions.get(&name).cloned();
            let lsn = match (dice.below(20), here) {
                (0..=6, _) | (_, None) => {
                    let id = if dice.chance(1, 2) { Some(format!("m{}", dice.below(12))) } else { None };
                    let append = Append {
                        owner: Some("ann".into()),
                        message: id,
                        ..Append::new(&name, "user", json!(step))
                    };
                    let of = sessions.entry(name.clone()).or_default();
                    let taken =
                        append.message.as_ref().is_some_and(|id| of.messages.values().any(|(i, _)| i == id));
                    match db.write(append) {
                        Ok(done) => {
                            assert!(!taken);
                            of.sequence += 1;
                            assert_eq!(done.response.sequence, of.sequence);
                            of.messages.insert(of.sequence, (done.response.message, json!(step)));
                            Some(done.lsn)
                        }
                        Err(err) => {
                            assert!(taken && err.code() == Code::MessageExists, "{err}");
                            None
                        }
                    }
                }
                (7..=8, Some(of)) => some(&mut dice, &of).map(|(sequence, id)| {
                    let done = db.write(Update::new(&name, &id, json!({"step": step}))).unwrap();
                    assert_eq!(done.response.sequence, sequence);
                    let messages = &mut sessions.get_mut(&name).unwrap().messages;
                    messages.insert(sequence, (id, json!({"step": step})));
                    done.lsn
                }),
                (9..=10, Some(of)) => some(&mut dice, &of).map(|(sequence, id)| {
                    let done = db.write(Delete { session: name.clone(), message: id }).unwrap();
                    assert!(done.response.deleted);
                    sessions.get_mut(&name).unwrap().messages.remove(&sequence);
                    done.lsn
                }),
                (11, Some(_)) if dice.chance(1, 3) => {
                    sessions.get_mut(&name).unwrap().messages.clear();
                    Some(db.write(Clear { session: name.clone() }).unwrap().lsn)
                }
                (12, Some(_)) => {
                    sessions.remove(&name);
                    Some(db.write(session::Delete { session: name.clone() }).unwrap().lsn)
                }
                (13, Some(_)) => {
                    let then: Vec<_> = past.iter().filter(|(_, then)| then.contains_key(&name)).collect();
                    (!then.is_empty()).then(|| {
                        let (lsn, then) = then[dice.below(then.len() as u64) as usize];
                        let done = db.write(Restore::new(&name, *lsn)).unwrap();
                        let now = sessions.get_mut(&name).unwrap();
                        now.messages.clone_from(&then[&name].messages);
                        now.sequence = now.sequence.max(then[&name].sequence);
                        done.lsn
                    })
                }
                (_, Some(of)) => {
                    let to = format!("f{}", dice.below(6));
                    let at = past.iter().filter(|(_, then)| then.contains_key(&name));
                    let at: Vec<_> = at.cloned().collect();
                    let at = (!at.is_empty() && dice.chance(1, 3))
                        .then(|| at[dice.below(at.len() as u64) as usize].clone());
                    let then = at.as_ref().map_or(of, |(_, then)| then[&name].clone());
                    let through = dice.chance(1, 3).then(|| dice.below(then.sequence + 2));
                    let at = at.map(|(lsn, _)| Point::Lsn(lsn));
                    let fork =
                        Fork { session: name.clone(), to: Some(to.clone()), at, through_sequence: through };
                    if sessions.keys().any(|id| *id == to) {
                        assert_eq!(db.write(fork).unwrap_err().code(), Code::SessionExists);
                        None
                    } else {
                        let mut new = then;
                        let through = through.unwrap_or(u64::MAX);
                        new.sequence = new.sequence.min(through);
                        new.messages.retain(|sequence, _| *sequence <= through);
                        let done = db.write(fork).unwrap();
                        assert_eq!(done.response.messages, new.messages.len() as u64);
                        shared += u64::from(db.read(Get::new(&to)).unwrap().base.is_some());
                        sessions.insert(to, new);
                        Some(done.lsn)
                    }
                }
            };
            past.extend(lsn.map(|lsn| (lsn, sessions.clone())));
            match dice.below(30) {
                0 => db.run(Task::Sweep),
                1 => check_leftovers(&db),
                2 => {
                    db.drain();
                    db.reopen().unwrap();
                }
                _ => {}
            }
            compare(&db, &sessions);
        }
        check_leftovers(&db);
        for name in sessions.keys() {
            db.write(session::Delete { session: name.clone() }).unwrap();
        }
        db.run(Task::Sweep);
        for table in [
            Table::Message,
            Table::MessageById,
            Table::SessionTally,
            Table::MessageLayer,
            Table::MessageLayerUse,
            Table::Garbage,
            Table::Name,
        ] {
            assert_eq!(db.rows(table), 0, "{table:?} of seed {seed}");
        }
    }
    assert!(shared > 300, "{shared} forks shared messages");
}

fn session_of(db: &TestDb, name: &str, messages: u64) {
    for n in 0..messages {
        db.write(Append { owner: Some("ann".into()), ..Append::new(name, "user", json!(n)) }).unwrap();
    }
}

fn fork(db: &TestDb, from: &str, to: &str) -> Lsn {
    db.write(Fork { to: Some(to.into()), ..Fork::new(from) }).unwrap().lsn
}

#[test]
fn a_fork_writes_no_message_and_an_append_to_either_none_but_its_own() {
    let db = TestDb::new(1);
    session_of(&db, "s", 500);
    fork(&db, "s", "f");
    assert_eq!(db.rows(Table::Message), 500);
    let told = db.read(Get::new("f")).unwrap().base.unwrap();
    assert_eq!((told.session.as_str(), told.through_sequence), ("s", 500));
    for name in ["s", "f"] {
        db.write(Append::new(name, "user", json!(name))).unwrap();
    }
    assert_eq!((db.rows(Table::Message), db.rows(Table::MessageLayer)), (502, 1));
    let last = |name: &str| db.read(List::last(name, 2)).unwrap().items;
    assert_eq!((&last("s")[0].content, &last("f")[0].content), (&json!("s"), &json!("f")));
    assert_eq!(last("s")[1], last("f")[1], "shared messages keep their versions");
    // What one changes, the other one has as it was.
    let message = last("f")[1].message.clone();
    db.write(Update::new("s", &message, json!("changed"))).unwrap();
    assert_eq!((&last("s")[1].content, &last("f")[1].content), (&json!("changed"), &json!(499)));
    assert_eq!(db.rows(Table::Message), 503);
}

#[test]
fn forks_of_forks_lie_on_so_many_layers_and_then_copy() {
    let db = TestDb::new(2);
    session_of(&db, "0", 1);
    let mut copied = Vec::new();
    for n in 1..=2 * MOST + 3 {
        let (from, to) = (format!("{}", n - 1), format!("{n}"));
        fork(&db, &from, &to);
        if db.read(Get::new(&to)).unwrap().base.is_none() {
            copied.push(n);
        }
        db.write(Append::new(&to, "user", json!(n))).unwrap();
        let found = messages(&db, List::new(&to));
        assert!(found.iter().map(|(_, _, content)| content.clone()).eq((0..=n).map(|n| json!(n))), "{n}");
    }
    assert_eq!(copied, [MOST + 1, 2 * MOST + 2]);
}

#[test]
fn a_message_that_nobody_sees_any_more_is_swept() {
    let db = TestDb::new(3);
    session_of(&db, "s", 10);
    fork(&db, "s", "f");
    let id = db.read(List::new("s")).unwrap().items[4].message.clone();
    let bodies = || {
        db.run(Task::Sweep);
        let snapshot = db.engine().snapshot(db.namespace).unwrap();
        let mut bodies = 0;
        snapshot
            .scan_prefix(&snapshot.key(Table::Message), Page::Forward, &mut |_, row| {
                bodies += usize::from(!row.body.is_empty());
                Ok(true)
            })
            .unwrap();
        bodies
    };
    for (name, left) in [("s", 10), ("f", 9)] {
        db.write(Delete { session: name.into(), message: id.clone() }).unwrap();
        assert_eq!(bodies(), left, "{name}");
    }
    // What only one saw goes with it.
    let fork = Fork { to: Some("early".into()), through_sequence: Some(3), ..Fork::new("s") };
    db.write(fork).unwrap();
    for (name, left) in [("s", 9), ("f", 3), ("early", 0)] {
        db.write(session::Delete { session: name.into() }).unwrap();
        assert_eq!(bodies(), left, "{name}");
    }
}

#[test]
fn retention_takes_shared_messages_from_one_session_alone() {
    let db = TestDb::new(4);
    session_of(&db, "s", 30);
    fork(&db, "s", "f");
    session_of(&db, "f", 30);
    let change = json!({"noun": "message", "keep_latest": 40});
    let options = crate::WriteOptions::default();
    db.engine().call_json(db.namespace, "retention.set", change, options, crate::ReadAt::default()).unwrap();
    db.run(Task::Retain);
    let count =
        |name: &str| (db.read(Get::new(name)).unwrap().messages, messages(&db, List::new(name)).len());
    assert_eq!((count("s"), count("f")), ((30, 30), (40, 40)));
    assert_eq!(messages(&db, List::new("f"))[0].0, 21);
}

#[test]
fn what_an_earlier_session_had_is_not_found_by_the_ids_of_a_fork_in_its_place() {
    let db = TestDb::new(5);
    let append = |session: &str, message: &str, text: &str| {
        let (owner, message) = (Some("ann".into()), Some(message.into()));
        db.write(Append { owner, message, ..Append::new(session, "user", json!(text)) }).unwrap().lsn
    };
    let first = append("s", "x", "original");
    append("src", "m", "other");
    db.write(session::Delete { session: "s".into() }).unwrap();
    fork(&db, "src", "s");
    assert!(db.read(Get::new("s")).unwrap().base.is_some());
    db.write(Restore::new("s", first)).unwrap();
    assert_eq!(messages(&db, List::new("s")), [(1, "x".into(), json!("original"))]);
    assert_eq!(db.read(Get::new("s")).unwrap().base, None, "it starts with nothing of src any more");
    let get = |message: &str| db.read(super::Get { session: "s".into(), message: message.into() });
    assert_eq!(get("m").unwrap_err().code(), Code::MessageNotFound);
    let update = db.write(Update::new("s", "m", json!("wrong"))).unwrap_err();
    assert_eq!(update.code(), Code::MessageNotFound);
    let delete = db.write(Delete { session: "s".into(), message: "m".into() }).unwrap();
    assert!(!delete.response.deleted);
    append("s", "m", "its own");
    assert_eq!((get("x").unwrap().sequence, get("m").unwrap().sequence), (1, 2));
}

#[test]
fn a_session_that_gets_back_an_earlier_owner_gives_no_sequence_number_twice() {
    let db = TestDb::new(6);
    let append = |owner: &str, text: &str| {
        let append = Append { owner: Some(owner.into()), ..Append::new("s", "user", json!(text)) };
        db.write(append).unwrap()
    };
    let first = append("ann", "a").lsn;
    db.write(session::Delete { session: "s".into() }).unwrap();
    (0..3).for_each(|n| drop(append("bob", &n.to_string())));
    let restored = db.write(Restore::new("s", first)).unwrap().response;
    assert_eq!((restored.messages, restored.restored, restored.deleted), (1, 1, 2));
    assert_eq!(append("ann", "b").response.sequence, 4);
    let of = |owner: &str| {
        let list = session::List { owner: Some(owner.into()), ..session::List::default() };
        db.read(list).unwrap().items.len()
    };
    assert_eq!((of("ann"), of("bob"), db.rows(Table::SessionByOwner)), (1, 0, 1));
}
