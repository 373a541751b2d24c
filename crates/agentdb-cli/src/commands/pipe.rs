//! `agentdb pipe`: a request a line, an answer a line, in order; for programs without a binding of their own.

use std::io::{BufRead, ErrorKind, Read};

use agentdb::{Code, Database, Error, Lsn, Namespace, Result, Value, strict_json};
use serde_json::json;

use crate::context::Context;
use crate::{arguments, output};

pub(super) fn run(context: &Context) -> Result<()> {
    context.refuse_one_key()?;
    let db = context.open(true)?;
    let namespace = context.namespace(&db)?;
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
                let answer = match answer(context, &db, &namespace, &line) {
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

fn answer(context: &Context, db: &Database, namespace: &Namespace, line: &[u8]) -> Result<(Lsn, Value)> {
    let mut line = strict_json::parse("line", line)?;
    if let Some(lines) = line.as_object_mut().and_then(|fields| fields.remove("batch")) {
        line.as_object().map_or(Ok(()), |fields| super::batch::nothing_else("line", fields, "batch"))?;
        let Value::Array(lines) = lines else {
            let reason = "it is not a list of operations";
            return Err(Error::new(Code::InvalidValue).with("field", "batch").with("reason", reason));
        };
        let lines = (0..).zip(lines).map(|(i, line)| super::batch::operation(&format!("batch[{i}]"), line));
        let answer = super::batch::commit(context, db, namespace, lines.collect::<Result<_>>()?)?;
        return Ok((answer.lsn, Value::Array(answer.response)));
    }
    let (operation, request) = super::batch::operation("line", line)?;
    super::search::load_encoder_for(db, &operation, &request)?;
    let answer = namespace.call(&operation, request, context.options.clone(), context.min_lsn)?;
    Ok((answer.lsn, answer.response))
}
