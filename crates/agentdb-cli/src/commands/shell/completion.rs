//! Completion in the shell: commands, verbs, options and the values that an option may have.

use clap::{Arg, Command};
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};

/// What can be typed, and what completes it.
pub(super) struct Words(Command);

impl Words {
    pub(super) fn new(mut command: Command) -> Self {
        // Global options come to every command.
        command.build();
        Words(command)
    }

    /// Where the word before the cursor starts, and what it can become.
    fn candidates(&self, before: &str) -> (usize, Vec<String>) {
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let word = &before[start..];
        let mut command = &self.0;
        let mut last = "";
        for earlier in before[..start].split_whitespace() {
            command = command.find_subcommand(earlier).unwrap_or(command);
            last = earlier;
        }
        let options = || command.get_arguments().filter(|a| !a.is_hide_set());
        let asked = last.strip_prefix("--").and_then(|name| options().find(|a| a.get_long() == Some(name)));
        let found: Vec<String> = match asked.filter(|a| a.get_action().takes_values()) {
            Some(option) => values(option),
            None if word.starts_with('-') => {
                options().filter_map(|a| a.get_long().map(|name| format!("--{name}"))).collect()
            }
            None => command.get_subcommands().map(|c| c.get_name().to_owned()).collect(),
        };
        (start, found.into_iter().filter(|f| f.starts_with(word)).collect())
    }
}

fn values(option: &Arg) -> Vec<String> {
    option.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect()
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let (start, found) = self.candidates(&line[..at]);
        let pair = |found: String| Pair { replacement: format!("{found} "), display: found };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        Ok(match shlex::split(context.input()) {
            Some(_) => ValidationResult::Valid(None),
            None => ValidationResult::Incomplete,
        })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn commands_verbs_options_and_values_complete() {
        let words = Words::new(super::super::command());
        let complete = |line: &str| words.candidates(line);
        assert_eq!(complete("sea"), (0, vec!["search".to_owned()]));
        assert_eq!(complete("state pu"), (6, vec!["put".to_owned()]));
        assert_eq!(complete("state put a k --ttl"), (14, vec!["--ttl".to_owned()]));
        assert_eq!(complete("state get a k --js"), (14, vec!["--json".to_owned()]));
        assert_eq!(complete("state put a k 1 --ack w"), (22, vec!["written".to_owned()]));
        assert!(complete("").1.iter().any(|c| c == "use"));
        assert!(!complete("").1.iter().any(|c| c == "tour"));
        assert!(complete("unknown x").1.is_empty());
    }
}
