//! Loading with the real binary: files and pipes, `kill -9` in the middle, jobs.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use super::{agentdb, json, refused, run};

const ROWS: usize = 60_000;

fn lines() -> String {
    let line = |n: usize| serde_json::json!({"id": format!("r{n:06}"), "vector": [n, 1, 2, 3], "n": n, "text": format!("row {n}")});
    (0..ROWS).map(|n| format!("{}\n", line(n))).collect()
}

#[test]
fn a_file_and_a_pipe_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("docs.csv");
    let file = file.to_str().unwrap();
    std::fs::write(file, "id,kind,vector\na,note,\"[1, 0]\"\nb,plan,\"[0, 1]\"\n").unwrap();
    assert_eq!(refused(dir.path(), &["collection", "load", "docs", file]).1, "database_not_found");
    let loaded = json(dir.path(), &["collection", "load", "docs", file, "--create"]);
    assert_eq!((&loaded["rows"], &loaded["counts"]["created"]), (&2.into(), &2.into()));
    let mut child = agentdb(dir.path())
        .args(["--json", "collection", "load", "docs", "-", "--generate-ids"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\"kind\": \"note\", \"vector\": [1, 1]}\n").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(
        json(dir.path(), &["record", "count", "docs", "--filter", "{\"kind\": \"note\"}"])["count"],
        2
    );
    let job = &json(dir.path(), &["job", "list", "--reverse", "--kind", "load"])["items"];
    assert_eq!((job.as_array().unwrap().len(), &job[0]["state"]), (2, &"done".into()), "{job}");
    let key = refused(dir.path(), &["collection", "load", "docs", file, "--idempotency-key", "k"]);
    assert_eq!(key, (10, "invalid_value".into()));
    assert_eq!(
        refused(dir.path(), &["collection", "load", "docs", "absent.csv"]),
        (10, "invalid_value".into())
    );
    assert_eq!(refused(dir.path(), &["collection", "load", "none", file]).1, "collection_not_found");
}

#[test]
fn damage_that_a_library_panics_at_is_told_as_an_error_alone() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), &["collection", "create", "docs"]);
    let file = dir.path().join("a.arrow");
    std::fs::write(&file, b"ARROW1\0\0\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\x7fARROW1").unwrap();
    let output = run(dir.path(), &["--json", "collection", "load", "docs", file.to_str().unwrap()]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("nothing but the error");
    assert_eq!(error["error"]["name"], "load_source");
}

#[test]
fn a_load_that_is_killed_goes_on_without_gap_or_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.jsonl");
    std::fs::write(&file, lines()).unwrap();
    let file = file.to_str().unwrap();
    // New ids: a row that is loaded twice is two records.
    for load in [&["--create"][..], &["--generate-ids", "--skip", "[\"id\"]"]] {
        let collection = if load.len() == 1 { "docs" } else { "generated" };
        if load.len() > 1 {
            json(dir.path(), &["collection", "create", collection, "--dimension", "4"]);
        }
        let arguments = [&["collection", "load", collection, file], load].concat();
        // Killed later and later, until some of it is loaded: how long that takes is the machine's affair.
        let (mut after, mut there) = (Duration::from_millis(40), 0);
        while there == 0 {
            assert!(after < Duration::from_secs(60), "nothing is loaded");
            let mut child = agentdb(dir.path())
                .args(&arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(after);
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().code(), None, "it ended before it was killed");
            let got = run(dir.path(), &["--json", "collection", "get", collection]);
            if got.status.success() {
                let got: serde_json::Value = serde_json::from_slice(&got.stdout).unwrap();
                there = got["records"].as_u64().unwrap();
            }
            after = after * 5 / 4;
        }
        let loaded = json(dir.path(), &arguments);
        let behind = loaded["resumed_behind"].as_u64().unwrap_or_default();
        assert!(behind > 0 && behind < ROWS as u64, "{loaded}");
        assert_eq!((&loaded["rows"], &loaded["counts"]["created"]), (&ROWS.into(), &ROWS.into()), "{loaded}");
        assert_eq!(json(dir.path(), &["collection", "get", collection])["records"], ROWS);
        let distinct = ["record", "aggregate", collection, "n"];
        let stats = json(dir.path(), &distinct);
        let sum = (ROWS * (ROWS - 1) / 2) as u64;
        assert_eq!((&stats["count"], &stats["sum"]), (&ROWS.into(), &sum.into()), "{stats}");
        // Killed behind its last segment, it could not answer.
        let again = json(dir.path(), &arguments);
        assert_eq!((&again["resumed_behind"], &again["lsn"]), (&ROWS.into(), &loaded["lsn"]));
    }
    assert_eq!(json(dir.path(), &["verify"])["problems"], serde_json::json!([]));
}
