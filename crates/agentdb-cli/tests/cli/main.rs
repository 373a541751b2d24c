//! The real binary: answers, exit codes, kills, and what the operating system saw of it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Tests make directories and files of their own.

mod commands;
mod errors;
mod kill;
mod load;
mod pages;
mod searches;
mod shell;
mod strace;
mod transfer;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary on a database in `dir`.
fn agentdb(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentdb"));
    command.env("AGENTDB_DB", dir.join("db")).stdin(Stdio::null());
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    agentdb(dir).args(arguments).output().expect("the binary runs")
}

fn json(dir: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = agentdb(dir).arg("--json").args(arguments).output().expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The exit code and the code of the error, as `--json` tells it.
fn refused(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let output = agentdb(dir).arg("--json").args(arguments).output().expect("the binary runs");
    let code = output.status.code().expect("an exit code");
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap_or_default();
    (code, error["error"]["name"].as_str().unwrap_or_default().to_owned())
}
