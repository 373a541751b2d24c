//! Backups in a simulated world: crashes at every step, damage in every object, every LSN restored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_env::sim::{Random, World};
use agentdb_types::{Code, Error, Lsn, Result};
use serde_json::json;

use super::{Backup, Backups, DirectoryStore, Restore, Restored, StoreKey};
use crate::modules::database::flips::of_every_table;
use crate::modules::testing::{DIR, TestDb, open};
use crate::modules::{blob, state};
use crate::{Engine, NamespaceId, Options, Task, WriteOptions};

mod archive;
mod damaged;
mod leases;

const STORE: &str = "/backups";

fn backups(world: &World, key: Option<StoreKey>) -> Result<Backups> {
    let store = DirectoryStore::new(&world.env(), Path::new(STORE))?;
    Backups::open(&world.env(), Arc::new(store), key)
}

fn take(db: &TestDb) -> Backup {
    db.engine().backup(&backups(&db.world, None).unwrap(), false, &mut |_| {}).unwrap()
}

fn to(dir: &str) -> Restore {
    Restore { store: STORE.into(), dir: dir.into(), ..Restore::default() }
}

fn restore(world: &World, request: &Restore) -> Result<Restored> {
    backups(world, None)?.restore(request, &mut |_| {})
}

fn open_restored(world: &World, dir: &str) -> Result<Engine> {
    Engine::open(&world.env(), Path::new(dir), Options { background: false, ..Options::default() })
}

/// The digest of the default namespace.
fn digest(engine: &Engine) -> (Lsn, String) {
    let (lsn, digest) = engine.digest(NamespaceId::DEFAULT).unwrap();
    (lsn, digest.to_string())
}

fn put(db: &TestDb, n: u64) {
    db.write(state::Put::new("ann", format!("k{}", n % 7), json!({"n": n, "text": "x".repeat(400)})))
        .unwrap();
}

fn put_blob(db: &TestDb, bytes: &[u8]) -> String {
    let (about, options) = (blob::Put::default(), WriteOptions::default());
    db.engine().put_blob(db.namespace, &mut &bytes[..], about, options).unwrap().response.blob
}

fn objects(world: &World) -> Vec<PathBuf> {
    let mut objects = world.list_all();
    objects.retain(|path| path.starts_with(STORE) && !path.ends_with("LOCK"));
    objects
}

fn verified(world: &World) -> Vec<Error> {
    let report = backups(world, None).unwrap().verify(None, &mut |_| {}).unwrap();
    report
        .problems
        .iter()
        .map(|p| Error::new(Code::from_number(p.code).unwrap()).with("is", &p.message))
        .collect()
}

#[test]
fn a_restored_database_holds_what_the_backup_was_taken_of() {
    let db = of_every_table(1);
    let kept = put_blob(&db, &[7; 100_000]);
    let expected = digest(db.engine());
    let backup = take(&db);
    assert_eq!(backup.lsn, expected.0);
    assert_eq!(verified(&db.world), []);
    put(&db, 1);
    let restored = restore(&db.world, &to("/r")).unwrap();
    assert_eq!((restored.lsn, &restored.backup), (backup.lsn, &backup.name));
    let engine = open_restored(&db.world, "/r").unwrap();
    assert_eq!(digest(&engine), expected);
    assert_ne!(engine.id(), db.engine().id());
    assert_eq!(engine.verify(&mut |_| {}).unwrap().problems, []);
    let snapshot = engine.snapshot(NamespaceId::DEFAULT).unwrap();
    assert_eq!(engine.open_blob(&snapshot, &kept).unwrap().read_all().unwrap(), [7; 100_000]);
    // It goes on as a database of its own.
    let options = WriteOptions::default();
    engine
        .write(NamespaceId::DEFAULT, state::Put::new("bob", "k", json!(1)), options)
        .unwrap()
        .wait()
        .unwrap();
    drop(snapshot);
    drop(engine);
    assert_eq!(open_restored(&db.world, "/r").unwrap().lsn(), restored.lsn.next());
}

#[test]
fn an_empty_database_is_backed_up_too() {
    let db = TestDb::new(1);
    assert_eq!(take(&db).lsn, Lsn(0));
    assert_eq!(verified(&db.world), []);
    put(&db, 1);
    take(&db);
    assert_eq!(verified(&db.world), []);
    restore(&db.world, &Restore { lsn: Some(Lsn(0)), ..to("/r") }).unwrap();
    assert_eq!(open_restored(&db.world, "/r").unwrap().lsn(), Lsn(0));
}

#[test]
fn every_lsn_between_two_backups_can_be_restored_and_unchanged_chunks_are_not_sent() {
    let db = TestDb::new(2);
    put_blob(&db, &[1; 1 << 20]);
    let mut digests = BTreeMap::from([digest(db.engine())]);
    let mut times = Vec::new();
    let first = take(&db);
    for n in 0..40 {
        db.world.advance_us(1_000_000);
        // Groups of several entries: an LSN may lie within one.
        let request = |key: &str| state::Put::new("ann", key.to_owned(), json!({"n": n}));
        let write = |key| db.engine().write(db.namespace, request(key), WriteOptions::default()).unwrap();
        let tickets = [write("a"), write("b"), write("c")];
        let before = db.engine().lsn();
        db.run(Task::Sequence);
        drop(tickets);
        assert_eq!(db.engine().lsn().0, before.0 + 3);
        let (lsn, digest) = digest(db.engine());
        digests.insert(lsn, digest);
        times.push((db.world.env().clock.wall(), lsn));
        if n % 10 == 9 {
            db.drain();
        }
    }
    let second = take(&db);
    assert_eq!(second.continues, Some(first.name));
    assert!(
        second.sent_bytes < 64 << 10 && first.sent_bytes > 1 << 20,
        "{} {}",
        first.sent_bytes,
        second.sent_bytes
    );
    assert_eq!(verified(&db.world), []);
    for lsn in (first.lsn.0..=second.lsn.0).map(Lsn) {
        let dir = format!("/r{lsn}");
        let restored = restore(&db.world, &Restore { lsn: Some(lsn), ..to(&dir) }).unwrap();
        assert_eq!(restored.lsn, lsn);
        let engine = open_restored(&db.world, &dir).unwrap();
        let found = digest(&engine);
        assert_eq!(found.0, lsn);
        if let Some(expected) = digests.get(&lsn) {
            assert_eq!(found.1, *expected, "LSN {lsn}");
        }
        assert_eq!(engine.verify(&mut |_| {}).unwrap().problems, []);
    }
    for (number, (time, lsn)) in times.into_iter().enumerate() {
        let dir = format!("/t{number}");
        let restored = restore(&db.world, &Restore { time: Some(time), ..to(&dir) }).unwrap();
        assert_eq!(restored.lsn, lsn);
        assert_eq!(digest(&open_restored(&db.world, &dir).unwrap()).1, digests[&lsn]);
    }
    let beyond = Restore { lsn: Some(second.lsn.next()), ..to("/beyond") };
    assert_eq!(restore(&db.world, &beyond).unwrap_err().code(), Code::RestorePointNotFound);
}

#[test]
fn a_backup_that_is_cut_short_anywhere_is_not_there_and_the_next_one_goes_on() {
    let mut cut_short = 0;
    for after in (0..).step_by(3) {
        let mut db = TestDb::new(after);
        for n in 0..30 {
            put(&db, n);
        }
        put_blob(&db, &[3; 5_000]);
        let first = take(&db);
        put(&db, 99);
        put_blob(&db, &[4; 5_000]);
        let expected = digest(db.engine());
        db.world.faults().crash_after(after);
        let taken = db.engine().backup(&backups(&db.world, None).unwrap(), false, &mut |_| {});
        db.world.faults().clear();
        db.world.crash(&mut Random::new(after));
        db.reopen().unwrap();
        cut_short += u64::from(taken.is_err());
        let listed = backups(&db.world, None).unwrap().list().unwrap().items;
        assert!(listed.len() <= 2 && listed.contains(&first));
        assert_eq!(verified(&db.world), []);
        let again = take(&db);
        assert_eq!(verified(&db.world), []);
        restore(&db.world, &Restore { backup: Some(again.name), ..to("/r") }).unwrap();
        assert_eq!(digest(&open_restored(&db.world, "/r").unwrap()), expected, "cut after {after}");
        if taken.is_ok() {
            break;
        }
    }
    assert!(cut_short > 20, "{cut_short}");
}

#[test]
fn a_restore_that_is_cut_short_anywhere_opens_as_nothing_and_can_be_begun_again() {
    let db = of_every_table(3);
    put_blob(&db, &[3; 5_000]);
    let expected = digest(db.engine());
    take(&db);
    let mut cut_short = 0;
    for after in 0.. {
        let dir = format!("/r{after}");
        db.world.faults().crash_after(after);
        let restored = backups(&db.world, None).and_then(|b| b.restore(&to(&dir), &mut |_| {}));
        db.world.faults().clear();
        db.world.crash(&mut Random::new(after));
        if restored.is_err() {
            cut_short += 1;
            let not_created = Options { create: false, background: false, ..Options::default() };
            match Engine::open(&db.world.env(), Path::new(&dir), not_created) {
                Ok(engine) => assert_eq!(digest(&engine), expected, "cut after {after}"),
                Err(err) => {
                    let codes = [Code::RestoreUnfinished, Code::DatabaseNotFound];
                    assert!(codes.contains(&err.code()), "cut after {after}: {err}");
                    restore(&db.world, &to(&dir)).unwrap();
                }
            }
        }
        assert_eq!(digest(&open_restored(&db.world, &dir).unwrap()), expected, "cut after {after}");
        if restored.is_ok() {
            break;
        }
    }
    assert!(cut_short > 40, "{cut_short}");
}

#[test]
fn damage_in_any_object_is_found_and_never_restored() {
    for key in [None, Some([9; 32])] {
        let db = of_every_table(4);
        put_blob(&db, &[3; 5_000]);
        let taken = db.engine().backup(&backups(&db.world, key).unwrap(), false, &mut |_| {}).unwrap();
        let mut dice = Random::new(5);
        for (number, path) in objects(&db.world).into_iter().enumerate() {
            let bytes = db.world.read_file(&path).unwrap();
            for removed in [false, true] {
                if removed {
                    db.world.env().files.remove(&path).unwrap();
                } else {
                    let at = dice.below(bytes.len() as u64);
                    db.world.flip_bit(&path, at, dice.below(8) as u8).unwrap();
                }
                let dir = format!("/r{number}{removed}");
                let name = Some(taken.name.as_str());
                match backups(&db.world, key) {
                    Ok(backups) => {
                        let found = backups.verify(name, &mut |_| {});
                        let problems = found.map(|report| report.problems);
                        assert!(!matches!(&problems, Ok(p) if p.is_empty()), "{}", path.display());
                        if let (Ok(problems), Some(name)) = (&problems, path.file_name()) {
                            let told = format!("{problems:?}");
                            assert!(told.contains(&*name.to_string_lossy()), "{told}");
                        }
                        let request = Restore { backup: Some(taken.name.clone()), ..to(&dir) };
                        backups.restore(&request, &mut |_| {}).unwrap_err();
                    }
                    Err(err) => assert!(path.ends_with("STORE"), "{}: {err}", path.display()),
                }
                let opened = Options { create: false, background: false, ..Options::default() };
                assert!(Engine::open(&db.world.env(), Path::new(&dir), opened).is_err());
                db.world.write_file(&path, &bytes).unwrap();
            }
        }
        let report = backups(&db.world, key).unwrap().verify(None, &mut |_| {}).unwrap();
        assert_eq!(report.problems, []);
    }
}

#[test]
fn a_backup_that_is_named_is_restored_beside_a_damaged_one() {
    let db = TestDb::new(31);
    put(&db, 1);
    let sound = take(&db);
    put(&db, 2);
    let damaged = take(&db);
    let is_manifest = |path: &&PathBuf| path.ends_with(Path::new("manifests").join(&damaged.name));
    let path = objects(&db.world).iter().find(is_manifest).unwrap().clone();
    db.world.flip_bit(&path, 20, 1).unwrap();
    let named = |name: &str, dir: &str| Restore { backup: Some(name.to_owned()), ..to(dir) };
    let err = restore(&db.world, &named(&damaged.name, "/damaged")).unwrap_err();
    assert_eq!(err.code(), Code::BackupCorrupt);
    assert_eq!(restore(&db.world, &named("never taken", "/none")).unwrap_err().code(), Code::BackupNotFound);
    let restored = restore(&db.world, &named(&sound.name, "/sound")).unwrap();
    assert_eq!((restored.backup, restored.lsn), (sound.name, sound.lsn));
    assert_eq!(open_restored(&db.world, "/sound").unwrap().lsn(), sound.lsn);
}

#[test]
fn a_sealed_store_tells_nothing_without_its_key() {
    let db = TestDb::new(6);
    db.write(state::Put::new("ann", "plan", json!("a very secret plan"))).unwrap();
    let key = Some([9; 32]);
    db.engine().backup(&backups(&db.world, key).unwrap(), false, &mut |_| {}).unwrap();
    for path in objects(&db.world) {
        let bytes = db.world.read_file(&path).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"secret" || w == b"digest"), "{}", path.display());
    }
    for wrong in [None, Some([8; 32])] {
        assert_eq!(backups(&db.world, wrong).err().unwrap().code(), Code::BackupKey);
    }
    backups(&db.world, key).unwrap().restore(&to("/r"), &mut |_| {}).unwrap();
    assert_eq!(digest(&open_restored(&db.world, "/r").unwrap()), digest(db.engine()));
    // And the other way round.
    let store = DirectoryStore::new(&db.world.env(), Path::new("/clear")).unwrap();
    let clear = Backups::open(&db.world.env(), Arc::new(store), None).unwrap();
    db.engine().backup(&clear, false, &mut |_| {}).unwrap();
    let store = DirectoryStore::new(&db.world.env(), Path::new("/clear")).unwrap();
    assert_eq!(Backups::open(&db.world.env(), Arc::new(store), key).err().unwrap().code(), Code::BackupKey);
}

#[test]
fn pruning_takes_what_no_backup_needs_and_waits_for_those_who_run() {
    let db = TestDb::new(7);
    put_blob(&db, &[3; 5_000]);
    put(&db, 1);
    take(&db);
    put_blob(&db, &[4; 5_000]);
    let second = take(&db);
    put(&db, 2);
    // One that is killed leaves its lease and chunks.
    let handle = backups(&db.world, None).unwrap();
    let mut job = db.engine().begin_backup(&handle, false).unwrap();
    for _ in 0..5 {
        assert!(job.step().unwrap().is_none());
    }
    assert_eq!(handle.prune(1).unwrap_err().code(), Code::BackupsBusy);
    std::mem::forget(job);
    assert_eq!(handle.prune(1).unwrap_err().code(), Code::BackupsBusy);
    db.world.advance_us(16 * 60 * 1_000_000);
    let before = objects(&db.world).len();
    let deleted = handle.prune(1).unwrap();
    assert_eq!(deleted.backups.len(), 1);
    assert!(deleted.chunks > 0 && objects(&db.world).len() < before);
    assert_eq!(verified(&db.world), []);
    restore(&db.world, &to("/r")).unwrap();
    assert_eq!(open_restored(&db.world, "/r").unwrap().lsn(), second.lsn);
    assert_eq!(handle.delete("none").unwrap_err().code(), Code::BackupNotFound);
    handle.delete(&second.name).unwrap();
    assert_eq!(handle.list().unwrap().items, []);
    // Nothing but the head is left.
    assert_eq!(objects(&db.world), [PathBuf::from(format!("{STORE}/STORE"))]);
}

#[test]
fn a_backup_whose_lease_was_taken_away_does_not_finish() {
    let db = TestDb::new(8);
    put(&db, 1);
    let handle = backups(&db.world, None).unwrap();
    let mut job = db.engine().begin_backup(&handle, false).unwrap();
    assert!(job.step().unwrap().is_none());
    db.world.advance_us(16 * 60 * 1_000_000);
    handle.delete("none").unwrap_err();
    let err = loop {
        match job.step() {
            Ok(done) => assert!(done.is_none()),
            Err(err) => break err,
        }
    };
    assert_eq!(err.code(), Code::BackupsBusy);
    drop(job);
    assert_eq!(handle.list().unwrap().items, []);
}

#[test]
fn a_subjects_writes_between_two_backups_need_its_key() {
    let db = TestDb::new(9);
    let subject = || WriteOptions { subject: Some("ann".into()), ..WriteOptions::default() };
    let write = |n: u64| {
        let put = state::Put::new("ann", "k", json!(n));
        db.engine().write(db.namespace, put, subject()).unwrap().wait().unwrap().lsn
    };
    write(1);
    take(&db);
    let between = write(2);
    write(3);
    take(&db);
    // The rows of a backup need no key.
    restore(&db.world, &to("/r")).unwrap();
    assert_eq!(digest(&open_restored(&db.world, "/r").unwrap()), digest(db.engine()));
    let target = |keys: &str| {
        let keys = (!keys.is_empty()).then(|| keys.to_owned());
        Restore { lsn: Some(between), keys, ..to("/between") }
    };
    // What could not be opened is no restore, whether there are no keys or none of hers.
    db.world.env().files.create_dir_all(Path::new("/no-keys")).unwrap();
    for keys in ["", "/no-keys"] {
        let err = restore(&db.world, &target(keys)).unwrap_err();
        assert_eq!((err.code(), err.value("subject")), (Code::KeyMissing, Some("ann")), "{keys}");
        assert_eq!(open_restored(&db.world, "/between").err().unwrap().code(), Code::RestoreUnfinished);
    }
    let keys = format!("{DIR}/keys");
    let name = db.world.env().files.list(Path::new(&keys)).unwrap().remove(0);
    let path = Path::new(&keys).join(name);
    let key = db.world.read_file(&path).unwrap();
    db.world.write_file(&path, &key[..20]).unwrap();
    assert_eq!(restore(&db.world, &target(&keys)).unwrap_err().code(), Code::FormatCorrupt);
    db.world.write_file(&path, &key).unwrap();
    restore(&db.world, &target(&keys)).unwrap();
    assert_eq!(open_restored(&db.world, "/between").unwrap().lsn(), between);
}

#[test]
fn a_directory_in_use_is_not_restored_into() {
    let db = TestDb::new(10);
    put(&db, 1);
    take(&db);
    assert_eq!(restore(&db.world, &to(DIR)).unwrap_err().code(), Code::RestoreNotEmpty);
    let none = Restore { backup: Some("none".into()), ..to("/r") };
    assert_eq!(restore(&db.world, &none).unwrap_err().code(), Code::BackupNotFound);
    let engine = open(&db.world);
    assert_eq!(engine.err().unwrap().code(), Code::Locked);
}
