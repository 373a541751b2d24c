//! Forks against what the source was when they were begun, with everything that may happen meanwhile.

use std::collections::BTreeMap;

use agentdb_env::sim::Random;
use agentdb_types::{Code, Lsn, Result};
use serde_json::json;

use super::{Fork, Forked, translate};
use crate::modules::database::flips::of_every_table;
use crate::modules::job::{Cancel, Entry, Get, Pause, Resume, State};
use crate::modules::namespace::{Create, Delete};
use crate::modules::testing::TestDb;
use crate::modules::watch::Watch;
use crate::modules::{blob, checkpoint, collection, item, record, retention, session, state, tool_call};
use crate::read::{Page, Read};
use crate::{Batch, HistoryNoun, Key, NamespaceId, Table, Task, WriteOptions};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn rows(db: &TestDb, namespace: NamespaceId) -> Rows {
    let system = db.engine().snapshot(NamespaceId::SYSTEM).unwrap();
    let mut rows = Rows::new();
    let visit = &mut |key: Key, row: crate::Row| {
        rows.insert(key.into_bytes(), row.body.to_vec());
        Ok(true)
    };
    system.scan_prefix(&Key::namespace(namespace), Page::Forward, visit).unwrap();
    rows
}

fn table(key: &[u8]) -> Option<Table> {
    Key::table_of(key).and_then(Table::from_number)
}

/// What a fork of this namespace must have, its own rows left out.
fn expected(db: &TestDb, source: NamespaceId, target: u64) -> Rows {
    let copied = rows(db, source).into_iter().filter_map(|(key, body)| {
        let mut key = translate(&key, NamespaceId(target)).unwrap()?;
        if table(key.as_bytes()) == Some(Table::ForkBlob) {
            key = key.in_table(Table::Blob);
        }
        Some((key.into_bytes(), body))
    });
    copied.filter(|(key, _)| table(key) != Some(Table::Retention)).collect()
}

fn found(db: &TestDb, target: u64) -> Rows {
    let own = |key: &[u8]| matches!(table(key), Some(Table::Retention | Table::Fork));
    rows(db, NamespaceId(target)).into_iter().filter(|(key, _)| !own(key)).collect()
}

fn fork(db: &TestDb, namespace: &str, to: &str) -> Result<u64> {
    db.engine().begin_fork(&Fork::new(namespace, to))
}

fn entry(db: &TestDb, job: u64) -> Entry {
    db.read(Get { job }).unwrap()
}

fn finish(db: &TestDb, job: u64) -> Entry {
    for _ in 0..10_000 {
        db.engine().step(Task::Work).unwrap();
        let entry = entry(db, job);
        if entry.ended.is_some() {
            return entry;
        }
    }
    panic!("{job} does not end");
}

fn forked(entry: Entry) -> Forked {
    assert_eq!(entry.state, State::Done, "{entry:?}");
    serde_json::from_value(entry.result.unwrap()).unwrap()
}

/// The database seen from a namespace.
fn number_of(db: &TestDb, name: &str) -> NamespaceId {
    db.engine().namespace(name).unwrap()
}

fn put(n: u64, value: u64) -> state::Put {
    state::Put::new("ann", format!("key-{n:04}"), json!([value, "x".repeat(200)]))
}

/// The number that the next namespace gets: `of_every_table` made two.
const NEXT: u64 = 4;

#[test]
fn a_fork_has_everything_of_every_table_that_is_not_the_sources_alone() {
    let db = of_every_table(1);
    let before = expected(&db, db.namespace, NEXT);
    let job = fork(&db, "default", "copy").unwrap();
    let at = Lsn(job);
    let done = forked(finish(&db, job));
    assert_eq!((done.number, done.lsn, done.rows), (NEXT, at, before.len() as u64 + 1), "and a retention");
    assert_eq!(found(&db, NEXT), before);
    assert_eq!(number_of(&db, "copy"), NamespaceId(NEXT));
    let snapshot = db.engine().snapshot(NamespaceId(NEXT)).unwrap();
    let query = record::Search { vector: Some(vec![1.0, -0.5]), ..record::Search::new("docs") };
    assert_eq!(db.engine().read(&snapshot, query).unwrap().hits.len(), 1);
    assert_eq!(rows(&db, NamespaceId::SYSTEM).keys().filter(|k| table(k) == Some(Table::Fork)).count(), 0);
    let report = db.engine().verify(&mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn what_is_written_meanwhile_stays_out_of_a_fork_whatever_crashes() {
    for seed in 0..12 {
        let mut db = TestDb::new(seed);
        let mut random = Random::new(seed);
        for n in 0..1_200 {
            db.write(put(n, 0)).unwrap();
        }
        let before = expected(&db, db.namespace, 2);
        let job = fork(&db, "default", "copy").unwrap();
        for round in 1.. {
            for _ in 0..random.below(60) {
                let n = random.below(1_300);
                let key = format!("key-{n:04}");
                match random.below(4) {
                    0 => drop(db.write(state::Delete { owner: "ann".into(), key, expected_version: None })),
                    1 => {
                        drop(db.write(state::Increment { owner: "ann".into(), key: format!("n-{n}"), by: 1 }))
                    }
                    _ => drop(db.write(put(n, round)).unwrap()),
                }
            }
            if entry(&db, job).ended.is_some() {
                break;
            }
            match random.below(4) {
                0 => {
                    db.world.crash(&mut random);
                    db.reopen().unwrap();
                }
                1 => db.drain(),
                _ => drop(db.engine().step(Task::Work).unwrap()),
            }
        }
        assert_eq!(forked(entry(&db, job)).rows, before.len() as u64, "seed {seed}");
        assert!(found(&db, 2) == before, "seed {seed}");
        db.reopen().unwrap();
        assert!(found(&db, 2) == before, "seed {seed}");
    }
}

#[test]
fn names_that_are_taken_and_a_second_fork_are_refused() {
    let db = TestDb::new(2);
    let code = |refused: Result<u64>| refused.unwrap_err().code();
    db.write(Create { name: "other".into(), description: String::new() }).unwrap();
    assert_eq!(code(fork(&db, "none", "copy")), Code::NamespaceNotFound);
    assert_eq!(code(fork(&db, "default", "other")), Code::NamespaceExists);
    assert_eq!(code(fork(&db, "other", "default")), Code::NamespaceExists);
    assert_eq!(code(fork(&db, "default", ".hidden")), Code::InvalidName);
    let job = fork(&db, "default", "copy").unwrap();
    let refused = fork(&db, "default", "second").unwrap_err();
    assert_eq!((refused.code(), refused.value("job")), (Code::ForkRunning, Some(&*job.to_string())));
    finish(&db, job);
    let again = fork(&db, "default", "second").unwrap();
    assert_eq!(finish(&db, again).state, State::Done);
}

#[test]
fn a_fork_that_fails_or_is_cancelled_leaves_nothing() {
    let db = of_every_table(3);
    let cancelled = fork(&db, "default", "copy").unwrap();
    db.engine().step(Task::Work).unwrap();
    db.engine().step(Task::Work).unwrap();
    assert!(!rows(&db, NamespaceId(NEXT)).is_empty());
    db.write(Cancel { job: cancelled }).unwrap();
    let failed = fork(&db, "default", "copy").unwrap();
    db.engine().step(Task::Work).unwrap();
    db.write(Create { name: "copy".into(), description: String::new() }).unwrap();
    let failure = finish(&db, failed).failure.unwrap();
    assert_eq!(failure.name, "namespace_exists");
    db.run(Task::Sweep);
    for number in [NEXT, NEXT + 1] {
        assert_eq!(rows(&db, NamespaceId(number)), Rows::new());
    }
    let left = rows(&db, NamespaceId::SYSTEM);
    assert!(left.keys().all(|key| !matches!(table(key), Some(Table::Fork | Table::Garbage))));
    assert!(db.world.list_all().iter().all(|path| !path.starts_with(format!("/db/blobs/{NEXT}"))));
}

#[test]
fn a_source_that_is_deleted_meanwhile_is_swept_when_the_fork_is_done() {
    let mut db = of_every_table(4);
    let first = fork(&db, "default", "source").unwrap();
    finish(&db, first);
    let before = expected(&db, NamespaceId(NEXT), NEXT + 1);
    let job = fork(&db, "source", "copy").unwrap();
    db.engine().step(Task::Work).unwrap();
    db.write(Delete { name: "source".into() }).unwrap();
    db.run(Task::Sweep);
    db.reopen().unwrap();
    db.run(Task::Sweep);
    assert_eq!(forked(finish(&db, job)).number, NEXT + 1);
    assert_eq!(found(&db, NEXT + 1), before);
    db.run(Task::Sweep);
    assert_eq!(rows(&db, NamespaceId(NEXT)), Rows::new());
    let copy = db.engine().snapshot(number_of(&db, "copy")).unwrap();
    let get = state::Get { owner: "ann".into(), key: "plan".into() };
    assert_eq!(db.engine().read(&copy, get).unwrap().value, json!({"step": 2}));
}

/// Everything of the default namespace is kept as it was from now on.
fn keep_everything(db: &TestDb) {
    for noun in HistoryNoun::ALL {
        db.write(retention::Set { history_us: Some(None), ..retention::Set::new(noun) }).unwrap();
    }
}

fn fork_at(db: &TestDb, to: &str, at: Lsn) -> Result<u64> {
    db.engine().begin_fork(&Fork { at: Some(at.into()), ..Fork::new("default", to) })
}

#[test]
fn a_fork_of_an_earlier_point_has_every_row_as_it_was() {
    let mut db = TestDb::new(21);
    keep_everything(&db);
    crate::modules::database::flips::fill_again(&db);
    let (at, number) = (db.engine().lsn(), NEXT);
    let before = expected(&db, db.namespace, number);
    let told: std::collections::BTreeSet<_> = before.keys().filter_map(|key| table(key)).collect();
    assert!(told.len() > 20, "{told:?}");
    change_everything(&db);
    db.reopen().unwrap();
    db.world.advance_us(3 * 3_600_000_000);
    for task in [Task::Sweep, Task::Collect, Task::Trim] {
        db.run(task);
    }
    let after = expected(&db, db.namespace, number);
    let changed = before.keys().filter(|key| before.get(*key) != after.get(*key)).count();
    assert!(changed * 2 > before.len(), "{changed} of {}", before.len());
    let job = fork_at(&db, "copy", at).unwrap();
    for round in 0.. {
        if round % 3 == 0 {
            db.reopen().unwrap();
        }
        change_everything(&db);
        db.world.advance_us(3_600_000_000);
        db.run(Task::Sweep);
        db.run(Task::Collect);
        db.engine().step(Task::Work).unwrap();
        if entry(&db, job).ended.is_some() {
            break;
        }
    }
    let done = forked(entry(&db, job));
    assert_eq!((done.number, done.lsn), (number, at));
    let found = found(&db, number);
    let differ: Vec<_> =
        found.keys().chain(before.keys()).filter(|k| found.get(*k) != before.get(*k)).collect();
    assert!(differ.is_empty(), "{differ:?}");
    let report = db.engine().verify(&mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let snapshot = db.engine().snapshot(number_of(&db, "copy")).unwrap();
    let query = record::Search { vector: Some(vec![1.0, -0.5]), ..record::Search::new("docs") };
    assert_eq!(db.engine().read(&snapshot, query).unwrap().hits.len(), 1);
}

/// Deletes or changes what `of_every_table` made.
fn change_everything(db: &TestDb) {
    db.write(state::Put::new("ann", "plan", json!({"step": 3}))).unwrap();
    drop(db.write(session::Delete { session: "s".into() }));
    drop(db.write(collection::Delete { collection: "docs".into() }));
    drop(db.write(checkpoint::thread::Delete { thread: "t".into() }));
    drop(db.write(tool_call::Delete { owner: "ann".into(), key: "k".into() }));
    let path = vec!["users".to_owned(), "ann".to_owned()];
    drop(db.write(item::Delete { path, key: "prefs".into(), expected_version: None }));
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    for stored in db.engine().read(&snapshot, blob::List::default()).unwrap().items {
        db.write(blob::Delete { blob: stored.blob }).unwrap();
    }
}

#[test]
fn a_fork_of_an_earlier_point_is_made_only_of_what_every_history_has() {
    let db = TestDb::new(22);
    db.write(put(1, 1)).unwrap();
    let at = db.engine().lsn();
    let error = fork_at(&db, "copy", at).unwrap_err();
    assert_eq!(error.code(), Code::NoHistory);
    assert!(error.to_string().contains("namespace"), "{error}");
    keep_everything(&db);
    assert_eq!(fork_at(&db, "copy", at).unwrap_err().code(), Code::HistoryTrimmed);
    assert_eq!(fork_at(&db, "copy", Lsn(1_000)).unwrap_err().code(), Code::PointAhead);
    let at = db.engine().lsn();
    db.write(put(1, 2)).unwrap();
    let job = fork_at(&db, "copy", at).unwrap();
    let none = retention::Set { history_us: Some(Some(0)), ..retention::Set::new(HistoryNoun::State) };
    db.write(none).unwrap();
    let failed = finish(&db, job);
    assert_eq!(failed.state, State::Failed);
    assert_eq!(failed.failure.unwrap().code, Code::NoHistory.number());
    db.run(Task::Sweep);
    assert_eq!(found(&db, 2), Rows::new());
}

#[test]
fn histories_are_not_trimmed_beyond_a_fork_under_way() {
    let db = TestDb::new(23);
    for noun in HistoryNoun::ALL {
        let history_us = Some(Some(3_600_000_000));
        db.write(retention::Set { history_us, ..retention::Set::new(noun) }).unwrap();
    }
    db.write(put(1, 1)).unwrap();
    let (at, before) = (db.engine().lsn(), expected(&db, db.namespace, 2));
    db.write(put(1, 2)).unwrap();
    let job = fork_at(&db, "copy", at).unwrap();
    db.write(Pause { job }).unwrap();
    db.world.advance_us(24 * 3_600_000_000);
    db.write(put(2, 1)).unwrap();
    db.run(Task::Trim);
    db.write(Resume { job }).unwrap();
    assert_eq!(forked(finish(&db, job)).lsn, at);
    assert_eq!(found(&db, 2), before);
    db.world.advance_us(3_600_000_000);
    db.write(put(2, 2)).unwrap();
    db.run(Task::Trim);
    assert_eq!(fork_at(&db, "again", at).unwrap_err().code(), Code::HistoryTrimmed);
}

#[test]
fn the_file_of_a_deleted_blob_stays_as_long_as_history_has_it() {
    let db = TestDb::new(24);
    let history_us = Some(Some(24 * 3_600_000_000));
    db.write(retention::Set { history_us, ..retention::Set::new(HistoryNoun::Namespace) }).unwrap();
    let (put, options) = (blob::Put::default(), WriteOptions::default());
    let stored = db.engine().put_blob(db.namespace, &mut &b"bytes"[..], put, options).unwrap();
    let (at, blob) = (db.engine().lsn(), stored.response.blob);
    db.write(blob::Delete { blob: blob.clone() }).unwrap();
    db.world.advance_us(20 * 3_600_000_000);
    db.run(Task::Collect);
    finish(&db, fork_at(&db, "copy", at).unwrap());
    let snapshot = db.engine().snapshot(number_of(&db, "copy")).unwrap();
    assert_eq!(db.engine().open_blob(&snapshot, &blob).unwrap().read_all().unwrap(), b"bytes");
    let file = db.engine().dir().join(format!("blobs/1/{}/{blob}", &blob[..2]));
    assert!(db.world.env().files.exists(&file).unwrap());
    for _ in 0..3 {
        db.world.advance_us(20 * 3_600_000_000);
        db.write(put_state()).unwrap();
        db.run(Task::Trim);
        db.run(Task::Collect);
    }
    assert!(!db.world.env().files.exists(&file).unwrap());
}

fn put_state() -> state::Put {
    put(9, 9)
}

#[test]
fn a_paused_fork_misses_nothing() {
    let db = of_every_table(5);
    let before = expected(&db, db.namespace, NEXT);
    let job = fork(&db, "default", "copy").unwrap();
    db.write(Pause { job }).unwrap();
    db.world.advance_us(3_600_000_000);
    db.run(Task::Work);
    db.run(Task::Sweep);
    db.run(Task::Collect);
    assert_ne!(expected(&db, db.namespace, NEXT), before, "what expired was swept");
    db.write(Resume { job }).unwrap();
    assert_eq!(forked(finish(&db, job)).rows, before.len() as u64 + 1);
    assert_eq!(found(&db, NEXT), before);
}

#[test]
fn blobs_are_shared_and_outlive_the_source_s() {
    let db = TestDb::new(6);
    let store = |bytes: &[u8]| {
        let (put, options) = (blob::Put::default(), WriteOptions::default());
        db.engine().put_blob(db.namespace, &mut &bytes[..], put, options).unwrap().response.blob
    };
    let (kept, deleted) = (store(b"kept"), store(b"deleted meanwhile"));
    let job = fork(&db, "default", "copy").unwrap();
    db.write(blob::Delete { blob: deleted.clone() }).unwrap();
    db.world.advance_us(2 * 3_600_000_000);
    db.run(Task::Collect);
    let report = db.engine().verify(&mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    finish(&db, job);
    db.write(blob::Delete { blob: kept.clone() }).unwrap();
    db.world.advance_us(2 * 3_600_000_000);
    db.run(Task::Collect);
    let snapshot = db.engine().snapshot(number_of(&db, "copy")).unwrap();
    for (address, bytes) in [(kept, &b"kept"[..]), (deleted, b"deleted meanwhile")] {
        assert_eq!(db.engine().open_blob(&snapshot, &address).unwrap().read_all().unwrap(), bytes);
        let source = db.engine().snapshot(db.namespace).unwrap();
        assert_eq!(db.engine().open_blob(&source, &address).err().unwrap().code(), Code::BlobNotFound);
    }
}

#[test]
fn histories_and_feeds_of_a_fork_begin_when_it_is_done() {
    let db = of_every_table(7);
    let job = fork(&db, "default", "copy").unwrap();
    finish(&db, job);
    let (done, copy) = (db.engine().lsn(), number_of(&db, "copy"));
    let as_of = |at: Lsn| {
        let past = db.engine().snapshot_as_of(copy, at)?;
        let get = state::Get { owner: "ann".into(), key: "plan".into() };
        db.engine().read(&past, get).map(|found| found.value)
    };
    assert_eq!(as_of(Lsn(done.0 - 1)).unwrap_err().code(), Code::HistoryTrimmed);
    let plan = as_of(done).unwrap();
    let write = |value| {
        let put = state::Put::new("ann", "plan", json!(value));
        db.engine().write(copy, put, WriteOptions::default()).unwrap().wait().unwrap()
    };
    write("changed");
    assert_eq!(as_of(done).unwrap(), plan);
    let refused = db.engine().watch(copy, &Watch::from_lsn(done)).err().unwrap();
    assert_eq!(
        (refused.code(), refused.value("earliest")),
        (Code::LogTrimmed, Some(&*done.next().to_string()))
    );
    db.run(Task::Sync);
    let mut feed = db.engine().watch(copy, &Watch::default()).unwrap();
    assert_eq!(feed.try_next().unwrap().unwrap().lsn, done.next());
    assert!(feed.try_next().unwrap().is_none());
    // The source's feed passes over what was put aside.
    let mut feed = db.engine().watch(db.namespace, &Watch::default()).unwrap();
    while feed.try_next().unwrap().is_some() {}
}

#[test]
fn a_batch_that_would_put_aside_too_much_is_refused() {
    let db = TestDb::new(8);
    for n in 0..68 {
        db.write(state::Put::new("ann", format!("{n}"), json!("x".repeat(1_000_000)))).unwrap();
    }
    let job = fork(&db, "default", "copy").unwrap();
    let delete_all = || {
        let mut batch = Batch::new();
        for n in 0..68 {
            let delete = state::Delete { owner: "ann".into(), key: format!("{n}"), expected_version: None };
            batch.push(db.engine(), delete).unwrap();
        }
        db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait()
    };
    assert_eq!(delete_all().err().unwrap().code(), Code::ForkBehind);
    assert_eq!(db.rows(Table::State), 68);
    finish(&db, job);
    delete_all().unwrap();
    assert_eq!(db.rows(Table::State), 0);
}
