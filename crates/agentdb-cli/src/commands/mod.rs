//! The commands, a file each.

mod accepted;
mod backup;
mod batch;
mod blob;
mod inspect;
mod job;
mod load;
mod log;
mod operation;
mod operations;
mod pipe;
mod search;
mod shell;
mod tour;
mod transfer;
mod verify;
mod watch;

use std::process::ExitCode;

use agentdb::Result;
use clap::ArgMatches;

use crate::context::Context;
use crate::{output, tree};

/// Runs the command that was given.
pub(crate) fn run(matches: &ArgMatches) -> Result<ExitCode> {
    dispatch(Context::new(matches), matches)
}

fn dispatch(context: Context, matches: &ArgMatches) -> Result<ExitCode> {
    accepted::check(matches)?;
    let Some((name, matches)) = matches.subcommand() else { return Ok(ExitCode::from(2)) };
    match name {
        "search" => search::run(&context, matches)?,
        "watch" => watch::run(&context, matches)?,
        "batch" => batch::run(&context, matches)?,
        "pipe" => pipe::run(&context)?,
        "log" if matches.subcommand_name() == Some("verify") => return verify::log(&context),
        "verify" => return verify::run(&context),
        "restore" => return backup::restore_command(&context, matches),
        "inspect" => inspect::run(&context)?,
        "operations" => operations::run(&context, matches)?,
        "shell" => return shell::run(context),
        "completions" => completions(matches)?,
        "tour" => tour::run(&context, matches)?,
        noun => return operation::run(&context, noun, matches),
    }
    Ok(ExitCode::SUCCESS)
}

fn completions(matches: &ArgMatches) -> Result<()> {
    let Some(shell) = matches.get_one::<clap_complete::Shell>("shell") else { return Ok(()) };
    // Written by us: the library panics if nobody reads.
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut tree::command(), "agentdb", &mut script);
    output::line(&String::from_utf8_lossy(&script))
}
