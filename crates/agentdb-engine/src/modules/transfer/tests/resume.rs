//! An import that was stopped goes on exactly once.

use agentdb_types::{Code, limits};
use serde_json::json;

use super::content::random_db;
use super::{Existing, begin, export, import, import_with, nouns};
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
        assert_eq!(db.rows(Table::Import), 0);
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
    // It is done, and would begin anew.
    assert_eq!(import(&db, "copy", &whole).unwrap_err().code(), Code::ImportExists);
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
