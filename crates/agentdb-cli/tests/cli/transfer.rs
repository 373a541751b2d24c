//! Exporting and importing with the real binary: files and pipes, damage, `kill -9` in the middle.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use agentdb::modules::session::message;
use agentdb::{Database, Value};

use super::{agentdb, json, refused, run};

fn export(dir: &Path, namespace: &str) -> Vec<u8> {
    let output = run(dir, &["namespace", "export", namespace]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Imports what standard input gives.
fn import(dir: &Path, namespace: &str, lines: &[u8]) -> Result<Value, Value> {
    let mut child = agentdb(dir)
        .args(["--json", "namespace", "import", namespace])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses reads no further.
    let _ = child.stdin.take().unwrap().write_all(lines);
    let output = child.wait_with_output().unwrap();
    let parsed = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap();
    if output.status.success() { Ok(parsed(&output.stdout)) } else { Err(parsed(&output.stderr)) }
}

fn nouns(lines: &[u8]) -> Vec<&str> {
    let own = |line: &&str| {
        !["export", "check", "end"].iter().any(|n| line.starts_with(&format!("{{\"noun\":\"{n}\"")))
    };
    std::str::from_utf8(lines).unwrap().lines().filter(own).collect()
}

/// A database with `messages` messages in a session, states, and a blob.
fn filled(dir: &Path, messages: u64) {
    let db = Database::open(dir.join("db")).unwrap();
    let ns = db.namespace("default").unwrap();
    for first in (0..messages).step_by(500) {
        let append = |number: u64| message::Append {
            owner: Some("ann".into()),
            message: Some(format!("m{number:06}")),
            ..message::Append::new("s", "user", format!("message {number}"))
        };
        let batch = (first..messages.min(first + 500)).fold(ns.batch(), |batch, number| {
            batch.push(ns.write(append(number))).push(ns.state("ann").put(format!("{number:06}"), number))
        });
        batch.wait().unwrap();
    }
    ns.blobs().put(&vec![7; 500_000][..]).name("seven.bin").wait().unwrap();
    db.close().unwrap();
}

#[test]
fn what_is_exported_is_imported_into_another_database_by_pipe_and_by_file() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path(), 100);
    let lines = export(dir.path(), "default");
    let imported = import(other.path(), "default", &lines).unwrap();
    assert_eq!(
        (&imported["counts"]["message"]["put"], &imported["counts"]["blob"]["put"]),
        (&100.into(), &1.into())
    );
    assert_eq!(nouns(&export(other.path(), "default")), nouns(&lines));

    let file = dir.path().join("default.jsonl");
    let file = file.to_str().unwrap();
    let exported = json(dir.path(), &["namespace", "export", "default", file]);
    assert_eq!(exported["counts"]["state"], 100);
    assert_eq!(nouns(&std::fs::read(file).unwrap()), nouns(&lines));
    let again = refused(dir.path(), &["namespace", "export", "default", file]);
    assert_eq!(again, (10, "invalid_value".into()), "a file that exists is not written over");
    json(dir.path(), &["namespace", "import", "copy", file]);
    let existing = |what: &str| json(dir.path(), &["namespace", "import", "copy", file, "--existing", what]);
    assert_eq!(existing("skip")["counts"]["state"]["skipped"], 100);
    assert_eq!(existing("replace")["counts"]["state"]["replaced"], 100);
    assert_eq!(nouns(&export(dir.path(), "copy")), nouns(&lines));
    let unknown = refused(dir.path(), &["namespace", "import", "copy", file, "--existing", "merge"]);
    assert_eq!(unknown, (10, "invalid_value".into()));
    assert_eq!(refused(dir.path(), &["namespace", "export", "none"]).0, 12);
    let key = refused(dir.path(), &["namespace", "import", "copy", file, "--idempotency-key", "k"]);
    assert_eq!(key, (10, "invalid_value".into()));
}

#[test]
fn damage_is_found_and_told_with_the_line() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path(), 50);
    let lines = export(dir.path(), "default");
    let err = import(other.path(), "default", &lines[..lines.len() / 2]).unwrap_err();
    assert_eq!(err["error"]["name"], "import_truncated", "{err}");
    let at = lines.windows(10).position(|w| w == b"message 17").unwrap() + 9;
    let mut flipped = lines.clone();
    flipped[at] = b'8';
    let err = import(other.path(), "new", &flipped).unwrap_err();
    assert_eq!(err["error"]["name"], "import_damaged", "{err}");
    let refused = String::from_utf8_lossy(&lines).replacen("\"sequence\":17", "\"sequence\":0", 1);
    let err = import(other.path(), "refused", refused.as_bytes()).unwrap_err();
    assert_eq!(
        (&err["error"]["name"], &err["error"]["values"]["field"]),
        (&"import_damaged".into(), &Value::Null)
    );
    // The whole one goes on where the truncated one ended.
    import(other.path(), "default", &lines).unwrap();
    assert_eq!(nouns(&export(other.path(), "default")), nouns(&lines));
}

#[test]
fn an_import_that_is_killed_goes_on_without_gap_or_repeat() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path(), 30_000);
    let file = dir.path().join("lines.jsonl");
    let file = file.to_str().unwrap();
    json(dir.path(), &["namespace", "export", "default", file]);
    // Long before its end.
    for after in [40, 80, 120, 160].map(Duration::from_millis) {
        let mut child = agentdb(other.path())
            .args(["--json", "namespace", "import", "copy", file])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.code().is_none(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let imported = json(other.path(), &["namespace", "import", "copy", file]);
    assert!(imported["resumed_behind"].as_u64().is_some_and(|line| line > 1), "{imported}");
    assert_eq!(imported["counts"]["message"]["put"], 30_000);
    let (lines, copied) = (std::fs::read(file).unwrap(), export(other.path(), "copy"));
    assert!(nouns(&copied) == nouns(&lines), "the same lines");
    let mut times = BTreeMap::<&str, u64>::new();
    nouns(&copied).into_iter().for_each(|line| *times.entry(line).or_default() += 1);
    assert!(times.values().all(|count| *count == 1));
    assert_eq!(json(other.path(), &["verify"])["problems"], serde_json::json!([]));
    // Killed behind its last batch, it could not answer.
    let mut again = json(other.path(), &["namespace", "import", "copy", file]);
    assert_eq!(again["resumed_behind"], imported["lines"]);
    again["resumed_behind"] = imported["resumed_behind"].clone();
    assert_eq!(again, imported);
}

#[test]
fn an_export_to_a_file_is_there_as_a_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 20_000);
    let whole = nouns(&export(dir.path(), "default")).len();
    for (number, after) in [15, 30, 60, 120].map(Duration::from_millis).into_iter().enumerate() {
        let file = dir.path().join(format!("{number}.jsonl"));
        let mut child = agentdb(dir.path())
            .args(["namespace", "export", "default", file.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        if !file.exists() {
            json(dir.path(), &["namespace", "export", "default", file.to_str().unwrap()]);
        }
        assert_eq!(nouns(&std::fs::read(&file).unwrap()).len(), whole);
    }
    let names = |dir: &Path| {
        let entries = std::fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    // One that is refused leaves nothing.
    let new = tempfile::tempdir().unwrap();
    let file = new.path().join("file.jsonl");
    json(dir.path(), &["namespace", "export", "default", file.to_str().unwrap()]);
    assert_eq!(names(new.path()), ["file.jsonl"]);
    let job = &json(dir.path(), &["job", "list", "--reverse"])["items"][0];
    let bytes = std::fs::metadata(&file).unwrap().len();
    assert_eq!((&job["done"], &job["total"]), (&bytes.into(), &bytes.into()), "{job}");
}

#[test]
fn the_lines_of_another_program_in_the_page_are_imported() {
    let page = include_str!("../../../../docs/export.md");
    let lines = page.rsplit("```json\n").next().and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let imported = import(dir.path(), "default", lines.as_bytes()).unwrap();
    assert_eq!(imported["counts"]["record"]["put"], 1);
    let found = json(dir.path(), &["search", "docs", "--vector", "[1, 0, 0]"]);
    assert_eq!(found["hits"][0]["text"], "first");
}
