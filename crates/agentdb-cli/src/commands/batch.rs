//! `agentdb batch`: several operations, committed together.

use std::path::Path;

use agentdb::{Code, Committed, Database, Effect, Error, Namespace, Operation, Result, Value, strict_json};
use clap::ArgMatches;
use serde_json::{Map, json};

use crate::context::Context;
use crate::{arguments, output};

pub(super) fn run(context: &Context, matches: &ArgMatches) -> Result<()> {
    let path = matches.get_one::<String>("file").map_or("-", String::as_str);
    let bytes = if path == "-" { arguments::standard_input()? } else { arguments::file(Path::new(path))? };
    let mut operations = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|b| *b == b'\n')) {
        if !line.trim_ascii().is_empty() {
            let place = format!("line {number}");
            operations.push(operation(&place, strict_json::parse_around(&place, line, ENVELOPE)?)?);
        }
    }
    check(&operations)?;
    let db = context.open(!operations.is_empty())?;
    let namespace = context.namespace(&db)?;
    let answer = commit(context, &db, &namespace, operations)?;
    output::answer(&json!({"lsn": answer.lsn, "responses": answer.response}), context.json)
}

/// How deep the values of a request lie in `{"op", "request"}`.
pub(super) const ENVELOPE: usize = 2;

/// What a line says: an operation and its request.
pub(super) type Line = (String, Value);

/// Checks what lines say before there is a database.
pub(super) fn check(lines: &[Line]) -> Result<()> {
    let one = |(operation, request): &Line| {
        let operation = Operation::named(operation)?;
        match operation.about.effect {
            Effect::Batchable => operation.check_types(request),
            _ => Err(Error::new(Code::NotBatchable).with("operation", operation.about.name)),
        }
    };
    lines.iter().enumerate().try_for_each(|(at, line)| one(line).map_err(|err| err.in_batch(at, &line.0)))
}

/// Commits what lines say.
pub(super) fn commit(
    context: &Context,
    db: &Database,
    namespace: &Namespace,
    lines: Vec<Line>,
) -> Result<Committed<Vec<Value>>> {
    let mut batch = namespace.batch().options(context.options.clone());
    for (operation, request) in lines {
        super::search::load_encoder_for(db, namespace, &operation, &request)?;
        batch = batch.push_json(&operation, request);
    }
    batch.wait()
}

/// The operation and the request of `{"op", "request"}`, which stands at `place`.
pub(super) fn operation(place: &str, mut line: Value) -> Result<Line> {
    let invalid = |reason: &str| Error::new(Code::InvalidValue).with("field", place).with("reason", reason);
    let fields = line.as_object_mut().ok_or_else(|| invalid("it is not an object"))?;
    let request = fields.remove("request").unwrap_or_else(|| json!({}));
    let Some(Value::String(operation)) = fields.remove("op") else {
        return Err(invalid("it has no \"op\" with the operation's name"));
    };
    nothing_else(place, fields, "op, request")?;
    Ok((operation, request))
}

/// Refuses what is left of a line's fields.
pub(super) fn nothing_else(place: &str, fields: &Map<String, Value>, known: &'static str) -> Result<()> {
    match fields.keys().next() {
        None => Ok(()),
        Some(unknown) => Err(Error::new(Code::UnknownField)
            .with("operation", place)
            .with("field", unknown)
            .with("known", known)),
    }
}
