//! Archives: every LSN restored, crashes at every step, logs that are held.

use super::*;
use crate::modules::backup::{Archived, Kind};

fn archive(db: &TestDb) -> Archived {
    db.engine().archive(&backups(&db.world, None).unwrap(), false, &mut |_| {}).unwrap()
}

/// A small log that is trimmed as soon as it may be.
fn open_small(world: &World) -> Engine {
    let options = Options {
        background: false,
        log: agentdb_log::Options { first_segment_bytes: 16 << 10, segment_bytes: 16 << 10 },
        log_retention_bytes: 0,
        ..Options::default()
    };
    Engine::open(&world.env(), Path::new(DIR), options).unwrap()
}

/// Writes so much that a few segments are begun, and drains it, which lets go of old segments.
fn fill(engine: &Engine) {
    let lsn = engine.lsn().0;
    for n in lsn..lsn + 60 {
        // Each differs from the one before in everything.
        let put = state::Put::new("ann", format!("k{}", n % 7), json!(format!("{n} ").repeat(300)));
        engine.write(NamespaceId::DEFAULT, put, WriteOptions::default()).unwrap().wait().unwrap();
    }
    for task in [Task::Sync, Task::Freeze, Task::Drain] {
        while engine.step(task).unwrap() && task != Task::Freeze {}
    }
}

fn code<T>(result: Result<T>) -> Code {
    result.err().unwrap().code()
}

#[test]
fn every_lsn_that_was_archived_can_be_restored_and_only_what_is_new_is_sent() {
    let db = TestDb::new(41);
    put_blob(&db, &[1; 300_000]);
    let first = take(&db);
    let (mut digests, mut times, mut sent) = (BTreeMap::from([digest(db.engine())]), Vec::new(), 0);
    let mut before = first.name.clone();
    for round in 0..12u64 {
        let mut blob = None;
        for n in 0..4 {
            db.world.advance_us(1_000_000);
            put(&db, 10 * round + n);
            digests.insert(digest(db.engine()).0, digest(db.engine()).1);
            times.push((db.world.env().clock.wall(), db.engine().lsn()));
            if n == 1 {
                db.world.advance_us(1_000);
                blob = Some(put_blob(&db, &[round as u8; 3_000]));
                digests.insert(digest(db.engine()).0, digest(db.engine()).1);
            }
        }
        // The blob is gone again when the log is archived, and its file is not.
        db.world.advance_us(1_000);
        db.write(blob::Delete { blob: blob.unwrap() }).unwrap();
        let archived = archive(&db);
        assert_eq!((archived.lsn, archived.new), (db.engine().lsn(), true));
        assert_eq!(archived.missing_blobs, Vec::<String>::new());
        sent += archived.sent_bytes;
        let again = archive(&db);
        assert_eq!((&again.name, again.new, again.sent_bytes), (&archived.name, false, 0));
        let listed = backups(&db.world, None).unwrap().list().unwrap().items;
        let own = listed.iter().find(|b| b.name == archived.name).unwrap();
        assert_eq!((own.kind, own.continues.as_deref()), (Kind::Archive, Some(before.as_str())));
        before = archived.name;
    }
    // About 5,000 bytes a round, again and again joined.
    assert!(sent < 12 * 40_000, "{sent}");
    assert_eq!(verified(&db.world), []);
    let last = db.engine().lsn();
    for (lsn, expected) in &digests {
        let dir = format!("/r{lsn}");
        let restored = restore(&db.world, &Restore { lsn: Some(*lsn), ..to(&dir) }).unwrap();
        assert_eq!((restored.lsn, &restored.backup), (*lsn, &first.name));
        let engine = open_restored(&db.world, &dir).unwrap();
        assert_eq!(digest(&engine), (*lsn, expected.clone()));
        // Blobs that were put between two archives are there, whatever became of them.
        assert_eq!(engine.verify(&mut |_| {}).unwrap().problems, []);
    }
    for (number, (time, lsn)) in times.into_iter().enumerate().step_by(5) {
        let dir = format!("/t{number}");
        assert_eq!(restore(&db.world, &Restore { time: Some(time), ..to(&dir) }).unwrap().lsn, lsn);
        assert_eq!(digest(&open_restored(&db.world, &dir).unwrap()).1, digests[&lsn]);
    }
    // Without more words it is the newest; the name of an archive leads to its end.
    assert_eq!(restore(&db.world, &to("/newest")).unwrap().lsn, last);
    let named = Restore { backup: Some(before), ..to("/named") };
    assert_eq!(restore(&db.world, &named).unwrap().lsn, last);
    assert_eq!(
        code(restore(&db.world, &Restore { lsn: Some(last.next()), ..to("/no") })),
        Code::RestorePointNotFound
    );
    // A backup goes on from the last archive, and what was sent is not sent again.
    let second = take(&db);
    assert_eq!(second.continues, named.backup);
    let handle = backups(&db.world, None).unwrap();
    let deleted = handle.prune(1).unwrap();
    assert_eq!(deleted.backups.len(), 13);
    put(&db, 1);
    let lead_on = archive(&db);
    assert!(handle.prune(1).unwrap().backups.is_empty());
    assert_eq!(restore(&db.world, &to("/pruned")).unwrap().lsn, lead_on.lsn);
    assert_eq!(verified(&db.world), []);
}

#[test]
fn an_archive_needs_a_backup_and_a_log_that_reaches_back_to_it() {
    let world = World::new(42);
    let engine = open_small(&world);
    let handle = backups(&world, None).unwrap();
    assert_eq!(code(engine.archive(&handle, true, &mut |_| {})), Code::BackupStoreNotFound);
    fill(&engine);
    let taken = engine.backup(&handle, false, &mut |_| {}).unwrap();
    fill(&engine);
    let starts = engine.segments().unwrap();
    assert!(starts[0].first_lsn > Some(taken.lsn.next()), "{starts:?}");
    assert_eq!(code(engine.archive(&handle, true, &mut |_| {})), Code::ArchiveGap);
    assert_eq!(engine.stats().unwrap().held_for, None);
    // No lease of those that were refused stays.
    assert!(!objects(&world).iter().any(|path| path.starts_with(format!("{STORE}/leases"))));
    engine.backup(&handle, false, &mut |_| {}).unwrap();
    assert!(!engine.archive(&handle, false, &mut |_| {}).unwrap().new);
}

#[test]
fn a_log_that_is_held_waits_for_the_archive_whoever_opens_it_until_it_is_released() {
    let world = World::new(43);
    let handle = backups(&world, None).unwrap();
    let engine = open_small(&world);
    let first = engine.backup(&handle, false, &mut |_| {}).unwrap();
    let archived = engine.archive(&handle, true, &mut |_| {}).unwrap();
    assert_eq!((&archived.name, archived.new), (&first.name, false));
    let held_for = |engine: &Engine| engine.stats().unwrap().held_for;
    assert_eq!(held_for(&engine), Some((STORE.to_owned(), first.lsn)));
    fill(&engine);
    drop(engine);
    // Another handle knows what was sent, and keeps what was not.
    let engine = open_small(&world);
    assert_eq!(held_for(&engine), Some((STORE.to_owned(), first.lsn)));
    let mut bytes = engine.stats().unwrap().log_bytes;
    for _ in 0..3 {
        fill(&engine);
        assert!(engine.stats().unwrap().log_bytes > bytes);
        bytes = engine.stats().unwrap().log_bytes;
    }
    assert_eq!(engine.segments().unwrap()[0].first_lsn, Some(Lsn(1)));
    // A backup elsewhere says nothing of this place.
    let elsewhere = DirectoryStore::new(&world.env(), Path::new("/elsewhere")).unwrap();
    let elsewhere = Backups::open(&world.env(), Arc::new(elsewhere), None).unwrap();
    engine.backup(&elsewhere, false, &mut |_| {}).unwrap();
    assert_eq!(engine.segments().unwrap()[0].first_lsn, Some(Lsn(1)));
    let sent = engine.archive(&handle, false, &mut |_| {}).unwrap();
    assert_eq!(held_for(&engine), Some((STORE.to_owned(), sent.lsn)));
    assert!(engine.stats().unwrap().log_bytes < bytes);
    let between = Restore { lsn: Some(Lsn(100)), ..to("/r") };
    assert_eq!(restore(&world, &between).unwrap().lsn, Lsn(100));
    fill(&engine);
    let last = engine.archive(&handle, false, &mut |_| {}).unwrap();
    assert_eq!(restore(&world, &to("/r2")).unwrap().lsn, last.lsn);
    assert_eq!(engine.release_log().unwrap().as_deref(), Some(STORE));
    assert_eq!((held_for(&engine), engine.release_log().unwrap()), (None, None));
    fill(&engine);
    fill(&engine);
    assert_eq!(code(engine.archive(&handle, false, &mut |_| {})), Code::ArchiveGap);
    drop(engine);
    assert_eq!(held_for(&open_small(&world)), None);
}

#[test]
fn what_was_archived_is_known_to_later_handles() {
    let world = World::new(47);
    let handle = backups(&world, None).unwrap();
    open_small(&world).backup(&handle, false, &mut |_| {}).unwrap();
    open_small(&world).archive(&handle, true, &mut |_| {}).unwrap();
    for round in 0..4 {
        // One handle writes, one archives, one lets go, as commands do.
        fill(&open_small(&world));
        let archived = open_small(&world).archive(&handle, false, &mut |_| {}).unwrap();
        let engine = open_small(&world);
        assert_eq!(engine.stats().unwrap().held_for, Some((STORE.to_owned(), archived.lsn)));
        engine.begin_compaction(&crate::modules::job::Compact { trim_log: true }).unwrap();
        for _ in 0..1_000 {
            for task in [Task::Work, Task::Sequence, Task::Sync, Task::Drain, Task::Merge] {
                engine.step(task).unwrap();
            }
        }
        let begins = engine.segments().unwrap()[0].first_lsn.unwrap();
        assert!(begins > Lsn(60 * round) && begins <= archived.lsn.next(), "{begins} {}", archived.lsn);
        drop(engine);
        // Its log begins behind what was archived, or in it.
        assert_eq!(open_small(&world).stats().unwrap().held_for, Some((STORE.to_owned(), archived.lsn)));
    }
    assert_eq!(verified(&world), []);
    restore(&world, &to("/r")).unwrap();
}

#[test]
fn what_another_course_of_the_log_has_archived_is_not_believed() {
    let world = World::new(48);
    let handle = backups(&world, None).unwrap();
    let engine = open_small(&world);
    engine.backup(&handle, false, &mut |_| {}).unwrap();
    engine.archive(&handle, true, &mut |_| {}).unwrap();
    drop(engine);
    let copied: Vec<_> = world.list_all().into_iter().filter(|path| path.starts_with(DIR)).collect();
    let copied: Vec<_> = copied.into_iter().map(|path| (world.read_file(&path).unwrap(), path)).collect();
    let engine = open_small(&world);
    fill(&engine);
    engine.archive(&handle, false, &mut |_| {}).unwrap();
    drop(engine);
    // Everything is as it was, but for HOLD, which was copied later; then it goes on in another way.
    for path in world.list_all().into_iter().filter(|path| path.starts_with(DIR) && !path.ends_with("HOLD")) {
        world.env().files.remove(&path).unwrap();
    }
    for (bytes, path) in copied.into_iter().filter(|(_, path)| !path.ends_with("HOLD")) {
        world.write_file(&path, &bytes).unwrap();
    }
    world.advance_us(1_000_000);
    for _ in 0..3 {
        let engine = open_small(&world);
        assert_eq!(engine.stats().unwrap().held_for, Some((STORE.to_owned(), Lsn(0))));
        fill(&engine);
        assert_eq!(engine.segments().unwrap()[0].first_lsn, Some(Lsn(1)));
    }
}

#[test]
fn a_damaged_hold_keeps_the_database_from_being_opened() {
    let world = World::new(44);
    let engine = open_small(&world);
    let handle = backups(&world, None).unwrap();
    engine.backup(&handle, false, &mut |_| {}).unwrap();
    engine.archive(&handle, true, &mut |_| {}).unwrap();
    drop(engine);
    let path = Path::new(DIR).join("HOLD");
    world.flip_bit(&path, 40, 2).unwrap();
    let opened =
        Engine::open(&world.env(), Path::new(DIR), Options { background: false, ..Options::default() });
    let err = opened.err().unwrap();
    assert_eq!(err.code(), Code::FormatCorrupt);
    assert!(err.value("path").unwrap().ends_with("HOLD"));
    world.env().files.remove(&path).unwrap();
    assert_eq!(open_small(&world).stats().unwrap().held_for, None);
}

#[test]
fn what_a_crash_takes_from_the_log_was_never_archived() {
    let mut db = TestDb::new(45);
    put(&db, 1);
    take(&db);
    for round in 0..20 {
        for n in 0..3 {
            put(&db, 3 * round + n);
        }
        archive(&db);
        // A stamp behind the end, and a write that nobody was told of, are lost or not.
        let unsynced = WriteOptions { ack: crate::Ack::Written, ..WriteOptions::default() };
        db.engine().step(Task::Stamp).unwrap();
        let request = state::Put::new("ann", "unsynced", json!(round));
        let ticket = db.engine().write(db.namespace, request, unsynced).unwrap();
        db.run(Task::Decide);
        if round % 2 == 0 {
            db.run(Task::Sequence);
        }
        drop(ticket);
        db.world.crash(&mut Random::new(round));
        db.reopen().unwrap();
    }
    put(&db, 7);
    let expected = digest(db.engine());
    let last = archive(&db);
    assert_eq!(verified(&db.world), []);
    assert_eq!(restore(&db.world, &to("/r")).unwrap().lsn, last.lsn);
    assert_eq!(digest(&open_restored(&db.world, "/r").unwrap()), expected);
}

#[test]
fn an_archive_that_is_cut_short_anywhere_is_not_there_and_the_next_one_goes_on() {
    let mut cut_short = 0;
    for after in 0.. {
        let mut db = TestDb::new(after);
        put(&db, 1);
        take(&db);
        put(&db, 2);
        archive(&db);
        put(&db, 3);
        put_blob(&db, &[4; 5_000]);
        let expected = digest(db.engine());
        db.world.faults().crash_after(after);
        let archived = backups(&db.world, None).and_then(|b| db.engine().archive(&b, true, &mut |_| {}));
        db.world.faults().clear();
        db.world.crash(&mut Random::new(after));
        db.reopen().unwrap();
        cut_short += u64::from(archived.is_err());
        assert!(backups(&db.world, None).unwrap().list().unwrap().items.len() <= 3);
        assert_eq!(verified(&db.world), []);
        let again = archive(&db);
        assert!(again.lsn >= expected.0);
        assert_eq!(verified(&db.world), []);
        restore(&db.world, &Restore { lsn: Some(expected.0), ..to("/r") }).unwrap();
        assert_eq!(digest(&open_restored(&db.world, "/r").unwrap()), expected, "cut after {after}");
        if archived.is_ok() {
            assert!(db.engine().stats().unwrap().held_for.is_some());
            break;
        }
    }
    assert!(cut_short > 20, "{cut_short}");
}

#[test]
fn a_blob_whose_file_is_gone_is_told_and_a_damaged_one_stops_no_archive() {
    let db = TestDb::new(46);
    take(&db);
    let (gone, damaged) = (put_blob(&db, &[1; 3_000]), put_blob(&db, &[2; 3_000]));
    db.write(blob::Delete { blob: gone.clone() }).unwrap();
    db.world.advance_us(2 * 3_600 * 1_000_000);
    put(&db, 1);
    db.run(Task::Collect);
    let path = format!("{DIR}/blobs/1/{}/{damaged}", &damaged[..2]);
    db.world.flip_bit(Path::new(&path), 100, 3).unwrap();
    let mut missing = archive(&db).missing_blobs;
    missing.sort();
    let mut expected = vec![gone, damaged];
    expected.sort();
    assert_eq!(missing, expected);
    assert_eq!(verified(&db.world), []);
}
