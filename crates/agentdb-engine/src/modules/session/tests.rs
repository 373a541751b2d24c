//! Sessions and messages against plain models.

use agentdb_types::{Code, ErrorKind, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::message::{self, Append, Clear};
use super::{Create, Delete, Get, List};
use crate::modules::state;
use crate::modules::testing::TestDb;
use crate::{Batch, Engine, NamespaceId, ReadAt, Table, Task, WriteOptions};

#[derive(Clone, Debug)]
enum Step {
    Append(Option<u8>, u16),
    Update(u8, u16),
    Delete(u8),
    Clear,
    Page { limit: usize, reverse: bool, after: Option<u64>, before: Option<u64> },
    Drain,
    Sweep,
    Reopen,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let bound = || prop::option::of(0u64..30);
    prop_oneof![
        8 => (prop::option::of(0u8..12), any::<u16>()).prop_map(|(id, n)| Step::Append(id, n)),
        4 => (0u8..12, any::<u16>()).prop_map(|(id, n)| Step::Update(id, n)),
        3 => (0u8..12).prop_map(Step::Delete),
        1 => Just(Step::Clear),
        4 => (1usize..5, any::<bool>(), bound(), bound())
            .prop_map(|(limit, reverse, after, before)| Step::Page { limit, reverse, after, before }),
        1 => Just(Step::Drain),
        1 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

/// What a session should be: its messages, and the last sequence number given.
#[derive(Default)]
struct Model {
    messages: Vec<(u64, String, Value)>,
    last: u64,
}

fn id(number: u8) -> String {
    format!("m{number}")
}

/// All messages that a list gives, page after page.
fn pages(db: &TestDb, mut list: message::List) -> Vec<(u64, String, Value)> {
    let mut found = Vec::new();
    loop {
        let page = db.read(list.clone()).unwrap();
        let limit = list.limit.unwrap();
        assert!(page.items.len() <= limit);
        assert!(
            page.cursor.is_none() || page.items.len() == limit,
            "a page that is not the last one is full"
        );
        found.extend(page.items.into_iter().map(|m| (m.sequence, m.message, m.content)));
        match page.cursor {
            Some(cursor) => list.cursor = Some(cursor),
            None => return found,
        }
    }
}

fn play(db: &mut TestDb, model: &mut Model, step: Step) {
    match step {
        Step::Append(message, content) => {
            let message = message.map(id);
            let taken = message.is_some() && model.messages.iter().any(|m| Some(&m.1) == message.as_ref());
            let content = json!({"text": content, "pad": "x".repeat(usize::from(content % 200))});
            let request = Append { message, ..Append::new("s", "user", content.clone()) };
            match db.write(request) {
                Err(err) => assert!(taken && err.code() == Code::MessageExists, "{err}"),
                Ok(done) => {
                    assert!(!taken);
                    model.last += 1;
                    assert_eq!((done.response.sequence, done.response.version), (model.last, done.lsn));
                    model.messages.push((model.last, done.response.message, content));
                }
            }
        }
        Step::Update(number, content) => {
            let content = json!(["changed", content]);
            let found = model.messages.iter_mut().find(|m| m.1 == id(number));
            match (found, db.write(message::Update::new("s", id(number), content.clone()))) {
                (Some(message), Ok(done)) => {
                    assert_eq!((done.response.sequence, done.response.version), (message.0, done.lsn));
                    message.2 = content;
                }
                (None, Err(err)) => assert_eq!(err.code(), Code::MessageNotFound),
                (found, done) => panic!("{found:?} {:?}", done.map(|c| c.response)),
            }
        }
        Step::Delete(number) => {
            let request = message::Delete { session: "s".into(), message: id(number) };
            let deleted = db.write(request).unwrap().response.deleted;
            let before = model.messages.len();
            model.messages.retain(|m| m.1 != id(number));
            assert_eq!(deleted, model.messages.len() < before);
        }
        Step::Clear => {
            let cleared = db.write(Clear { session: "s".into() }).unwrap().response;
            assert_eq!(cleared.deleted, model.messages.len() as u64);
            model.messages.clear();
        }
        Step::Page { limit, reverse, after, before } => {
            let list = message::List {
                limit: Some(limit),
                reverse,
                after_sequence: after,
                before_sequence: before,
                ..message::List::new("s")
            };
            let inside = |s: u64| after.is_none_or(|a| s > a) && before.is_none_or(|b| s < b);
            let mut expected: Vec<_> = model.messages.iter().filter(|m| inside(m.0)).cloned().collect();
            if reverse {
                expected.reverse();
            }
            assert_eq!(pages(db, list), expected);
        }
        Step::Drain => db.drain(),
        Step::Sweep => db.run(Task::Sweep),
        Step::Reopen => db.reopen().unwrap(),
        Step::Kill => {
            db.world.process_kill();
            db.reopen().unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn messages_are_what_a_vector_would_hold(steps in prop::collection::vec(step(), 1..60)) {
        let mut db = TestDb::new(1);
        db.write(Create { session: Some("s".into()), ..Create::new("ann") }).unwrap();
        let mut model = Model::default();
        for step in steps {
            play(&mut db, &mut model, step);
            let found = db.read(Get::new("s")).unwrap();
            prop_assert_eq!((found.messages, found.last_sequence), (model.messages.len() as u64, model.last));
            for (sequence, message, content) in &model.messages {
                let request = message::Get { session: "s".into(), message: message.clone() };
                let got = db.read(request).unwrap();
                prop_assert_eq!((&got.sequence, &got.content), (sequence, content));
            }
        }
        let all = message::List { limit: Some(3), ..message::List::new("s") };
        prop_assert_eq!(pages(&db, all), model.messages.clone());
        db.write(Delete { session: "s".into() }).unwrap();
        prop_assert_eq!(db.read(Get::new("s")).unwrap_err().code(), Code::SessionNotFound);
        db.run(Task::Sweep);
        for table in [Table::Session, Table::SessionByOwner, Table::Message, Table::MessageById, Table::SessionTally, Table::Garbage] {
            prop_assert_eq!(db.rows(table), 0, "{:?}", table);
        }
    }
}

#[test]
fn a_session_keeps_what_it_was_given_and_an_update_changes_only_what_it_names() {
    let db = TestDb::new(2);
    let metadata = Map::from_iter([("a".to_owned(), json!(1)), ("b".to_owned(), json!([2.5]))]);
    let request =
        Create { title: Some("Chat".into()), metadata, ttl_us: Some(1_000_000), ..Create::new("ann") };
    let session = db.write(request).unwrap().response.session;
    assert_eq!(session.len(), 36);
    let change = |fields: Value| {
        let mut request = json!({"session": session});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        db.engine().call_json(
            db.namespace,
            "session.update",
            request,
            WriteOptions::default(),
            ReadAt::default(),
        )
    };
    change(json!({"metadata": {"a": null, "c": {"d": true}}})).unwrap();
    let found = db.read(Get::new(&session)).unwrap();
    assert_eq!(Value::Object(found.metadata), json!({"b": [2.5], "c": {"d": true}}));
    assert_eq!((found.title.as_deref(), found.ttl_us), (Some("Chat"), Some(1_000_000)));
    change(json!({"title": null, "ttl_us": null})).unwrap();
    let found = db.read(Get::new(&session)).unwrap();
    assert_eq!((found.title, found.ttl_us, found.expires), (None, None, None));
    assert_eq!(change(json!({"metadata": []})).unwrap_err().code(), Code::InvalidPatch);
    assert_eq!(change(json!({"ttl_us": 0})).unwrap_err().code(), Code::TtlOutOfRange);
    assert_eq!(change(json!({"titel": "x"})).unwrap_err().code(), Code::UnknownField);
}

#[test]
fn an_updated_message_keeps_what_is_not_named_and_what_makes_it_that_message() {
    let db = TestDb::new(10);
    let append = Append {
        owner: Some("ann".into()),
        message: Some("m".into()),
        name: Some("Ann".into()),
        metadata: Map::from_iter([("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))]),
        ..Append::new("s", "user", "hi")
    };
    db.write(append).unwrap();
    let get = || db.read(message::Get { session: "s".into(), message: "m".into() }).unwrap();
    let first = get();
    db.world.advance_us(1_000);
    let change = |fields: Value| {
        let mut request = json!({"session": "s", "message": "m"});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let options = WriteOptions::default();
        db.engine().call_json(db.namespace, "message.update", request, options, ReadAt::default())
    };
    change(json!({"metadata": {"a": null, "c": 3}})).unwrap();
    let mut expected = message::Entry {
        metadata: Map::from_iter([("b".to_owned(), json!(2)), ("c".to_owned(), json!(3))]),
        version: get().version,
        ..first.clone()
    };
    assert!(expected.version > first.version);
    assert_eq!(get(), expected);
    // Null is a content; a name of null is none.
    let lsn =
        change(json!({"content": null, "name": null, "expected_version": expected.version})).unwrap().lsn;
    expected = message::Entry { content: Value::Null, name: None, version: lsn, ..expected };
    assert_eq!(get(), expected);
    let digest = db.engine().digest(db.namespace).unwrap();
    for (fields, code) in [
        (json!({"expected_version": first.version}), Code::VersionMismatch),
        (json!({"metadata": []}), Code::InvalidPatch),
        (json!({"name": ""}), Code::IdEmpty),
        (json!({"role": "assistant"}), Code::UnknownField),
        (json!({"content": "x".repeat(1 << 20)}), Code::ValueTooLarge),
    ] {
        assert_eq!(change(fields).unwrap_err().code(), code);
    }
    assert_eq!(db.engine().digest(db.namespace).unwrap(), digest);
}

#[test]
fn a_session_lives_from_its_last_change_and_goes_with_everything() {
    const TTL: u64 = 10_000_000;
    let mut db = TestDb::new(3);
    let ttl = Some(TTL as i64);
    db.write(Create { session: Some("s".into()), ttl_us: ttl, ..Create::new("ann") }).unwrap();
    for n in 0..5 {
        db.world.advance_us(TTL * 2 / 3);
        db.write(Append::new("s", "user", format!("{n}"))).unwrap();
        db.run(Task::Sweep);
        if n == 2 {
            db.drain();
            db.reopen().unwrap();
        }
    }
    assert_eq!(db.read(Get::new("s")).unwrap().messages, 5);
    assert!(db.rows(Table::Expiry) <= 1, "one note is enough however much is appended");
    // Reading renews nothing; the end is exact.
    db.world.advance_us(TTL - 1);
    assert!(db.read(Get::new("s")).is_ok());
    db.world.advance_us(1);
    assert_eq!(db.read(Get::new("s")).unwrap_err().code(), Code::SessionNotFound);
    assert_eq!(db.read(message::List::new("s")).unwrap_err().code(), Code::SessionNotFound);
    assert!(db.read(List::default()).unwrap().items.is_empty());
    assert_eq!(db.write(Append::new("s", "user", "x")).unwrap_err().code(), Code::SessionNotFound);
    // The id may be used again before the sweeper came by, and nothing of the old session is there.
    let again = Append { owner: Some("bob".into()), ..Append::new("s", "user", "new") };
    assert_eq!(db.write(again).unwrap().response.sequence, 1);
    let found = db.read(Get::new("s")).unwrap();
    assert_eq!((found.owner.as_str(), found.messages, found.expires), ("bob", 1, None));
    db.world.advance_us(10 * TTL);
    db.run(Task::Sweep);
    assert_eq!(db.read(Get::new("s")).unwrap().messages, 1);
    let counts = [Table::Session, Table::SessionByOwner, Table::Message, Table::Expiry, Table::Garbage]
        .map(|t| db.rows(t));
    assert_eq!(counts, [1, 1, 1, 0, 0]);
}

#[test]
fn an_expired_session_is_swept_with_its_messages() {
    let db = TestDb::new(4);
    db.write(Create { session: Some("s".into()), ttl_us: Some(1_000), ..Create::new("ann") }).unwrap();
    for n in 0..1_200 {
        db.write(Append::new("s", "user", n)).unwrap();
    }
    // Renewed when the first note comes due: the sweeper leaves it, and comes again.
    db.world.advance_us(600);
    db.write(Append::new("s", "user", "later")).unwrap();
    db.world.advance_us(600);
    db.run(Task::Sweep);
    assert_eq!((db.read(Get::new("s")).unwrap().messages, db.rows(Table::Expiry)), (1_201, 1));
    db.world.advance_us(400);
    db.run(Task::Sweep);
    for table in [
        Table::Session,
        Table::SessionByOwner,
        Table::Message,
        Table::MessageById,
        Table::SessionTally,
        Table::Garbage,
        Table::Expiry,
    ] {
        assert_eq!(db.rows(table), 0, "{table:?}");
    }
}

#[test]
fn lists_are_by_owner_or_of_all_in_both_directions() {
    let db = TestDb::new(5);
    for n in 0..7 {
        let owner = if n % 2 == 0 { "even" } else { "odd" };
        db.write(Create { session: Some(format!("s{n}")), ..Create::new(owner) }).unwrap();
    }
    let ids = |owner: Option<&str>, reverse| {
        let mut list = List { owner: owner.map(Into::into), limit: Some(2), reverse, cursor: None };
        let mut ids = Vec::new();
        loop {
            let page = db.read(list.clone()).unwrap();
            ids.extend(page.items.into_iter().map(|s| s.session));
            match page.cursor {
                Some(cursor) => list.cursor = Some(cursor),
                None => return ids.join(" "),
            }
        }
    };
    assert_eq!(ids(None, false), "s0 s1 s2 s3 s4 s5 s6");
    assert_eq!(ids(Some("odd"), false), "s1 s3 s5");
    assert_eq!(ids(Some("even"), true), "s6 s4 s2 s0");
    assert_eq!(ids(Some("nobody"), true), "");
}

#[test]
fn a_batch_with_a_refusal_in_the_middle_leaves_nothing() {
    let db = TestDb::new(6);
    let engine: &Engine = db.engine();
    let before = (engine.digest(db.namespace).unwrap(), engine.stats().unwrap().mutations);
    let fill = |refuse: bool| {
        let mut batch = Batch::new();
        batch
            .push(engine, Create { session: Some("s".into()), ttl_us: Some(5), ..Create::new("ann") })
            .unwrap();
        batch.push(engine, state::Put::new("ann", "k", json!(1))).unwrap();
        batch.push(engine, Append { message: Some("m".into()), ..Append::new("s", "user", "hi") }).unwrap();
        if refuse {
            batch
                .push(engine, Append { message: Some("m".into()), ..Append::new("s", "user", "ho") })
                .unwrap();
        }
        batch.push(engine, state::Put::new("ann", "l", json!(2))).unwrap();
        engine.write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait()
    };
    assert_eq!(fill(true).unwrap_err().code(), Code::MessageExists);
    assert_eq!((engine.digest(db.namespace).unwrap(), engine.stats().unwrap().mutations), before);
    assert_eq!(db.read(Get::new("s")).unwrap_err().code(), Code::SessionNotFound);
    // The same without the refusal does everything, at one LSN.
    let lsn = fill(false).unwrap().lsn;
    assert_eq!(lsn.0, 1);
    assert_eq!(db.read(message::List::new("s")).unwrap().items[0].version, lsn);
}

#[test]
fn namespaces_know_nothing_of_each_other() {
    let mut db = TestDb::new(7);
    let other =
        db.write(crate::modules::namespace::Create { name: "other".into(), description: String::new() });
    let other = NamespaceId(other.unwrap().response.number);
    db.write(Append { owner: Some("ann".into()), ..Append::new("s", "user", "here") }).unwrap();
    let digest = db.engine().digest(NamespaceId::DEFAULT).unwrap().1;
    db.namespace = other;
    assert_eq!(db.read(Get::new("s")).unwrap_err().kind(), ErrorKind::NotFound);
    db.write(Append { owner: Some("bob".into()), ..Append::new("s", "user", "there") }).unwrap();
    db.write(Delete { session: "s".into() }).unwrap();
    db.run(Task::Sweep);
    db.namespace = NamespaceId::DEFAULT;
    assert_eq!(db.read(message::List::new("s")).unwrap().items[0].content, json!("here"));
    assert_eq!(db.engine().digest(NamespaceId::DEFAULT).unwrap().1, digest);
}

#[test]
fn what_cannot_be_is_refused_with_its_code() {
    let db = TestDb::new(8);
    let append = |request: Append| db.write(request).map(|c| c.response.sequence).map_err(|e| e.code());
    assert_eq!(append(Append::new("s", "user", "x")), Err(Code::SessionNotFound));
    let by_ann = Append { owner: Some("ann".into()), ..Append::new("s", "user", "x") };
    assert_eq!(append(by_ann.clone()), Ok(1));
    assert_eq!(append(by_ann), Ok(2));
    let by_bob = Append { owner: Some("bob".into()), ..Append::new("s", "user", "x") };
    assert_eq!(append(by_bob), Err(Code::SessionMismatch));
    assert_eq!(append(Append::new("s", "", "x")), Err(Code::IdEmpty));
    assert_eq!(append(Append::new("", "user", "x")), Err(Code::IdEmpty));
    assert_eq!(append(Append::new("s", "user", "x".repeat(1 << 20))), Err(Code::ValueTooLarge));
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(append(Append::new("s", "user", deep)), Err(Code::DepthExceeded));
    let exists = db.write(Create { session: Some("s".into()), ..Create::new("ann") }).unwrap_err();
    assert_eq!(exists.code(), Code::SessionExists);
    let list = |list: message::List| db.read(list).unwrap_err().code();
    assert_eq!(list(message::List { limit: Some(0), ..message::List::new("s") }), Code::PageTooLarge);
    assert_eq!(
        list(message::List { cursor: Some("zz".into()), ..message::List::new("s") }),
        Code::InvalidCursor
    );
    let missing = message::Get { session: "s".into(), message: "none".into() };
    assert_eq!(db.read(missing).unwrap_err().code(), Code::MessageNotFound);
    assert_eq!(db.read(message::List::last("s", 1)).unwrap().items[0].sequence, 2);
}

#[test]
fn a_time_to_live_that_would_pass_the_end_of_time_ends_with_it() {
    let db = TestDb::new(9);
    let now = db.engine().env().clock.wall().micros();
    let ttl_us = Some(agentdb_types::limits::TIME_MAX_US - now - 1_000_000);
    db.write(Create { session: Some("s".into()), ttl_us, ..Create::new("ann") }).unwrap();
    db.world.advance_us(3_000_000);
    db.write(Append::new("s", "user", "still there")).unwrap();
    let expires = db.read(Get::new("s")).unwrap().expires;
    assert_eq!(expires, Timestamp::from_micros(agentdb_types::limits::TIME_MAX_US).ok());
}

#[test]
fn a_cursor_that_is_no_place_in_the_messages_is_the_callers_mistake() {
    let db = TestDb::new(10);
    db.write(Append { owner: Some("ann".into()), ..Append::new("s", "user", "x") }).unwrap();
    let prefix = crate::Key::new(db.namespace, Table::Message).u64(1);
    for rest in [&b""[..], b"abc", b"123456789"] {
        // Its checksum holds: it is no secret.
        let cursor = crate::cursor::encode(&prefix, &prefix.clone().raw(rest));
        let err = db.read(message::List { cursor: Some(cursor), ..message::List::new("s") }).unwrap_err();
        assert_eq!(err.code(), Code::InvalidCursor, "{err}");
    }
}
