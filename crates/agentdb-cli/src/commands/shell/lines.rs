//! Where the shell's lines come from.

use std::io::{BufRead, IsTerminal, Stdin};
use std::path::PathBuf;

use agentdb::{Code, Error, Result};
use agentdb_env::Env;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use super::completion::Words;

/// Lines as they are typed or read. A line whose quotes are open goes on in the next one.
pub(super) enum Lines {
    Typed { editor: Box<Editor<Words, FileHistory>>, history: Option<PathBuf> },
    Script(Stdin),
}

impl Lines {
    pub(super) fn new() -> Result<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(Lines::Script(stdin));
        }
        let config = Config::builder().history_ignore_space(true).auto_add_history(true).build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Words::new(super::command())));
        let history = history();
        if let Some(path) = &history {
            // There is none yet the first time, and that it could not be read is no reason to stop.
            let _ = editor.load_history(path);
        }
        Ok(Lines::Typed { editor: Box::new(editor), history })
    }

    /// Whether a person types them.
    pub(super) fn are_typed(&self) -> bool {
        matches!(self, Lines::Typed { .. })
    }

    /// The next line; none at the end. What is no line is an error, after which the next one can be had.
    pub(super) fn next(&mut self, prompt: &str) -> Result<Option<String>> {
        match self {
            Lines::Typed { editor, .. } => loop {
                match editor.readline(prompt) {
                    Ok(line) => return Ok(Some(line)),
                    Err(ReadlineError::Eof) => return Ok(None),
                    // Ctrl-C gives up the line, not the shell.
                    Err(ReadlineError::Interrupted) => {}
                    Err(err) => return Err(failed(err)),
                }
            },
            Lines::Script(stdin) => script(&mut stdin.lock()),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Lines::Typed { editor, history: Some(path) } = self {
            // History is a convenience: that it could not be kept is no failure.
            let _ = path.parent().map(|dir| Env::real().files.create_dir_all(dir));
            let _ = editor.append_history(path);
        }
    }
}

/// Where typed lines are kept: `$AGENTDB_HISTORY` (nowhere if it is empty), else `$XDG_STATE_HOME/agentdb/history`, else
/// `~/.local/state/agentdb/history`.
fn history() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if std::env::var_os("AGENTDB_HISTORY").is_some() {
        return variable("AGENTDB_HISTORY");
    }
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("agentdb/history"))
}

/// The next line of a script.
fn script(input: &mut impl BufRead) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let read = input.read_until(b'\n', &mut bytes).map_err(|err| failed(err.into()))?;
        let text = std::str::from_utf8(&bytes).map_err(|err| {
            Error::new(Code::InvalidUtf8).with("field", "a line").with("offset", err.valid_up_to())
        })?;
        if shlex::split(text).is_some() {
            return Ok((!bytes.is_empty()).then(|| text.to_owned()));
        }
        if read == 0 {
            let reason = "a quote is not closed";
            return Err(Error::new(Code::InvalidValue).with("field", "the last line").with("reason", reason));
        }
    }
}

fn failed(err: ReadlineError) -> Error {
    Error::new(Code::Io).with("operation", "read").with("path", "standard input").with("reason", err)
}

#[cfg(test)]
mod tests {
    use agentdb::Code;

    use super::script;

    #[test]
    fn a_line_goes_on_while_a_quote_is_open() {
        let mut input = &b"state put a k '{\n\"x\": 1}'\n\nnext\n\xff\nlast 'open\n"[..];
        assert_eq!(script(&mut input).unwrap().unwrap(), "state put a k '{\n\"x\": 1}'\n");
        assert_eq!(script(&mut input).unwrap().unwrap(), "\n");
        assert_eq!(script(&mut input).unwrap().unwrap(), "next\n");
        assert_eq!(script(&mut input).unwrap_err().code(), Code::InvalidUtf8);
        assert_eq!(script(&mut input).unwrap_err().code(), Code::InvalidValue);
        assert_eq!(script(&mut input).unwrap(), None);
    }
}
