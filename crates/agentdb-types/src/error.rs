//! The error type: a code from the table, the values involved, and where it came from.

use std::fmt::{self, Write};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::{Code, ErrorKind};

const BATCH_POSITION: &str = "batch_position";
const BATCH_OPERATION: &str = "batch_operation";
const IMPORT_LINE: &str = "import_line";
const ROW: &str = "row";
const LINE: &str = "line";
const LOADED: &str = "loaded";
const PART: &str = "part";
const VECTOR: &str = "vector";

/// The result of everything in AgentDB.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a stable [`Code`], with the values involved.
///
/// The message is made from the code's template in the error table, so that the same mistake reads the same on
/// every surface. An error that reaches the caller has left the database unchanged, except where the code's page
/// says that the outcome is unknown.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Detail>);

#[derive(Clone, PartialEq, Eq)]
struct Detail {
    code: Code,
    values: Vec<(&'static str, String)>,
}

impl Error {
    /// An error of this code, with no values yet.
    pub fn new(code: Code) -> Self {
        Error(Box::new(Detail { code, values: Vec::new() }))
    }

    /// Adds a value that the code's message template names, or that helps to find the cause.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.values.push((name, value.to_string()));
        self
    }

    /// Says which operation of a batch was refused: its position, counted from 0, and its name. The first who knows says it.
    #[must_use]
    pub fn in_batch(self, position: usize, operation: &str) -> Self {
        match self.value(BATCH_POSITION) {
            Some(_) => self,
            None => self.with(BATCH_POSITION, position).with(BATCH_OPERATION, operation),
        }
    }

    /// Says which line of an import was refused, counted from 1. The first who knows says it.
    #[must_use]
    pub fn at_import_line(self, line: u64) -> Self {
        if self.value(IMPORT_LINE).is_some() { self } else { self.with(IMPORT_LINE, line) }
    }

    /// Says which row of a load was refused, counted from 1, and on which line of the file it begins, if files of its kind have
    /// lines. The first who knows says it.
    #[must_use]
    pub fn at_row(self, row: u64, line: Option<u64>) -> Self {
        if self.value(ROW).is_some() {
            return self;
        }
        self.with(ROW, row).on_line(line)
    }

    /// Says on which line of a file it is, if files of its kind have lines.
    #[must_use]
    pub fn on_line(self, line: Option<u64>) -> Self {
        match line {
            Some(line) => self.with(LINE, line),
            None => self,
        }
    }

    /// Says how many rows a load had loaded when it was stopped.
    #[must_use]
    pub fn after_loaded(self, rows: u64) -> Self {
        if self.value(LOADED).is_some() { self } else { self.with(LOADED, rows) }
    }

    /// Says in which part of a request it is, by the path of that part: the field that the error names, if it names one, is
    /// beneath it.
    #[must_use]
    pub fn in_part(mut self, part: impl fmt::Display) -> Self {
        // The paths of other errors are those of files.
        let names_path = matches!(self.kind(), ErrorKind::Invalid | ErrorKind::Limit)
            && self.0.code.template().contains("{path}")
            && self.value("field").is_none();
        let named = if names_path { "path" } else { "field" };
        match self.0.values.iter_mut().find(|(name, _)| *name == named) {
            Some((_, path)) => *path = format!("{part}.{path}"),
            None => match self.0.values.iter_mut().find(|(name, _)| *name == PART) {
                Some((_, inner)) => *inner = format!("{part}.{inner}"),
                None => return self.with(PART, part),
            },
        }
        self
    }

    /// Gives the path that the error names another beginning, where it begins so.
    #[must_use]
    pub fn with_root(mut self, name: &str, from: &str, to: &str) -> Self {
        if let Some((_, path)) = self.0.values.iter_mut().find(|(n, _)| *n == name)
            && let Some(rest) = path.strip_prefix(from)
            && (rest.is_empty() || rest.starts_with(['.', '[']))
        {
            *path = format!("{to}{rest}");
        }
        self
    }

    /// Says which named vector it is about.
    #[must_use]
    pub fn of_vector(self, name: &str) -> Self {
        self.with(VECTOR, name)
    }

    /// The stable code, for programs.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What the caller must do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.code.kind()
    }

    /// The value of this name, if the error carries one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.values.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// All values involved, in the order in which they were added.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.values.iter().map(|(n, v)| (*n, v.as_str()))
    }

    /// The sentence for people: what was wrong and what to do.
    pub fn message(&self) -> String {
        let mut rest = self.0.code.template();
        let mut out = String::with_capacity(rest.len() + 32);
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}') else { break };
            out.push_str(&rest[..open]);
            let name = &rest[open + 1..open + close];
            out.push_str(self.value(name).unwrap_or("(not given)"));
            rest = &rest[open + close + 1..];
        }
        out.push_str(rest);
        if let Some(name) = self.value(VECTOR) {
            let _ = write!(out, " (the vector named {name})");
        }
        if let Some(part) = self.value(PART) {
            let _ = write!(out, " (in {part})");
        }
        if let (Some(position), Some(operation)) = (self.value(BATCH_POSITION), self.value(BATCH_OPERATION)) {
            let _ = write!(out, " (operation {position} of the batch, counted from 0: {operation})");
        }
        if let Some(loaded) = self.value(LOADED) {
            let row = self.value(ROW).filter(|_| !self.0.code.template().contains("{row}"));
            let row = row.map(|row| format!("row {row} of the load; ")).unwrap_or_default();
            let line = self.value(LINE).map(|line| format!("line {line} of the file; ")).unwrap_or_default();
            let _ = write!(
                out,
                " ({row}{line}{loaded} rows are loaded: begun again, the load goes on behind them)"
            );
        }
        if let Some(line) = self.value(IMPORT_LINE).filter(|_| self.value("line").is_none()) {
            let _ = write!(out, " (line {line} of the import)");
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [E{}]", self.message(), self.0.code.number())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Error({} {}: {} {:?})",
            self.0.code.number(),
            self.0.code.name(),
            self.message(),
            self.0.values
        )
    }
}

impl std::error::Error for Error {}

/// The wire form: `{"code", "name", "kind", "message", "values": {…}}`.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("Error", 5)?;
        s.serialize_field("code", &self.0.code.number())?;
        s.serialize_field("name", self.0.code.name())?;
        s.serialize_field("kind", self.kind().name())?;
        s.serialize_field("message", &self.message())?;
        let values: std::collections::BTreeMap<_, _> = self.values().collect();
        s.serialize_field("values", &values)?;
        s.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_the_template_with_the_values_filled_in() {
        let err = Error::new(Code::DimensionMismatch).with("expected", 3).with("actual", 4);
        assert!(err.message().contains('3') && err.message().contains('4'), "{err}");
        assert!(err.to_string().ends_with(&format!("[E{}]", Code::DimensionMismatch.number())));
    }

    #[test]
    fn values_that_look_like_placeholders_are_left_alone() {
        let err = Error::new(Code::NamespaceNotFound).with("name", "{name}{x");
        assert!(err.message().contains("{name}{x"));
    }

    #[test]
    fn the_refused_operation_of_a_batch_is_said_once() {
        let err = Error::new(Code::IdEmpty).with("field", "owner").in_batch(3, "state.put").in_batch(0, "x");
        assert!(err.message().contains("operation 3") && err.message().contains("state.put"), "{err}");
        assert_eq!((err.value("batch_position"), err.values().count()), (Some("3"), 3));
    }

    #[test]
    fn the_part_of_a_request_is_said_once() {
        let field = Error::new(Code::InvalidValue).with("field", "weight").in_part("queries[2]");
        assert_eq!(field.value("field"), Some("queries[2].weight"));
        let path = Error::new(Code::TextQueryInvalid)
            .with("path", "query.match")
            .with_root("path", "query", "words");
        assert_eq!(path.in_part("queries[0]").value("path"), Some("queries[0].words.match"));
        let other = Error::new(Code::VectorZero).in_part("by").in_part("rerank");
        assert!(other.message().ends_with("(in rerank.by)"), "{other}");
        let named =
            Error::new(Code::DimensionMismatch).with("actual", 1).with("expected", 2).of_vector("image");
        assert!(named.message().contains("named image"), "{named}");
    }

    #[test]
    fn the_wire_form_names_code_kind_and_values() {
        let json = serde_json::to_value(Error::new(Code::NamespaceNotFound).with("name", "a")).unwrap();
        assert_eq!(json["code"], Code::NamespaceNotFound.number());
        assert_eq!(json["kind"], "not_found");
        assert_eq!(json["values"]["name"], "a");
    }
}
