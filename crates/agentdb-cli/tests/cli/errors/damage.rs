//! Damage in every file of a directory: refused or reported, named, and harmless once the file is restored.

use std::path::Path;

use agentdb::modules::state;
use agentdb::{Database, Engine, NamespaceId, Value, WriteOptions, json};
use agentdb_engine::Task;
use agentdb_engine::decoders::rewrite_run;
use agentdb_env::sim::World;

use super::newer::append;
use super::simulated::{Files, Simulated, bytes_of, files, open, path_of};
use super::told;

fn flip(world: &World, saved: &Files, part: &str, offset: usize) {
    world.flip_bit(&path_of(saved, part), offset as u64, 3).unwrap();
}

fn remove(world: &World, saved: &Files, part: &str) {
    world.env().files.remove(&path_of(saved, part)).unwrap();
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|w| w == what).unwrap()
}

/// Writes until the log has several segments.
fn long(db: &Simulated) {
    for number in 0..60 {
        let put = state::Put::new("ann", format!("long {number}"), json!("x".repeat(1000)));
        db.write(put).unwrap();
    }
}

pub(super) fn format_corrupt() -> Vec<Value> {
    let mut db = Simulated::new();
    long(&db);
    let mut errors = Vec::new();
    for offset in [0, 12, 50, 60] {
        errors.push(db.refuses_to_open(&[("path", "FORMAT")], |w, f| flip(w, f, "FORMAT", offset)));
    }
    errors.push(
        db.refuses_to_open(&[("path", "FORMAT"), ("reason", "missing")], |w, f| remove(w, f, "FORMAT")),
    );
    errors.push(db.refuses_to_open(&[("path", "FORMAT")], |w, f| {
        w.write_file(&path_of(f, "FORMAT"), b"").unwrap();
    }));
    let first = [("path", "0000000001.log")];
    for offset in [0, 8, 17, 25, 33, 41] {
        errors.push(db.refuses_to_open(&first, |w, f| flip(w, f, "0000000001.log", offset)));
    }
    errors.push(db.refuses_to_open(&first, |w, f| {
        let path = path_of(f, "0000000001.log");
        w.write_file(&path, &bytes_of(f, &path)[..9000]).unwrap();
    }));
    errors.push(db.refuses_to_open(&first, |w, f| {
        w.write_file(&path_of(f, "0000000001.log"), b"ADBSEGMT").unwrap();
    }));
    let second = [("path", "0000000002.log"), ("reason", "missing")];
    errors.push(db.refuses_to_open(&second, |w, f| remove(w, f, "0000000002.log")));
    errors.push(db.refuses_to_open(&[("path", ".log"), ("reason", "missing")], |w, f| {
        let last = f.iter().rfind(|(p, _)| p.extension().is_some_and(|e| e == "log")).unwrap();
        w.env().files.remove(&last.0).unwrap();
    }));
    errors.push(db.refuses_to_open(&[("path", "log"), ("reason", "gone")], |w, f| {
        f.iter().filter(|(p, _)| p.to_string_lossy().ends_with(".log")).for_each(|(p, _)| {
            w.env().files.remove(p).unwrap();
        });
    }));
    // The entry that is sealed with the key is not in the base yet.
    for offset in [0, 8, 20, 30, 60] {
        let values = [("path", ".key"), ("reason", "subject ann"), ("subject", "ann")];
        errors.push(db.refuses_to_open(&values, |w, f| flip(w, f, ".key", offset)));
    }
    // Once it is, only a write for the subject needs the key.
    db.drain();
    db.kill();
    let saved = files(&db.world);
    flip(&db.world, &saved, ".key", 20);
    let engine = open(&db.world).unwrap();
    let write = |subject: &str| {
        let options = WriteOptions { subject: Some(subject.into()), ..WriteOptions::default() };
        engine.write(NamespaceId::DEFAULT, state::Put::new("ann", "more", json!(1)), options)?.wait()
    };
    write("bob").unwrap();
    errors.push(told(&write("ann").unwrap_err(), &[("path", ".key"), ("subject", "ann")]));
    errors
}

pub(super) fn log_corrupt() -> Vec<Value> {
    let mut db = Simulated::new();
    let frame = bytes_of(&files(&db.world), Path::new("/db/log/0000000001.log"));
    let middle = find(&frame, b"step");
    let values = [("segment", "0000000001.log"), ("offset", "4096"), ("lsn", "1"), ("reason", "checksum")];
    let mut errors = vec![db.refuses_to_open(&values, |w, f| flip(w, f, "0000000001.log", middle))];
    // Not in the first frame, and a whole sector.
    let later = find(&frame, b"message.append");
    errors.push(db.refuses_to_open(&[("lsn", "2")], |w, f| flip(w, f, "0000000001.log", later)));
    errors.push(db.refuses_to_open(&[("lsn", "1")], |w, f| {
        let path = path_of(f, "0000000001.log");
        let mut bytes = bytes_of(f, &path);
        bytes[4096..4608].fill(0);
        w.write_file(&path, &bytes).unwrap();
    }));
    // Groups that nobody should have written: an entry that ends early, none at all, and a sealed body of nobody.
    for body in [&[9, 1][..], &[], &[7, 0x11, 5, 2, b'k', b'y', 0x81, b'x']] {
        errors.push(db.refuses_to_open(&[("lsn", "9"), ("reason", "malformed")], |w, _| append(w, body)));
    }
    // A running database reports it.
    db.world.flip_bit(Path::new("/db/log/0000000001.log"), middle as u64, 0).unwrap();
    let report = db.engine().verify(&mut |_| {}).unwrap();
    errors.extend(report.problems.iter().map(|p| serde_json::to_value(p).unwrap()));
    errors
}

pub(super) fn rows_corrupt() -> Vec<Value> {
    let mut db = Simulated::new();
    db.drain();
    let mut errors = vec![
        db.refuses_to_open(&[("path", "0000000001.run")], |w, f| flip(w, f, ".run", 0)),
        db.refuses_to_open(&[("path", "/db/rows/0000000001.run"), ("reason", "missing")], |w, f| {
            remove(w, f, ".run");
        }),
        db.refuses_to_open(&[], |w, f| {
            let path = path_of(f, ".run");
            w.write_file(&path, &bytes_of(f, &path)[..100]).unwrap();
        }),
    ];
    let at = find(&bytes_of(&files(&db.world), Path::new("/db/rows/0000000001.run")), br#"{"step":1}"#);
    let restored = files(&db.world);
    db.kill();
    db.world.flip_bit(Path::new("/db/rows/0000000001.run"), at as u64, 0).unwrap();
    let engine = open(&db.world).unwrap();
    let named = [("reason", "namespace 1 table state key ann")];
    let read = |engine: &Engine| {
        let snapshot = engine.snapshot(agentdb::NamespaceId::DEFAULT).unwrap();
        engine.read(&snapshot, state::Get::new("ann", "plan"))
    };
    errors.push(told(&read(&engine).unwrap_err(), &named));
    errors.extend(
        engine.verify(&mut |_| {}).unwrap().problems.iter().map(|p| serde_json::to_value(p).unwrap()),
    );
    drop(engine);
    super::simulated::restore(&db.world, &restored);
    assert_eq!(read(&open(&db.world).unwrap()).unwrap().value, json!({"step": 1}));
    errors
}

pub(super) fn blob_corrupt() -> Vec<Value> {
    let db = Simulated::new();
    let path = path_of(&files(&db.world), "/blobs/1/");
    let address = path.file_name().unwrap().to_str().unwrap().to_owned();
    let values = [("blob", address.as_str())];
    let read = |db: &Simulated| {
        let snapshot = db.engine().snapshot(agentdb::NamespaceId::DEFAULT)?;
        db.engine().open_blob(&snapshot, &address)?.read_all()
    };
    db.world.flip_bit(&path, 2, 1).unwrap();
    let mut errors = vec![db.refuses(&values, read)];
    let report = db.engine().verify(&mut |_| {}).unwrap();
    errors.extend(report.problems.iter().map(|p| serde_json::to_value(p).unwrap()));
    db.world.write_file(&path, b"byte").unwrap();
    errors.push(db.refuses(&[("reason", "4 bytes, not 5")], read));
    db.world.env().files.remove(&path).unwrap();
    let missing = [("blob", address.as_str()), ("reason", path.to_str().unwrap()), ("reason", "missing")];
    errors.push(db.refuses(&missing, read));
    // Putting the same bytes again mends it.
    db.put_blob(b"bytes").unwrap();
    assert_eq!(read(&db).unwrap(), b"bytes");
    errors
}

pub(super) fn view_ahead() -> Vec<Value> {
    // The log of an earlier moment, the log of another database, and a log that lost its beginning.
    let mut db = Simulated::new();
    let earlier = files(&db.world);
    long(&db);
    db.drain();
    let is_log = |path: &Path| path.extension().is_some_and(|e| e == "log");
    let replace = |w: &World, f: &Files, by: &Files| {
        f.iter().filter(|(p, _)| is_log(p)).for_each(|(p, _)| w.env().files.remove(p).unwrap());
        by.iter().filter(|(p, _)| is_log(p)).for_each(|(p, bytes)| w.write_file(p, bytes).unwrap());
    };
    let other = Simulated::with_seed(77);
    long(&other);
    let other = files(&other.world);
    vec![
        db.refuses_to_open(&[("rows", "68"), ("reason", "ends before")], |w, f| replace(w, f, &earlier)),
        db.refuses_to_open(&[("reason", "another chain hash")], |w, f| replace(w, f, &other)),
    ]
}

pub(super) fn key_missing() -> Vec<Value> {
    let mut db = Simulated::new();
    let missing = db.refuses_to_open(&[("subject", "ann"), ("path", ".key")], |w, f| remove(w, f, ".key"));
    // What the base holds already needs no key.
    db.drain();
    db.kill();
    remove(&db.world, &files(&db.world), ".key");
    let engine = open(&db.world).unwrap();
    assert!(!engine.step(Task::Drain).unwrap());
    vec![missing]
}

/// A real directory with a state in a run.
pub(super) fn real() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path()).unwrap();
    db.namespace("default").unwrap().write(state::Put::new("ann", "plan", json!(1))).wait().unwrap();
    db.close().unwrap();
    dir
}

/// Changes the rows that the namespace `default` has in a given table in the only run of a real directory, checksums and all: the one mistake that only
/// software makes.
pub(super) fn change_rows(dir: &Path, table: u8, change: fn(&mut Vec<u8>)) {
    let path = dir.join("rows/0000000001.run");
    let mut changed = 0;
    let rewritten = rewrite_run(&std::fs::read(&path).unwrap(), &mut |key, _, body| {
        if let Some(body) = body.as_mut().filter(|_| key[..8] == 1u64.to_be_bytes() && key[8] == table) {
            change(body);
            changed += 1;
        }
    });
    assert_eq!(changed, 1);
    std::fs::write(&path, rewritten.unwrap()).unwrap();
}

pub(super) fn digest_mismatch() -> Vec<Value> {
    let dir = real();
    // The set hash of the namespace lies behind its rows.
    change_rows(dir.path(), 0xff, |hash| hash[100] ^= 1);
    let problems = Database::open(dir.path()).unwrap().verify(&mut |_| {}).unwrap().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].values["namespace"], "1");
    vec![serde_json::to_value(&problems[0]).unwrap()]
}
