//! Pages of a search: joined, they are what one search of the first page's snapshot finds, whatever is written meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentdb_env::Env;
use agentdb_types::{Code, Result, limits};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::modules::collection::{self, Create};
use crate::modules::record::{Delete, Found, Hit, Put, Search};
use crate::modules::testing::TestDb;
use crate::{Engine, NamespaceId, Options, Snapshot, Task, TextEncoder, WriteOptions};

const WORDS: [&str; 4] = ["agent", "plan", "memory", "note"];

/// An encoder that counts letters.
struct Letters;

impl TextEncoder for Letters {
    fn id(&self) -> &str {
        "letters"
    }

    fn dimension(&self) -> usize {
        2
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let count = |text: &str, letter| 1.0 + text.matches(letter).count() as f32;
        Ok(texts.iter().map(|text| vec![count(text, 'a'), count(text, 'e')]).collect())
    }
}

fn put(id: u8, text: &str, ttl: bool) -> Put {
    let Value::Object(payload) = json!({"n": id % 4}) else { panic!("no object") };
    let ttl_us = ttl.then_some(3_000_000);
    Put { record: Some(format!("r{id}")), text: Some(text.into()), payload, ttl_us, ..Put::new("docs") }
}

fn create(engine: &Engine) {
    engine.set_text_encoder(Arc::new(Letters));
    let create = Create { encoder: Some("letters".into()), ..Create::new("docs") };
    engine.write(NamespaceId::DEFAULT, create, WriteOptions::default()).unwrap().wait().unwrap();
}

/// The searches that are read page by page. Several queries say how deep they look, as one search for all would otherwise look
/// deeper.
fn searches() -> Vec<Value> {
    let filter = json!({"n": {"$ne": 3}});
    vec![
        json!({"collection": "docs", "vector": [3, 2]}),
        json!({"collection": "docs", "vector": [3, 2], "filter": filter, "threshold": 0.9}),
        json!({"collection": "docs", "text": "a plan", "include_vector": true}),
        json!({"collection": "docs", "words": "plan memory"}),
        json!({"collection": "docs", "words": "agent", "filter": filter}),
        json!({"collection": "docs", "queries": [
            {"words": "plan note", "limit": 30}, {"vector": [1, 2], "limit": 20, "filter": filter}, {"text": "agent", "limit": 3},
        ]}),
    ]
}

fn read(engine: &Engine, snapshot: &Snapshot, request: &Value, more: Value) -> Result<Found> {
    let mut request = request.clone();
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    engine.read(snapshot, crate::decode::<Search>(request)?)
}

/// A search that is read page by page, and what it must find.
struct Reading {
    request: Value,
    expected: Vec<Hit>,
    found: Vec<Hit>,
    cursor: Option<String>,
}

impl Reading {
    fn begin(engine: &Engine, namespace: NamespaceId, request: &Value, limit: usize) -> Reading {
        let snapshot = engine.snapshot(namespace).unwrap();
        let expected = read(engine, &snapshot, request, json!({"limit": 1000})).unwrap().hits;
        let first = read(engine, &snapshot, request, json!({"limit": limit, "pages": true})).unwrap();
        assert_eq!(first.lsn, Some(snapshot.lsn()));
        assert_eq!(first.cursor.is_some(), expected.len() > limit);
        Reading { request: request.clone(), expected, found: first.hits, cursor: first.cursor }
    }

    /// Reads the next page twice, as of a newer snapshot; returns whether there is another one.
    fn go_on(&mut self, engine: &Engine, namespace: NamespaceId, limit: usize) -> bool {
        let Some(cursor) = self.cursor.take() else {
            assert_eq!(self.found, self.expected, "{}", self.request);
            return false;
        };
        let snapshot = engine.snapshot(namespace).unwrap();
        let page =
            || read(engine, &snapshot, &self.request, json!({"limit": limit, "cursor": cursor})).unwrap();
        let next = page();
        assert_eq!(page(), next, "a page can be asked for again");
        self.found.extend(next.hits);
        self.cursor = next.cursor;
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Vec<usize>, bool),
    Delete(u8),
    Begin(usize, usize),
    Page(usize),
    Wait,
    Index,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    let words = prop::collection::vec(0..WORDS.len(), 1..5);
    prop_oneof![
        10 => (0..30u8, words, prop::bool::weighted(0.2)).prop_map(|(id, words, ttl)| Step::Put(id, words, ttl)),
        4 => (0..30u8).prop_map(Step::Delete),
        4 => (0..6usize, 1..5usize).prop_map(|(search, limit)| Step::Begin(search, limit)),
        8 => (1..5usize).prop_map(Step::Page),
        1 => Just(Step::Wait),
        2 => Just(Step::Index),
        1 => Just(Step::Drain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_joined_are_one_search(steps in prop::collection::vec(step(), 1..120), seed in any::<u64>()) {
        let db = TestDb::new(seed);
        create(db.engine());
        for id in 0..20 {
            db.write(put(id, WORDS[usize::from(id) % 4], false)).unwrap();
        }
        let mut readings: Vec<Reading> = Vec::new();
        for step in steps {
            match step {
                Step::Put(id, words, ttl) => {
                    let text: Vec<&str> = words.iter().map(|at| WORDS[*at]).collect();
                    db.write(put(id, &text.join(" "), ttl)).unwrap();
                }
                Step::Delete(id) => {
                    let record = format!("r{id}");
                    db.write(Delete { collection: "docs".into(), record, expected_version: None }).unwrap();
                }
                Step::Begin(search, limit) => {
                    readings.push(Reading::begin(db.engine(), db.namespace, &searches()[search], limit));
                }
                Step::Page(limit) => readings.retain_mut(|r| r.go_on(db.engine(), db.namespace, limit)),
                Step::Wait => db.world.advance_us(1_000_000),
                Step::Index => db.run(Task::Index),
                Step::Drain => {
                    db.drain();
                    db.engine().core.vectors.compact(db.engine().lsn(), 4);
                }
            }
        }
        for mut reading in readings {
            while reading.go_on(db.engine(), db.namespace, 7) {}
        }
    }
}

proptest! {
    /// Whatever is given as a cursor is refused, and nothing panics.
    #[test]
    fn no_other_text_is_a_cursor(text in "\\PC{0,90}|[0-9a-f]{0,90}") {
        let db = TestDb::new(1);
        create(db.engine());
        let request = json!({"collection": "docs", "words": "plan", "cursor": text});
        let found = read(db.engine(), &db.engine().snapshot(db.namespace).unwrap(), &request, json!({}));
        prop_assert_eq!(found.unwrap_err().code(), Code::InvalidCursor);
    }
}

#[test]
fn pages_are_of_one_moment_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(&Env::real(), dir.path(), Options::default()).unwrap();
    create(&engine);
    let write =
        |put: Put| engine.write(NamespaceId::DEFAULT, put, WriteOptions::default()).unwrap().wait().unwrap();
    for id in 0..60 {
        write(put(id, WORDS[usize::from(id) % 4], false));
    }
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..2_000usize {
                write(put((n % 60) as u8, WORDS[n * 7 % 4], false));
            }
        });
        while !writer.is_finished() {
            for request in searches() {
                let mut reading = Reading::begin(&engine, NamespaceId::DEFAULT, &request, 4);
                while reading.go_on(&engine, NamespaceId::DEFAULT, 9) {}
            }
        }
    });
}

/// More was written since the first page than the indexes remember.
#[test]
fn pages_go_on_behind_what_indexes_remember() {
    let db = TestDb::new(3);
    create(db.engine());
    for id in 0..40 {
        db.write(put(id, WORDS[usize::from(id) % 4], false)).unwrap();
    }
    let begin = |request: &Value| Reading::begin(db.engine(), db.namespace, request, 3);
    let mut readings: Vec<Reading> = searches().iter().map(begin).collect();
    for n in 0..9_000usize {
        db.write(put((n % 40) as u8, WORDS[n * 7 % 4], false)).unwrap();
    }
    db.run(Task::Index);
    while !readings.is_empty() {
        readings.retain_mut(|reading| reading.go_on(db.engine(), db.namespace, 11));
    }
}

#[test]
fn cursors_that_continue_nothing_are_refused() {
    let mut db = TestDb::new(1);
    create(db.engine());
    for id in 0..6 {
        db.write(put(id, "plan", false)).unwrap();
    }
    let request = json!({"collection": "docs", "words": "plan", "limit": 2});
    let ask = |db: &TestDb, more: Value| {
        read(db.engine(), &db.engine().snapshot(db.namespace).unwrap(), &request, more)
    };
    let refused = |db: &TestDb, more: Value| ask(db, more).unwrap_err().code();
    assert_eq!(ask(&db, json!({})).unwrap().cursor, None, "pages were not asked for");
    let begin = |db: &TestDb| ask(db, json!({"pages": true})).unwrap().cursor.unwrap();
    let cursor = begin(&db);
    for (altered, reason) in [
        ("", "too short"),
        ("0", "hexadecimal"),
        ("é0", "hexadecimal"),
        ("00000000", "another list"),
        (&cursor.replace(&cursor[..2], "7f"), "altered"),
        (&format!("{}0", &cursor[..cursor.len() - 1]), ""),
    ] {
        let err = ask(&db, json!({"cursor": altered})).unwrap_err();
        assert_eq!(err.code(), Code::InvalidCursor, "{altered}");
        assert!(err.value("reason").unwrap().contains(reason), "{err}");
    }
    for other in [json!({"words": "plans"}), json!({"filter": {"n": 1}}), json!({"threshold": 0.0})] {
        let mut request = other.clone();
        request["cursor"] = json!(cursor);
        assert_eq!(refused(&db, request), Code::InvalidCursor, "{other}");
    }
    // One that is used is kept; one that is not goes after a minute.
    for _ in 0..3 {
        db.world.advance_us(limits::SEARCH_PIN_IDLE_US - 1);
        assert_eq!(ask(&db, json!({"cursor": cursor})).unwrap().hits.len(), 2);
    }
    db.world.advance_us(limits::SEARCH_PIN_IDLE_US);
    assert_eq!(refused(&db, json!({"cursor": cursor})), Code::SearchCursorExpired);
    // Beyond so many, the one goes that was not used for longest.
    let cursors: Vec<String> = (0..limits::SEARCH_PINS).map(|_| begin(&db)).collect();
    ask(&db, json!({"cursor": cursors[0]})).unwrap();
    begin(&db);
    ask(&db, json!({"cursor": cursors[0]})).unwrap();
    assert_eq!(refused(&db, json!({"cursor": cursors[1]})), Code::SearchCursorExpired);
    // Another handle knows nothing of it, whatever it has pinned.
    db.reopen().unwrap();
    assert_eq!(refused(&db, json!({"cursor": cursors[0]})), Code::SearchCursorExpired);
    begin(&db);
    db.world.advance_us(1);
    assert!(
        [Code::SearchCursorExpired, Code::InvalidCursor].contains(&refused(&db, json!({"cursor": cursor})))
    );
    // What was there stays readable, and what is pinned by others is not.
    let cursor = begin(&db);
    db.write(collection::Delete { collection: "docs".into() }).unwrap();
    assert_eq!(ask(&db, json!({"cursor": cursor})).unwrap().hits.len(), 2);
    assert_eq!(refused(&db, json!({})), Code::CollectionNotFound);
}

/// Snapshots that alone keep too many bytes go, the oldest first.
#[test]
fn pins_do_not_keep_more_memory_than_the_limit() {
    let db = TestDb::new(2);
    create(db.engine());
    for id in 0..6 {
        db.write(put(id, "plan", false)).unwrap();
    }
    let request = json!({"collection": "docs", "words": "plan", "limit": 2});
    let ask = |more: Value| read(db.engine(), &db.engine().snapshot(db.namespace).unwrap(), &request, more);
    db.write(Create { texts: Some(BTreeMap::new()), ..Create::new("large") }).unwrap();
    let text = Some("x".repeat(limits::VALUE_BYTES));
    // Each snapshot is the only reader of a memory table of some 34 MiB.
    let mut cursors = Vec::new();
    for _ in 0..9 {
        cursors.push(ask(json!({"pages": true})).unwrap().cursor.unwrap());
        for n in 0..34 {
            let record = Some(format!("large{n}"));
            db.write(Put { record, text: text.clone(), ..Put::new("large") }).unwrap();
        }
        db.drain();
        db.run(Task::Merge);
    }
    let kept: Vec<bool> = cursors.iter().map(|cursor| ask(json!({"cursor": cursor})).is_ok()).collect();
    let gone = kept.iter().take_while(|kept| !**kept).count();
    assert!((1..4).contains(&gone) && kept[gone..].iter().all(|kept| *kept), "{kept:?}");
}
