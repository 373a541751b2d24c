//! `agentdb shell`: the same commands, one after another, on one open database. From a terminal with history and completion,
//! from a file or a pipe as a script.

mod completion;
mod lines;

use std::process::ExitCode;

use agentdb::{Code, Error, Result};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use self::lines::Lines;
use crate::context::Context;
use crate::{output, tree};

/// Commands that make no sense in a shell: they hold a database of their own or need standard input for themselves.
const ABSENT: [&str; 4] = ["shell", "tour", "pipe", "completions"];

/// Runs the shell. A script's exit code is that of its first failure; what follows a failure is done all the same.
pub(super) fn run(context: Context) -> Result<ExitCode> {
    context.refuse_one_key()?;
    let mut context = context.held();
    let mut lines = Lines::new()?;
    let mut failed = None;
    loop {
        let line = match lines.next(&format!("{}> ", context.namespace)) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(err) if err.code() == Code::Io => return Err(err),
            Err(err) => {
                failed.get_or_insert(output::fail(&err, context.json));
                continue;
            }
        };
        let Some(words) = shlex::split(&line) else { continue };
        if words.is_empty() {
            continue;
        }
        let code = match command().try_get_matches_from(words) {
            Ok(matches) if matches.subcommand_name() == Some("exit") => break,
            Ok(matches) => {
                let json = matches.get_flag("json") || context.json;
                one(&mut context, &matches).unwrap_or_else(|err| output::fail(&err, json))
            }
            Err(err) => {
                let _ = err.print();
                ExitCode::from(err.exit_code().clamp(0, 255) as u8)
            }
        };
        if code != ExitCode::SUCCESS {
            failed.get_or_insert(code);
        }
    }
    Ok(failed.filter(|_| !lines.are_typed()).unwrap_or(ExitCode::SUCCESS))
}

/// Runs one command.
fn one(context: &mut Context, matches: &ArgMatches) -> Result<ExitCode> {
    if let Some(("use", matches)) = matches.subcommand() {
        let name = matches.get_one::<String>("name").cloned().unwrap_or_default();
        context.open(false)?.namespace(&name)?;
        context.namespace = name;
        return Ok(ExitCode::SUCCESS);
    }
    if matches.value_source("db") == Some(ValueSource::CommandLine) {
        let reason = format_args!("the shell has {} open; start another one", context.path.display());
        return Err(Error::new(Code::InvalidValue).with("field", "--db").with("reason", reason));
    }
    super::dispatch(context.within(matches), matches)
}

/// What can be typed.
fn command() -> Command {
    let exit = Command::new("exit").visible_alias("quit").about("Leave the shell");
    let name = Arg::new("name").value_name("NAME").required(true).help("A namespace that exists");
    let use_ = Command::new("use").about("Work in another namespace from now on").arg(name);
    let all = tree::command();
    let kept: Vec<Command> =
        all.get_subcommands().filter(|c| !ABSENT.contains(&c.get_name())).cloned().collect();
    Command::new("agentdb")
        .no_binary_name(true)
        .disable_version_flag(true)
        .subcommand_required(true)
        .subcommand_value_name("COMMAND")
        .args(tree::globals())
        .subcommands(kept)
        .subcommands([use_, exit])
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }
}
