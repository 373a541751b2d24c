//! Stores of backups that earlier versions wrote: listed, verified, and restored to every LSN.
//!
//! `backups/clear` and `backups/sealed` of a set hold backups and archives of one database, and the lease of a backup that was
//! killed; `backups/HOLD` is that of the database. `backups.json` says what they lead to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use agentdb_env::sim::World;
use agentdb_types::{Code, Lsn};
use serde_json::{Value, json};

use super::{DIR, Files, LOG, load_below, read, versions};
use crate::decoders::by_name;
use crate::modules::backup::{Backups, DirectoryStore, Restore, StoreKey};
use crate::modules::{blob, state};
use crate::{Engine, NamespaceId, Options, WriteOptions};

const STORES: [(&str, Option<StoreKey>); 2] = [("clear", None), ("sealed", Some([7; 32]))];

fn store(world: &World, name: &str, key: Option<StoreKey>) -> Backups {
    let store = DirectoryStore::new(&world.env(), &Path::new("/backups").join(name)).unwrap();
    Backups::open(&world.env(), Arc::new(store), key).unwrap()
}

fn open(world: &World, dir: &str) -> Engine {
    let options = Options { background: false, log: LOG, ..Options::default() };
    Engine::open(&world.env(), Path::new(dir), options).unwrap()
}

fn digest(engine: &Engine) -> String {
    engine.digest(NamespaceId::DEFAULT).unwrap().1.to_string()
}

/// The files below `/backups` of a simulated machine, and what they lead to.
pub(super) fn write() -> (Files, Value) {
    let world = World::new(2);
    let engine = open(&world, DIR);
    let stores = STORES.map(|(name, key)| store(&world, name, key));
    let mut digests = BTreeMap::new();
    for round in 0..6u64 {
        for n in 0..4 {
            world.advance_us(1_000_000);
            let text = format!("{round} {n} ").repeat(60);
            let put = state::Put::new("ann", format!("k{n}"), json!(text));
            engine.write(NamespaceId::DEFAULT, put, WriteOptions::default()).unwrap().wait().unwrap();
            digests.insert(engine.lsn().0.to_string(), digest(&engine));
        }
        let bytes = vec![round as u8; 700];
        let (about, options) = (blob::Put::default(), WriteOptions::default());
        engine.put_blob(NamespaceId::DEFAULT, &mut &bytes[..], about, options).unwrap();
        digests.insert(engine.lsn().0.to_string(), digest(&engine));
        for backups in &stores {
            if round % 3 == 0 {
                engine.backup(backups, false, &mut |_| {}).unwrap();
            } else {
                engine.archive(backups, round == 1, &mut |_| {}).unwrap();
            }
        }
    }
    digests.retain(|lsn, _| lsn.parse::<u64>().unwrap() >= 5);
    let listed = STORES.map(|(name, key)| json!(store(&world, name, key).list().unwrap().items));
    for backups in &stores {
        std::mem::forget(engine.begin_backup(backups, false).unwrap());
    }
    world.process_kill();
    let path = Path::new(DIR).join("HOLD");
    let mut files: Files = vec![("HOLD".to_owned(), world.read_file(&path).unwrap())];
    for path in world.list_all() {
        if let Ok(below) = path.strip_prefix("/backups") {
            files.push((below.to_string_lossy().into_owned(), world.read_file(&path).unwrap()));
        }
    }
    files.sort();
    (files, json!({"listed": listed, "digests": digests}))
}

#[test]
fn every_version_of_backups_is_listed_verified_and_restored() {
    for set in versions() {
        let files = load_below(&set.join("backups"));
        let expected: Value = serde_json::from_slice(&read(&set.join("backups.json"))).unwrap();
        let world = World::new(98);
        for (path, bytes) in files.iter().filter(|(path, _)| path != "HOLD") {
            world.write_file(&Path::new("/backups").join(path), bytes).unwrap();
        }
        for (at, (name, key)) in STORES.into_iter().enumerate() {
            let backups = store(&world, name, key);
            let listed = backups.list().unwrap();
            assert_eq!((&json!(listed.items), listed.damaged.len()), (&expected["listed"][at], 0));
            let report = backups.verify(None, &mut |_| {}).unwrap();
            assert_eq!((report.problems, report.backups.len()), (vec![], 6));
            for (lsn, digest) in expected["digests"].as_object().unwrap() {
                let dir = format!("/restored/{name}/{lsn}");
                let lsn = Some(Lsn(lsn.parse().unwrap()));
                let restored = Restore { dir: dir.clone(), lsn, ..Restore::default() };
                assert_eq!(Some(backups.restore(&restored, &mut |_| {}).unwrap().lsn), lsn);
                assert_eq!(*digest, self::digest(&open(&world, &dir)), "{name} at {lsn:?}");
            }
            // The lease is understood: it keeps a collection away until it ends.
            assert_eq!(backups.prune(1).unwrap_err().code(), Code::BackupsBusy);
        }
        world.advance_us(16 * 60 * 1_000_000);
        for (name, key) in STORES {
            let deleted = store(&world, name, key).prune(1).unwrap();
            assert_eq!((deleted.backups.len(), deleted.damaged.len()), (3, 0));
        }
    }
}

#[test]
fn every_object_of_a_clear_store_decodes() {
    for set in versions() {
        let mut seen = BTreeMap::new();
        for (path, bytes) in load_below(&set.join("backups")) {
            let contents = bytes.get(2..).unwrap_or_default();
            let (decoder, bytes) = match path.strip_prefix("clear/") {
                None if path == "HOLD" => ("hold_file", &bytes[..]),
                None | Some("LOCK") => continue,
                Some("STORE") => ("backup_store", &bytes[..]),
                Some(object) if object.starts_with("manifests/") => ("backup_manifest", contents),
                Some(object) if object.starts_with("leases/") => ("backup_lease", &bytes[..]),
                Some(object) if object.starts_with("chunks/") => ("backup_object", &bytes[..]),
                Some(other) => panic!("{other} is of no kind that is known"),
            };
            assert!(by_name(decoder).unwrap()(bytes), "{decoder} refuses {path}");
            *seen.entry(decoder).or_insert(0) += 1;
        }
        assert!(seen.len() == 5 && seen["backup_manifest"] == 6, "{seen:?}");
    }
}
