//! Leases: of the living, of the dead, and of those who were stopped.

use super::*;
use crate::modules::backup::lease::{Holder, Lease};

const MINUTES: u64 = 60 * 1_000_000;

fn leases(world: &World) -> usize {
    objects(world).iter().filter(|path| path.starts_with("/backups/leases")).count()
}

/// Begins a backup whose process is killed.
fn begin_and_be_killed(db: &TestDb) {
    let mut job = db.engine().begin_backup(&backups(&db.world, None).unwrap(), false).unwrap();
    assert!(job.step().unwrap().is_none());
    std::mem::forget(job);
}

#[test]
fn the_next_backup_of_a_database_ends_the_leases_of_its_dead_handles() {
    let mut db = TestDb::new(61);
    put(&db, 1);
    take(&db);
    for _ in 0..3 {
        begin_and_be_killed(&db);
        db.world.process_kill();
        // What the dead one held stays with it.
        let world = db.world.clone();
        std::mem::forget(std::mem::replace(&mut db, TestDb::on(world)));
    }
    // Each new one ended that of the one before.
    assert_eq!(leases(&db.world), 1);
    assert_eq!(backups(&db.world, None).unwrap().prune(1).unwrap_err().code(), Code::BackupsBusy);
    take(&db);
    assert_eq!(leases(&db.world), 0);
    assert_eq!(backups(&db.world, None).unwrap().prune(1).unwrap().backups.len(), 1);
    assert!(!db.world.env().files.exists(Path::new("/db/LEASES")).unwrap());
}

#[test]
fn a_backup_that_runs_is_not_taken_for_dead() {
    let db = TestDb::new(62);
    put(&db, 1);
    let handle = backups(&db.world, None).unwrap();
    let mut job = db.engine().begin_backup(&handle, false).unwrap();
    assert!(job.step().unwrap().is_none());
    take(&db);
    // Nor is one of another database.
    let options = Options { background: false, ..Options::default() };
    let other = Engine::open(&db.world.env(), Path::new("/other"), options).unwrap();
    other.backup(&handle, false, &mut |_| {}).unwrap();
    assert_eq!(leases(&db.world), 1);
    while job.step().unwrap().is_none() {}
    assert_eq!(leases(&db.world), 0);
    assert_eq!(handle.list().unwrap().items.len(), 3);
}

#[test]
fn leases_that_have_ended_are_removed_by_whoever_comes() {
    let db = TestDb::new(63);
    put(&db, 1);
    take(&db);
    begin_and_be_killed(&db);
    begin_and_be_killed(&db);
    assert_eq!(leases(&db.world), 2);
    db.world.advance_us(16 * MINUTES);
    take(&db);
    assert_eq!(leases(&db.world), 0);
}

#[test]
fn a_collection_that_was_stopped_for_too_long_does_not_go_on_beside_a_backup() {
    let db = TestDb::new(64);
    put(&db, 1);
    take(&db);
    let vault = backups(&db.world, None).unwrap().vault;
    let mut collection = Lease::take(&vault, Holder::Collection, Lease::new_id(&vault)).unwrap();
    db.world.advance_us(16 * MINUTES);
    let handle = backups(&db.world, None).unwrap();
    let job = db.engine().begin_backup(&handle, false).unwrap();
    // It wakes: its lease is gone.
    assert_eq!(collection.keep(&vault).unwrap_err().code(), Code::BackupsBusy);
    drop(job);
    assert_eq!(leases(&db.world), 0);
}

#[test]
fn one_that_renewed_in_time_is_respected() {
    let db = TestDb::new(65);
    put(&db, 1);
    take(&db);
    let vault = backups(&db.world, None).unwrap().vault;
    let mut collection = Lease::take(&vault, Holder::Collection, Lease::new_id(&vault)).unwrap();
    for _ in 0..5 {
        db.world.advance_us(10 * MINUTES);
        collection.keep(&vault).unwrap();
        let begun = db.engine().begin_backup(&backups(&db.world, None).unwrap(), false);
        assert_eq!(begun.err().unwrap().code(), Code::BackupsBusy);
        assert_eq!(leases(&db.world), 1);
    }
    collection.release(&vault).unwrap();
    take(&db);
}
