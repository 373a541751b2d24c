//! What the operating system saw: no answer before its sync, and a failed sync stops the handle.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs `pipe` under strace with a few puts on standard input.
fn pipe_under_strace(dir: &Path, arguments: &[&str], puts: usize) -> Output {
    let mut child = Command::new("strace")
        .args(["-f", "-o"])
        .arg(dir.join("trace"))
        .args(arguments)
        .arg(env!("CARGO_BIN_EXE_agentdb"))
        .arg("--db")
        .arg(dir.join("db"))
        .arg("pipe")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("strace is installed (`make test` does it)");
    let mut input = child.stdin.take().unwrap();
    for number in 0..puts {
        let put =
            format!(r#"{{"op":"state.put","request":{{"owner":"a","key":"k{number}","value":{number}}}}}"#);
        // A process that stopped reads no more: its answers tell why.
        let _ = writeln!(input, "{put}");
    }
    drop(input);
    child.wait_with_output().unwrap()
}

#[test]
fn no_answer_precedes_the_sync_of_what_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let output = pipe_under_strace(dir.path(), &["-e", "trace=write,pwrite64,fdatasync"], 20);
    assert!(output.status.success());
    let trace = std::fs::read_to_string(dir.path().join("trace")).unwrap();
    // The log's frames start with their magic; a write to descriptor 1 is an answer.
    let (mut unsynced, mut log_fd, mut answers) = (false, None::<String>, 0);
    let mut unfinished = std::collections::HashMap::new();
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').map_or(("", ""), |(pid, call)| (pid, call.trim_start()));
        // A call during which another thread called something is told in two lines.
        let call = match call.strip_suffix(" <unfinished ...>") {
            Some(start) => {
                unfinished.insert(pid, start.to_owned());
                // A write counts from its start, a sync from its end.
                if start.starts_with("fdatasync(") { String::new() } else { start.to_owned() }
            }
            None => match call.strip_prefix("<... fdatasync resumed>") {
                Some(end) => unfinished.remove(pid).unwrap_or_default() + end,
                None => call.to_owned(),
            },
        };
        if call.starts_with("pwrite64(") && call.contains("\"ADBG") {
            log_fd = call["pwrite64(".len()..].split(',').next().map(str::to_owned);
            unsynced = true;
        } else if let Some(fd) = &log_fd
            && call.starts_with(&format!("fdatasync({fd})"))
            && call.ends_with("= 0")
        {
            unsynced = false;
        } else if call.starts_with("write(1, \"{") {
            assert!(!unsynced, "an answer before its fdatasync:\n{trace}");
            answers += 1;
        }
    }
    assert_eq!(answers, 20);
}

#[test]
fn a_failed_sync_of_the_log_stops_everything_and_loses_nothing_acknowledged() {
    for fail_at in [12, 20, 30] {
        let dir = tempfile::tempdir().unwrap();
        // Creating a database syncs often: do that first, without a fault.
        assert!(pipe_under_strace(dir.path(), &["-e", "trace=none"], 1).status.success());
        let inject = format!("inject=fdatasync:error=EIO:when={fail_at}+");
        let output = pipe_under_strace(dir.path(), &["-e", "trace=fdatasync", "-e", &inject], 60);
        let answers: Vec<Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        if answers.is_empty() {
            // The fault struck while opening: refused, with its code.
            assert_eq!(output.status.code(), Some(15));
            continue;
        }
        let good = answers.iter().take_while(|a| a["lsn"].is_u64()).count();
        let failed: Vec<&str> =
            answers[good..].iter().map(|a| a["error"]["name"].as_str().unwrap()).collect();
        assert!(!failed.is_empty(), "the fault struck nothing at {fail_at}");
        assert!(failed.iter().all(|name| ["outcome_unknown", "poisoned"].contains(name)), "{failed:?}");
        let db = agentdb::Database::open(dir.path().join("db")).unwrap();
        let namespace = db.namespace("default").unwrap();
        for number in 0..good {
            let key = format!("k{number}");
            let found = namespace.read(agentdb::modules::state::Get::new("a", key)).unwrap();
            assert_eq!(found.value, number);
        }
    }
}
