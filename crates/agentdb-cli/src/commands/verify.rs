//! `agentdb verify`, and the part of it that concerns the log.

use std::process::ExitCode;

use agentdb::modules::database::Progress;
use agentdb::{Code, Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::context::Context;
use crate::output;

pub(super) fn run(context: &Context) -> Result<ExitCode> {
    let db = context.open(false)?;
    // Drawn on standard error, and only if that is a terminal.
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {human_pos} {prefix}") {
        spinner.set_style(style);
    }
    let report = db.verify(&mut |Progress { phase, done, problems }| {
        spinner.set_message(phase.name());
        spinner.set_position(done);
        if problems > 0 {
            spinner.set_prefix(format!("({problems} problems)"));
        }
    });
    spinner.finish_and_clear();
    let report = report?;
    let sound = report.problems.is_empty();
    output::answer(&serde_json::to_value(&report).unwrap_or_default(), context.json)?;
    Ok(ExitCode::from(u8::from(!sound)))
}

/// Checks the log alone; damage is an error that names segment, offset and LSN.
pub(super) fn log(context: &Context) -> Result<ExitCode> {
    let dir = context.path.join("log");
    let files = agentdb_env::Env::real().files;
    if !files.exists(&dir)? {
        return Err(Error::new(Code::DatabaseNotFound).with("path", context.path.display()));
    }
    let found = agentdb::verify_log(&agentdb_env::Env::real(), &dir, &mut |_| Ok(()))?;
    if found.segments == 0 {
        let reason = "the segments of the log are gone";
        return Err(Error::new(Code::FormatCorrupt).with("path", dir.display()).with("reason", reason));
    }
    let answer = json!({
        "segments": found.segments,
        "groups": found.groups,
        "first_lsn": found.first_lsn,
        "last_lsn": found.head.lsn,
        "chain": found.head.chain.to_string(),
    });
    output::answer(&answer, context.json)?;
    Ok(ExitCode::SUCCESS)
}
