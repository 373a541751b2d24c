//! Answers for people and for programs.

use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use agentdb::{Code, Error, Result, Value};
use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{ContentArrangement, Table, TableStyle};

/// Tells an error on standard error; the exit code says its kind.
pub(crate) fn fail(err: &Error, json: bool) -> ExitCode {
    let mut out = std::io::stderr().lock();
    // There is nobody to tell that telling failed.
    let _ = if json {
        writeln!(out, "{}", serde_json::to_string(&serde_json::json!({ "error": err })).unwrap_or_default())
    } else {
        let hint = format!("{} See docs/errors/E{}.md.", err.kind().advice(), err.code().number());
        writeln!(out, "error: {}\n{hint}", harmless(&err.to_string()))
    };
    ExitCode::from(err.kind().exit_code())
}

/// Prints a line on standard output; that nobody reads it any more is no error.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(err) if err.kind() != ErrorKind::BrokenPipe => Err(Error::new(Code::Io)
            .with("operation", "write")
            .with("path", "standard output")
            .with("reason", err)),
        _ => Ok(()),
    }
}

/// What people are told of an answer that says nothing but that it is done.
const DONE: &str = "done";

/// Prints an answer: JSON as it is, or as a table.
pub(crate) fn answer(value: &Value, json: bool) -> Result<()> {
    if json {
        return line(&value.to_string());
    }
    match value {
        Value::Object(fields) => {
            let list =
                fields.iter().find(|(name, v)| v.is_array() && ["items", "hits"].contains(&name.as_str()));
            match list {
                Some((_, Value::Array(items))) => {
                    line(&rows(items))?;
                    if let Some(plan) = fields.get("plan") {
                        line(&format!("plan:\n{}", nested(plan)))?;
                    }
                    match fields.get("cursor").and_then(Value::as_str) {
                        Some(cursor) => line(&format!("more: --cursor {cursor}")),
                        None => Ok(()),
                    }
                }
                _ if fields.is_empty() => line(DONE),
                _ => line(&pairs(fields)),
            }
        }
        Value::Null => line(DONE),
        other => line(&text(other)),
    }
}

fn table(style: TableStyle) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table
}

/// Text for people, with what would command their terminal (agents store what others wrote) shown as escapes.
fn harmless(text: &str) -> String {
    let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let show = |c: char| if commands(c) { c.escape_unicode().to_string() } else { c.to_string() };
    if text.contains(commands) { text.chars().map(show).collect() } else { text.to_owned() }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text),
        Value::Null => String::new(),
        // JSON escapes what is below a blank, and leaves the rest.
        other => harmless(&other.to_string()),
    }
}

fn pairs(fields: &serde_json::Map<String, Value>) -> String {
    let mut table = table(NOTHING);
    for (name, value) in fields {
        table.add_row([harmless(name), text(value)]);
    }
    table.to_string()
}

/// JSON over several lines.
fn nested(value: &Value) -> String {
    harmless(&serde_json::to_string_pretty(value).unwrap_or_default())
}

fn rows(items: &[Value]) -> String {
    let mut columns: Vec<&String> = Vec::new();
    for name in items.iter().filter_map(Value::as_object).flat_map(|o| o.keys()) {
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    if columns.is_empty() {
        return format!("({} items)", items.len());
    }
    let mut table = table(UTF8_FULL_CONDENSED);
    table.set_header(&columns);
    for item in items {
        table.add_row(columns.iter().map(|c| text(&item[c.as_str()])));
    }
    table.to_string()
}
