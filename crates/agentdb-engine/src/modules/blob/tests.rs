//! Blobs: content, ranges, damage, the collector, and crashes at every write.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentdb_env::sim::Random;
use agentdb_types::{Code, Result, limits};
use serde_json::{Map, json};

use super::row::BLOCK;
use super::{Delete, List, Put, Stat, Stored};
use crate::modules::testing::{DIR, TestDb};
use crate::{Ack, Committed, NamespaceId, Table, Task, WriteOptions};

const HOUR: u64 = limits::BLOB_KEPT_US as u64;

fn put_with(db: &TestDb, bytes: &[u8], put: Put, ack: Ack) -> Result<Committed<Stored>> {
    let options = WriteOptions { ack, ..WriteOptions::default() };
    db.engine().put_blob(db.namespace, &mut &bytes[..], put, options)
}

fn put(db: &TestDb, bytes: &[u8]) -> Result<String> {
    put_with(db, bytes, Put::default(), Ack::Durable).map(|c| c.response.blob)
}

fn get(db: &TestDb, address: &str) -> Result<Vec<u8>> {
    db.engine().open_blob(&db.engine().snapshot(db.namespace)?, address)?.read_all()
}

fn delete(db: &TestDb, address: &str) -> bool {
    db.write(Delete { blob: address.into() }).unwrap().response.deleted
}

fn address(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn files(db: &TestDb) -> Vec<PathBuf> {
    let mut files = db.world.list_all();
    files.retain(|path| path.starts_with(format!("{DIR}/blobs")));
    files
}

fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Random::new(len as u64).fill(&mut bytes);
    bytes
}

#[test]
fn bytes_of_any_length_come_back_whole_and_in_ranges() {
    let mut db = TestDb::new(1);
    for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77] {
        let bytes = pattern(len);
        let stored = put_with(&db, &bytes, Put::default(), Ack::Durable).unwrap().response;
        assert_eq!(
            (stored.blob.as_str(), stored.bytes, stored.created),
            (&address(&bytes)[..], len as u64, true)
        );
        if len == BLOCK {
            db.drain();
            db.reopen().unwrap();
        }
        assert_eq!(get(&db, &stored.blob).unwrap(), bytes);
        let mut reader =
            db.engine().open_blob(&db.engine().snapshot(db.namespace).unwrap(), &stored.blob).unwrap();
        for (from, count) in
            [(0, 5), (BLOCK - 2, 4), (len.saturating_sub(3), 10), (len + 1, 1), (1, 2 * BLOCK)]
        {
            let mut out = vec![0; count];
            let read = reader.read_at(from as u64, &mut out).unwrap();
            let expected = bytes.get(from.min(len)..len.min(from + count)).unwrap();
            assert_eq!(&out[..read], expected, "{from} {count} of {len}");
        }
    }
    let list = db.read(List { limit: Some(4), ..List::default() }).unwrap();
    assert_eq!((list.items.len(), list.cursor.is_some()), (4, true));
}

#[test]
fn the_same_bytes_are_one_file_and_what_is_told_of_them_is_kept_or_updated() {
    let db = TestDb::new(2);
    let metadata = Some(Map::from_iter([("a".to_owned(), json!(1))]));
    let first = Put { name: Some("a.txt".into()), metadata, ..Put::default() };
    let first = put_with(&db, b"same", first, Ack::Durable).unwrap();
    let version = |blob: &str| db.read(Stat { blob: blob.into() }).unwrap().version;
    let again = put_with(&db, b"same", Put::default(), Ack::Durable).unwrap();
    assert!(!again.response.created);
    assert_eq!(version(&again.response.blob), first.lsn, "nothing changed");
    let typed = Put { media_type: Some("text/plain".into()), ..Put::default() };
    let typed = put_with(&db, b"same", typed, Ack::Durable).unwrap();
    let entry = db.read(Stat { blob: typed.response.blob.clone() }).unwrap();
    assert_eq!((entry.name.as_deref(), entry.media_type.as_deref()), (Some("a.txt"), Some("text/plain")));
    assert_eq!((entry.version, entry.metadata["a"].clone()), (typed.lsn, json!(1)));
    assert_eq!(files(&db).len(), 1);
}

#[test]
fn what_cannot_be_is_refused_and_leaves_no_file() {
    let db = TestDb::new(3);
    let wrong = Put { blob: Some(address(b"other")), ..Put::default() };
    assert_eq!(put_with(&db, b"bytes", wrong, Ack::Durable).unwrap_err().code(), Code::BlobMismatch);
    let upper = Put { blob: Some(address(b"bytes").to_uppercase()), ..Put::default() };
    assert_eq!(put_with(&db, b"bytes", upper, Ack::Durable).unwrap_err().code(), Code::InvalidValue);
    let unnamed = Put { name: Some(String::new()), ..Put::default() };
    assert_eq!(put_with(&db, b"bytes", unnamed, Ack::Durable).unwrap_err().code(), Code::IdEmpty);
    for wrong in ["", "../../FORMAT", &address(b"x")[1..], &address(b"x").to_uppercase()] {
        assert_eq!(get(&db, wrong).unwrap_err().code(), Code::InvalidValue, "{wrong}");
        assert_eq!(db.read(Stat { blob: wrong.into() }).unwrap_err().code(), Code::InvalidValue);
        assert_eq!(db.write(Delete { blob: wrong.into() }).unwrap_err().code(), Code::InvalidValue);
    }
    assert_eq!(get(&db, &address(b"bytes")).unwrap_err().code(), Code::BlobNotFound);
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the caller went away"))
        }
    }
    let broken = db.engine().put_blob(db.namespace, &mut Broken, Put::default(), WriteOptions::default());
    assert_eq!(broken.unwrap_err().code(), Code::Io);
    let gone = db.engine().put_blob(
        NamespaceId(77),
        &mut &b"x"[..],
        Put::default(),
        WriteOptions { idempotency_key: Some(String::new()), ..WriteOptions::default() },
    );
    assert_eq!(gone.unwrap_err().code(), Code::IdEmpty);
    assert_eq!(files(&db), [] as [PathBuf; 0]);
}

#[test]
fn a_deleted_blob_keeps_its_file_for_an_hour_and_no_longer() {
    let db = TestDb::new(4);
    let blob = put(&db, b"bytes").unwrap();
    let before = db.engine().snapshot(db.namespace).unwrap();
    assert!(delete(&db, &blob) && !delete(&db, &blob));
    assert_eq!(get(&db, &blob).unwrap_err().code(), Code::BlobNotFound);
    db.world.advance_us(HOUR - 1);
    db.run(Task::Collect);
    assert_eq!(db.engine().open_blob(&before, &blob).unwrap().read_all().unwrap(), b"bytes");
    let mut open = db.engine().open_blob(&before, &blob).unwrap();
    db.world.advance_us(1);
    db.run(Task::Collect);
    assert!(files(&db).is_empty());
    assert_eq!((db.rows(Table::BlobGarbage), db.rows(Table::BlobDue)), (0, 0));
    assert_eq!(db.engine().open_blob(&before, &blob).err().unwrap().code(), Code::BlobNotFound);
    let mut out = [0; 5];
    assert_eq!((open.read_at(0, &mut out).unwrap(), &out), (5, b"bytes"));
}

#[test]
fn a_blob_that_is_put_again_in_time_stays_and_a_later_deletion_has_its_own_hour() {
    let db = TestDb::new(5);
    let blob = put(&db, b"bytes").unwrap();
    delete(&db, &blob);
    db.world.advance_us(HOUR / 2);
    assert_eq!(put(&db, b"bytes").unwrap(), blob);
    db.world.advance_us(HOUR / 4);
    delete(&db, &blob);
    db.world.advance_us(HOUR / 2);
    db.run(Task::Collect);
    assert_eq!(files(&db).len(), 1, "the first deletion's hour is over, the second's is not");
    put(&db, b"bytes").unwrap();
    db.world.advance_us(3 * HOUR);
    db.run(Task::Collect);
    assert_eq!(get(&db, &blob).unwrap(), b"bytes");
    assert_eq!((db.rows(Table::BlobGarbage), db.rows(Table::BlobDue)), (0, 0));
}

#[test]
fn an_upload_under_way_is_left_alone_by_the_collector() {
    let db = TestDb::new(6);
    let blob = put(&db, b"bytes").unwrap();
    delete(&db, &blob);
    db.world.advance_us(2 * HOUR);
    let announced = db.engine().core.blobs.announce(db.namespace, &blob);
    db.run(Task::Collect);
    assert_eq!(files(&db).len(), 1);
    drop(announced);
    db.run(Task::Collect);
    assert!(files(&db).is_empty());
}

#[test]
fn a_deletion_that_is_not_durable_removes_no_file() {
    let mut db = TestDb::new(7);
    let blob = put(&db, b"bytes").unwrap();
    let options = WriteOptions { ack: Ack::Written, ..WriteOptions::default() };
    db.engine().write(db.namespace, Delete { blob: blob.clone() }, options).unwrap().wait().unwrap();
    db.world.advance_us(2 * HOUR);
    // The collector syncs the log itself; if that fails, it must not touch the file.
    db.world.faults().fail_sync(1);
    let _ = db.engine().step(Task::Collect);
    assert_eq!(files(&db).len(), 1);
    db.world.crash(&mut Random::new(1));
    db.reopen().unwrap();
    match db.read(Stat { blob: blob.clone() }) {
        Ok(_) => assert_eq!(get(&db, &blob).unwrap(), b"bytes"),
        Err(err) => assert_eq!(err.code(), Code::BlobNotFound),
    }
}

#[test]
fn namespaces_have_files_of_their_own_and_take_them_along() {
    let mut db = TestDb::new(8);
    let create = crate::modules::namespace::Create { name: "other".into(), description: String::new() };
    let other = NamespaceId(db.write(create).unwrap().response.number);
    let blob = put(&db, b"bytes").unwrap();
    db.namespace = other;
    assert_eq!(get(&db, &blob).unwrap_err().code(), Code::BlobNotFound);
    assert_eq!(put(&db, b"bytes").unwrap(), blob);
    assert_eq!(files(&db).len(), 2);
    db.namespace = NamespaceId::DEFAULT;
    delete(&db, &blob);
    db.world.advance_us(HOUR);
    db.run(Task::Collect);
    db.namespace = other;
    assert_eq!(get(&db, &blob).unwrap(), b"bytes");
    db.write(crate::modules::namespace::Delete { name: "other".into() }).unwrap();
    db.run(Task::Sweep);
    assert!(files(&db).is_empty());
}

#[test]
fn damage_is_an_error_in_every_read_and_an_upload_mends_it() {
    let db = TestDb::new(9);
    let bytes = pattern(2 * BLOCK + 10);
    let blob = put(&db, &bytes).unwrap();
    let path = files(&db).remove(0);
    db.world.flip_bit(&path, BLOCK as u64 + 3, 4).unwrap();
    assert_eq!(get(&db, &blob).unwrap_err().code(), Code::BlobCorrupt);
    let snapshot = db.engine().snapshot(db.namespace).unwrap();
    let mut reader = db.engine().open_blob(&snapshot, &blob).unwrap();
    let mut out = [0; 16];
    assert_eq!(reader.read_at(BLOCK as u64, &mut out).unwrap_err().code(), Code::BlobCorrupt);
    // A range that the damage is not in is what was stored.
    assert_eq!(reader.read_at(5, &mut out).unwrap(), 16);
    assert_eq!(out, bytes[5..21]);
    assert_eq!(put(&db, &bytes).unwrap(), blob);
    assert_eq!(get(&db, &blob).unwrap(), bytes);
    db.world.write_file(&path, &bytes[1..]).unwrap();
    assert_eq!(get(&db, &blob).unwrap_err().code(), Code::BlobCorrupt);
    db.world.env().files.remove(&path).unwrap();
    assert_eq!(get(&db, &blob).unwrap_err().code(), Code::BlobCorrupt);
    put(&db, &bytes).unwrap();
    assert_eq!(get(&db, &blob).unwrap(), bytes);
}

#[test]
fn what_a_crash_left_without_a_row_is_removed_after_the_next_opening() {
    let mut db = TestDb::new(10);
    let blob = put(&db, b"kept").unwrap();
    let orphan = address(b"orphan");
    let path = PathBuf::from(format!("{DIR}/blobs/1/{}/{orphan}", &orphan[..2]));
    db.world.write_file(&path, b"orphan").unwrap();
    db.world.write_file(&PathBuf::from(format!("{DIR}/blobs/new/0123")), b"half").unwrap();
    db.reopen().unwrap();
    assert_eq!(files(&db).len(), 2);
    db.run(Task::Collect);
    assert_eq!(files(&db).len(), 1);
    assert_eq!(get(&db, &blob).unwrap(), b"kept");
}

#[test]
fn uploads_beside_a_busy_collector_always_find_their_bytes() {
    const WANTED: usize = 20;
    let db = TestDb::new(11);
    let threads = agentdb_env::Env::real().threads;
    let (removed, finished) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let alive = Arc::new(());
    let mut joins = Vec::new();
    for thread in 0..3u8 {
        let (engine, world) = (db.engine().clone(), db.world.clone());
        let (removed, finished, alive) = (removed.clone(), finished.clone(), alive.clone());
        let body = move || {
            let mut round = 0u32;
            while round < 100 || (removed.load(Ordering::Acquire) < WANTED && round < 100_000) {
                // A blob comes again about when its file may go.
                let bytes = [thread, (round % 33) as u8];
                let (namespace, options) = (NamespaceId::DEFAULT, WriteOptions::default());
                let stored = engine.put_blob(namespace, &mut &bytes[..], Put::default(), options.clone());
                let blob = stored.unwrap().response.blob;
                let snapshot = engine.snapshot(namespace).unwrap();
                assert_eq!(engine.open_blob(&snapshot, &blob).unwrap().read_all().unwrap(), bytes);
                engine.write(namespace, Delete { blob }, options).unwrap().wait().unwrap();
                world.advance_us(HOUR / 100);
                round += 1;
            }
            finished.fetch_add(1, Ordering::Release);
            drop(alive);
        };
        joins.push(threads.spawn("uploader", Box::new(body)).unwrap());
    }
    let (engine, collected, uploading) = (db.engine().clone(), removed.clone(), alive.clone());
    let body = move || {
        // Beside this thread's and the test's own, those of the uploaders.
        while Arc::strong_count(&uploading) > 2 {
            let worked = engine.step(Task::Collect).unwrap();
            collected.fetch_add(usize::from(worked), Ordering::Release);
        }
        drop(uploading);
    };
    joins.push(threads.spawn("collector", Box::new(body)).unwrap());
    // No thread of the engine's own commits for those who wait, the collector included.
    while Arc::strong_count(&alive) > 1 {
        db.run(Task::Sequence);
    }
    joins.into_iter().for_each(agentdb_env::Join::join);
    assert_eq!(finished.load(Ordering::Acquire), 3);
    assert!(removed.load(Ordering::Acquire) >= WANTED);
    for _ in 0..3 {
        db.world.advance_us(HOUR / 2);
        db.run(Task::Collect);
    }
    assert!(files(&db).is_empty());
}

/// What a run has been told: bytes of each blob, and whether it is there for sure, gone for sure, or either.
type Told = BTreeMap<Vec<u8>, Option<bool>>;

fn random_step(db: &TestDb, random: &mut Random, told: &mut Told) -> Result<()> {
    let bytes = vec![random.below(3) as u8; 700];
    let durable = random.chance(2, 3);
    let ack = if durable { Ack::Durable } else { Ack::Written };
    match random.below(6) {
        0..=2 => {
            told.insert(bytes.clone(), None);
            put_with(db, &bytes, Put::default(), ack)?;
            told.insert(bytes, durable.then_some(true));
        }
        3 => {
            told.insert(bytes.clone(), None);
            let options = WriteOptions { ack, ..WriteOptions::default() };
            db.engine().write(db.namespace, Delete { blob: address(&bytes) }, options)?.wait()?;
            told.insert(bytes, durable.then_some(false));
        }
        4 => {
            db.world.advance_us(HOUR / 2 + 1);
            while db.engine().step(Task::Collect)? {}
        }
        _ => {
            for task in [Task::Sync, Task::Freeze, Task::Drain] {
                db.engine().step(task)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_crash_at_any_write_loses_no_blob_that_has_a_row() {
    let mut interrupted = 0;
    for seed in 0..20 {
        for at in 0..80 {
            let mut db = TestDb::new(seed);
            let mut random = Random::new(seed * 1000 + at);
            let mut told = Told::new();
            // The same beginning for every crash point of a seed; then the machine stops in the middle.
            for _ in 0..random.below(6) {
                random_step(&db, &mut random, &mut told).unwrap();
            }
            db.world.faults().crash_after(at);
            while !db.world.is_off() {
                if random_step(&db, &mut random, &mut told).is_err() {
                    break;
                }
            }
            interrupted += u64::from(db.world.is_off());
            db.world.crash(&mut random);
            db.world.faults().clear();
            db.reopen().unwrap();
            check(&db, &told, &format!("seed {seed} crash at {at}"));
            db.run(Task::Collect);
            check(&db, &told, &format!("seed {seed} crash at {at}, collected"));
            db.world.advance_us(2 * HOUR);
            db.run(Task::Collect);
            check(&db, &told, &format!("seed {seed} crash at {at}, collected later"));
            assert_eq!(files(&db).len(), db.rows(Table::Blob), "no file is left without a row");
        }
    }
    assert!(interrupted > 1000, "{interrupted}");
}

fn check(db: &TestDb, told: &Told, when: &str) {
    for (bytes, there) in told {
        match get(db, &address(bytes)) {
            Ok(found) => assert!(found == *bytes && *there != Some(false), "{when}: {there:?}"),
            Err(err) => assert!(err.code() == Code::BlobNotFound && *there != Some(true), "{when}: {err}"),
        }
    }
}
