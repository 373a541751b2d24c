//! Places for backups that are missing, sealed, in use, damaged or out of reach; restores that cannot be.

use std::path::Path;

use agentdb::{Code, Value};

use super::told_by_tool;
use crate::{agentdb, json};

/// A database of two states, and one backup of it in `backups`.
fn backed_up() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), &["state", "put", "ann", "plan", "1"]);
    json(dir.path(), &["state", "put", "ann", "plan", "2"]);
    json(dir.path(), &["backup", "create", &place(dir.path())]);
    dir
}

fn place(dir: &Path) -> String {
    dir.join("backups").display().to_string()
}

fn told(dir: &Path, arguments: &[&str], values: &[(&str, &str)]) -> Value {
    let error = told_by_tool(dir, arguments);
    for (name, expected) in values {
        let found = error["values"][*name].as_str().unwrap_or_default();
        assert!(found.contains(expected), "{name} is {found}, not {expected}: {error}");
    }
    error
}

pub(super) fn backup_key() -> Vec<Value> {
    let dir = backed_up();
    let key = dir.path().join("key");
    std::fs::write(&key, [7; 32]).unwrap();
    let short = dir.path().join("short");
    std::fs::write(&short, [7; 31]).unwrap();
    let (key, short) = (key.display().to_string(), short.display().to_string());
    let sealed = dir.path().join("sealed").display().to_string();
    json(dir.path(), &["backup", "create", &sealed, "--key-file", &key]);
    let other = dir.path().join("other");
    std::fs::write(&other, "ab".repeat(32)).unwrap();
    let other = other.display().to_string();
    let clear = place(dir.path());
    vec![
        told(dir.path(), &["backup", "list", &sealed], &[("reason", "no key was given")]),
        told(dir.path(), &["backup", "list", &sealed, "--key-file", &other], &[("reason", "another key")]),
        told(dir.path(), &["backup", "list", &clear, "--key-file", &key], &[("reason", "not sealed")]),
        told(dir.path(), &["backup", "create", &sealed, "--key-file", &short], &[("reason", "32 bytes")]),
    ]
}

pub(super) fn backup_place() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let list =
        |place: &str, reason: &str| told(dir.path(), &["backup", "list", place], &[("reason", reason)]);
    vec![list("ftp://example.org/x", "ftp"), list("", "empty"), list("s3://", "no bucket")]
}

pub(super) fn restore_not_empty() -> Vec<Value> {
    let dir = backed_up();
    let db = dir.path().join("db").display().to_string();
    vec![told(dir.path(), &["restore", &place(dir.path()), &db], &[("path", &db)])]
}

pub(super) fn backup_place_taken() -> Vec<Value> {
    let dir = backed_up();
    let (db, inside) = (dir.path().join("db"), dir.path().join("db/backups"));
    let (db, inside) = (db.display().to_string(), inside.display().to_string());
    let in_place = dir.path().join("backups/restored").display().to_string();
    let taken = |arguments: &[&str], path: &str| {
        let told = told(dir.path(), arguments, &[("path", path)]);
        assert!(!Path::new(&inside).exists() && !Path::new(&in_place).exists(), "{told}");
        told
    };
    vec![
        taken(&["backup", "create", &db], &db),
        taken(&["backup", "create", &inside], &inside),
        taken(&["restore", &place(dir.path()), &inside], &inside),
        taken(&["restore", &place(dir.path()), &in_place], &in_place),
    ]
}

pub(super) fn backup_store_not_found() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), &["state", "put", "ann", "plan", "1"]);
    let (nowhere, new) = (place(dir.path()), dir.path().join("new").display().to_string());
    let of_a_database = dir.path().join("db").display().to_string();
    let mut told_all = Vec::new();
    for place in [&nowhere, &of_a_database] {
        let commands: [&[&str]; 6] = [
            &["backup", "list", place],
            &["backup", "verify", place],
            &["backup", "prune", place, "1"],
            &["backup", "delete", place, "x"],
            &["backup", "archive", place],
            &["restore", place, &new],
        ];
        told_all.extend(commands.map(|command| told(dir.path(), command, &[("store", place.as_str())])));
    }
    assert!(!Path::new(&nowhere).exists() && !Path::new(&new).exists());
    told_all
}

pub(super) fn archive_gap() -> Vec<Value> {
    let dir = backed_up();
    let other = tempfile::tempdir().unwrap();
    json(other.path(), &["state", "put", "bob", "plan", "1"]);
    vec![told(other.path(), &["backup", "archive", &place(dir.path())], &[("first", "1")])]
}

pub(super) fn backup_not_found() -> Vec<Value> {
    let dir = backed_up();
    let (place, new) = (place(dir.path()), dir.path().join("new").display().to_string());
    let none = [("backup", "none")];
    vec![
        told(dir.path(), &["restore", &place, &new, "--backup", "none"], &none),
        told(dir.path(), &["backup", "verify", &place, "--backup", "none"], &none),
        told(dir.path(), &["backup", "delete", &place, "none"], &none),
    ]
}

pub(super) fn restore_point_not_found() -> Vec<Value> {
    let dir = backed_up();
    let (place, new) = (place(dir.path()), dir.path().join("new").display().to_string());
    let restore = |flag: &str, target: &str| {
        told(
            dir.path(),
            &["restore", &place, &new, flag, target],
            &[("target", target), ("reached", "LSN 3")],
        )
    };
    vec![restore("--lsn", "1"), restore("--lsn", "4"), restore("--time", "2001-01-31T12:00:00.000000Z")]
}

pub(super) fn backups_busy() -> Vec<Value> {
    let dir = backed_up();
    let place = place(dir.path());
    let leases = dir.path().join("backups/leases");
    std::fs::create_dir_all(&leases).unwrap();
    let lease = |name: &str| std::fs::write(leases.join(name), "9000-01-01T00:00:00.000000Z").unwrap();
    lease("collect-1");
    let create = told(dir.path(), &["backup", "create", &place], &[("reason", "collect-1")]);
    std::fs::remove_file(leases.join("collect-1")).unwrap();
    lease("backup-1");
    // Another backup may run beside it.
    json(dir.path(), &["backup", "create", &place]);
    vec![create, told(dir.path(), &["backup", "prune", &place, "1"], &[("reason", "backup-1")])]
}

pub(super) fn backup_store() -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let output = agentdb(dir.path())
        .args(["--json", "backup", "list", "s3://bucket/prefix"])
        // Nobody listens there.
        .envs([("AWS_ENDPOINT", "http://127.0.0.1:1"), ("AWS_ALLOW_HTTP", "true"), ("AWS_REGION", "r")])
        .envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")])
        .output()
        .unwrap();
    let mut told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(Code::BackupStore.kind().exit_code())), "{told}");
    vec![told["error"].take()]
}

pub(super) fn backup_corrupt() -> Vec<Value> {
    let dir = backed_up();
    let (place, new) = (place(dir.path()), dir.path().join("new").display().to_string());
    let manifests = dir.path().join("backups/manifests");
    let manifest = std::fs::read_dir(&manifests).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&manifest).unwrap();
    bytes[30] ^= 4;
    std::fs::write(&manifest, bytes).unwrap();
    let object = [("object", "manifests/")];
    let output = agentdb(dir.path()).args(["--json", "backup", "list", &place]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["damaged"][0]["problem"]["name"], "backup_corrupt", "{listed}");
    let shown = agentdb(dir.path()).args(["backup", "list", &place]).output().unwrap();
    let name = manifest.file_name().unwrap().to_string_lossy();
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("damaged: {name}: ")), "{shown:?}");
    let told = told(dir.path(), &["restore", &place, &new], &object);
    let deleted = json(dir.path(), &["backup", "delete", &place, &name]);
    assert!(deleted["chunks"].as_u64().unwrap() > 0, "{deleted}");
    vec![told]
}

pub(super) fn restore_unfinished() -> Vec<Value> {
    let dir = backed_up();
    std::fs::write(dir.path().join("db/RESTORING"), "").unwrap();
    vec![told(dir.path(), &["state", "get", "ann", "plan"], &[("path", "db")])]
}
