//! Names: what of a directory survives.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::{Random, World};
use crate::OpenMode;

#[derive(Clone, Debug)]
enum Op {
    Create(u8),
    Rename(u8, u8),
    Remove(u8),
    SyncDir,
    Crash(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..4u8).prop_map(Op::Create),
        2 => (0..4u8, 0..4u8).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => (0..4u8).prop_map(Op::Remove),
        1 => Just(Op::SyncDir),
        1 => any::<u64>().prop_map(Op::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_directory_is_as_it_was_at_some_moment_since_its_sync(ops in prop::collection::vec(op(), 1..50)) {
        let world = World::new(1);
        let files = world.env().files;
        let path = |n: u8| format!("/{n}");
        let names = || world.list_all().into_iter().collect::<BTreeSet<_>>();
        let mut moments = vec![names()];
        for op in &ops {
            // Refusals (a name missing or taken) change nothing.
            let _ = match *op {
                Op::Create(n) => files.open(Path::new(&path(n)), OpenMode::CreateNew).map(drop),
                Op::Rename(a, b) => files.rename(Path::new(&path(a)), Path::new(&path(b))),
                Op::Remove(n) => files.remove(Path::new(&path(n))),
                Op::SyncDir => {
                    files.sync_dir(Path::new("/")).unwrap();
                    moments.clear();
                    Ok(())
                }
                Op::Crash(seed) => {
                    world.crash(&mut Random::new(seed));
                    prop_assert!(moments.contains(&names()), "{:?} of {moments:?}", names());
                    moments.clear();
                    Ok(())
                }
            };
            moments.push(names());
        }
    }
}

#[test]
fn a_rename_between_directories_is_atomic() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..200 {
        let world = World::new(1);
        world.write_file(Path::new("/a/x"), b"moved").unwrap();
        world.write_file(Path::new("/b/y"), b"y").unwrap();
        let files = world.env().files;
        files.remove(Path::new("/b/y")).unwrap();
        files.rename(Path::new("/a/x"), Path::new("/b/x")).unwrap();
        let synced = ["", "/a", "/b"][seed as usize % 3];
        if !synced.is_empty() {
            files.sync_dir(Path::new(synced)).unwrap();
        }
        world.crash(&mut Random::new(seed));
        let found = world.list_all();
        let moved = [Path::new("/b/x")];
        assert!(synced.is_empty() || found == moved, "{synced} was synced, but: {found:?}");
        let places = ["/a/x", "/b/x"].iter().filter(|p| found.iter().any(|f| f == Path::new(p))).count();
        assert_eq!(places, 1, "{found:?}");
        outcomes.insert(found);
    }
    assert_eq!(outcomes.len(), 3);
}

#[test]
fn bytes_without_a_durable_name_are_lost() {
    let lost = (0..50).filter(|seed| {
        let world = World::new(1);
        let files = world.env().files;
        files.create_dir_all(Path::new("/d")).unwrap();
        let file = files.open(Path::new("/d/f"), OpenMode::CreateNew).unwrap();
        file.write_at(0, b"x").unwrap();
        file.sync_data().unwrap();
        files.sync_dir(Path::new("/d")).unwrap();
        world.crash(&mut Random::new(*seed));
        // Nobody synced the root, so the directory itself may be gone, and with it all below.
        !world.env().files.exists(Path::new("/d")).unwrap()
    });
    assert!((5..45).contains(&lost.count()));
}

#[test]
fn a_file_that_was_replaced_comes_back_if_the_rename_does_not_survive() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..100 {
        let world = World::new(1);
        world.write_file(Path::new("/f"), b"old").unwrap();
        let files = world.env().files;
        let file = files.open(Path::new("/f.new"), OpenMode::CreateNew).unwrap();
        file.write_at(0, b"new").unwrap();
        file.sync_data().unwrap();
        files.rename(Path::new("/f.new"), Path::new("/f")).unwrap();
        world.crash(&mut Random::new(seed));
        match world.read_file(Path::new("/f")).unwrap().as_slice() {
            b"old" => old += 1,
            b"new" => new += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(old > 10 && new > 10, "{old} and {new}");
}
