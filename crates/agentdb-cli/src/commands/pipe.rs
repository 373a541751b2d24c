//! `agentdb pipe`: a request a line, an answer a line, in order; for programs without a binding of their own.

use std::io::{BufRead, ErrorKind};

use agentdb::{Batch, Code, Error, Lsn, Namespace, Result, Value, strict_json};
use serde_json::json;

use crate::context::Context;
use crate::output;

pub(super) fn run(context: &Context) -> Result<()> {
    let db = context.open(true)?;
    let namespace = context.namespace(&db)?;
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(()),
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) => {
                let answer = match answer(context, &namespace, &line) {
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

fn answer(context: &Context, namespace: &Namespace, line: &[u8]) -> Result<(Lsn, Value)> {
    let mut line = strict_json::parse("line", line)?;
    let engine = namespace.engine();
    if let Some(Value::Array(lines)) = line.get_mut("batch").map(Value::take) {
        let mut batch = Batch::new();
        for line in lines {
            super::batch::push(&mut batch, engine, line)?;
        }
        let answer = namespace.commit(batch, context.options.clone())?;
        return Ok((answer.lsn, Value::Array(answer.response)));
    }
    let operation = line["op"].as_str().map(str::to_owned).ok_or_else(|| {
        Error::new(Code::InvalidValue)
            .with("field", "line")
            .with("reason", "it has neither \"op\" nor \"batch\"")
    })?;
    let request = line.get_mut("request").map_or_else(|| json!({}), Value::take);
    let answer = namespace.call(&operation, request, context.options.clone(), context.min_lsn)?;
    Ok((answer.lsn, answer.response))
}
