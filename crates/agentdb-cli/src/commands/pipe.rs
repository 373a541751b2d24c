//! `agentdb pipe`: a request a line, an answer a line, in order; for programs without a binding of their own.

use std::io::{BufRead, ErrorKind, Read};

use agentdb::{Code, Database, Effect, Error, Lsn, Namespace, Operation, Result, Value, strict_json};
use serde_json::json;

use super::batch::Line;
use crate::context::Context;
use crate::{arguments, output};

pub(super) fn run(context: &Context) -> Result<()> {
    context.refuse_one_key()?;
    let mut opened = match open(context, false) {
        // The first write that is not refused for its form makes one.
        Err(err) if err.code() == Code::DatabaseNotFound => None,
        opened => Some(opened?),
    };
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(arguments::INPUT_BYTES as u64 + 1).read_until(b'\n', &mut line);
        arguments::check_input("a line", line.len())?;
        match read {
            Ok(0) => return Ok(()),
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) => {
                let answer = match answer(context, &mut opened, &line) {
                    Ok((lsn, response)) => json!({"lsn": lsn, "response": response}),
                    Err(err) => json!({"error": err}),
                };
                output::line(&answer.to_string())?;
            }
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            Err(err) => {
                return Err(Error::new(Code::Io)
                    .with("operation", "read")
                    .with("path", "standard input")
                    .with("reason", err));
            }
        }
    }
}

type Opened = (Database, Namespace);

fn open(context: &Context, create: bool) -> Result<Opened> {
    let db = context.open(create)?;
    let namespace = context.namespace(&db)?;
    Ok((db, namespace))
}

/// What a line asks for.
enum Asked {
    One(Line),
    Batch(Vec<Line>),
}

fn answer(context: &Context, opened: &mut Option<Opened>, line: &[u8]) -> Result<(Lsn, Value)> {
    let asked = parse(line)?;
    let (db, namespace) = match opened {
        Some(opened) => opened,
        None => {
            let create = check(&asked)?;
            opened.insert(open(context, create)?)
        }
    };
    match asked {
        Asked::Batch(lines) => {
            let answer = super::batch::commit(context, db, namespace, lines)?;
            Ok((answer.lsn, Value::Array(answer.response)))
        }
        Asked::One((operation, request)) => {
            super::search::load_encoder_for(db, namespace, &operation, &request)?;
            let answer = namespace.call(&operation, request, context.options.clone(), context.read_at()?)?;
            Ok((answer.lsn, answer.response))
        }
    }
}

fn parse(line: &[u8]) -> Result<Asked> {
    let mut line = strict_json::parse_around("line", line, 2 + super::batch::ENVELOPE)?;
    let Some(lines) = line.as_object_mut().and_then(|fields| fields.remove("batch")) else {
        return super::batch::operation("line", line).map(Asked::One);
    };
    line.as_object().map_or(Ok(()), |fields| super::batch::nothing_else("line", fields, "batch"))?;
    let Value::Array(lines) = lines else {
        let reason = "it is not a list of operations";
        return Err(Error::new(Code::InvalidValue).with("field", "batch").with("reason", reason));
    };
    let lines = (0..).zip(lines).map(|(at, line)| super::batch::operation(&format!("batch[{at}]"), line));
    lines.collect::<Result<_>>().map(Asked::Batch)
}

/// Checks what is asked for before there is a database; returns whether it may make one.
fn check(asked: &Asked) -> Result<bool> {
    match asked {
        Asked::Batch(lines) => super::batch::check(lines).map(|()| !lines.is_empty()),
        Asked::One((operation, request)) => {
            let operation = Operation::named(operation)?;
            operation.check_unary()?;
            operation.check_types(request)?;
            Ok(operation.about.effect != Effect::Read)
        }
    }
}
