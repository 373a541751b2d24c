//! `agentdb shell`: the same commands, one after another.

use agentdb::{Code, Error, Result};
use rustyline::error::ReadlineError;

use crate::context::Context;
use crate::{output, tree};

pub(super) fn run(context: &Context) -> Result<()> {
    let failed = |err: ReadlineError| {
        Error::new(Code::Io).with("operation", "read").with("path", "the terminal").with("reason", err)
    };
    let mut editor = rustyline::DefaultEditor::new().map_err(failed)?;
    loop {
        let line = match editor.readline(&format!("{}> ", context.namespace)) {
            Ok(line) => line,
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
            Err(err) => return Err(failed(err)),
        };
        let words = match split(&line) {
            Some(words) if words.is_empty() => continue,
            Some(words) => words,
            None => {
                output::line("a quote is not closed")?;
                continue;
            }
        };
        if matches!(words[0].as_str(), "exit" | "quit") {
            return Ok(());
        }
        // History is a convenience: that it could not be kept is no reason to stop.
        let _ = editor.add_history_entry(&line);
        let fixed = [
            "agentdb".to_owned(),
            "--db".to_owned(),
            context.path.display().to_string(),
            "--namespace".to_owned(),
            context.namespace.clone(),
        ];
        match tree::command().try_get_matches_from(fixed.into_iter().chain(words)) {
            Ok(matches) if matches.subcommand_name() == Some("shell") => {}
            Ok(matches) => {
                if let Err(err) = super::run(&matches) {
                    output::fail(&err, matches.get_flag("json"));
                }
            }
            Err(err) => {
                let _ = err.print();
            }
        }
    }
}

/// Splits a line into words at blanks; quotes, single or double, keep blanks, and a backslash keeps what follows it
/// outside single quotes. `None` if a quote is not closed.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_quotes_and_escapes() {
        assert_eq!(split(r#"state put a k '{"x": 1}'"#).unwrap(), ["state", "put", "a", "k", r#"{"x": 1}"#]);
        assert_eq!(split(r#" a\ b "c \" d" '' "#).unwrap(), ["a b", "c \" d", ""]);
        assert_eq!(split("'open"), None);
        assert!(split("  ").unwrap().is_empty());
    }
}
