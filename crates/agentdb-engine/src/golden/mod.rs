//! Databases that earlier versions wrote, read for ever.
//!
//! `tests/golden/v1` is a whole directory of format version 1, its zeros left out ([`sparse`]), and `expected.json`: what
//! every read must answer from it; and stores of backups of another database, with what they restore to ([`backups`]). `make golden` writes the set of the current version if there is none; a set that
//! exists is never rewritten. While a format is not released: delete the directory and run it again.

mod backups;
mod bytes;
mod expected;
mod sparse;
mod write;

use std::path::{Path, PathBuf};

use agentdb_env::sim::World;
use agentdb_env::{Env, OpenMode};
use serde_json::{Value, json};

use crate::modules::session::message::Append;
use crate::modules::state;
use crate::{Engine, NamespaceId, Options, Task, WriteOptions};

const DIR: &str = "/db";
const LOG: agentdb_log::Options =
    agentdb_log::Options { first_segment_bytes: 12 << 10, segment_bytes: 16 << 10 };

/// The files of a database, by their paths below it.
type Files = Vec<(String, Vec<u8>)>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// The versions that there are.
fn versions() -> Vec<PathBuf> {
    let names = Env::real().files.list(&root()).unwrap();
    names.into_iter().filter(|name| name.starts_with('v')).map(|name| root().join(name)).collect()
}

fn read(path: &Path) -> Vec<u8> {
    let file = Env::real().files.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// The files of a set's database, zeros and all.
fn load(set: &Path) -> Files {
    load_below(&set.join("db"))
}

/// The files below a directory, zeros and all.
fn load_below(root: &Path) -> Files {
    let files = Env::real().files;
    let (mut found, mut dirs) = (Files::new(), vec![String::new()]);
    while let Some(dir) = dirs.pop() {
        for name in files.list(&root.join(&dir)).unwrap() {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            match path.strip_suffix(sparse::SUFFIX) {
                Some(file) => found.push((file.to_owned(), sparse::expand(&read(&root.join(&path))))),
                None if files.list(&root.join(&path)).is_ok() => dirs.push(path),
                None => found.push((path.clone(), read(&root.join(&path)))),
            }
        }
    }
    found.sort();
    found
}

/// A machine with these files on its disk, at the time at which every simulated world starts.
fn world_of(files: &Files) -> World {
    let world = World::new(99);
    files.iter().for_each(|(path, bytes)| world.write_file(&Path::new(DIR).join(path), bytes).unwrap());
    world
}

fn open(world: &World) -> Engine {
    let options = Options { background: false, log: LOG, ..Options::default() };
    Engine::open(&world.env(), Path::new(DIR), options).unwrap()
}

#[test]
fn every_version_opens_answers_what_it_answered_and_goes_on() {
    assert!(!versions().is_empty());
    for set in versions() {
        let expected: Value = serde_json::from_slice(&read(&set.join("expected.json"))).unwrap();
        let world = world_of(&load(&set));
        let engine = open(&world);
        let found = expected::of(&engine);
        for (part, value) in expected.as_object().unwrap() {
            assert_eq!(found[part], *value, "{}: {part}", set.display());
        }
        assert_eq!(found.as_object().unwrap().len(), expected.as_object().unwrap().len());
        // The same after everything has gone through the base of the rows, and the log is read again.
        while engine.step(Task::Sync).unwrap() {}
        engine.step(Task::Freeze).unwrap();
        while engine.step(Task::Drain).unwrap() {}
        let (reads, digests) = (expected::reads(&engine), expected::digests(&engine));
        assert_eq!((&reads, &digests), (&expected["reads"], &expected["digests"]), "drained");
        drop(engine);
        goes_on(&world, &expected);
    }
}

/// Writes of every kind, and opening again.
fn goes_on(world: &World, expected: &Value) {
    let engine = open(world);
    assert_eq!(expected::digests(&engine), expected["digests"], "drained and opened again");
    let write = |put: state::Put, subject: Option<&str>| {
        let options = WriteOptions { subject: subject.map(Into::into), ..WriteOptions::default() };
        engine.write(NamespaceId::DEFAULT, put, options).unwrap().wait().unwrap()
    };
    let first = write(state::Put::new("ann", "later", json!(1)), None);
    assert_eq!(json!(first.lsn.0 - 1), expected["lsn"]);
    write(state::Put::new("ann", "sealed later", json!("x")), Some("ann"));
    write(state::Put::new("bob", "a new key", json!("y")), Some("bob"));
    let append = Append::new("s", "user", "later");
    engine.write(NamespaceId::DEFAULT, append, WriteOptions::default()).unwrap().wait().unwrap();
    while engine.step(Task::Sweep).unwrap() {}
    let (lsn, digests) = (engine.lsn(), expected::digests(&engine));
    drop(engine);
    world.process_kill();
    let engine = open(world);
    assert_eq!((engine.lsn(), expected::digests(&engine)), (lsn, digests));
    assert_eq!(engine.verify(&mut |_| {}).unwrap().problems, []);
    let snapshot = engine.snapshot(NamespaceId::DEFAULT).unwrap();
    assert_eq!(engine.read(&snapshot, state::Get::new("bob", "a new key")).unwrap().value, "y");
}
