//! Armed faults: each fires when it should, with the right error and the right damage.

use std::path::Path;

use agentdb_types::Code;

use super::{Random, World, f, world_with};
use crate::OpenMode;

#[test]
fn handles_and_locks_end_with_their_process() {
    for crash in [true, false] {
        let (world, file) = world_with(b"x");
        let lock = world.env().files.lock(f()).unwrap();
        file.write_at(0, b"y").unwrap();
        let reason = if crash {
            world.crash(&mut Random::new(1));
            "the simulated machine lost power"
        } else {
            world.process_kill();
            assert_eq!(world.read_file(f()).unwrap(), b"y", "a kill loses nothing that was written");
            "the simulated process was killed"
        };
        for err in [
            file.read_at(0, &mut [0]).unwrap_err(),
            file.write_at(0, b"z").unwrap_err(),
            file.sync_data().unwrap_err(),
            file.set_len(0).unwrap_err(),
            file.len().unwrap_err(),
        ] {
            assert_eq!((err.code(), err.value("reason")), (Code::Io, Some(reason)));
        }
        let files = world.env().files;
        let again = files.lock(f()).unwrap();
        drop((lock, file));
        assert!(files.lock(f()).is_err(), "the dead lock's end does not release the living one");
        drop(again);
    }
}

#[test]
fn the_machine_stops_after_any_number_of_changes() {
    // Creates, writes, syncs, syncs the directory, renames: five changes.
    let script = |world: &World| {
        let files = world.env().files;
        let file = files.open(Path::new("/a"), OpenMode::CreateNew)?;
        file.write_at(0, &[1; 2_000])?;
        file.sync_data()?;
        files.sync_dir(Path::new("/"))?;
        files.rename(Path::new("/a"), Path::new("/b"))
    };
    for stop in 0..7 {
        for seed in 0..20 {
            let world = World::new(seed);
            world.faults().crash_after(stop);
            let outcome = script(&world);
            assert_eq!((outcome.is_err(), world.is_off()), (stop < 5, stop < 5));
            assert_eq!(world.env().files.exists(Path::new("/a")).is_err(), stop < 5);
            world.crash(&mut Random::new(seed));
            let found = world.list_all();
            assert!(found.len() <= 1);
            assert!(stop < 4 || found.len() == 1, "the directory was synced");
            if stop >= 3 && found.len() == 1 {
                assert!(world.read_file(&found[0]).unwrap() == [1; 2_000]);
            }
            assert_eq!(world.counters()["interrupted"], u64::from(stop < 5));
        }
    }
}

#[test]
fn what_a_failed_sync_lost_no_later_sync_saves() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..100 {
        let world = World::new(seed);
        world.write_file(f(), &[0; 2_048]).unwrap();
        let file = world.env().files.open(f(), OpenMode::Write).unwrap();
        file.write_at(0, &[1; 1_024]).unwrap();
        world.faults().fail_sync(1);
        let err = file.sync_data().unwrap_err();
        assert_eq!((err.code(), err.value("operation")), (Code::Io, Some("sync")));
        assert_eq!(world.read_file(f()).unwrap()[0], 1, "a reader sees it still");
        file.write_at(512, &[2; 1_024]).unwrap();
        file.sync_data().unwrap();
        world.crash(&mut Random::new(seed));
        let found = world.read_file(f()).unwrap();
        assert_eq!(found[512..1_536], [2; 1_024], "what the later sync covered");
        if found[0] == 1 {
            kept += 1
        } else {
            lost += 1
        }
        assert_eq!(world.counters()["failed_syncs"], 1);
    }
    assert!(kept > 20 && lost > 20, "{kept} and {lost}");
}

#[test]
fn a_failed_directory_sync_may_lose_names_for_ever() {
    let lost = (0..100).filter(|seed| {
        let world = World::new(*seed);
        let files = world.env().files;
        files.open(f(), OpenMode::CreateNew).unwrap();
        world.faults().fail_sync(1);
        assert_eq!(files.sync_dir(Path::new("/")).unwrap_err().code(), Code::Io);
        files.sync_dir(Path::new("/")).unwrap();
        assert!(files.exists(f()).unwrap());
        world.crash(&mut Random::new(*seed));
        !files.exists(f()).unwrap()
    });
    assert!((20..80).contains(&lost.count()));
}

#[test]
fn the_nth_write_fails_and_leaves_a_first_part() {
    let (world, file) = world_with(&[0; 100]);
    world.faults().fail_write(2);
    file.write_at(0, &[1; 10]).unwrap();
    assert_eq!(file.write_at(10, &[2; 50]).unwrap_err().code(), Code::Io);
    file.write_at(90, &[3; 10]).unwrap();
    let found = world.read_file(f()).unwrap();
    let part = found.iter().filter(|b| **b == 2).count();
    assert_eq!(found, [vec![1; 10], vec![2; part], vec![0; 80 - part], vec![3; 10]].concat());
    assert_eq!(world.counters()["failed_writes"], 1);
}

#[test]
fn a_full_disk_refuses_growth_and_nothing_else() {
    let (world, file) = world_with(&[1; 8_192]);
    world.faults().set_capacity(Some(12_288));
    file.write_at(0, &[2; 8_192]).unwrap();
    file.set_len(1 << 20).unwrap();
    let err = file.write_at(8_192, &[3; 8_192]).unwrap_err();
    assert_eq!((err.code(), err.value("path")), (Code::DiskFull, Some("/f")));
    let found = world.read_file(f()).unwrap();
    assert_eq!((found[12_287], found[12_288]), (3, 0), "as much as fits is written");
    file.write_at(4_096, &[4; 8_192]).unwrap();
    let other = world.env().files.open(Path::new("/g"), OpenMode::CreateNew).unwrap();
    assert_eq!(other.write_at(0, b"x").unwrap_err().code(), Code::DiskFull);
    world.env().files.remove(f()).unwrap();
    assert_eq!(other.write_at(0, b"x").unwrap_err().code(), Code::DiskFull, "it is still open");
    drop(file);
    other.write_at(0, b"x").unwrap();
    assert_eq!(world.counters()["disk_full"], 3);
}

#[test]
fn a_read_only_disk_refuses_every_change() {
    let (world, file) = world_with(b"x");
    let files = world.env().files;
    world.faults().set_read_only(true);
    let root = Path::new("/");
    for err in [
        file.write_at(0, b"y").unwrap_err(),
        file.set_len(0).unwrap_err(),
        files.open(f(), OpenMode::Write).err().unwrap(),
        files.open(Path::new("/g"), OpenMode::CreateNew).err().unwrap(),
        files.rename(f(), Path::new("/g")).unwrap_err(),
        files.remove(f()).unwrap_err(),
        files.create_dir_all(Path::new("/d")).unwrap_err(),
        files.lock(f()).err().unwrap(),
    ] {
        assert_eq!(err.code(), Code::ReadOnly);
    }
    file.sync_data().unwrap();
    files.sync_dir(root).unwrap();
    files.create_dir_all(root).unwrap();
    assert_eq!(files.open(f(), OpenMode::Read).unwrap().len().unwrap(), 1);
    world.faults().clear();
    file.write_at(0, b"y").unwrap();
}

#[test]
fn a_wild_offset_is_an_error() {
    let (_, file) = world_with(b"x");
    for offset in [u64::MAX, 1 << 50] {
        assert_eq!(file.write_at(offset, b"y").unwrap_err().code(), Code::Io);
        assert_eq!(file.set_len(offset).unwrap_err().code(), Code::Io);
        assert_eq!(file.read_at(offset, &mut [0]).unwrap(), 0);
    }
}
