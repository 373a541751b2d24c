//! An import that was stopped goes on exactly once.

use agentdb_types::{Code, limits};
use serde_json::{Value, json};

use super::content::random_db;
use super::{Existing, Imported, begin, by_hand, export, import, import_with, nouns};
use crate::modules::session;
use crate::modules::state;
use crate::modules::testing::TestDb;
use crate::{Table, Task};

fn source() -> Vec<u8> {
    let db = random_db(11, 300);
    let append = |text: String| session::message::Append {
        owner: Some("ann".into()),
        ..session::message::Append::new("long", "user", text)
    };
    for n in 0..1_800 {
        db.write(append(format!("message {n}"))).unwrap();
    }
    export(&db, "default")
}

fn state(key: &str) -> Value {
    let time = "2026-01-31T12:00:00Z";
    json!({"noun": "state", "owner": "ann", "key": key, "value": 1, "created": time, "updated": time})
}

#[test]
fn stopped_at_any_batch_it_goes_on_without_gap_or_repeat() {
    let whole = source();
    let mut counts = None;
    let mut steps = 1;
    loop {
        let mut db = TestDb::new(5);
        db.world.advance_us(400_000_000);
        let mut job = begin(&db, "copy", Existing::Refuse, &whole).unwrap();
        let mut done = false;
        for _ in 0..steps {
            done = job.step().unwrap().is_some();
            if done {
                break;
            }
        }
        drop(job);
        if done {
            assert!(steps > 5, "several batches");
            break;
        }
        db.reopen().unwrap();
        let imported = import(&db, "copy", &whole).unwrap_or_else(|err| panic!("behind {steps}: {err:?}"));
        assert!(imported.resumed_behind.is_some());
        assert_eq!(*counts.get_or_insert_with(|| imported.counts.clone()), imported.counts, "behind {steps}");
        let again = nouns(&export(&db, "copy"));
        let gone = |line: &&String| {
            !line.contains("\"expires\"") && !line.contains("ttl_us") && !line.contains("keep_us")
        };
        let mine = nouns(&whole);
        if again != mine {
            // What expires has done so meanwhile, with what belongs to it.
            let lost = mine.iter().filter(gone).filter(|line| !again.contains(line)).count();
            let expired: u64 = imported.counts.values().map(|c| c.expired + c.skipped).sum();
            assert!(lost as u64 <= expired, "behind {steps}: {lost} of {expired}");
        }
        db.namespace = db.engine().namespace("copy").unwrap();
        assert_eq!(db.rows(Table::Import), 1, "it is remembered that it is done");
        steps += 1;
    }
}

#[test]
fn another_content_behind_the_same_first_line_is_refused() {
    let whole = source();
    let db = TestDb::new(5);
    let mut job = begin(&db, "copy", Existing::Refuse, &whole).unwrap();
    while job.progress().lines < 300 {
        assert!(job.step().unwrap().is_none());
    }
    drop(job);
    let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
    for lines in [&whole[..first], &[&whole[..first], &whole[..]].concat()] {
        assert_eq!(import(&db, "copy", lines).unwrap_err().code(), Code::ImportChanged);
    }
    import(&db, "copy", &whole).unwrap();
}

#[test]
fn one_that_is_done_and_begun_again_answers_what_it_answered() {
    for whole in [source(), by_hand(&[state("a")]), by_hand(&[])] {
        let mut db = TestDb::new(5);
        let first = import(&db, "copy", &whole).unwrap();
        assert_eq!(first.resumed_behind, None);
        db.namespace = db.engine().namespace("copy").unwrap();
        let before = db.engine().digest(db.namespace).unwrap();
        for _ in 0..2 {
            db.reopen().unwrap();
            let again = import(&db, "copy", &whole).unwrap();
            assert_eq!(again, Imported { resumed_behind: Some(first.lines), ..first.clone() });
            assert_eq!(db.engine().digest(db.namespace).unwrap(), before, "nothing is written");
        }
        db.world.advance_us(limits::IMPORT_KEPT_US.unsigned_abs() + 1);
        db.run(Task::Sweep);
        assert_eq!(db.rows(Table::Import), 0);
    }
}

#[test]
fn what_was_deleted_since_is_imported_again_and_what_is_there_is_not_passed_over_in_silence() {
    let keys: Vec<String> = (0..5_000).map(|n| format!("k{n:04}")).collect();
    let lines: Vec<Value> = keys.iter().map(|key| state(key)).collect();
    let (few, many) = (by_hand(&lines[..3]), by_hand(&lines));
    let delete = |db: &TestDb, key: &str| {
        db.write(state::Delete { owner: "ann".into(), key: key.into(), expected_version: None }).unwrap();
    };
    // All of it is gone.
    let db = TestDb::new(5);
    let first = import(&db, "default", &few).unwrap();
    keys[..3].iter().for_each(|key| delete(&db, key));
    let again = import(&db, "default", &few).unwrap();
    assert_eq!((&again.counts, again.resumed_behind), (&first.counts, None));
    assert!(again.lsn > first.lsn);
    // Some of it is, in the first batch or in a later one.
    for (lines, key) in [(&few, &keys[0]), (&few, &keys[2]), (&many, &keys[0]), (&many, &keys[4_999])] {
        let db = TestDb::new(5);
        let first = import(&db, "default", lines).unwrap();
        delete(&db, key);
        let err = import(&db, "default", lines).unwrap_err();
        assert_eq!(err.code(), Code::ImportExists, "{err}");
        assert_eq!(err.value("completed_lsn"), Some(&*first.lsn.to_string()), "{err}");
        let skipped = import_with(&db, "default", Existing::Skip, lines).unwrap();
        assert_eq!(skipped.counts["state"].put, 1);
        assert_eq!(import(&db, "default", lines).unwrap().counts, skipped.counts);
    }
}

#[test]
fn other_lines_behind_the_first_line_of_one_that_is_done_are_imported_or_refused() {
    let db = TestDb::new(5);
    import(&db, "default", &by_hand(&[state("a"), state("b")])).unwrap();
    for (lines, expected) in [
        (by_hand(&[state("c")]), None),
        (by_hand(&[state("a")]), Some(Code::ImportExists)),
        (by_hand(&[state("d"), state("a")]), Some(Code::ImportExists)),
    ] {
        assert_eq!(import(&db, "default", &lines).err().map(|err| err.code()), expected);
    }
    assert!(db.read(state::Get::new("ann", "d")).is_err());
}

#[test]
fn two_at_the_same_time_import_nothing_twice() {
    let whole = source();
    let db = TestDb::new(5);
    let mut first = begin(&db, "copy", Existing::Refuse, &whole).unwrap();
    let mut second = begin(&db, "copy", Existing::Refuse, &whole).unwrap();
    first.step().unwrap();
    assert_eq!(second.step().unwrap_err().code(), Code::ImportMoved);
    while first.step().unwrap().is_none() {}
    assert_eq!(nouns(&export(&db, "copy")).len(), nouns(&whole).len());
}

#[test]
fn the_mark_of_an_import_that_nobody_goes_on_with_goes() {
    let whole = source();
    let mut db = TestDb::new(5);
    let mut job = begin(&db, "copy", Existing::Refuse, &whole).unwrap();
    job.step().unwrap();
    db.namespace = db.engine().namespace("copy").unwrap();
    let days = |db: &TestDb, part: i64| {
        db.world.advance_us((limits::IMPORT_KEPT_US / 10 * part).unsigned_abs());
        db.run(Task::Sweep);
    };
    days(&db, 8);
    job.step().unwrap();
    drop(job);
    days(&db, 8);
    assert_eq!(db.rows(Table::Import), 1, "it was gone on with");
    days(&db, 8);
    assert_eq!(db.rows(Table::Import), 0);
}

#[test]
fn what_was_put_in_the_middle_stays() {
    let whole = source();
    let mut db = TestDb::new(5);
    let mut job = begin(&db, "copy", Existing::Skip, &whole).unwrap();
    job.step().unwrap();
    db.namespace = db.engine().namespace("copy").unwrap();
    db.write(session::Create { session: Some("long".into()), ..session::Create::new("bob") }).ok();
    let deleted = session::Delete { session: "long".into() };
    while job.progress().lines < 900 {
        job.step().unwrap();
    }
    db.write(deleted).unwrap();
    db.write(state::Put::new("zed", "mine", json!(1))).unwrap();
    while job.step().unwrap().is_none() {}
    assert_eq!(db.read(state::Get::new("zed", "mine")).unwrap().value, json!(1));
    assert!(db.read(session::Get::new("long")).is_err(), "its messages do not come back without it");
    let again = import_with(&db, "copy", Existing::Skip, &whole).unwrap();
    assert_eq!(again.resumed_behind, None);
}
