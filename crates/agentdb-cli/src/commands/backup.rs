//! `agentdb backup …` and `agentdb restore`.

use std::path::Path;
use std::process::ExitCode;

use agentdb::modules::backup::{
    Archive, Create, Delete, List, Progress, Prune, Release, Released, Restore, Verify,
};
use agentdb::{Backups, Code, Error, Result, Value, decode};
use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::to_value;

use crate::context::Context;
use crate::{arguments, output};

/// Runs the operation of this name.
pub(super) fn run(context: &Context, operation: &str, request: Value) -> Result<ExitCode> {
    match operation {
        "backup.create" => create(context, &decode(request)?),
        "backup.archive" => archive(context, &decode(request)?),
        "backup.list" => list(context, &decode(request)?),
        "backup.verify" => verify(context, &decode(request)?),
        "backup.delete" => {
            let Delete { store, backup, key_file } = decode(request)?;
            answer(context, to_value(open(&store, key_file.as_deref())?.delete(&backup)?).unwrap_or_default())
        }
        "backup.prune" => {
            let Prune { store, keep, key_file } = decode(request)?;
            answer(context, to_value(open(&store, key_file.as_deref())?.prune(keep)?).unwrap_or_default())
        }
        "backup.restore" => restore(context, &decode(request)?),
        other => Err(Error::new(Code::UnknownOperation).with("name", other)),
    }
}

/// `agentdb restore`, which is `agentdb backup restore`.
pub(super) fn restore_command(context: &Context, matches: &ArgMatches) -> Result<ExitCode> {
    let operation = agentdb::Operation::named("backup.restore")?;
    let request = arguments::request(operation, matches)?;
    operation.check_types(&request)?;
    run(context, operation.about.name, request)
}

fn open(store: &str, key_file: Option<&str>) -> Result<Backups> {
    Backups::open(store, key_file.map(Path::new))
}

fn answer(context: &Context, answer: Value) -> Result<ExitCode> {
    output::answer(&answer, context.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Drawn on standard error, and only if that is a terminal.
fn bar(verb: &'static str) -> impl FnMut(Progress) {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes} {prefix}") {
        bar.set_style(style);
    }
    bar.set_message(verb);
    move |Progress { done, total, sent }| {
        bar.set_length(total);
        bar.set_position(done);
        if sent > 0 {
            bar.set_prefix(format!("({} sent)", indicatif::HumanBytes(sent)));
        }
    }
}

fn create(context: &Context, request: &Create) -> Result<ExitCode> {
    let backups = open(&request.store, request.key_file.as_deref())?;
    let db = context.open(false)?;
    let taken = db.backup(&backups, request.full, &mut bar("backing up"))?;
    answer(context, to_value(taken).unwrap_or_default())
}

fn archive(context: &Context, request: &Archive) -> Result<ExitCode> {
    let backups = open(&request.store, request.key_file.as_deref())?;
    let db = context.open(false)?;
    let archived = db.archive(&backups, request.hold, &mut bar("archiving"))?;
    answer(context, to_value(archived).unwrap_or_default())
}

/// `agentdb log release`.
pub(super) fn release(context: &Context, request: Value) -> Result<()> {
    let Release {} = decode(request)?;
    let held_for = context.open(false)?.release_log()?;
    output::answer(&to_value(Released { held_for }).unwrap_or_default(), context.json)
}

fn list(context: &Context, request: &List) -> Result<ExitCode> {
    let listed = open(&request.store, request.key_file.as_deref())?.list()?;
    output::answer(&to_value(&listed).unwrap_or_default(), context.json)?;
    if !context.json {
        for damaged in &listed.damaged {
            output::line(&format!("damaged: {}: {}", damaged.name, damaged.problem.message))?;
        }
    }
    Ok(ExitCode::from(u8::from(!listed.damaged.is_empty())))
}

fn verify(context: &Context, request: &Verify) -> Result<ExitCode> {
    let backups = open(&request.store, request.key_file.as_deref())?;
    let report = backups.verify(request.backup.as_deref(), &mut bar("verifying"))?;
    answer(context, to_value(&report).unwrap_or_default())?;
    Ok(ExitCode::from(u8::from(!report.problems.is_empty())))
}

fn restore(context: &Context, request: &Restore) -> Result<ExitCode> {
    let backups = open(&request.store, request.key_file.as_deref())?;
    let restored = backups.restore(request, &mut bar("restoring"))?;
    answer(context, to_value(restored).unwrap_or_default())
}
