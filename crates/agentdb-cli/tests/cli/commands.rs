//! Commands, their answers and their exit codes.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use super::{agentdb, json, refused, run};

#[test]
fn a_field_with_the_name_of_an_option_has_one_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["namespace", "create", "team"]);
    json(dir, &["-n", "team", "checkpoint", "put", "t", "--checkpoint", "c1"]);
    json(
        dir,
        &["-n", "team", "checkpoint", "put", "t", "--checkpoint", "c2", "--checkpoint-namespace", "part"],
    );
    let root = json(dir, &["-n", "team", "checkpoint", "get", "t"]);
    assert_eq!((&root["checkpoint"], &root["namespace"]), (&"c1".into(), &"".into()));
    let part = json(dir, &["-n", "team", "checkpoint", "get", "t", "--checkpoint-namespace", "part"]);
    assert_eq!((&part["checkpoint"], &part["namespace"]), (&"c2".into(), &"part".into()));
    assert_eq!(refused(dir, &["checkpoint", "get", "t"]).1, "checkpoint_not_found");
    // An option behind the command is the same option.
    assert_eq!(json(dir, &["checkpoint", "get", "t", "-n", "team"])["checkpoint"], "c1");
    assert_eq!(
        json(dir, &["checkpoint", "get", "--request", r#"{"thread":"t"}"#, "-n", "team"])["namespace"],
        ""
    );
}

#[test]
fn state_sessions_records_and_blobs_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["state", "put", "ann", "plan", r#"{"step":1}"#]);
    assert_eq!(json(dir, &["state", "get", "ann", "plan"])["value"], json!({"step": 1}));
    assert_eq!(json(dir, &["state", "increment", "ann", "n", "--by", "-3"])["value"], -3);
    json(dir, &["session", "create", "ann", "--session", "s1"]);
    json(dir, &["message", "append", "s1", "user", r#""hi""#]);
    assert_eq!(json(dir, &["message", "list", "s1"])["items"][0]["content"], "hi");
    json(dir, &["collection", "create", "docs", "--dimension", "2", "--metric", "euclidean"]);
    json(dir, &["record", "put", "docs", "--record", "a", "--vector", "[0,1]", "--payload", r#"{"k":1}"#]);
    let hits = json(dir, &["search", "docs", "--vector", "[0,2]", "--filter", r#"{"k":{"$gte":1}}"#]);
    assert_eq!((&hits["hits"][0]["record"], hits["hits"][0]["score"].as_f64()), (&json!("a"), Some(1.0)));
    let near = |threshold| json(dir, &["search", "docs", "--vector", "[0,2]", "--threshold", threshold]);
    assert_eq!((&near("0.5")["hits"], near("1")["hits"].as_array().unwrap().len()), (&json!([]), 1));
    std::fs::write(dir.join("file"), b"\x00\xffbytes").unwrap();
    let stored = json(dir, &["blob", "put", dir.join("file").to_str().unwrap()]);
    let output = run(dir, &["blob", "get", stored["blob"].as_str().unwrap()]);
    assert_eq!(output.stdout, b"\x00\xffbytes");
    let blob = stored["blob"].as_str().unwrap();
    let output = run(dir, &["blob", "get", blob, "--offset", "2", "--length", "3"]);
    assert_eq!(output.stdout, b"byt");
    assert_eq!(refused(dir, &["blob", "get", blob, "--offset", "9"]), (10, "invalid_value".to_owned()));
    assert_eq!(json(dir, &["database", "verify"])["problems"], json!([]));
    assert!(String::from_utf8_lossy(&run(dir, &["log", "read"]).stdout).contains("blob.put"));
    assert_eq!(json(dir, &["verify"])["problems"], json!([]));
    assert_eq!(json(dir, &["log", "verify"])["last_lsn"], json(dir, &["inspect"])["database"]["lsn"]);
}

#[test]
fn negative_numbers_are_values_and_what_says_nothing_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (arguments, expected) in [
        (&["state", "put", "ann", "n", "-5"][..], json!(-5)),
        (&["state", "put", "ann", "n", "--ttl", "1h", "-2.5"], json!(-2.5)),
    ] {
        json(dir, arguments);
        assert_eq!(json(dir, &["state", "get", "ann", arguments[3]])["value"], expected, "{arguments:?}");
    }
    json(dir, &["retention", "set", "message", "--keep-latest", "3", "--max-age", "30d"]);
    let cleared = json(dir, &["retention", "set", "message", "--keep-latest", "null"]);
    assert_eq!(cleared, json!({"noun": "message", "max_age_us": 2_592_000_000_000_u64}));
    for arguments in
        [&["state", "put", "ann", "k", "1"][..], &["retention", "set", "item", "--max-age", "null"]]
    {
        let output = run(dir, arguments);
        assert!(output.status.success() && !String::from_utf8_lossy(&output.stdout).trim().is_empty());
    }
}

#[test]
fn every_kind_of_error_has_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["state", "put", "ann", "plan", "1"]);
    json(dir, &["collection", "create", "docs", "--dimension", "2"]);
    let big = format!("@{}", dir.join("big").display());
    std::fs::write(dir.join("big"), format!("\"{}\"", "x".repeat(1 << 20))).unwrap();
    for (arguments, expected) in [
        (&["state", "put", "ann", "plan", "{"][..], (10, "invalid_json")),
        (&["state", "put", "ann", "plan", r#"{"a":1,"a":2}"#], (10, "invalid_json")),
        (&["state", "put", "ann", "plan", "123456789012345678901234567890"], (10, "invalid_json")),
        (&["state", "put", "", "plan", "1"], (10, "id_empty")),
        (
            &["state", "put", "--request", r#"{"owner":"a","key":"b","value":1,"tll":1}"#],
            (10, "unknown_field"),
        ),
        (&["state", "put", "--request", r#"{"owner":"a"}"#], (10, "missing_field")),
        (&["state", "put", "ann", "plan", "1", "--ttl", "soon"], (10, "invalid_value")),
        (&["state", "put", "ann", "plan", &big], (11, "value_too_large")),
        (&["state", "list", "ann", "--limit", "10001"], (11, "page_too_large")),
        (&["state", "list", "ann", "--cursor", "zz"], (10, "invalid_cursor")),
        (&["state", "get", "ann", "none"], (12, "state_not_found")),
        (&["-n", "", "state", "get", "ann", "plan"], (10, "id_empty")),
        (&["--namespace", "none", "state", "get", "ann", "plan"], (12, "namespace_not_found")),
        (&["state", "compare-and-set", "ann", "plan", "99", "2"], (13, "version_mismatch")),
        (&["record", "put", "docs", "--vector", "[1]"], (10, "dimension_mismatch")),
        (&["record", "put", "docs", "--vector", "[1,1e39]"], (10, "vector_not_finite")),
        (&["record", "put", "docs", "--vector", "[0,0]"], (10, "vector_zero")),
        (&["search", "docs"], (10, "search_needs_vector")),
        (&["operations", "state.steal"], (10, "unknown_operation")),
        (&["--min-lsn", "999", "state", "get", "ann", "plan"], (14, "snapshot_not_reached")),
    ] {
        let (code, name) = refused(dir, arguments);
        assert_eq!((code, name.as_str()), expected, "{arguments:?}");
    }
    assert_eq!(run(dir, &["state", "fly"]).status.code(), Some(2));
    let elsewhere = dir.join("elsewhere");
    assert_eq!(refused(&elsewhere, &["inspect"]), (12, "database_not_found".to_owned()));
    assert_eq!(refused(&elsewhere, &["state", "get", "a", "k"]), (12, "database_not_found".to_owned()));
    assert!(!elsewhere.exists(), "a read made a database");
    // Half of a database is told of alike by what reads and what writes.
    std::fs::rename(dir.join("db/FORMAT"), dir.join("FORMAT")).unwrap();
    for arguments in
        [&["state", "get", "ann", "plan"][..], &["state", "put", "ann", "plan", "1"], &["verify"]]
    {
        assert_eq!(refused(dir, arguments), (16, "format_corrupt".to_owned()), "{arguments:?}");
    }
    std::fs::rename(dir.join("FORMAT"), dir.join("db/FORMAT")).unwrap();
    let output = agentdb(dir)
        .args(["--json", "state", "get"])
        .arg(OsStr::from_bytes(b"a\xff"))
        .arg("k")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(10));
    assert!(String::from_utf8_lossy(&output.stderr).contains("invalid_utf8"));
}

#[test]
fn a_second_process_and_a_newer_format_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut first = agentdb(dir).arg("pipe").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let put = br#"{"op":"state.put","request":{"owner":"a","key":"k","value":1}}"#;
    let mut input = first.stdin.take().unwrap();
    input.write_all(put).unwrap();
    input.write_all(b"\n").unwrap();
    let mut answer = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(first.stdout.take().unwrap()), &mut answer)
        .unwrap();
    assert!(answer.contains("\"lsn\":1"), "{answer}");
    assert_eq!(refused(dir, &["state", "get", "a", "k"]), (15, "locked".to_owned()));
    drop(input);
    assert!(first.wait().unwrap().success());
    json(dir, &["state", "get", "a", "k"]);

    let format = dir.join("db/FORMAT");
    let text = std::fs::read_to_string(&format).unwrap();
    std::fs::write(&format, text.replacen("\"agentdb\":1", "\"agentdb\":9", 1)).unwrap();
    assert_eq!(refused(dir, &["state", "get", "a", "k"]), (16, "format_corrupt".to_owned()));
}

/// What `pipe` answers to lines.
fn pipe(dir: &Path, lines: &str) -> Vec<serde_json::Value> {
    let mut child = agentdb(dir).arg("pipe").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[test]
fn a_line_with_more_than_is_known_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let put = r#""op":"state.put","request":{"owner":"a","key":"k","value":1}"#;
    let lines = [
        format!(r#"{{{put},"idempotency_key":"x"}}"#),
        format!(r#"{{"batch":[{{{put}}}],"op":"state.put"}}"#),
        format!(r#"{{"batch":{{{put}}}}}"#),
        "[]".to_owned(),
        "{}".to_owned(),
        format!(r#"{{"batch":[{{{put}}}]}}"#),
    ];
    let answers = pipe(dir.path(), &lines.join("\n"));
    let names: Vec<&str> = answers.iter().filter_map(|a| a["error"]["name"].as_str()).collect();
    assert_eq!(
        names,
        ["unknown_field", "unknown_field", "invalid_value", "invalid_value", "invalid_value"],
        "{answers:?}"
    );
    assert_eq!((answers.len(), &answers[5]["lsn"]), (6, &json!(1)));
}

#[test]
fn a_request_that_is_refused_for_its_form_makes_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for arguments in [
        &["state", "put", "ann", "k", "{"][..],
        &["state", "put", "--request", r#"{"owner":"a"}"#],
        &["state", "put", "--request", r#"{"owner":7,"key":"k","value":1}"#],
        &["-n", "none", "state", "put", "ann", "k", "1"],
        &["blob", "put", "/none"],
        &["batch"],
    ] {
        assert_ne!(run(dir, arguments).status.code(), Some(0), "{arguments:?}");
        assert!(!dir.join("db").exists(), "{arguments:?}");
    }
    for (line, name) in [
        (r#"{"op":"state.fly"}"#, "unknown_operation"),
        (r#"{"op":"state.put","request":{"owner":7,"key":"k","value":1}}"#, "invalid_value"),
        (r#"{"op":"state.get","request":{"owner":"a","key":"k"}}"#, "database_not_found"),
        (r#"{"op":"blob.put"}"#, "not_unary"),
        (r#"{"batch":[{"op":"state.put","request":{}}]}"#, "missing_field"),
        (r#"{"batch":[{"op":"namespace.create","request":{"name":"n"}}]}"#, "not_batchable"),
        (r#"{"batch":[]}"#, "database_not_found"),
        ("{", "invalid_json"),
    ] {
        assert_eq!(pipe(dir, line)[0]["error"]["name"], name, "{line}");
        let lines = line.trim_start_matches(r#"{"batch":["#).trim_end_matches("]}");
        std::fs::write(dir.join("lines"), lines).unwrap();
        assert_ne!(run(dir, &["batch", dir.join("lines").to_str().unwrap()]).status.code(), Some(0));
        assert!(!dir.join("db").exists(), "{line}");
    }
    assert!(pipe(dir, "").is_empty() && !dir.join("db").exists());
    // What is refused first does not keep the next line from being done.
    let put = r#"{"op":"state.put","request":{"owner":"a","key":"k","value":1}}"#;
    let get = r#"{"op":"state.get","request":{"owner":"a","key":"k"}}"#;
    let answers = pipe(dir, &[get, "{", put, get].join("\n"));
    assert_eq!((answers.len(), &answers[3]["response"]["value"]), (4, &json!(1)), "{answers:?}");
}

#[test]
fn the_limit_of_depth_is_that_of_the_value_whatever_lies_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (depth, sound) in [(32, true), (33, false)] {
        let value = format!("{}1{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let request = format!(r#"{{"owner":"a","key":"k","value":{value}}}"#);
        let line = format!(r#"{{"op":"state.put","request":{request}}}"#);
        std::fs::write(dir.join("lines"), &line).unwrap();
        for arguments in [
            &["state", "put", "a", "k", &value][..],
            &["state", "put", "--request", &request],
            &["batch", dir.join("lines").to_str().unwrap()],
        ] {
            assert_eq!(run(dir, arguments).status.success(), sound, "{depth} deep: {arguments:?}");
        }
        for line in [&line, &format!(r#"{{"batch":[{line}]}}"#)] {
            let answer = &pipe(dir, line)[0];
            assert_eq!(answer["error"].is_null(), sound, "{answer}");
            assert!(sound || answer["error"]["values"]["actual"] == "33", "{answer}");
        }
    }
}

#[test]
fn help_tells_what_is_required_and_that_durations_have_units() {
    let dir = tempfile::tempdir().unwrap();
    let help = String::from_utf8(run(dir.path(), &["state", "put", "--help"]).stdout).unwrap();
    assert!(help.contains("Usage: agentdb state put [OPTIONS] <OWNER> <KEY> <JSON>\n"), "{help}");
    assert!(help.contains("agentdb state put [OPTIONS] --request <JSON>\n"), "{help}");
    assert!(help.contains("1h30m") && !help.to_lowercase().contains("microseconds"), "{help}");
    let missing = String::from_utf8(run(dir.path(), &["state", "put", "ann"]).stderr).unwrap();
    assert!(missing.contains("<KEY>") && missing.contains("<OWNER> <KEY> <JSON>"), "{missing}");
    let help = String::from_utf8(run(dir.path(), &["blob", "put", "--help"]).stdout).unwrap();
    assert!(help.contains("Usage: agentdb blob put [OPTIONS] <FILE>\n"), "{help}");
    json(dir.path(), &["state", "put", "ann", "k", "1", "--ttl", "1w2d1h30m"]);
    assert!(json(dir.path(), &["state", "get", "ann", "k"])["expires"].is_string());
}

#[test]
fn watching_prints_what_changed_and_goes_on_where_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let lines = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let output = agentdb(dir).arg("--json").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    json(dir, &["state", "put", "ann", "plan/a", "1", "--principal", "me"]);
    json(dir, &["state", "put", "ann", "plan/a", "2"]);
    json(dir, &["message", "append", "s", "user", r#""hi""#, "--owner", "ann", "--message", "m"]);
    json(dir, &["session", "delete", "s"]);
    let all = lines(&["watch"]);
    assert_eq!(all, lines(&["change", "watch"]));
    let first = json!({"noun": "state", "owner": "ann", "key": "plan/a", "kind": "put"});
    assert_eq!((all.len(), &all[0]["changes"], &all[0]["principal"]), (4, &json!([first]), &json!("me")));
    assert_eq!(all[3]["changes"], json!([{"noun": "session", "session": "s", "kind": "deleted"}]));
    assert_eq!(lines(&["watch", "--from", "3"]), all[2..]);
    assert_eq!(lines(&["watch", "--noun", "message", "--noun", "record", "--key", "s"]).len(), 2);
    let values = lines(&["watch", "--key", "ann", "--prefix", "plan/", "--values"]);
    assert_eq!((&values[0]["changes"][0]["superseded"], values.len()), (&json!(true), 2));
    assert_eq!(values[1]["changes"][0]["value"]["value"], 2);
    let quiet = lines(&["watch", "--key", "nobody", "--progress", "2"]);
    assert!(quiet.iter().map(|event| event["lsn"].as_u64().unwrap()).eq([2, 4]));
    let words = String::from_utf8(run(dir, &["watch", "--values"]).stdout).unwrap();
    assert!(
        words.contains("state.put\n          put state key \"plan/a\" owner \"ann\"  (superseded)"),
        "{words}"
    );
    assert_eq!(refused(dir, &["watch", "--from", "9"]), (10, "lsn_ahead".to_owned()));
    assert_eq!(refused(dir, &["watch", "--noun", "plan"]), (10, "invalid_value".to_owned()));
    assert_eq!(refused(dir, &["-n", "none", "watch"]), (12, "namespace_not_found".to_owned()));
}

#[test]
fn the_help_of_the_pipe_tells_what_it_cannot_do() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["pipe", "--help"]).stdout;
    for name in ["blob.get", "blob.put", "change.watch", "log.read", "database.verify"] {
        assert!(String::from_utf8_lossy(&help).contains(name), "{name}");
        let line = format!(r#"{{"op":"{name}"}}"#);
        assert_eq!(pipe(dir.path(), &line)[0]["error"]["values"]["operation"], name);
    }
}

#[test]
fn a_refused_batch_says_which_operation_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let put = r#"{"op":"state.put","request":{"owner":"a","key":"k","value":1}}"#;
    // In the order of the steps: the form, the fields, the preparation, the decision.
    for (bad, operation, name) in [
        (r#"{"op":"state.fly"}"#, "state.fly", "unknown_operation"),
        (r#"{"op":"state.put","request":{"owner":"a"}}"#, "state.put", "missing_field"),
        (r#"{"op":"state.get","request":{"owner":"a","key":"k"}}"#, "state.get", "not_batchable"),
        (r#"{"op":"state.take","request":{"owner":"a","key":"none"}}"#, "state.take", "state_not_found"),
        (r#"{"op":"state.put","request":{"owner":"","key":"k","value":1}}"#, "state.put", "id_empty"),
    ] {
        let error = pipe(dir, &format!(r#"{{"batch":[{put},{bad},{put}]}}"#))[0]["error"].take();
        let expected = json!([name, "1", operation]);
        let values = &error["values"];
        assert_eq!(json!([error["name"], values["batch_position"], values["batch_operation"]]), expected);
        std::fs::write(dir.join("lines"), format!("{put}\n\n{bad}\n")).unwrap();
        let output = run(dir, &["batch", dir.join("lines").to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("operation 1 of the batch") && told.contains(operation), "{told}");
    }
    for (bad, place) in [("[]", "batch[1]"), (r#"{"op":1}"#, "batch[1]")] {
        let error = pipe(dir, &format!(r#"{{"batch":[{put},{bad}]}}"#))[0]["error"].take();
        assert_eq!(error["values"]["field"], place, "{error}");
        std::fs::write(dir.join("lines"), format!("\n{put}\n{bad}\n")).unwrap();
        let output = run(dir, &["batch", dir.join("lines").to_str().unwrap()]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("line 3"), "{output:?}");
    }
    // An operation by itself is of no batch.
    let alone = pipe(dir, r#"{"op":"state.take","request":{"owner":"a","key":"none"}}"#)[0]["error"].take();
    assert!(alone["values"]["batch_position"].is_null(), "{alone}");
}

#[test]
fn what_would_be_dropped_or_stored_by_mistake_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["state", "put", "ann", "k", "1", "--ttl", "1h"]);
    let invalid = (10, "invalid_value".to_owned());
    // One key for many requests would answer the second with the first one's outcome.
    assert_eq!(refused(dir, &["pipe", "--idempotency-key", "x"]), invalid);
    assert_eq!(refused(dir, &["shell", "--idempotency-key", "x"]), invalid);
    let whole = r#"{"owner":"ann","key":"real","value":1}"#;
    assert_eq!(refused(dir, &["state", "put", "ann", "other", "2", "--request", whole]), invalid);
    assert_eq!(refused(dir, &["state", "put", "--ttl", "1h", "--request", whole]), invalid);
    json(dir, &["state", "put", "--request", whole]);
    assert_eq!(refused(dir, &["state", "expire", "ann", "k"]).0, 2);
    let no_ttl = r#"{"owner":"ann","key":"k"}"#;
    assert_eq!(refused(dir, &["state", "expire", "--request", no_ttl]), (10, "missing_field".to_owned()));
    assert!(json(dir, &["state", "get", "ann", "k"])["expires"].is_string());
    json(dir, &["state", "expire", "ann", "k", "null"]);
    assert!(json(dir, &["state", "get", "ann", "k"])["expires"].is_null());
    json(dir, &["session", "create", "ann", "--session", "s", "--title", "null"]);
    assert_eq!(json(dir, &["session", "get", "s"])["title"], "null");
    json(dir, &["session", "update", "s", "--title", "null"]);
    assert!(json(dir, &["session", "get", "s"])["title"].is_null());
    assert_eq!(refused(dir, &["state", "put", "ann", "k", "@/dev/zero"]), invalid);
    for no_file in [dir.join("none"), dir.to_owned()] {
        let no_file = no_file.to_str().unwrap();
        assert_eq!(refused(dir, &["blob", "put", no_file]), invalid);
        assert_eq!(refused(dir, &["batch", no_file]), invalid);
        assert_eq!(refused(dir, &["state", "put", "ann", "k", &format!("@{no_file}")]), invalid);
    }
    assert_eq!(refused(dir, &["batch", "/dev/zero"]), invalid);
    assert_eq!(json(dir, &["state", "count", "ann"])["count"], 2);
}

#[test]
fn what_was_stored_never_commands_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let value = "\u{1b}[2J\u{9b}31mhi\u{202e}\nthere";
    json(dir, &["state", "put", "ann", "k", &json!(value).to_string()]);
    json(dir, &["state", "put", "ann", "l", &json!({"a\u{9b}": value}).to_string()]);
    for arguments in
        [&["state", "get", "ann", "k"][..], &["state", "list", "ann"], &["state", "get", "\u{1b}[", "k"]]
    {
        let output = run(dir, arguments);
        let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!shown.contains(['\u{1b}', '\u{9b}']) && shown.contains("\\u{1b}["), "{shown}");
    }
    assert_eq!(json(dir, &["state", "get", "ann", "k"])["value"], value);
}

#[test]
fn the_log_of_no_database_is_not_sound_and_files_are_their_owners() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert_eq!(refused(dir, &["log", "verify"]), (12, "database_not_found".to_owned()));
    json(dir, &["state", "put", "ann", "k", "1", "--subject", "ann"]);
    let mut files = 0;
    for place in ["", "log", "keys"] {
        for entry in std::fs::read_dir(dir.join("db").join(place)).unwrap().map(Result::unwrap) {
            let about = entry.metadata().unwrap();
            if about.is_file() {
                assert_eq!(about.permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
                files += 1;
            }
        }
    }
    assert!(files >= 4, "FORMAT, LOCK, a segment, a key");
    for entry in std::fs::read_dir(dir.join("db/log")).unwrap().map(Result::unwrap) {
        std::fs::remove_file(entry.path()).unwrap();
    }
    assert_eq!(refused(dir, &["log", "verify"]), (16, "format_corrupt".to_owned()));
}

#[test]
fn inspect_shows_every_namespace() {
    let dir = tempfile::tempdir().unwrap();
    let create = |n| format!(r#"{{"op":"namespace.create","request":{{"name":"n{n}"}}}}"#);
    pipe(dir.path(), &(0..150).map(create).collect::<Vec<_>>().join("\n"));
    assert_eq!(json(dir.path(), &["inspect"])["namespaces"].as_array().unwrap().len(), 151);
}

#[test]
fn a_file_without_a_length_is_read_whole_and_a_mistake_is_told_by_its_field() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["state", "put", "a", "k", "@/proc/sys/kernel/pid_max"]);
    let limit: u64 = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
    assert_eq!(json(dir, &["state", "get", "a", "k"])["value"], limit);
    json(dir, &["collection", "create", "docs", "--dimension", "2"]);
    for arguments in [
        &["search", "docs", "--vector", "[1,0]", "--filter", "{"][..],
        &["record", "search", "docs", "--vector", "[1,0]", "--filter", "{"],
    ] {
        let output = agentdb(dir).arg("--json").args(arguments).output().unwrap();
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["error"]["values"]["field"], "filter", "{error}");
    }
}

#[test]
fn every_operation_of_the_table_is_a_command_with_its_fields() {
    let dir = tempfile::tempdir().unwrap();
    for operation in agentdb::Database::operations() {
        let (noun, verb) = operation.about.name.split_once('.').unwrap();
        let output = run(dir.path(), &[&*noun.replace('_', "-"), &verb.replace('_', "-"), "--help"]);
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", operation.about.name);
        let (schema, _) = operation.schemas();
        for field in schema.get("properties").and_then(|p| p.as_object()).into_iter().flat_map(|p| p.keys()) {
            let flag = field.trim_end_matches("_us").replace('_', "-");
            let named = [format!("--{flag}"), format!("<{}>", field.to_uppercase()), "<JSON>".to_owned()];
            assert!(
                named.iter().any(|n| help.contains(n)),
                "{} has no {field}:\n{help}",
                operation.about.name
            );
        }
    }
}

#[test]
fn the_tour_tells_where_documents_come_from_and_needs_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let tour = |docs: &str| {
        let mut tour = agentdb(dir);
        tour.env("AGENTDB_MODELS", dir.join("none")).env_remove("ORT_DYLIB_PATH");
        tour.args(["tour", "--docs", docs]).output().unwrap()
    };
    let docs = dir.join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("empty.md"), " ").unwrap();
    for nothing in [docs.clone(), docs.join("empty.md"), dir.join("none")] {
        let output = tour(nothing.to_str().unwrap());
        assert_eq!(output.status.code(), Some(10), "{output:?}");
    }
    // A single file will do; what is missing is the model alone.
    std::fs::write(docs.join("notes.rst"), "Notes\n").unwrap();
    let file = docs.join("notes.rst").to_str().unwrap().to_owned();
    let output = tour(&file);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains(&format!("1 documents, from {file}")), "{told}");
    assert_eq!(output.status.code(), Some(12), "{output:?}");
    assert!(!dir.join("db").exists());
}

#[test]
fn completions_and_help_exist_for_every_shell() {
    let dir = tempfile::tempdir().unwrap();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = agentdb(dir.path()).args(["completions", "bash"]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(15), "{}", String::from_utf8_lossy(&output.stderr));
    for shell in ["bash", "zsh", "fish"] {
        let output = run(dir.path(), &["completions", shell]);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("agentdb"));
    }
    assert!(String::from_utf8_lossy(&run(dir.path(), &["--help"]).stdout).contains("state"));
}

#[test]
fn an_option_that_means_nothing_to_a_command_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["state", "put", "ann", "k", "1"]);
    let place = dir.join("backups").display().to_string();
    json(dir, &["backup", "create", &place]);
    let new = dir.join("new").display().to_string();
    let (db, ns) = (["--db", "other"], ["--namespace", "team"]);
    let (key, ack, by, of) =
        (["--idempotency-key", "k"], ["--ack", "written"], ["--principal", "me"], ["--subject", "ann"]);
    let (min, as_of) = (["--min-lsn", "1"], ["--as-of", "1"]);
    let cases: &[(&[&str], &[[&str; 2]])] = &[
        (&["restore", &place, &new], &[db, ns, key, ack, by, of, min, as_of]),
        (&["backup", "restore", &place, &new], &[db, ns, key, min]),
        (&["backup", "list", &place], &[db, ns, key, ack, by, of, min, as_of]),
        (&["backup", "create", &place], &[ns, key, ack, by, of, min, as_of]),
        (&["backup", "archive", &place], &[ns, key, min]),
        (&["log", "release"], &[ns, key, min]),
        (&["log", "read"], &[ns, key, min, as_of]),
        (&["log", "verify"], &[ns, key, min, as_of]),
        (&["verify"], &[ns, key, min, as_of]),
        (&["database", "info"], &[ns, key]),
        (&["inspect"], &[key, ack, by, of, min, as_of]),
        (&["operations"], &[db, ns, key, min]),
        (&["state", "get", "ann", "k"], &[key, ack, by, of]),
        (&["state", "put", "ann", "k", "2"], &[min, as_of]),
        (&["search", "docs", "text"], &[key, ack, by, of]),
        (&["watch"], &[key, ack, by, of, min, as_of]),
        (&["batch"], &[min, as_of]),
        (&["blob", "put", "-"], &[min, as_of]),
        (&["blob", "get", "00"], &[key, min, as_of]),
    ];
    for (command, options) in cases {
        for option in *options {
            // Before the command or behind it.
            for arguments in [[&option[..], command].concat(), [command, &option[..]].concat()] {
                let output = agentdb(dir).arg("--json").args(&arguments).output().unwrap();
                let told: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
                let error = &told["error"];
                assert_eq!(error["values"]["field"], option[0], "{arguments:?}: {error}");
                assert_eq!(output.status.code(), Some(10), "{arguments:?}");
            }
        }
    }
    assert!(!dir.join("new").exists());
    // What the environment says is for those to whom it means something.
    let output = agentdb(dir).env("AGENTDB_NAMESPACE", "team").args(["backup", "list", &place]).output();
    assert!(output.unwrap().status.success());
    assert_eq!(json(dir, &["state", "get", "ann", "k"])["value"], 1);
}

#[test]
fn a_time_that_is_none_is_told_once_and_by_its_field() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    json(dir, &["state", "put", "ann", "k", "1"]);
    let place = dir.join("backups").display().to_string();
    json(dir, &["backup", "create", &place]);
    let new = dir.join("new").display().to_string();
    let told = |arguments: &[&str]| {
        let output = agentdb(dir).arg("--json").args(arguments).output().unwrap();
        let mut told: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        told["error"].take()
    };
    let garbage = told(&["restore", &place, &new, "--time", "garbage"]);
    assert_eq!(garbage["values"]["field"], "time", "{garbage}");
    let message = garbage["message"].as_str().unwrap();
    assert_eq!(message.matches("garbage").count(), 1, "{message}");
    assert_eq!(message.matches("is not a time").count(), 1, "{message}");
    let future = told(&["state", "get", "ann", "k", "--as-of", "9000-01-31T12:00:00Z"]);
    assert_eq!(future["values"]["field"], "as_of", "{future}");
}

#[test]
fn the_log_is_archived_held_and_released_by_commands() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let place = dir.join("backups").display().to_string();
    json(dir, &["state", "put", "ann", "k", "1"]);
    let taken = json(dir, &["backup", "create", &place]);
    json(dir, &["state", "put", "ann", "k", "2"]);
    let archived = json(dir, &["backup", "archive", &place, "--hold"]);
    // A backup is a job, which is begun and ended.
    assert_eq!((&archived["lsn"], &archived["new"]), (&4.into(), &true.into()), "{archived}");
    let again = json(dir, &["backup", "archive", &place]);
    assert_eq!((&again["name"], &again["new"]), (&archived["name"], &false.into()), "{again}");
    assert_eq!(json(dir, &["database", "info"])["log_held_for"], place.as_str());
    let listed = json(dir, &["backup", "list", &place]);
    assert_eq!(listed["items"][1]["kind"], "archive", "{listed}");
    assert_eq!(listed["items"][1]["continues"], taken["name"], "{listed}");
    let new = dir.join("new").display().to_string();
    assert_eq!(json(dir, &["restore", &place, &new])["lsn"], 4);
    assert_eq!(json(dir, &["log", "release"])["held_for"], place.as_str());
    assert!(json(dir, &["log", "release"])["held_for"].is_null());
    assert!(json(dir, &["database", "info"])["log_held_for"].is_null());
}
