//! Long work that the database does itself: begun, waited for, and left to the next handle if the wait is broken off.

use std::process::ExitCode;

use agentdb::modules::job::Entry;
use agentdb::modules::namespace::Fork;
use agentdb::{Job, Result, Value, decode};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::output;

/// `agentdb database compact`.
pub(super) fn compact(context: &Context, request: Value) -> Result<ExitCode> {
    let db = context.open(false)?;
    wait(context, db.compact(&decode(request)?)?, "{msg} {bar:30} {bytes} of {total_bytes}")
}

/// `agentdb namespace fork`.
pub(super) fn fork(context: &Context, request: Value) -> Result<ExitCode> {
    let db = context.open(false)?;
    let Fork { name, to, at } = decode(request)?;
    let namespaces = db.namespaces();
    let job = match at {
        None => namespaces.fork(name, to)?,
        Some(at) => namespaces.fork_at(name, to, at)?,
    };
    wait(context, job, "{msg} {pos} rows")
}

fn wait<T: Serialize + DeserializeOwned>(context: &Context, job: Job<T>, shown: &str) -> Result<ExitCode> {
    let result = job.wait(&mut bar(shown))?;
    output::answer(&serde_json::to_value(result).unwrap_or_default(), context.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Drawn on standard error, and only if that is a terminal.
fn bar(shown: &str) -> impl FnMut(&Entry) {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(shown) {
        bar.set_style(style);
    }
    move |entry| {
        bar.set_message(entry.state.name());
        bar.set_length(entry.total);
        bar.set_position(entry.done);
    }
}
