//! An operation of the table.

use agentdb::{Code, Database, Effect, Error, Result};
use clap::ArgMatches;

use crate::context::Context;
use crate::{arguments, output, tree};

pub(super) fn run(context: &Context, noun: &str, matches: &ArgMatches) -> Result<()> {
    let (verb, matches) = matches.subcommand().unwrap_or(("", matches));
    let operation = Database::operations()
        .iter()
        .find(|o| o.about.name.split_once('.').is_some_and(|(n, _)| n == noun) && tree::verb(o) == verb)
        .ok_or_else(|| Error::new(Code::UnknownOperation).with("name", format_args!("{noun}.{verb}")))?;
    let request = arguments::request(operation, matches)?;
    // Only a write may bring a database into being: a read of one that is not there finds a typing mistake.
    let db = context.open(operation.about.effect != Effect::Read)?;
    // A text needs the encoder; nothing else pays for loading it.
    if matches!(operation.about.name, "record.put" | "record.patch" | "record.search" | "collection.create")
        && (request.get("encoder").is_some()
            || (request.get("text").is_some() && request.get("vector").is_none()))
    {
        super::search::load_encoder(&db)?;
    }
    let namespace = context.namespace(&db)?;
    let answer = namespace.call(operation.about.name, request, context.options.clone(), context.min_lsn)?;
    output::answer(&answer.response, context.json)
}
