//! The crash: another process writes, is killed in the middle, and nothing that it acknowledged is lost.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use agentdb::modules::session::message::Append;
use agentdb::modules::state;
use agentdb::{Code, Error, Result, json};

use super::SESSION;
use crate::context::Context;
use crate::output::line;

const WRITER: &str = "crash-writer";
/// Acknowledgements to see before the kill.
const ENOUGH: usize = 2_000;

fn failed(operation: &'static str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::Io)
        .with("operation", operation)
        .with("path", "the writing process")
        .with("reason", reason)
}

pub(super) fn run(context: &Context) -> Result<()> {
    line("\na second process writes batches, and is killed in the middle")?;
    let program = std::env::current_exe().map_err(|e| failed("find", e))?;
    let mut child = Command::new(program)
        .arg("--db")
        .arg(&context.path)
        .args(["--namespace", &context.namespace, "tour", "--crash"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failed("start", e))?;
    let Some(stdout) = child.stdout.take() else { return Err(failed("start", "it has no standard output")) };
    let mut acknowledged = Vec::new();
    for answer in BufReader::new(stdout).lines() {
        // The kill may cut the last line: what was not said whole was not acknowledged.
        if let Ok(number) = answer.map_err(|e| failed("read", e))?.parse::<u64>() {
            acknowledged.push(number);
        }
        if acknowledged.len() == ENOUGH {
            child.kill().map_err(|e| failed("kill", e))?;
        }
    }
    let status = child.wait().map_err(|e| failed("wait for", e))?;
    let clock = agentdb_env::Env::real().clock;
    let start = clock.monotonic_us();
    let db = context.open(false)?;
    let opened = (clock.monotonic_us() - start) as f64 / 1e3;
    let namespace = context.namespace(&db)?;
    let mut lost = 0;
    for number in &acknowledged {
        let found = namespace.read(state::Get::new(WRITER, format!("{:03}", number % 500)));
        // A later write of the same key may have replaced it.
        lost += u64::from(!found.is_ok_and(|entry| entry.value.as_u64().is_some_and(|v| v >= *number)));
    }
    let problems = db.verify(&mut |_| {})?.problems.len();
    line(&format!(
        "killed ({status}); reopened in {opened:.1} ms; {} acknowledged batches, {lost} lost; {problems} problems found",
        acknowledged.len()
    ))?;
    db.close()?;
    if lost > 0 || problems > 0 {
        return Err(failed("verify the work of", format!("{lost} acknowledged batches are lost")));
    }
    Ok(())
}

/// The other process: writes until someone kills it, and says each batch that was acknowledged.
pub(super) fn write_until_killed(context: &Context) -> Result<()> {
    let db = context.open(false)?;
    let namespace = context.namespace(&db)?;
    for number in 0u64.. {
        namespace
            .batch()
            .push(state::Put::new(WRITER, format!("{:03}", number % 500), json!(number)))
            .push(Append::new(SESSION, "user", json!(format!("batch {number}"))))
            .wait()?;
        line(&number.to_string())?;
    }
    Ok(())
}
