//! Tool calls, one rule a test.

mod list;
mod model;

use agentdb_types::{Code, Error, Lsn, Result, limits};
use serde_json::{Value, json};

use super::{
    Answer, Claim, Complete, Completed, Delete, Entry, Fail, Failed, Get, List, Renew, Resolution, Resolve,
    Resolved, State,
};
use crate::modules::session::message::Append;
use crate::modules::testing::TestDb;
use crate::modules::{session, state};
use crate::{Batch, Committed, Table, Task, WriteOptions};

const SECOND_US: u64 = 1_000_000;
/// Longer than the leases here.
const LONG_US: u64 = 61 * SECOND_US;

fn claim() -> Claim {
    Claim::new("ann", "run-1/pay", "pay", json!({"to": "bob", "cents": 100}))
}

fn claimed(db: &TestDb, claim: Claim) -> Lsn {
    match db.write(claim).unwrap().response {
        Answer::Claimed { epoch, .. } => epoch,
        other => panic!("it is answered {other:?}"),
    }
}

fn complete(db: &TestDb, epoch: Lsn, result: Value) -> Result<Completed> {
    let complete = Complete { owner: "ann".into(), key: "run-1/pay".into(), epoch, result };
    db.write(complete).map(|committed| committed.response)
}

fn fail(db: &TestDb, epoch: Lsn, error: &str, retry: bool) -> Result<Failed> {
    let fail = Fail { owner: "ann".into(), key: "run-1/pay".into(), epoch, error: json!(error), retry };
    db.write(fail).map(|committed| committed.response)
}

fn renew(db: &TestDb, epoch: Lsn, progress: Option<Value>) -> Result<super::Renewed> {
    let (owner, key) = ("ann".into(), "run-1/pay".into());
    db.write(Renew { owner, key, epoch, lease_us: None, progress }).map(|committed| committed.response)
}

fn resolve(db: &TestDb, epoch: Lsn, resolution: Resolution, told: Option<Value>) -> Result<Resolved> {
    let (owner, key) = ("ann".into(), "run-1/pay".into());
    let (result, error) = match resolution {
        Resolution::Completed => (told, None),
        _ => (None, told),
    };
    db.write(Resolve { owner, key, epoch, resolution, result, error }).map(|committed| committed.response)
}

fn get(db: &TestDb) -> Result<Entry> {
    db.read(Get::new("ann", "run-1/pay"))
}

/// Why something is refused; nothing has changed then.
fn refused<T: std::fmt::Debug>(db: &TestDb, act: impl FnOnce() -> Result<T>) -> Error {
    let digest = || (db.engine().lsn(), db.engine().digest(db.namespace).unwrap().1);
    let before = digest();
    let err = act().expect_err("it must be refused");
    assert_eq!(digest(), before, "{err}: something changed");
    err
}

#[test]
fn a_call_is_claimed_completed_and_replayed() {
    let db = TestDb::new(1);
    let Committed { lsn, response } = db.write(claim()).unwrap();
    let Answer::Claimed { epoch, attempt: 1, lease_end, progress: None } = response else {
        panic!("{response:?}")
    };
    assert_eq!(epoch, lsn, "the epoch is the LSN of the claim");
    let entry = get(&db).unwrap();
    assert_eq!((entry.state, entry.lease_end, entry.version), (State::Claimed, Some(lease_end), lsn));
    let result = json!({"receipt": [1, null, 2.5e-3]});
    let done = complete(&db, epoch, result.clone()).unwrap();
    let again = db.write(claim()).unwrap();
    assert_eq!(again.response, Answer::Completed { result: result.clone(), finished: done.finished });
    assert_eq!(again.lsn, Lsn(lsn.0 + 1), "a replay writes nothing");
    let entry = get(&db).unwrap();
    assert_eq!((entry.state, entry.result, entry.lease_end), (State::Completed, Some(result), None));
}

#[test]
fn what_runs_elsewhere_is_refused_with_when_to_come_back() {
    let db = TestDb::new(2);
    let epoch = claimed(&db, Claim { worker: Some("w1".into()), ..claim() });
    // Not even the same worker has it twice: it may have started again.
    let err = refused(&db, || db.write(Claim { worker: Some("w1".into()), ..claim() }));
    assert_eq!(err.code(), Code::ToolCallRunning);
    let entry = get(&db).unwrap();
    assert_eq!(err.value("until"), entry.lease_end.map(|t| t.to_string()).as_deref());
    assert_eq!((err.value("worker"), err.value("epoch")), (Some("w1"), Some(&*epoch.to_string())));
    let err = refused(&db, || resolve(&db, epoch, Resolution::Retry, None));
    assert_eq!(err.code(), Code::ToolCallRunning);
    let err = refused(&db, || db.write(Delete { owner: "ann".into(), key: "run-1/pay".into() }));
    assert_eq!(err.code(), Code::ToolCallRunning);
}

#[test]
fn an_expired_claim_is_unknown_by_log_time_and_stays_so_after_a_crash() {
    let mut db = TestDb::new(3);
    let epoch = claimed(&db, claim());
    let lease_end = get(&db).unwrap().lease_end.unwrap();
    let now = db.world.env().clock.wall();
    db.world.advance_us((lease_end.micros() - now.micros()).unsigned_abs() - 1);
    assert_eq!(get(&db).unwrap().state, State::Claimed);
    db.world.advance_us(1);
    assert_eq!(get(&db).unwrap().state, State::Unknown);
    for _ in 0..2 {
        let err = refused(&db, || db.write(claim()));
        assert_eq!(err.code(), Code::ToolCallUnknown);
        assert_eq!(err.value("since"), Some(&*lease_end.to_string()));
        assert_eq!(err.value("epoch"), Some(&*epoch.to_string()));
        let err = refused(&db, || db.write(Delete { owner: "ann".into(), key: "run-1/pay".into() }));
        assert_eq!(err.code(), Code::ToolCallUnknown);
        db.world.process_kill();
        db.reopen().unwrap();
    }
}

#[test]
fn an_outcome_after_the_lease_is_taken_while_nobody_else_has_the_call() {
    let db = TestDb::new(4);
    let epoch = claimed(&db, claim());
    db.world.advance_us(LONG_US);
    complete(&db, epoch, json!("late")).unwrap();
    assert!(matches!(db.write(claim()).unwrap().response, Answer::Completed { .. }));
}

#[test]
fn an_idempotent_call_is_claimed_again_and_the_older_epoch_is_fenced() {
    let db = TestDb::new(5);
    let idempotent = || Claim { idempotent: true, ..claim() };
    let first = claimed(&db, idempotent());
    renew(&db, first, Some(json!({"page": 3}))).unwrap();
    db.world.advance_us(LONG_US);
    let answer = db.write(idempotent()).unwrap().response;
    let Answer::Claimed { epoch: second, attempt: 2, progress, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(progress, Some(json!({"page": 3})), "it goes on where the first one was");
    assert!(second > first);
    for err in [
        refused(&db, || complete(&db, first, json!(1))),
        refused(&db, || fail(&db, first, "no", true)),
        refused(&db, || renew(&db, first, None)),
        refused(&db, || resolve(&db, first, Resolution::Retry, None)),
    ] {
        assert_eq!(err.code(), Code::ToolCallFenced);
        assert_eq!(err.value("actual"), Some(&*second.to_string()));
    }
    complete(&db, second, json!(2)).unwrap();
    assert_eq!(refused(&db, || complete(&db, first, json!(2))).code(), Code::ToolCallFenced);
}

#[test]
fn what_the_unknown_claim_declared_counts_not_what_the_next_one_does() {
    let db = TestDb::new(6);
    claimed(&db, claim());
    db.world.advance_us(LONG_US);
    let err = refused(&db, || db.write(Claim { idempotent: true, ..claim() }));
    assert_eq!(err.code(), Code::ToolCallUnknown);
}

#[test]
fn the_same_outcome_twice_is_answered_as_the_first_time_and_another_is_refused() {
    let db = TestDb::new(7);
    let epoch = claimed(&db, Claim { keep_us: Some(3_600_000_000), ..claim() });
    let first = complete(&db, epoch, json!({"a": 1, "b": 0.1})).unwrap();
    assert!(first.expires.is_some());
    db.world.advance_us(SECOND_US);
    let lsn = db.engine().lsn();
    assert_eq!(complete(&db, epoch, json!({"b": 0.1, "a": 1})).unwrap(), first);
    assert_eq!(db.engine().lsn(), lsn);
    let err = refused(&db, || complete(&db, epoch, json!(2)));
    assert_eq!((err.code(), err.value("state")), (Code::ToolCallFinished, Some("completed")));
    assert_eq!(refused(&db, || fail(&db, epoch, "no", false)).code(), Code::ToolCallFinished);
    assert_eq!(refused(&db, || renew(&db, epoch, None)).code(), Code::ToolCallFinished);
    let err = refused(&db, || resolve(&db, epoch, Resolution::Failed, None));
    assert_eq!(err.code(), Code::ToolCallFinished);
}

#[test]
fn a_failure_is_final_or_may_be_tried_again_while_attempts_are_left() {
    let db = TestDb::new(8);
    let limited = || Claim { max_attempts: Some(2), ..claim() };
    let first = claimed(&db, limited());
    let failed = fail(&db, first, "busy", true).unwrap();
    assert_eq!(failed.state, State::Retryable);
    assert_eq!(fail(&db, first, "busy", true).unwrap(), failed, "told twice");
    assert_eq!(refused(&db, || fail(&db, first, "busy", false)).code(), Code::ToolCallFinished);
    assert_eq!(refused(&db, || complete(&db, first, json!(1))).code(), Code::ToolCallFinished);
    assert_eq!(get(&db).unwrap().error, Some(json!("busy")));
    let second = claimed(&db, limited());
    assert_eq!(get(&db).unwrap().attempt, 2);
    let failed = fail(&db, second, "busy again", true).unwrap();
    assert_eq!(failed.state, State::Failed, "the last attempt's failure is final");
    assert_eq!(fail(&db, second, "busy again", true).unwrap(), failed);
    let answer = db.write(limited()).unwrap().response;
    assert_eq!(answer, Answer::Failed { error: json!("busy again"), finished: failed.finished });
}

#[test]
fn attempts_that_are_used_up_need_a_resolution_even_if_the_tool_is_idempotent() {
    let db = TestDb::new(9);
    let limited = || Claim { idempotent: true, max_attempts: Some(2), ..claim() };
    for _ in 0..2 {
        claimed(&db, limited());
        db.world.advance_us(LONG_US);
    }
    let err = refused(&db, || db.write(limited()));
    assert_eq!((err.code(), err.value("attempt")), (Code::ToolCallUnknown, Some("2")));
    let epoch = get(&db).unwrap().epoch;
    resolve(&db, epoch, Resolution::Retry, None).unwrap();
    let answer = db.write(limited()).unwrap().response;
    assert!(matches!(answer, Answer::Claimed { attempt: 1, .. }), "attempts count anew: {answer:?}");
}

#[test]
fn an_unknown_call_is_resolved_and_what_comes_late_is_fenced() {
    for (resolution, told) in [
        (Resolution::Completed, Some(json!("found in the bank's list"))),
        (Resolution::Failed, None),
        (Resolution::Retry, None),
    ] {
        let db = TestDb::new(10);
        let epoch = claimed(&db, claim());
        db.world.advance_us(LONG_US);
        let resolved = resolve(&db, epoch, resolution, told.clone()).unwrap();
        assert!(resolved.epoch > epoch);
        assert_eq!(refused(&db, || complete(&db, epoch, json!(1))).code(), Code::ToolCallFenced);
        assert_eq!(refused(&db, || resolve(&db, epoch, resolution, None)).code(), Code::ToolCallFenced);
        let entry = get(&db).unwrap();
        assert!(entry.resolved && entry.state == resolved.state);
        match (resolution, db.write(claim()).unwrap().response) {
            (Resolution::Completed, Answer::Completed { result, .. }) => assert_eq!(Some(result), told),
            (Resolution::Failed, Answer::Failed { error, .. }) => assert_eq!(error, Value::Null),
            (Resolution::Retry, Answer::Claimed { epoch: next, attempt: 1, .. }) => {
                assert!(next > resolved.epoch);
                assert!(!get(&db).unwrap().resolved);
            }
            (_, answer) => panic!("{resolution:?} led to {answer:?}"),
        }
    }
}

#[test]
fn what_a_resolution_has_no_use_for_is_refused() {
    let db = TestDb::new(11);
    let epoch = claimed(&db, claim());
    db.world.advance_us(LONG_US);
    let all = |resolution, result, error| Resolve {
        owner: "ann".into(),
        key: "run-1/pay".into(),
        epoch,
        resolution,
        result,
        error,
    };
    for request in [
        all(Resolution::Retry, Some(json!(1)), None),
        all(Resolution::Retry, None, Some(json!(1))),
        all(Resolution::Completed, None, Some(json!(1))),
        all(Resolution::Failed, Some(Value::Null), None),
    ] {
        assert_eq!(refused(&db, || db.write(request)).code(), Code::InvalidValue);
    }
}

#[test]
fn a_renewed_claim_lives_on_even_one_that_had_ended() {
    let db = TestDb::new(12);
    let epoch = claimed(&db, claim());
    for _ in 0..3 {
        db.world.advance_us(40 * SECOND_US);
        renew(&db, epoch, None).unwrap();
        assert_eq!(refused(&db, || db.write(claim())).code(), Code::ToolCallRunning);
    }
    db.world.advance_us(LONG_US);
    assert_eq!(get(&db).unwrap().state, State::Unknown);
    let renewed = renew(&db, epoch, Some(Value::Null)).unwrap();
    let entry = get(&db).unwrap();
    assert_eq!((entry.state, entry.lease_end), (State::Claimed, Some(renewed.lease_end)));
    assert_eq!(entry.progress, Some(Value::Null), "null was told, which is not nothing");
    assert_eq!(db.rows(Table::ToolCallByState), 1);
}

#[test]
fn a_key_that_comes_back_for_something_else_is_refused() {
    let db = TestDb::new(13);
    let epoch = claimed(&db, claim());
    complete(&db, epoch, json!(1)).unwrap();
    for (other, field) in [
        (Claim { tool: "refund".into(), ..claim() }, "tool"),
        (Claim { arguments: json!({"to": "bob", "cents": 101}), ..claim() }, "arguments"),
    ] {
        let err = refused(&db, || db.write(other));
        assert_eq!((err.code(), err.value("field")), (Code::ToolCallMismatch, Some(field)));
    }
    // The order of fields is none of theirs.
    let same: Value = serde_json::from_str(r#"{"cents": 100, "to": "bob"}"#).unwrap();
    assert!(matches!(
        db.write(Claim { arguments: same, ..claim() }).unwrap().response,
        Answer::Completed { .. }
    ));
}

#[test]
fn a_finished_call_is_kept_for_as_long_as_was_asked_and_an_unfinished_one_for_ever() {
    let db = TestDb::new(14);
    let short = || Claim { keep_us: Some(10_000_000), ..claim() };
    let epoch = claimed(&db, short());
    db.world.advance_us(LONG_US);
    while db.engine().step(Task::Sweep).unwrap() {}
    assert_eq!(get(&db).unwrap().state, State::Unknown);
    complete(&db, epoch, json!(1)).unwrap();
    db.world.advance_us(10 * SECOND_US);
    assert_eq!(get(&db).unwrap_err().code(), Code::ToolCallNotFound);
    // Claimed afresh before it is swept, for another tool: nothing of the first one stays.
    let other = claimed(&db, Claim { tool: "refund".into(), ..short() });
    assert!(other > epoch, "an epoch is never given twice");
    assert_eq!(refused(&db, || complete(&db, epoch, json!(1))).code(), Code::ToolCallFenced);
    assert_eq!((db.rows(Table::ToolCallByTool), db.rows(Table::ToolCallByState)), (1, 1));
    complete(&db, other, json!(2)).unwrap();
    db.world.advance_us(11 * SECOND_US);
    while db.engine().step(Task::Sweep).unwrap() {}
    for table in [Table::ToolCall, Table::ToolCallByTool, Table::ToolCallByState, Table::Expiry] {
        assert_eq!(db.rows(table), 0, "{table:?}");
    }
}

#[test]
fn a_deleted_call_starts_anew_and_its_epoch_does_not_come_back() {
    let db = TestDb::new(15);
    let delete =
        || db.write(Delete { owner: "ann".into(), key: "run-1/pay".into() }).unwrap().response.deleted;
    assert!(!delete());
    let first = claimed(&db, claim());
    fail(&db, first, "no", false).unwrap();
    assert!(delete() && !delete());
    for table in [Table::ToolCall, Table::ToolCallByTool, Table::ToolCallByState] {
        assert_eq!(db.rows(table), 0, "{table:?}");
    }
    assert_eq!(refused(&db, || complete(&db, first, json!(1))).code(), Code::ToolCallNotFound);
    let second = claimed(&db, claim());
    assert!(second > first);
    assert_eq!(refused(&db, || complete(&db, first, json!(1))).code(), Code::ToolCallFenced);
}

/// What an agent writes when a tool has answered.
fn told(db: &TestDb, epoch: Lsn) -> Result<Committed<Vec<Value>>> {
    let mut batch = Batch::new();
    let engine = db.engine();
    batch.push(engine, state::Put::new("ann", "balance", json!(900)))?;
    batch.push(engine, Append { owner: Some("ann".into()), ..Append::new("s", "tool", "paid") })?;
    let (owner, key) = ("ann".into(), "run-1/pay".into());
    batch.push(engine, Complete { owner, key, epoch, result: json!("paid") })?;
    engine.write_batch(db.namespace, batch, WriteOptions::default())?.wait()
}

#[test]
fn an_outcome_commits_with_whatever_follows_from_it_or_not_at_all() {
    let db = TestDb::new(16);
    let first = claimed(&db, Claim { idempotent: true, ..claim() });
    db.world.advance_us(LONG_US);
    let second = claimed(&db, claim());
    // The first worker comes late: nothing that it took for done is.
    let err = refused(&db, || told(&db, first));
    assert_eq!((err.code(), err.value("batch_position")), (Code::ToolCallFenced, Some("2")));
    assert!(db.read(state::Get::new("ann", "balance")).is_err());
    assert!(db.read(session::Get::new("s")).is_err());
    let answer = told(&db, second).unwrap();
    assert_eq!(get(&db).unwrap().version, answer.lsn);
    assert_eq!(db.read(state::Get::new("ann", "balance")).unwrap().version, answer.lsn);
    assert_eq!(db.read(session::Get::new("s")).unwrap().messages, 1);
}

#[test]
fn a_claim_has_no_idempotency_key() {
    let db = TestDb::new(17);
    let options = || WriteOptions { idempotency_key: Some("once".into()), ..WriteOptions::default() };
    let err = refused(&db, || db.engine().write(db.namespace, claim(), options())?.wait());
    assert_eq!((err.code(), err.value("operation")), (Code::NotRepeatable, Some("tool_call.claim")));
    let mut batch = Batch::new();
    batch.push(db.engine(), state::Put::new("ann", "k", json!(1))).unwrap();
    batch.push(db.engine(), claim()).unwrap();
    let err = refused(&db, || db.engine().write_batch(db.namespace, batch, options())?.wait());
    assert_eq!(err.code(), Code::NotRepeatable);
    // Everything else may: the outcome that was told is the outcome.
    let epoch = claimed(&db, claim());
    let complete =
        Complete { owner: "ann".into(), key: "run-1/pay".into(), epoch, result: json!("once and for all") };
    for _ in 0..2 {
        db.engine().write(db.namespace, complete.clone(), options()).unwrap().wait().unwrap();
    }
}

#[test]
fn what_is_malformed_or_too_large_is_refused() {
    let db = TestDb::new(18);
    let large = || json!("x".repeat(limits::VALUE_BYTES));
    let long = "k".repeat(limits::ID_BYTES + 1);
    for (request, code) in [
        (Claim { owner: String::new(), ..claim() }, Code::IdEmpty),
        (Claim { key: long.clone(), ..claim() }, Code::IdTooLong),
        (Claim { tool: String::new(), ..claim() }, Code::IdEmpty),
        (Claim { worker: Some(long), ..claim() }, Code::IdTooLong),
        (Claim { arguments: large(), ..claim() }, Code::ValueTooLarge),
        (Claim { lease_us: Some(0), ..claim() }, Code::TtlOutOfRange),
        (Claim { lease_us: Some(i64::MAX), ..claim() }, Code::TtlOutOfRange),
        (Claim { keep_us: Some(-1), ..claim() }, Code::TtlOutOfRange),
        (Claim { max_attempts: Some(0), ..claim() }, Code::InvalidValue),
    ] {
        assert_eq!(refused(&db, || db.write(request)).code(), code);
    }
    assert_eq!(refused(&db, || complete(&db, Lsn(1), json!(1))).code(), Code::ToolCallNotFound);
    let epoch = claimed(&db, claim());
    assert_eq!(refused(&db, || complete(&db, epoch, large())).code(), Code::ValueTooLarge);
    assert_eq!(refused(&db, || renew(&db, epoch, Some(large()))).code(), Code::ValueTooLarge);
    // As large as it may be, with as large arguments.
    let most = || json!("x".repeat(limits::VALUE_BYTES - 2));
    complete(&db, epoch, most()).unwrap();
    assert_eq!(get(&db).unwrap().result, Some(most()));
}

#[test]
fn a_call_counts_as_one_row_of_a_batch_whatever_is_told_of_it() {
    let db = TestDb::new(19);
    let count = limits::BATCH_MUTATIONS;
    let commit = |request: &dyn Fn(&mut Batch, usize)| {
        let mut batch = Batch::new();
        (0..count).for_each(|number| request(&mut batch, number));
        db.engine().write_batch(db.namespace, batch, WriteOptions::default()).unwrap().wait().unwrap().lsn
    };
    let epoch = commit(&|batch, number| {
        batch.push(db.engine(), Claim::new("ann", format!("{number}"), "pay", json!(number))).unwrap();
    });
    commit(&|batch, number| {
        let (owner, key, result) = ("ann".into(), format!("{number}"), json!(number));
        batch.push(db.engine(), Complete { owner, key, epoch, result }).unwrap();
    });
    assert_eq!(db.rows(Table::ToolCallByState), count);
}

#[test]
fn what_was_erased_with_its_subject_is_in_no_list_and_may_be_claimed_afresh() {
    let mut db = TestDb::new(20);
    let options = WriteOptions { subject: Some("bob".into()), ..WriteOptions::default() };
    db.engine().write(db.namespace, claim(), options).unwrap().wait().unwrap();
    assert!(db.engine().core.keyring.destroy("bob").unwrap());
    db.world.process_kill();
    db.reopen().unwrap();
    let listed = |db: &TestDb, list: List| db.read(list).unwrap().items.len();
    let claimed_ones = || List { state: Some(State::Claimed), ..List::default() };
    let of_tool = || List { tool: Some("pay".into()), ..List::default() };
    assert_eq!(get(&db).unwrap_err().code(), Code::ToolCallNotFound);
    assert_eq!((listed(&db, claimed_ones()), listed(&db, of_tool())), (0, 0));
    db.world.advance_us(1);
    claimed(&db, claim());
    assert_eq!((listed(&db, claimed_ones()), listed(&db, of_tool())), (1, 1));
}
