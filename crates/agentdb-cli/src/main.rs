//! The `agentdb` command line tool: every operation of the table as a command, and the commands that look after a
//! database. What it prints on standard output is the answer alone: a table for people, JSON with `--json`.

mod arguments;
mod commands;
mod context;
mod output;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use agentdb::{Code, Error};

/// Rows are allocated by the thread that decides and freed by others, some of which run only when nobody else wants to: an
/// allocator whose threads share locks makes them wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let json = arguments.iter().any(|a| a == "--json");
    if let Some(at) = arguments.iter().position(|a| a.to_str().is_none()) {
        let text = std::str::from_utf8(arguments[at].as_encoded_bytes());
        let offset = text.map_or_else(|e| e.valid_up_to(), str::len);
        let err =
            Error::new(Code::InvalidUtf8).with("field", format_args!("argument {at}")).with("offset", offset);
        return output::fail(&err, json);
    }
    let matches = match tree::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(err) => {
            // Help and version go to standard output with 0, mistakes to standard error with 2.
            let _ = err.print();
            return ExitCode::from(err.exit_code().clamp(0, 255) as u8);
        }
    };
    match commands::run(&matches) {
        Ok(code) => code,
        Err(err) => output::fail(&err, json),
    }
}
