//! Which of the options that stand before every command mean something to one: the others are refused, not swallowed.

use agentdb::{Code, Database, Effect, Error, Operation, Result, Scope, Shape};
use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::tree;

/// The options of a database, a namespace, a write and a read. `--json` is for every command.
const GLOBALS: [&str; 8] =
    ["db", "namespace", "ack", "idempotency-key", "subject", "principal", "min-lsn", "as-of"];
const WRITE: [&str; 4] = ["ack", "idempotency-key", "subject", "principal"];
const READ: [&str; 2] = ["min-lsn", "as-of"];

/// Refuses an option of the command line that means nothing to the command.
pub(super) fn check(matches: &ArgMatches) -> Result<()> {
    let accepted = accepted(matches);
    let said = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
    match GLOBALS.into_iter().filter(said).find(|name| !accepted.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Error::new(Code::InvalidValue)
            .with("field", format_args!("--{name}"))
            .with("reason", format_args!("it means nothing to `agentdb {}`", words(matches)))),
    }
}

/// The words of the command, without its arguments.
fn words(matches: &ArgMatches) -> String {
    let Some((name, below)) = matches.subcommand() else { return String::new() };
    format!("{name} {}", words(below)).trim_end().to_owned()
}

fn accepted(matches: &ArgMatches) -> Vec<&'static str> {
    let Some((name, below)) = matches.subcommand() else { return GLOBALS.to_vec() };
    match (name, below.subcommand_name()) {
        // What they hold says which.
        ("pipe" | "shell", _) => GLOBALS.to_vec(),
        ("batch", _) => [&["db", "namespace"][..], &WRITE].concat(),
        ("search", _) => [&["db", "namespace"][..], &READ].concat(),
        ("watch" | "inspect" | "tour", _) => vec!["db", "namespace"],
        ("verify", _) | ("log", Some("verify")) => vec!["db"],
        ("operations" | "completions" | "restore", _) => Vec::new(),
        (noun, Some(verb)) => {
            let is_it = |o: &&Operation| tree::noun(o) == noun && tree::verb(o) == verb;
            Database::operations().iter().find(is_it).map_or_else(|| GLOBALS.to_vec(), of)
        }
        _ => GLOBALS.to_vec(),
    }
}

fn of(operation: &Operation) -> Vec<&'static str> {
    let name = operation.about.name;
    let mut accepted = Vec::new();
    // A store of backups is looked at without any database.
    if !name.starts_with("backup.") || ["backup.create", "backup.archive"].contains(&name) {
        accepted.push("db");
    }
    if operation.about.scope == Scope::Namespace {
        accepted.push("namespace");
    }
    match (operation.shape, operation.about.effect) {
        (Shape::Unary, Effect::Read) => accepted.extend(READ),
        (Shape::Unary | Shape::Upload, _) => accepted.extend(WRITE),
        (Shape::Stream | Shape::Long, _) => {}
    }
    accepted
}
