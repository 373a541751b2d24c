//! State against a plain map, times to live included.

use std::collections::BTreeMap;

use agentdb_types::Code;
use proptest::prelude::*;
use serde_json::json;

use super::{Clear, Cleared, Delete, Expire, Get, List, Owners, Put, Take};
use crate::modules::testing::TestDb;
use crate::{Batch, Table, Task, WriteOptions};

#[derive(Clone, Debug)]
enum Step {
    Put { owner: u8, key: u8, value: u16, ttl_us: Option<i64>, insert: bool },
    Delete(u8, u8),
    Take(u8, u8),
    Expire(u8, u8, Option<i64>),
    Clear { owner: u8, prefix: u8, limit: usize, again: bool },
    Crowd(u8, usize),
    Owners { prefix: u8, limit: usize, reverse: bool },
    Pass(u64),
    Drain,
    Sweep,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = || prop::option::weighted(0.3, 1i64..2_000);
    let (owner, key) = (|| 0u8..6, || 0u8..6);
    prop_oneof![
        8 => (owner(), key(), any::<u16>(), ttl(), any::<bool>())
            .prop_map(|(owner, key, value, ttl_us, insert)| Step::Put { owner, key, value, ttl_us, insert }),
        2 => (owner(), key()).prop_map(|(o, k)| Step::Delete(o, k)),
        3 => (owner(), key()).prop_map(|(o, k)| Step::Take(o, k)),
        1 => (owner(), key(), ttl()).prop_map(|(o, k, t)| Step::Expire(o, k, t)),
        4 => (owner(), 0u8..4, 1usize..4, any::<bool>())
            .prop_map(|(owner, prefix, limit, again)| Step::Clear { owner, prefix, limit, again }),
        1 => (owner(), 600usize..1_300).prop_map(|(o, n)| Step::Crowd(o, n)),
        4 => (0u8..4, 1usize..4, any::<bool>())
            .prop_map(|(prefix, limit, reverse)| Step::Owners { prefix, limit, reverse }),
        2 => (1u64..1_500).prop_map(Step::Pass),
        1 => Just(Step::Drain),
        1 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
    ]
}

/// Names of which some start others, and with bytes that keys escape.
const NAMES: [&str; 6] = ["a", "ab", "a\0", "a\0b", "b", "ü"];
const PREFIXES: [&str; 4] = ["", "a", "a\0", "ab"];

fn name(number: u8) -> &'static str {
    NAMES[usize::from(number)]
}

/// What there should be: a value, and when it expires.
#[derive(Default)]
struct Model(BTreeMap<(&'static str, &'static str), (u16, Option<u64>)>);

impl Model {
    fn forget(&mut self, now: u64) {
        self.0.retain(|_, (_, expires)| expires.is_none_or(|at| at > now));
    }

    fn owners(&self, prefix: &str) -> Vec<String> {
        let mut owners: Vec<String> = self.0.keys().map(|(owner, _)| (*owner).to_owned()).collect();
        owners.dedup();
        owners.retain(|owner| owner.starts_with(prefix));
        owners
    }
}

/// All owners that the list gives, page after page.
fn owners(db: &TestDb, prefix: &str, limit: usize, reverse: bool) -> Vec<String> {
    let mut request = Owners { prefix: prefix.to_owned(), limit: Some(limit), cursor: None, reverse };
    let mut found = Vec::new();
    loop {
        let page = db.read(request.clone()).unwrap();
        assert!(
            page.cursor.is_none() || page.items.len() == limit,
            "a page that is not the last one is full"
        );
        found.extend(page.items.into_iter().map(|o| o.owner));
        match page.cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => return found,
        }
    }
}

/// Puts values that expire at once and are not swept yet, between the keys that start with `a` and the others.
fn crowd(db: &TestDb, owner: &str, count: usize) {
    let mut batch = Batch::new();
    for n in 0..count {
        let put = Put { ttl_us: Some(1), ..Put::new(owner, format!("a~{n:04}"), json!(n)) };
        batch.push(db.engine(), put).unwrap();
    }
    db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait().unwrap();
    db.world.advance_us(1);
}

/// Clears once. The answer tells what was deleted, from the first key on; whether all is gone; and if there is more, rows
/// are gone.
fn clear(db: &TestDb, model: &mut Model, owner: &'static str, prefix: &str, limit: usize) -> Cleared {
    let matching: Vec<_> =
        model.0.keys().filter(|(o, k)| *o == owner && k.starts_with(prefix)).copied().collect();
    let (live, before) = (model.0.len(), db.rows(Table::State));
    let request = Clear { owner: owner.into(), prefix: prefix.into(), limit: Some(limit) };
    let cleared = db.write(request).unwrap().response;
    let (deleted, after) = (cleared.deleted as usize, db.rows(Table::State));
    assert!(deleted <= limit.min(matching.len()));
    assert!(cleared.more || deleted == matching.len(), "{cleared:?} of {matching:?}");
    assert!(!cleared.more || after < before, "{cleared:?} of {before} rows");
    if before - live < 1_000 - limit {
        // Too few have expired to be in the way.
        assert_eq!((deleted, cleared.more), (matching.len().min(limit), matching.len() > limit));
        assert_eq!(before - after, deleted, "what has expired is the sweeper's");
    }
    for at in matching.into_iter().take(deleted) {
        model.0.remove(&at);
    }
    cleared
}

fn play(db: &mut TestDb, model: &mut Model, now: &mut u64, step: Step) {
    model.forget(*now);
    let until = |ttl: Option<i64>, now: u64| ttl.map(|ttl| now + ttl.unsigned_abs());
    match step {
        Step::Put { owner, key, value, ttl_us, insert } => {
            let at = (name(owner), name(key));
            let expected_version = insert.then(Default::default);
            let put = Put { ttl_us, expected_version, ..Put::new(at.0, at.1, json!(value)) };
            let there = model.0.contains_key(&at);
            match db.write(put) {
                Err(err) => assert!(insert && there && err.code() == Code::VersionMismatch, "{err}"),
                Ok(done) => {
                    assert!(!(insert && there));
                    assert_eq!(done.response.created, !there);
                    model.0.insert(at, (value, until(ttl_us, *now)));
                }
            }
        }
        Step::Delete(owner, key) => {
            let (owner, key) = (name(owner), name(key));
            let request = Delete { owner: owner.into(), key: key.into(), expected_version: None };
            let deleted = db.write(request).unwrap().response.deleted;
            assert_eq!(deleted, model.0.remove(&(owner, key)).is_some());
        }
        Step::Take(owner, key) => {
            let (owner, key) = (name(owner), name(key));
            let taken = db.write(Take::new(owner, key)).map(|c| c.response.value).map_err(|e| e.code());
            let expected = model.0.remove(&(owner, key));
            assert_eq!(taken, expected.map(|(value, _)| json!(value)).ok_or(Code::StateNotFound));
        }
        Step::Expire(owner, key, ttl_us) => {
            let at = (name(owner), name(key));
            let request = Expire { owner: at.0.into(), key: at.1.into(), ttl_us, expected_version: None };
            let found = model.0.get_mut(&at).map(|(_, expires)| *expires = until(ttl_us, *now));
            assert_eq!(db.write(request).is_ok(), found.is_some());
        }
        Step::Clear { owner, prefix, limit, again } => {
            let (owner, prefix) = (name(owner), PREFIXES[usize::from(prefix)]);
            while clear(db, model, owner, prefix, limit).more && again {}
        }
        Step::Crowd(owner, count) => {
            crowd(db, name(owner), count);
            *now += 1;
        }
        Step::Owners { prefix, limit, reverse } => {
            let prefix = PREFIXES[usize::from(prefix)];
            let mut expected = model.owners(prefix);
            if reverse {
                expected.reverse();
            }
            assert_eq!(owners(db, prefix, limit, reverse), expected);
        }
        Step::Pass(us) => {
            db.world.advance_us(us);
            *now += us;
        }
        Step::Drain => db.drain(),
        Step::Sweep => db.run(Task::Sweep),
        Step::Reopen => db.reopen().unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn state_is_what_a_map_would_hold(steps in prop::collection::vec(step(), 1..80)) {
        let mut db = TestDb::new(1);
        let (mut model, mut now) = (Model::default(), 0);
        for step in steps {
            play(&mut db, &mut model, &mut now, step);
            model.forget(now);
            for owner in NAMES {
                let list = List {
                    owner: owner.into(), prefix: String::new(), limit: None, cursor: None, reverse: false,
                };
                let found: Vec<_> =
                    db.read(list).unwrap().items.into_iter().map(|e| (e.key, e.value)).collect();
                let of_owner = model.0.iter().filter(|((o, _), _)| *o == owner);
                let expected: Vec<_> =
                    of_owner.map(|((_, key), (value, _))| ((*key).to_owned(), json!(value))).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn what_cannot_be_taken_cleared_or_listed_is_refused_and_changes_nothing() {
    let db = TestDb::new(2);
    let version = db.write(Put::new("ann", "ticket", json!("t"))).unwrap().lsn;
    let digest = db.engine().digest(db.namespace).unwrap();
    let stale = Take { expected_version: Some(Default::default()), ..Take::new("ann", "ticket") };
    assert_eq!(db.write(stale).unwrap_err().code(), Code::VersionMismatch);
    assert_eq!(db.write(Take::new("ann", "none")).unwrap_err().code(), Code::StateNotFound);
    assert_eq!(db.write(Clear::new("")).unwrap_err().code(), Code::IdEmpty);
    for limit in [0, 10_001] {
        let clear = Clear { limit: Some(limit), ..Clear::new("ann") };
        assert_eq!(db.write(clear).unwrap_err().code(), Code::PageTooLarge);
        let owners = Owners { limit: Some(limit), ..Owners::default() };
        assert_eq!(db.read(owners).unwrap_err().code(), Code::PageTooLarge);
    }
    let cursor = Owners { cursor: Some("zz".into()), ..Owners::default() };
    assert_eq!(db.read(cursor).unwrap_err().code(), Code::InvalidCursor);
    assert_eq!(db.engine().digest(db.namespace).unwrap(), digest);
    let taken = db.write(Take { expected_version: Some(version), ..Take::new("ann", "ticket") }).unwrap();
    assert_eq!((taken.response.value, taken.response.version), (json!("t"), version));
    assert_eq!(db.read(Get::new("ann", "ticket")).unwrap_err().code(), Code::StateNotFound);
}

/// How many values each call deletes, until there are no more.
fn clear_all(db: &TestDb, clear: &Clear) -> Vec<u64> {
    let mut deleted = Vec::new();
    loop {
        let before = db.rows(Table::State);
        let cleared = db.write(clear.clone()).unwrap().response;
        deleted.push(cleared.deleted);
        assert!(db.rows(Table::State) < before, "each call makes progress");
        if !cleared.more {
            return deleted;
        }
    }
}

#[test]
fn a_clear_looks_at_so_many_rows_at_a_time_expired_ones_included() {
    let db = TestDb::new(3);
    for part in ["ann", "bob"] {
        crowd(&db, part, 2_500);
        db.write(Put::new(part, "a", json!(0))).unwrap();
        db.write(Put::new(part, "b", json!(1))).unwrap();
        db.write(Put::new(part, "c", json!(2))).unwrap();
    }
    // Before the first 1,000 rows end there is one value, and behind 2,500 that have expired there are two.
    assert_eq!(clear_all(&db, &Clear { limit: Some(10), ..Clear::new("ann") }), [1, 0, 2]);
    // A greater limit looks further.
    assert_eq!(clear_all(&db, &Clear { limit: Some(2_000), ..Clear::new("bob") }), [1, 2]);
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::State), 0);
}

#[test]
fn a_clear_of_large_values_goes_by_their_bytes() {
    let db = TestDb::new(4);
    for n in 0..40 {
        db.write(Put::new("ann", n.to_string(), json!("x".repeat(1_000_000)))).unwrap();
    }
    assert_eq!(clear_all(&db, &Clear::new("ann")), [17, 17, 6]);
}

#[test]
fn a_batch_of_the_most_rows_may_have_times_to_live_and_a_key_for_retries() {
    let db = TestDb::new(5);
    let batch = |count: usize| {
        let mut batch = Batch::new();
        for n in 0..count {
            let put = Put { ttl_us: Some(1_000_000), ..Put::new("ann", format!("{n}"), json!(n)) };
            batch.push(db.engine(), put).unwrap();
        }
        let options = WriteOptions { idempotency_key: Some("once".into()), ..WriteOptions::default() };
        db.engine().write_batch(db.namespace, batch, options)?.wait()
    };
    let most = agentdb_types::limits::BATCH_MUTATIONS;
    assert_eq!(batch(most + 1).unwrap_err().code(), Code::BatchTooLarge);
    assert_eq!(batch(most).unwrap().lsn, batch(most).unwrap().lsn);
    let options = WriteOptions { idempotency_key: Some("clear".into()), ..WriteOptions::default() };
    let clear = Clear { limit: Some(most), ..Clear::new("ann") };
    let cleared = db.engine().write(db.namespace, clear, options).unwrap().wait().unwrap().response;
    assert_eq!((cleared.deleted, cleared.more), (most as u64, false));
}
