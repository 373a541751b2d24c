//! Info, digest, reading the log, and verification that names what is damaged.

use std::path::{Path, PathBuf};

use agentdb_env::sim::Random;
use agentdb_types::{Code, Lsn};
use serde_json::json;

use super::{Digest, Info, LogEntry, Phase, Report};
use crate::modules::blob::Put;
use crate::modules::session::{self, message::Append};
use crate::modules::state;
use crate::modules::testing::{DIR, TestDb, open};
use crate::read::{Page, Read};
use crate::rows::decoders::place;
use crate::{Batch, Engine, Key, NamespaceId, Row, Table, Task, WriteOptions};

fn verify(engine: &Engine) -> Report {
    engine.verify(&mut |_| {}).unwrap()
}

/// A small database of every kind of row, in the base of the rows.
fn filled(seed: u64) -> TestDb {
    let db = TestDb::new(seed);
    for n in 0..30 {
        db.write(state::Put::new("ann", format!("key {n}"), json!({"n": n, "text": "x".repeat(n)}))).unwrap();
        db.write(Append { owner: Some("ann".into()), ..Append::new("s", "user", format!("message {n}")) })
            .unwrap();
    }
    db.engine().put_blob(db.namespace, &mut &b"bytes"[..], Put::default(), WriteOptions::default()).unwrap();
    db.write(crate::modules::namespace::Create { name: "other".into(), description: String::new() }).unwrap();
    db.drain();
    db.write(state::Put::new("ann", "in memory", json!(1))).unwrap();
    db
}

fn read_log(db: &TestDb, from: Option<u64>) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    let keep = &mut |entry| {
        entries.push(entry);
        Ok(true)
    };
    db.engine().read_log(from.map(Lsn), keep).unwrap();
    entries
}

#[test]
fn info_and_digest_tell_what_is() {
    let db = filled(1);
    let info = db.read(Info {}).unwrap();
    let stats = db.engine().stats().unwrap();
    assert_eq!((info.lsn, info.format, info.namespaces), (Lsn(63), 1, 2));
    assert_eq!(
        (info.drained, info.mutations.put, info.mutations.add),
        (Lsn(62), stats.mutations[0], stats.mutations[2])
    );
    assert_eq!(info.id, db.engine().id());
    let digest = db.read(Digest {}).unwrap();
    let (lsn, expected) = db.engine().digest(db.namespace).unwrap();
    assert_eq!((digest.lsn, digest.digest), (lsn, expected.to_string()));
}

#[test]
fn the_log_reads_back_as_what_was_done() {
    let db = TestDb::new(2);
    db.write(state::Put::new("ann", "a", json!(1))).unwrap();
    let mut batch = Batch::new();
    batch
        .push(db.engine(), session::Create { session: Some("s".into()), ..session::Create::new("ann") })
        .unwrap();
    batch.push(db.engine(), Append::new("s", "user", "secret")).unwrap();
    let options = WriteOptions {
        principal: Some("alice".into()),
        subject: Some("ann".into()),
        ..WriteOptions::default()
    };
    db.engine().write_batch(db.namespace, batch, options).unwrap().wait().unwrap();
    let entries = read_log(&db, None);
    assert_eq!(entries.iter().map(|e| e.lsn.0).collect::<Vec<_>>(), [1, 2]);
    let entry = &entries[1];
    assert_eq!(entry.operation, "session.create,message.append");
    assert_eq!((entry.principal.as_deref(), entry.subject.as_deref()), (Some("alice"), Some("ann")));
    let told: Vec<_> =
        entry.mutations.iter().map(|m| (m.table.as_deref().unwrap(), &m.kind[..], m.sealed)).collect();
    assert!(told.contains(&("message", "put", true)), "{told:?}");
    assert!(told.contains(&("session_tally", "put", false)), "{told:?}");
    assert!(told.contains(&("message_by_id", "put", false)), "{told:?}");
    assert_eq!(entries[0].mutations.len(), 1);
    assert!(entries[0].mutations[0].key.contains("ann"));
    assert_eq!(read_log(&db, Some(2)), entries[1..]);
    assert_eq!(read_log(&db, Some(3)), []);
    // Whoever reads may write, and reads to the end that there was.
    let mut seen = 0;
    db.engine()
        .read_log(None, &mut |entry| {
            seen = entry.lsn.0;
            db.write(state::Increment { owner: "ann".into(), key: "n".into(), by: 1 })?;
            Ok(true)
        })
        .unwrap();
    assert_eq!((seen, db.engine().lsn()), (2, Lsn(4)));
}

#[test]
fn a_long_log_is_read_in_pieces_without_a_gap() {
    let db = TestDb::new(3);
    let text = "x".repeat(900_000);
    for n in 0..40 {
        db.write(state::Put::new("ann", format!("{n}"), json!(text))).unwrap();
        db.drain();
    }
    let lsns: Vec<_> = read_log(&db, Some(2)).iter().map(|e| e.lsn.0).collect();
    assert_eq!(lsns, (2..=40).collect::<Vec<_>>());
}

#[test]
fn rows_that_the_log_alone_holds_are_counted_too() {
    let db = TestDb::new(9);
    for key in ["a", "b", "c"] {
        db.write(state::Put::new("ann", key, json!(1))).unwrap();
    }
    db.write(state::Delete { owner: "ann".into(), key: "c".into(), expected_version: None }).unwrap();
    let before = verify(db.engine());
    let ours = |report: &Report| {
        let own = report.namespaces.iter().find(|n| n.number == 1).unwrap();
        (own.rows, own.rows_in_log)
    };
    let (rows, in_log) = ours(&before);
    assert!(rows == 0 && in_log >= 2 && before.rows == 0 && before.rows_in_log >= in_log, "{before:?}");
    db.drain();
    let after = verify(db.engine());
    assert_eq!((ours(&after), after.rows_in_log), ((in_log, 0), 0));
}

#[test]
fn a_whole_database_has_no_problems_and_its_rows_are_counted() {
    let mut db = filled(4);
    for _ in 0..2 {
        let mut phases = Vec::new();
        let report = db.engine().verify(&mut |p| phases.push(p.phase)).unwrap();
        assert_eq!(report.problems, []);
        assert_eq!((report.blobs, report.blob_bytes, report.lsn), (1, 5, Lsn(63)));
        let log = report.log.unwrap();
        assert_eq!((log.first_lsn, log.last_lsn, log.entries), (Lsn(1), Lsn(63), 63));
        assert!([Phase::Log, Phase::Rows, Phase::Blobs].iter().all(|p| phases.contains(p)));
        assert!(report.rows >= report.namespaces.iter().map(|n| n.rows).sum::<u64>());
        db.reopen().unwrap();
    }
    db.drain();
    let report = verify(db.engine());
    let own = report.namespaces.iter().find(|n| n.number == 1).unwrap();
    assert_eq!(own.digest, db.engine().digest(NamespaceId::DEFAULT).unwrap().1.to_string());
}

fn file(db: &TestDb, part: &str) -> PathBuf {
    db.world.list_all().into_iter().find(|p| p.to_string_lossy().contains(part)).unwrap()
}

fn find(bytes: &[u8], what: &[u8]) -> u64 {
    bytes.windows(what.len()).position(|w| w == what).unwrap() as u64
}

#[test]
fn verification_names_the_row_the_blob_and_the_segment_that_are_damaged() {
    let mut db = filled(5);
    let blob = file(&db, "/blobs/1/");
    let rows = file(&db, ".run");
    let name = blob.file_name().unwrap().to_string_lossy().into_owned();
    db.world.flip_bit(&blob, 2, 1).unwrap();
    let mut key = None;
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    let visit = &mut |at: Key, row: Row| {
        key = key.take().or(row.body.windows(10).any(|part| part == b"message 17").then_some(at));
        Ok(true)
    };
    snapshot.scan_prefix(&snapshot.key(Table::Message), Page::Forward, visit).unwrap();
    let place = place(&db.world.read_file(&rows).unwrap(), key.unwrap().as_bytes()).unwrap();
    db.world.flip_bit(&rows, place.rest.end as u64, 0).unwrap();
    db.reopen().unwrap();
    let problems = verify(db.engine()).problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].message.contains("table message key"), "{problems:?}");
    assert_eq!(
        (problems[0].code, problems[1].code),
        (Code::RowsCorrupt.number(), Code::BlobCorrupt.number())
    );
    assert_eq!(problems[1].values["blob"], name);
    let segment = file(&db, ".log");
    let at = find(&db.world.read_file(&segment).unwrap(), b"key 3");
    db.world.flip_bit(&segment, at, 0).unwrap();
    let problems = verify(db.engine()).problems;
    assert_eq!(problems.len(), 3);
    assert_eq!(problems[0].code, Code::LogCorrupt.number());
}

#[test]
fn a_flipped_byte_of_a_run_or_the_manifest_is_reported() {
    let mut db = filled(6);
    db.world.process_kill();
    let all: Vec<_> =
        db.world.list_all().into_iter().map(|p| (p.clone(), db.world.read_file(&p).unwrap())).collect();
    let mut random = Random::new(7);
    for (path, bytes) in all.iter().filter(|(path, _)| path.starts_with(format!("{DIR}/rows"))) {
        for round in 0..400 {
            let at = random.below(bytes.len() as u64);
            // The files as they are on the disk, with one bit flipped, in a world of its own each time.
            let world = agentdb_env::sim::World::new(round);
            all.iter().for_each(|(path, bytes)| world.write_file(path, bytes).unwrap());
            world.flip_bit(path, at, random.below(8) as u8).unwrap();
            let reported = open(&world).map_or(true, |engine| !verify(&engine).problems.is_empty());
            assert!(reported, "byte {at} of {}", path.display());
        }
    }
    db.reopen().unwrap();
    assert!(db.engine().dir() == Path::new(DIR) && db.engine().step(Task::Sweep).is_ok());
}
