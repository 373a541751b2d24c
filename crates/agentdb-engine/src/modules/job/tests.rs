//! The engine's jobs on a simulated machine, and a caller's.

use agentdb_types::{Code, Error, Result, limits};
use serde_json::{Value, json};

use super::journal::Control;
use super::{Cancel, Compact, Compacted, Entry, Get, Journal, Kind, List, Pause, Resume, State};
use crate::modules::database::Phase;
use crate::modules::retention;
use crate::modules::state::{Delete, Put};
use crate::modules::testing::TestDb;
use crate::{NamespaceId, Table, Task};

fn state_of(db: &TestDb, job: u64) -> State {
    db.read(Get { job }).unwrap().state
}

/// Drives the engine's own work until a job has ended.
fn finish(db: &TestDb, job: u64) -> Entry {
    for _ in 0..10_000 {
        for task in [Task::Work, Task::Sequence, Task::Sync, Task::Drain, Task::Merge] {
            db.engine().step(task).unwrap();
        }
        let entry = db.read(Get { job }).unwrap();
        if entry.ended.is_some() {
            return entry;
        }
    }
    panic!("{job} does not end: {:?}", db.read(Get { job }));
}

fn fill(db: &TestDb, round: u64) {
    for n in 0..50 {
        db.write(Put::new("agent", format!("key-{n}"), json!([round, n]))).unwrap();
    }
    db.drain();
}

#[test]
fn a_compaction_leaves_each_row_once_and_nothing_of_what_was_deleted() {
    let db = TestDb::new(1);
    for round in 0..9 {
        fill(&db, round);
    }
    for n in 0..49 {
        db.write(Delete { owner: "agent".into(), key: format!("key-{n}"), expected_version: None }).unwrap();
    }
    let none = retention::Set { history_us: Some(Some(0)), ..retention::Set::new(crate::HistoryNoun::State) };
    db.write(none).unwrap();
    db.run(Task::Trim);
    let digest = db.engine().digest(db.namespace).unwrap().1;
    let job = db.engine().begin_compaction(&Compact { trim_log: true }).unwrap();
    let entry = finish(&db, job);
    assert_eq!((entry.state, entry.kind, entry.done), (State::Done, Kind::Compact, entry.total));
    let done: Compacted = serde_json::from_value(entry.result.unwrap()).unwrap();
    assert_eq!(done.runs, 1);
    assert!(done.rows_bytes < done.rows_bytes_before / 2, "{done:?}");
    assert!(done.log_bytes <= done.log_bytes_before);
    assert_eq!(db.engine().digest(db.namespace).unwrap().1, digest);
    assert_eq!(db.rows(Table::State), 1);
}

#[test]
fn what_is_written_meanwhile_does_not_keep_a_compaction_from_ending() {
    let db = TestDb::new(2);
    fill(&db, 0);
    let job = db.engine().begin_compaction(&Compact::default()).unwrap();
    for round in 1..200 {
        fill(&db, round);
        db.engine().step(Task::Work).unwrap();
        db.engine().step(Task::Merge).unwrap();
        if state_of(&db, job) == State::Done {
            return;
        }
    }
    panic!("{:?}", state_of(&db, job));
}

#[test]
fn the_engines_jobs_rest_go_on_and_outlive_a_handle() {
    let mut db = TestDb::new(3);
    fill(&db, 0);
    let job = db.engine().begin_compaction(&Compact::default()).unwrap();
    assert_eq!(state_of(&db, job), State::Waiting);
    db.engine().step(Task::Work).unwrap();
    assert_eq!(state_of(&db, job), State::Running);
    assert_eq!(db.write(Pause { job }).unwrap().response.state, State::Paused);
    let before = db.engine().lsn();
    assert_eq!(db.write(Pause { job }).unwrap().response.state, State::Paused);
    assert_eq!(db.engine().lsn(), before, "nothing is written");
    for _ in 0..100 {
        db.engine().step(Task::Work).unwrap();
        db.engine().step(Task::Merge).unwrap();
    }
    assert_eq!(state_of(&db, job), State::Paused);
    db.reopen().unwrap();
    for _ in 0..100 {
        db.engine().step(Task::Work).unwrap();
    }
    assert_eq!(state_of(&db, job), State::Paused);
    db.write(Resume { job }).unwrap();
    db.engine().step(Task::Work).unwrap();
    db.reopen().unwrap();
    assert_eq!(finish(&db, job).state, State::Done);
    for refused in
        [db.write(Pause { job }).err(), db.write(Resume { job }).err(), db.write(Cancel { job }).err()]
    {
        assert_eq!(refused.unwrap().code(), Code::JobEnded);
    }
}

#[test]
fn jobs_are_done_in_their_order_and_a_cancelled_one_never() {
    let mut db = TestDb::new(4);
    fill(&db, 0);
    let begin = || db.engine().begin_compaction(&Compact::default()).unwrap();
    let jobs = [begin(), begin(), begin()];
    db.engine().step(Task::Work).unwrap();
    let cancel = |job: u64| db.write(Cancel { job }).unwrap().response.state;
    assert_eq!((cancel(jobs[0]), cancel(jobs[1])), (State::Cancelled, State::Cancelled));
    let before = db.engine().lsn();
    assert_eq!(cancel(jobs[1]), State::Cancelled);
    assert_eq!(db.engine().lsn(), before, "nothing is written");
    finish(&db, jobs[2]);
    let listed = |list: List| -> Vec<u64> {
        db.read(list).unwrap().items.into_iter().map(|entry| entry.job).collect()
    };
    assert_eq!(listed(List::default()), jobs);
    assert_eq!(listed(List { state: Some(State::Cancelled), ..List::default() }), jobs[..2]);
    assert_eq!(listed(List { kind: Some(Kind::Backup), ..List::default() }), [0; 0]);
    let waited: Result<Value> = db.engine().wait_for_job(jobs[0], &mut |_| {});
    assert_eq!(waited.unwrap_err().code(), Code::JobCancelled);
    // Nobody asks for them for ever.
    db.world.advance_us(limits::JOB_KEPT_US.unsigned_abs());
    assert_eq!(listed(List::default()), [0; 0]);
    db.namespace = NamespaceId::SYSTEM;
    assert_eq!(db.rows(Table::Job), 3);
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::Job), 0);
}

/// Drives a job to its end, and writes meanwhile.
fn end_while_writing(db: &TestDb, job: u64) -> Entry {
    for n in 0..100 {
        for task in [Task::Work, Task::Drain, Task::Merge] {
            db.engine().step(task).unwrap();
        }
        db.write(Put::new("agent", "meanwhile", json!(n))).unwrap();
        let entry = db.read(Get { job }).unwrap();
        if entry.ended.is_some() {
            return entry;
        }
    }
    panic!("{job} does not end: {:?}", db.read(Get { job }));
}

#[test]
fn a_compaction_that_finds_no_room_fails_and_stops_nobody() {
    let mut db = TestDb::new(8);
    for round in 0..3 {
        fill(&db, round);
    }
    let job = db.engine().begin_compaction(&Compact::default()).unwrap();
    db.engine().step(Task::Work).unwrap();
    db.drain();
    let used: u64 = db.world.list_all().iter().map(|p| db.world.read_file(p).unwrap().len() as u64).sum();
    db.world.faults().set_capacity(Some(used + 100));
    let entry = end_while_writing(&db, job);
    assert_eq!((entry.state, &*entry.failure.unwrap().name), (State::Failed, "disk_full"));
    let runs =
        |db: &TestDb| db.world.list_all().iter().filter(|p| p.extension() == Some("run".as_ref())).count();
    assert_eq!(runs(&db) as u64, db.engine().stats().unwrap().base_runs, "nothing is left of it");
    // Once there is room, it is done when it is asked for, at once.
    db.world.faults().set_capacity(None);
    let job = db.engine().begin_compaction(&Compact::default()).unwrap();
    assert_eq!(end_while_writing(&db, job).state, State::Done);
    db.reopen().unwrap();
    assert_eq!(db.rows(Table::State), 51);
    assert!(db.engine().verify(&mut |_| {}).unwrap().problems.is_empty());
}

#[test]
fn a_compaction_that_meets_damage_fails_and_stops_nobody() {
    let mut db = TestDb::new(9);
    let long =
        |n: u64| (0..50).map(|part| blake3::hash(&[n as u8, part]).to_hex().to_string()).collect::<String>();
    for n in 10..50 {
        db.write(Put::new("agent", format!("key-{n}"), json!(long(n)))).unwrap();
    }
    db.drain();
    let runs = db.world.list_all().into_iter().filter(|p| p.extension() == Some("run".as_ref()));
    let run = runs.min().unwrap();
    // In the middle of many blocks.
    let middle = db.world.read_file(&run).unwrap().len() / 2;
    db.world.flip_bit(&run, middle as u64, 3).unwrap();
    // Nothing is cached any more.
    db.reopen().unwrap();
    let job = db.engine().begin_compaction(&Compact::default()).unwrap();
    let entry = end_while_writing(&db, job);
    assert_eq!((entry.state, &*entry.failure.unwrap().name), (State::Failed, "rows_corrupt"));
    // The threads that merge do not read the same again and again.
    assert!(!db.engine().step(Task::Merge).unwrap());
    db.world.advance_us(120_000_000);
    assert_eq!(db.write(Put::new("agent", "later", json!(1))).unwrap().response.version, db.engine().lsn());
}

#[test]
fn a_callers_job_is_seen_paused_and_cancelled() {
    let db = TestDb::new(5);
    let mut journal = Journal::begin(&db.engine().core, Kind::Backup, None, json!({})).unwrap();
    let job = db.read(List::default()).unwrap().items.remove(0).job;
    assert_eq!(state_of(&db, job), State::Running);
    assert_eq!(journal.report(1, 10).unwrap(), Control::GoOn);
    db.write(Pause { job }).unwrap();
    assert_eq!(journal.report(1, 10).unwrap(), Control::Rest);
    db.write(Resume { job }).unwrap();
    db.world.advance_us(2_000_000);
    assert_eq!(journal.report(2, 10).unwrap(), Control::GoOn);
    assert_eq!(db.read(Get { job }).unwrap().done, 2);
    drop(journal);
    assert_eq!(state_of(&db, job), State::Interrupted);

    let mut journal = Journal::begin(&db.engine().core, Kind::Backup, None, json!({})).unwrap();
    let job = db.read(List { reverse: true, ..List::default() }).unwrap().items.remove(0).job;
    db.write(Cancel { job }).unwrap();
    assert_eq!(journal.report(1, 10).unwrap_err().code(), Code::JobCancelled);
    drop(journal);
    assert_eq!(state_of(&db, job), State::Cancelled);

    let journal = Journal::begin(&db.engine().core, Kind::Backup, None, json!({})).unwrap();
    let job = db.read(List { reverse: true, ..List::default() }).unwrap().items.remove(0).job;
    journal.end(Err(&Error::new(Code::Closed))).unwrap();
    let waited: Result<Value> = db.engine().wait_for_job(job, &mut |_| {});
    assert_eq!(waited.unwrap_err().code(), Code::JobFailed);
    assert_eq!(db.read(Get { job }).unwrap().failure.unwrap().name, "closed");
}

#[test]
fn a_callers_job_that_has_ended_tells_what_was_done() {
    let db = TestDb::new(8);
    for (outcome, told) in [(Ok(json!(1)), (7, 7)), (Err(Error::new(Code::Closed)), (7, 0))] {
        let mut journal = Journal::begin(&db.engine().core, Kind::Export, None, json!({})).unwrap();
        assert_eq!(journal.report(3, 0).unwrap(), Control::GoOn);
        journal.has_done(7);
        journal.end(outcome.as_ref().cloned()).unwrap();
        let entry = db.read(List { reverse: true, ..List::default() }).unwrap().items.remove(0);
        assert_eq!((entry.done, entry.total), told);
    }
}

#[test]
fn a_verification_is_listed_and_ends_when_it_is_cancelled() {
    let db = TestDb::new(9);
    for n in 0..3_000 {
        db.write(Put::new("agent", format!("key-{n}"), json!(n))).unwrap();
    }
    db.drain();
    let newest = || db.read(List { reverse: true, ..List::default() }).unwrap().items.remove(0);
    let report = db.engine().verify_as_job(&mut |_| assert_eq!(newest().state, State::Running)).unwrap();
    let (entry, rows) = (newest(), report.rows);
    assert_eq!((entry.kind, entry.state), (Kind::Verify, State::Done));
    assert_eq!((&entry.result.unwrap()["rows"], rows > 3_000), (&json!(rows), true));
    // In whichever phase it is.
    for phase in [Phase::Log, Phase::Rows] {
        let mut last = None;
        let cancelled = db.engine().verify_as_job(&mut |now| {
            assert!(last.is_none(), "{now:?} after {last:?}");
            if now.phase == phase {
                db.write(Cancel { job: newest().job }).unwrap();
                last = Some(now);
            }
        });
        assert_eq!(cancelled.unwrap_err().code(), Code::JobCancelled);
        assert_eq!(newest().state, State::Cancelled);
    }
}

#[test]
fn a_lease_that_ends_interrupts_a_callers_job() {
    let mut db = TestDb::new(6);
    let journal = Journal::begin(&db.engine().core, Kind::Backup, None, json!({})).unwrap();
    let job = db.read(List::default()).unwrap().items.remove(0).job;
    std::mem::forget(journal);
    db.world.advance_us(limits::JOB_LEASE_US.unsigned_abs() + 1);
    assert_eq!(state_of(&db, job), State::Interrupted);
    // Nobody is heard of: it goes as one that has ended does.
    db.world.advance_us(limits::JOB_KEPT_US.unsigned_abs());
    assert_eq!(db.read(Get { job }).unwrap_err().code(), Code::JobNotFound);
    db.namespace = NamespaceId::SYSTEM;
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::Job), 0);
}

#[test]
fn a_callers_job_of_whom_is_heard_stays() {
    let db = TestDb::new(7);
    let mut journal = Journal::begin(&db.engine().core, Kind::Backup, None, json!({})).unwrap();
    let job = db.read(List::default()).unwrap().items.remove(0).job;
    for _ in 0..3 {
        db.world.advance_us(limits::JOB_KEPT_US.unsigned_abs() - 1);
        journal.report(1, 2).unwrap();
        db.run(Task::Sweep);
        assert_eq!(state_of(&db, job), State::Running);
    }
    drop(journal);
    db.world.advance_us(limits::JOB_KEPT_US.unsigned_abs());
    db.run(Task::Sweep);
    assert_eq!(db.read(List::default()).unwrap().items, []);
}
