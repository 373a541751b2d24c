//! What was read at a point is read again as of it, whatever happened since.

use std::cell::Cell;

use agentdb_env::sim::Random;
use agentdb_types::{Code, Error, Lsn, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{HistoryNoun, Point, Then, latest_at, time_of};
use crate::modules::testing::TestDb;
use crate::modules::{retention, session, state};
use crate::{Key, NamespaceId, Page, Read, Row, Snapshot, Table, Task, WriteOptions};

type Result<T, E = Error> = std::result::Result<T, E>;

const OWNERS: [&str; 2] = ["ann", "a\u{0}b"];
const KEYS: [&str; 3] = ["k", "k\u{0}", "kk"];
const SESSIONS: [&str; 2] = ["s", "t"];
const SECOND_US: u64 = 1_000_000;

fn call(db: &TestDb, operation: &str, request: Value) -> Result<Value, Code> {
    let options = WriteOptions::default();
    let answer = db.engine().call_json(db.namespace, operation, request, options, Lsn::ZERO);
    answer.map(|answer| answer.response).map_err(|err| err.code())
}

/// Everything that a snapshot tells of states and sessions.
fn everything(db: &TestDb, at: &Snapshot) -> Value {
    let read = |operation: &str, request: Value| match crate::modules::operation(operation).unwrap().call {
        crate::operation::Call::Read(read) => {
            read(db.engine(), at, request).unwrap_or_else(|err| json!(err.code().name()))
        }
        _ => panic!("{operation} is no read"),
    };
    let mut told = vec![read("session.list", json!({"reverse": true})), read("state.owners", json!({}))];
    for owner in OWNERS {
        told.push(read("state.list", json!({"owner": owner, "prefix": "k"})));
        told.push(read("state.list", json!({"owner": owner, "limit": 2, "reverse": true})));
        told.extend(KEYS.map(|key| read("state.get", json!({"owner": owner, "key": key}))));
    }
    for session in SESSIONS {
        told.push(read("session.get", json!({"session": session})));
        told.push(read("message.list", json!({"session": session})));
        told.push(read("message.list", json!({"session": session, "reverse": true, "limit": 2})));
        told.push(read("message.get", json!({"session": session, "message": "m1"})));
    }
    told.into()
}

fn pick<T: Copy>(dice: &mut Random, of: &[T]) -> T {
    of[dice.below(of.len() as u64) as usize]
}

/// One random write; most are answered, some refused.
fn act(db: &TestDb, dice: &mut Random) {
    let (owner, key, session) = (pick(dice, &OWNERS), pick(dice, &KEYS), pick(dice, &SESSIONS));
    let message = pick(dice, &["m1", "m2", "m3"]);
    let ttl = dice.chance(1, 4).then(|| 1 + dice.below(3 * SECOND_US));
    let as_of = dice.below(db.engine().lsn().0 + 1);
    let (operation, request) = match dice.below(13) {
        0..=2 => ("state.put", json!({"owner": owner, "key": key, "value": dice.below(50), "ttl_us": ttl})),
        3 => ("state.delete", json!({"owner": owner, "key": key})),
        4 => ("state.clear", json!({"owner": owner})),
        5 | 6 => (
            "message.append",
            json!({"session": session, "role": "user", "content": dice.below(9), "message": message, "owner": owner}),
        ),
        7 => ("message.update", json!({"session": session, "message": message, "content": "changed"})),
        8 => ("message.delete", json!({"session": session, "message": message})),
        9 if dice.chance(1, 2) => ("message.clear", json!({"session": session})),
        9 => ("session.delete", json!({"session": session})),
        10 => ("session.update", json!({"session": session, "title": "a title", "ttl_us": ttl})),
        11 => ("state.restore", json!({"owner": owner, "key": key, "at": as_of})),
        _ => ("session.restore", json!({"session": session, "at": as_of})),
    };
    match call(db, operation, request) {
        Ok(_)
        | Err(Code::SessionNotFound | Code::MessageNotFound | Code::MessageExists | Code::SessionMismatch) => {
        }
        Err(code) => panic!("{operation} is refused: {code}"),
    }
}

/// Something that changes nothing that anyone sees.
fn behind_the_scenes(db: &mut TestDb, dice: &mut Random) {
    match dice.below(5) {
        0 => db.drain(),
        1 => db.run(Task::Merge),
        2 => db.run(Task::Sweep),
        3 => {
            db.world.process_kill();
            db.reopen().unwrap();
        }
        _ => db.world.advance_us(dice.below(2 * SECOND_US)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_was_read_is_read_again(seed: u64) {
        let (mut db, mut dice) = (TestDb::new(seed), Random::new(seed));
        let mut seen: Vec<(Lsn, Timestamp, Value)> = Vec::new();
        for _ in 0..120 {
            let before = db.engine().lsn();
            act(&db, &mut dice);
            if dice.chance(1, 3) {
                behind_the_scenes(&mut db, &mut dice);
            }
            let now = db.engine().snapshot(db.namespace).unwrap();
            if now.lsn() > before {
                // As of the batch's own time: what expired since is not seen any more in the present.
                let then = now.as_of(now.lsn()).unwrap();
                let time = time_of(&now, now.lsn()).unwrap().unwrap();
                if time == now.now() {
                    prop_assert_eq!(everything(&db, &now), everything(&db, &then));
                }
                seen.push((now.lsn(), time, everything(&db, &then)));
            }
        }
        for (at, (lsn, time, then)) in seen.iter().enumerate() {
            let snapshot = db.engine().snapshot_as_of(db.namespace, *lsn).unwrap();
            prop_assert_eq!(&everything(&db, &snapshot), then, "as of {}", lsn);
            if seen.get(at + 1).is_none_or(|next| next.1 > *time && next.0 == lsn.next()) {
                let snapshot = db.engine().snapshot_as_of(db.namespace, *time).unwrap();
                prop_assert_eq!(&everything(&db, &snapshot), then, "as of {}", time);
            }
        }
    }

    #[test]
    fn diffs_lead_from_one_point_to_the_other(seed: u64) {
        let (mut db, mut dice) = (TestDb::new(seed), Random::new(seed));
        for _ in 0..60 {
            act(&db, &mut dice);
            if dice.chance(1, 3) {
                behind_the_scenes(&mut db, &mut dice);
            }
        }
        let head = db.engine().lsn().0;
        let (from, to) = (dice.below(head + 1), dice.below(head + 1));
        let [before, after] = [from, to].map(|lsn| db.engine().snapshot_as_of(db.namespace, Lsn(lsn)).unwrap());
        for owner in OWNERS {
            let list = |at: &Snapshot| -> Vec<state::Entry> {
                let list = serde_json::from_value::<state::List>(json!({"owner": owner})).unwrap();
                db.engine().read(at, list).unwrap().items
            };
            let (mut then, now) = (list(&before), list(&after));
            let limit = 1 + dice.below(2);
            let mut request = json!({"owner": owner, "from": from, "to": to, "limit": limit});
            loop {
                let page = call(&db, "state.diff", request.clone()).unwrap();
                for item in page["items"].as_array().unwrap() {
                    prop_assert_ne!(item.get("before"), item.get("after"));
                    then.retain(|entry| entry.key != item["key"]);
                    if let Some(entry) = item.get("after") {
                        then.push(serde_json::from_value(entry.clone()).unwrap());
                    }
                }
                match page.get("cursor") {
                    Some(cursor) => request["cursor"] = cursor.clone(),
                    None => break,
                }
            }
            then.sort_by(|a, b| a.key.cmp(&b.key));
            prop_assert_eq!(then, now);
        }
        for session in SESSIONS {
            let list = |at: &Snapshot| -> Vec<session::message::Entry> {
                db.engine().read(at, session::message::List::new(session)).map_or(Vec::new(), |listed| listed.items)
            };
            let (mut then, now) = (list(&before), list(&after));
            let mut request = json!({"session": session, "from": from, "to": to, "limit": 1});
            while let Ok(page) = call(&db, "message.diff", request.clone()) {
                for item in page["items"].as_array().unwrap() {
                    then.retain(|entry| entry.sequence != item["sequence"].as_u64().unwrap());
                    if let Some(entry) = item.get("after") {
                        then.push(serde_json::from_value(entry.clone()).unwrap());
                    }
                }
                match page.get("cursor") {
                    Some(cursor) => request["cursor"] = cursor.clone(),
                    None => break,
                }
            }
            then.sort_by_key(|entry| entry.sequence);
            prop_assert_eq!(then, now);
        }
    }

    #[test]
    fn times_and_lsns_belong_together(seed: u64) {
        let (mut db, mut dice) = (TestDb::new(seed), Random::new(seed));
        let mut times = vec![Timestamp::default()];
        // Several chunks of moments.
        for n in 0..300 {
            if dice.chance(2, 3) {
                db.world.advance_us(1 + dice.below(1000));
            }
            db.write(state::Put::new("ann", "k", json!(n))).unwrap();
            let now = db.engine().snapshot(db.namespace).unwrap();
            times.push(now.now());
            if dice.chance(1, 40) {
                behind_the_scenes(&mut db, &mut dice);
                prop_assume!(db.engine().lsn().0 == n + 1);
            }
        }
        let now = db.engine().snapshot(db.namespace).unwrap();
        for (lsn, time) in times.iter().enumerate().skip(1) {
            prop_assert_eq!(time_of(&now, Lsn(lsn as u64)).unwrap(), Some(*time));
        }
        for _ in 0..100 {
            let asked = pick(&mut dice, &times);
            let asked = Timestamp::from_micros(asked.micros() + dice.below(3) as i64).unwrap();
            let expected = times.iter().rposition(|time| *time <= asked).unwrap();
            prop_assert_eq!(latest_at(&now, asked, now.lsn()).unwrap(), Some(Lsn(expected as u64)));
        }
    }
}

fn set(db: &TestDb, noun: HistoryNoun, history_us: Option<u64>) -> retention::Entry {
    db.write(retention::Set { history_us: Some(history_us), ..retention::Set::new(noun) }).unwrap().response
}

fn get(db: &TestDb, at: impl Into<Point>) -> Result<Value, Code> {
    let snapshot = db.engine().snapshot_as_of(db.namespace, at).map_err(|err| err.code())?;
    let got = db.engine().read(&snapshot, state::Get::new("ann", "k"));
    got.map(|entry| entry.value).map_err(|err| err.code())
}

#[test]
fn what_is_kept_long_enough_goes_and_what_needs_it_says_so() {
    let mut db = TestDb::new(1);
    for noun in HistoryNoun::ALL {
        set(&db, noun, Some(10 * SECOND_US));
    }
    let put = |db: &TestDb, n: u64| db.write(state::Put::new("ann", "k", json!(n))).unwrap().lsn;
    let lsns: Vec<Lsn> = (0..1200)
        .map(|n| {
            db.world.advance_us(10_000);
            put(&db, n)
        })
        .collect();
    assert_eq!(db.rows(Table::History), 1199);
    db.run(Task::Trim);
    // The first two seconds are gone: what ended in them.
    let left = db.rows(Table::History);
    assert!((999..=1002).contains(&left), "{left} versions are left");
    let since = db.read(retention::List {}).unwrap().items[0].since.unwrap();
    for (n, lsn) in lsns.iter().enumerate() {
        let expected = if *lsn >= since { Ok(json!(n)) } else { Err(Code::HistoryTrimmed) };
        assert_eq!(get(&db, *lsn), expected, "as of {lsn}, kept since {since}");
    }
    let items = db.read(state::History::new("ann", "k")).unwrap().items;
    assert_eq!(items.len(), 100);
    let told = db.read(state::History { limit: Some(10_000), ..state::History::new("ann", "k") }).unwrap();
    assert_eq!(told.items.len(), left + 1);
    assert!(told.items.windows(2).all(|two| two[1].ended == Some(two[0].version)));
    // Nobody changes anything: after ten seconds there is no history, and after a restart as well.
    db.world.advance_us(11 * SECOND_US);
    db.run(Task::Trim);
    assert_eq!(db.rows(Table::History), 0);
    db.reopen().unwrap();
    assert_eq!(get(&db, lsns[1198]), Err(Code::HistoryTrimmed));
    assert_eq!(get(&db, db.engine().lsn()), Ok(json!(1199)));
    let system = db.engine().snapshot(NamespaceId::SYSTEM).unwrap();
    let mut chunks = 0;
    let count = &mut |_, _| {
        chunks += 1;
        Ok(true)
    };
    system.scan_prefix(&system.key(Table::Moment), Page::Forward, count).unwrap();
    assert!(chunks <= 2, "{chunks} chunks of moments are left");
}

#[test]
fn history_that_is_not_kept_cannot_be_read_and_begins_anew() {
    let db = TestDb::new(2);
    let put = |n: u64| db.write(state::Put::new("ann", "k", json!(n))).unwrap().lsn;
    let (first, _) = (put(1), put(2));
    assert_eq!(get(&db, first), Ok(json!(1)));
    assert_eq!(set(&db, HistoryNoun::State, Some(0)).since, None);
    assert_eq!(get(&db, first), Err(Code::NoHistory));
    let unkept = put(3);
    put(4);
    assert_eq!(db.rows(Table::History), 1);
    db.run(Task::Trim);
    assert_eq!(db.rows(Table::History), 0);
    let since = set(&db, HistoryNoun::State, None).since.unwrap();
    assert_eq!(get(&db, unkept), Err(Code::HistoryTrimmed));
    assert_eq!(get(&db, since), Ok(json!(4)));
    let kept = put(5);
    put(6);
    assert_eq!(get(&db, kept), Ok(json!(5)));
    db.world.advance_us(400 * 24 * 3_600 * SECOND_US);
    put(7);
    db.run(Task::Trim);
    assert_eq!(get(&db, kept), Ok(json!(5)), "for ever");
    assert_eq!(
        call(&db, "state.history", json!({"owner": "ann", "key": "k"})).unwrap()["items"][3]["value"],
        4
    );
    // Sessions have a history of their own.
    assert_eq!(db.read(retention::List {}).unwrap().items[1].since, Some(Lsn::ZERO));
}

#[test]
fn a_version_ends_when_it_expires_swept_or_not() {
    let db = TestDb::new(8);
    let put = json!({"owner": "ann", "key": "k", "value": 1, "ttl_us": 1_000_000});
    call(&db, "state.put", put.clone()).unwrap();
    db.world.advance_us(5_000_000);
    let versions = || {
        let found = call(&db, "state.history", json!({"owner": "ann", "key": "k"})).unwrap();
        found["items"].as_array().unwrap().clone()
    };
    let found = versions();
    assert_eq!((found.len(), &found[0]["value"], found[0].get("ended")), (1, &json!(1), None));
    assert_eq!(found[0]["ended_at"], found[0]["expires"]);
    db.run(Task::Sweep);
    let swept = versions();
    assert!(swept.len() == 1 && swept[0]["ended"].is_u64());
    assert_eq!(swept[0]["ended_at"], found[0]["expires"]);
    // One that is replaced before it expires ends then.
    call(&db, "state.put", put.clone()).unwrap();
    call(&db, "state.put", put).unwrap();
    let found = versions();
    assert!(found[0].get("ended_at").is_none());
    assert_eq!((&found[1]["ended"], &found[1]["ended_at"]), (&found[0]["version"], &found[0]["updated"]));
}

#[test]
fn points_that_are_not_there_and_nouns_without_a_history_are_refused() {
    let db = TestDb::new(3);
    let lsn = db.write(state::Put::new("ann", "k", json!(1))).unwrap().lsn;
    assert_eq!(get(&db, lsn.next()), Err(Code::PointAhead));
    let now = db.engine().snapshot(db.namespace).unwrap().now();
    let later = Timestamp::from_micros(now.micros() + 1_000_000).unwrap();
    assert_eq!(get(&db, later), Err(Code::PointAhead));
    assert_eq!(get(&db, now), Ok(json!(1)));
    assert_eq!(get(&db, Lsn::ZERO), Err(Code::StateNotFound));
    let then = db.engine().snapshot_as_of(db.namespace, lsn).unwrap();
    assert_eq!(then.digest().unwrap_err().code(), Code::NoPast);
    for (operation, request) in [
        ("collection.list", json!({})),
        ("blob.list", json!({})),
        ("thread.list", json!({})),
        ("namespace.list", json!({})),
        ("state.history", json!({"owner": "ann", "key": "k"})),
    ] {
        let crate::operation::Call::Read(read) = &crate::modules::operation(operation).unwrap().call else {
            panic!("{operation} is no read")
        };
        assert_eq!(read(db.engine(), &then, request).unwrap_err().code(), Code::NoPast, "{operation}");
    }
    let restore = json!({"owner": "ann", "key": "k", "at": 99});
    assert_eq!(call(&db, "state.restore", restore), Err(Code::PointAhead));
}

#[test]
fn what_a_batch_did_before_is_not_history_yet() {
    let db = TestDb::new(7);
    let put = |n: u64| json!({"owner": "ann", "key": "k", "value": n});
    call(&db, "state.put", put(1)).unwrap();
    let append = json!({"session": "s", "owner": "ann", "role": "user", "content": 1, "message": "m1"});
    call(&db, "message.append", append).unwrap();
    let then = db.engine().lsn().0;
    let mut batch = crate::Batch::new();
    for (operation, request) in [
        ("state.put", put(2)),
        ("state.restore", json!({"owner": "ann", "key": "k", "at": then})),
        ("message.delete", json!({"session": "s", "message": "m1"})),
        ("session.restore", json!({"session": "s", "at": then})),
        ("message.delete", json!({"session": "s", "message": "m1"})),
        ("session.fork", json!({"session": "s", "to": "t", "at": then})),
    ] {
        batch.push_json(db.engine(), operation, request).unwrap();
    }
    let answers =
        db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait().unwrap();
    assert_eq!(answers.response[1]["was"], 1);
    assert_eq!((&answers.response[3]["messages"], &answers.response[5]["messages"]), (&json!(1), &json!(1)));
    assert_eq!(db.read(state::Get::new("ann", "k")).unwrap().value, 1);
}

#[test]
fn a_forked_session_goes_its_own_way() {
    let db = TestDb::new(4);
    for n in 0..5 {
        let append =
            json!({"session": "s", "owner": "ann", "role": "user", "content": n, "message": format!("m{n}")});
        call(&db, "message.append", append).unwrap();
    }
    let then = db.engine().lsn().0;
    call(&db, "message.delete", json!({"session": "s", "message": "m1"})).unwrap();
    call(&db, "message.update", json!({"session": "s", "message": "m2", "content": "other"})).unwrap();
    call(&db, "session.update", json!({"session": "s", "title": "later"})).unwrap();
    let fork = |request: Value| call(&db, "session.fork", request);
    assert_eq!(fork(json!({"session": "s", "to": "now"})).unwrap()["messages"], 4);
    assert_eq!(fork(json!({"session": "s", "to": "then", "at": then})).unwrap()["messages"], 5);
    assert_eq!(
        fork(json!({"session": "s", "to": "half", "at": then, "through_sequence": 3})).unwrap()["messages"],
        3
    );
    assert_eq!(fork(json!({"session": "s", "to": "now"})), Err(Code::SessionExists));
    assert_eq!(fork(json!({"session": "s", "at": 0})), Err(Code::SessionNotFound));
    let contents = |session: &str| -> Vec<Value> {
        let listed = call(&db, "message.list", json!({"session": session})).unwrap();
        listed["items"].as_array().unwrap().iter().map(|item| item["content"].clone()).collect()
    };
    assert_eq!(contents("now"), [json!(0), json!("other"), json!(3), json!(4)]);
    assert_eq!(contents("then"), [0, 1, 2, 3, 4]);
    assert_eq!(call(&db, "session.get", json!({"session": "then"})).unwrap().get("title"), None);
    assert_eq!(call(&db, "session.get", json!({"session": "now"})).unwrap()["title"], "later");
    // Sequence numbers go on from the fork's last one, and the ids of the two are apart.
    let append = json!({"session": "half", "role": "user", "content": "new", "message": "m3"});
    assert_eq!(call(&db, "message.append", append).unwrap()["sequence"], 4);
    assert_eq!(contents("s"), contents("now"));
    call(&db, "session.delete", json!({"session": "s"})).unwrap();
    db.run(Task::Sweep);
    assert_eq!(contents("then"), [0, 1, 2, 3, 4]);
    // What is gone comes back.
    let restored = call(&db, "session.restore", json!({"session": "s", "at": then})).unwrap();
    assert_eq!(restored, json!({"messages": 5, "restored": 5, "deleted": 0}));
    assert_eq!(contents("s"), [0, 1, 2, 3, 4]);
    assert_eq!(call(&db, "session.get", json!({"session": "s"})).unwrap()["last_sequence"], 5);
}

#[test]
fn a_session_of_too_many_messages_is_shared_but_neither_copied_nor_restored() {
    let db = TestDb::new(5);
    for part in 0..3 {
        let mut batch = crate::Batch::new();
        for n in 0..3_400 {
            let append = session::message::Append {
                owner: Some("ann".into()),
                message: Some(format!("{part}-{n}")),
                ..session::message::Append::new("s", "user", "x")
            };
            batch.push(db.engine(), append).unwrap();
        }
        db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait().unwrap();
    }
    let lsn = db.engine().lsn().0;
    call(&db, "message.update", json!({"session": "s", "message": "0-7", "content": "changed"})).unwrap();
    let (before, lsn) = (lsn, db.engine().lsn().0);
    let past = json!({"session": "s", "at": before});
    assert_eq!(call(&db, "session.fork", past), Err(Code::BatchTooLarge), "it is not as it was");
    assert_eq!(call(&db, "session.restore", json!({"session": "s", "at": lsn})), Err(Code::BatchTooLarge));
    assert_eq!(db.engine().lsn().0, lsn, "nothing happened");
    let part = json!({"session": "s", "at": before, "through_sequence": 9_000});
    assert_eq!(call(&db, "session.fork", part).unwrap()["messages"], 9_000);
    let messages = db.rows(Table::Message);
    assert_eq!(call(&db, "session.fork", json!({"session": "s", "at": lsn})).unwrap()["messages"], 10_200);
    assert_eq!(db.rows(Table::Message), messages);
}

#[test]
fn one_look_finds_a_version_among_a_hundred_thousand() {
    let db = TestDb::new(6);
    set(&db, HistoryNoun::State, None);
    for n in 0..100 {
        let mut batch = crate::Batch::new();
        batch.push(db.engine(), state::Put::new("ann", "other", json!(n))).unwrap();
        db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait().unwrap();
    }
    let mut lsns = Vec::new();
    for n in 0..100_000u64 {
        let ticket =
            db.engine().write(db.namespace, state::Put::new("ann", "k", json!(n)), WriteOptions::default());
        lsns.push(ticket.unwrap());
        if n % 500 == 499 {
            db.run(Task::Sequence);
        }
    }
    let lsns: Vec<Lsn> = lsns.into_iter().map(|ticket| ticket.wait().unwrap().lsn).collect();
    db.drain();
    assert_eq!(db.rows(Table::History), 100_000 - 1 + 99);
    for n in [0, 1, 77, 50_000, 99_998] {
        let snapshot = db.engine().snapshot(db.namespace).unwrap();
        let counting = Counting { rows: &snapshot, read: Cell::new(0) };
        let then = Then::new(&counting, "at", Point::Lsn(lsns[n]), snapshot.lsn()).unwrap();
        counting.read.set(0);
        let key = then.key(Table::State).text("ann").text("k");
        assert_eq!(then.get(&key).unwrap().map(|row| row.lsn), Some(lsns[n]));
        assert_eq!(counting.read.replace(0), 2, "the row that is there, and the version that was");
        // A list passes over the versions that it need not read.
        for page in [Page::Forward, Page::Backward] {
            let mut found = Vec::new();
            let visit = &mut |_, row: Row| {
                found.push(row.lsn);
                Ok(true)
            };
            then.scan_prefix(&then.key(Table::State), page, visit).unwrap();
            assert!(found.contains(&lsns[n]) && found.len() == 2);
            let read = counting.read.replace(0);
            assert!(read < 60, "{read} rows were read");
        }
    }
}

/// Rows, and how many of them were read.
struct Counting<'a> {
    rows: &'a Snapshot,
    read: Cell<usize>,
}

impl Read for Counting<'_> {
    fn namespace(&self) -> NamespaceId {
        self.rows.namespace()
    }

    fn now(&self) -> Timestamp {
        self.rows.now()
    }

    fn get(&self, key: &Key) -> Result<Option<Row>> {
        self.read.set(self.read.get() + 1);
        self.rows.get(key)
    }

    fn scan(
        &self,
        from: &Key,
        to: Option<&Key>,
        page: Page,
        visit: &mut dyn FnMut(Key, Row) -> Result<bool>,
    ) -> Result<()> {
        self.rows.scan(from, to, page, &mut |key, row| {
            self.read.set(self.read.get() + 1);
            visit(key, row)
        })
    }
}
