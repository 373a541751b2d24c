//! `agentdb search`: pages within a shell, stages, highlights, and the plan.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{agentdb, json, refused, run};

/// Four records of two kinds, from the one with the most rain on.
fn with_rain(dir: &Path) {
    json(dir, &["collection", "create", "docs", "--dimension", "2"]);
    for (n, (record, kind)) in [("a", "log"), ("b", "log"), ("c", "note"), ("d", "note")].iter().enumerate() {
        let text = ["rain ".repeat(4 - n), "sun ".repeat(n)].concat();
        let (vector, payload) = (format!("[{}, 1]", 4 - n), json!({"kind": kind}).to_string());
        let put = [
            "record",
            "put",
            "docs",
            "--record",
            record,
            "--vector",
            &vector,
            "--text",
            text.trim(),
            "--payload",
            &payload,
        ];
        json(dir, &put);
    }
}

fn records(found: &Value) -> Vec<&str> {
    found["hits"].as_array().unwrap().iter().map(|hit| hit["record"].as_str().unwrap()).collect()
}

#[test]
fn a_shell_reads_the_pages_of_a_search_while_it_writes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    with_rain(dir);
    let mut shell =
        agentdb(dir).args(["--json", "shell"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    let mut output = BufReader::new(shell.stdout.take().unwrap());
    let mut ask = |line: &str| -> Value {
        writeln!(input, "{line}").unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    let search = "search docs --vector '[1, 0]' --limit 3";
    let first = ask(&format!("{search} --pages"));
    assert_eq!(records(&first), ["a", "b", "c"]);
    ask("record delete docs d");
    ask("record put docs --record e --vector '[9, 1]'");
    let cursor = first["cursor"].as_str().unwrap();
    let second = ask(&format!("{search} --cursor {cursor}"));
    assert_eq!((records(&second), &second["lsn"], second.get("cursor")), (vec!["d"], &first["lsn"], None));
    drop(input);
    assert!(shell.wait().unwrap().success());
    let later = ["search", "docs", "--vector", "[1, 0]", "--limit", "3", "--cursor", cursor];
    assert_eq!(refused(dir, &later), (10, "search_cursor_expired".to_owned()));
}

#[test]
fn stages_highlights_and_plans_are_asked_for_by_options() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    with_rain(dir);
    let search = |more: &[&str]| json(dir, &[&["search", "docs", "--by", "words", "rain"], more].concat());
    assert_eq!(records(&search(&[])), ["a", "b", "c", "d"]);
    let groups = search(&["--group-by", "kind"]);
    assert_eq!((records(&groups), &groups["hits"][1]["group"]), (vec!["a", "c"], &json!("note")));
    assert_eq!(records(&search(&["--group-by", "kind", "--group-size", "2", "--limit", "1"])), ["a", "b"]);
    let least = r#"{"formula": {"product": ["score", {"constant": -1}]}}"#;
    assert_eq!(records(&search(&["--rerank", least])), ["d", "c", "b", "a"]);
    let diverse = search(&["--diversity={\"lambda\": 0}", "--limit", "2"]);
    assert_eq!(records(&diverse), ["a", "d"]);
    let marked = search(&["--highlight", "--limit", "1"]);
    assert_eq!(
        marked["hits"][0]["highlights"]["text"][0].as_str().unwrap().matches("<em>rain</em>").count(),
        4
    );
    let marked = search(&["--highlight={\"pre_tag\": \"*\", \"post_tag\": \"*\"}", "--explain"]);
    assert!(marked["hits"][3]["highlights"]["text"][0].as_str().unwrap().starts_with("*rain* sun"));
    assert_eq!(marked["plan"]["queries"][0]["method"], "words");
    assert_eq!(marked["hits"][0]["explanation"]["shares"][0]["frequency"], 4);
    let shown = run(dir, &["search", "docs", "--by", "words", "rain", "--explain"]).stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("plan:") && shown.contains("\"method\": \"words\""), "{shown}");
    assert_eq!(refused(dir, &["search", "docs", "--vector", "[1, 0]", "--highlight"]).1, "invalid_value");
}
