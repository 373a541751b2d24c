//! An operation of the table.

use std::process::ExitCode;

use agentdb::{Code, Database, Effect, Error, Operation, Result, Shape, Value};
use clap::ArgMatches;

use crate::context::Context;
use crate::{arguments, output, tree};

pub(super) fn run(context: &Context, noun: &str, matches: &ArgMatches) -> Result<ExitCode> {
    let (verb, matches) = matches.subcommand().unwrap_or(("", matches));
    let operation = Database::operations()
        .iter()
        .find(|o| tree::noun(o) == noun && tree::verb(o) == verb)
        .ok_or_else(|| Error::new(Code::UnknownOperation).with("name", format_args!("{noun}.{verb}")))?;
    let request = arguments::request(operation, matches)?;
    operation.check_types(&request)?;
    if operation.shape == Shape::Unary {
        unary(context, operation, request)?;
        return Ok(ExitCode::SUCCESS);
    }
    match operation.about.name {
        "blob.put" => super::blob::put(context, request, file(matches))?,
        "namespace.export" => super::transfer::export(context, request, file(matches))?,
        "namespace.import" => super::transfer::import(context, request, file(matches))?,
        "collection.load" => super::load::run(context, request, file(matches))?,
        "blob.get" => super::blob::get(context, request)?,
        "change.watch" => super::watch::print(context, request)?,
        "log.read" => super::log::read(context, request)?,
        "database.compact" => return super::job::compact(context, request),
        "log.release" => super::backup::release(context, request)?,
        "namespace.fork" => return super::job::fork(context, request),
        "database.verify" => return super::verify::run(context),
        name if name.starts_with("backup.") => return super::backup::run(context, name, request),
        other => return Err(Error::new(Code::UnknownOperation).with("name", other)),
    }
    Ok(ExitCode::SUCCESS)
}

fn file(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("file").map_or("-", String::as_str)
}

fn unary(context: &Context, operation: &Operation, request: Value) -> Result<()> {
    // Only a write may bring a database into being: a read of one that is not there finds a typing mistake.
    let db = context.open(operation.about.effect != Effect::Read)?;
    let namespace = context.namespace(&db)?;
    super::search::load_encoder_for(&db, &namespace, operation.about.name, &request)?;
    let answer =
        namespace.call(operation.about.name, request, context.options.clone(), context.read_at()?)?;
    output::answer(&answer.response, context.json)
}
