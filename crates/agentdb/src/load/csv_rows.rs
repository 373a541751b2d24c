//! Rows of CSV: cells by the types of their columns.

use std::collections::VecDeque;

use agentdb_engine::modules::load::{ColumnType, Load, Row, Rows};
use agentdb_types::{Error, Result, Timestamp, json, limits};
use serde_json::Value;

use super::cells::{RowBuilder, wrong};
use super::columns::{Columns, Role, source};
use super::csv::{CsvReader, Problem, Record};
use super::source::{Input, read_failed};

/// Rows, and bytes, of which the types of columns are told.
const SAMPLE_ROWS: usize = 1_000;
const SAMPLE_BYTES: u64 = 1 << 20;

pub(super) struct CsvRows<'a> {
    file: String,
    reader: CsvReader<Input<'a>>,
    columns: Columns,
    /// Name, role and type of each column.
    cells: Vec<(String, Role, ColumnType)>,
    /// Records that were read to tell types.
    sample: VecDeque<Record>,
    rows: u64,
}

impl<'a> CsvRows<'a> {
    pub(super) fn new(load: &Load, file: &str, input: Input<'a>) -> Result<Self> {
        let delimiter = delimiter(load, file)?;
        let mut reader = CsvReader::new(input, delimiter, limits::IMPORT_LINE_BYTES);
        let mut header = Record::default();
        let fail = |problem| failed(file, None, problem);
        if !reader.next(&mut header).map_err(fail)? {
            return Err(source(file, "it has no first line with the names of the columns"));
        }
        let name = |at: usize| match std::str::from_utf8(header.cell(at).0) {
            Ok("") => Err(source(file, format_args!("its column {} has no name", at + 1))),
            Ok(name) => Ok(name.to_owned()),
            Err(_) => Err(source(file, format_args!("the name of its column {} is not UTF-8", at + 1))),
        };
        let names = (0..header.len()).map(name).collect::<Result<Vec<_>>>()?;
        let columns = Columns::new(load, file, names.iter().map(String::as_str))?;
        if let Some(unknown) = load.types.keys().find(|name| !names.contains(name)) {
            return Err(source(file, format_args!("it has no column {unknown:?} to have a type")));
        }
        let mut sample = VecDeque::new();
        let limit = reader.source().bytes_read() + SAMPLE_BYTES;
        while sample.len() < SAMPLE_ROWS && reader.source().bytes_read() < limit {
            let mut record = Record::default();
            match reader.next(&mut record) {
                Ok(true) => sample.push_back(record),
                Ok(false) => break,
                Err(problem) => {
                    return Err(failed(file, Some((sample.len() as u64 + 1, &names)), problem));
                }
            }
        }
        let typed = |(at, name): (usize, &String)| {
            let role = columns.role(name)?;
            let kind = match (load.types.get(name), &role) {
                (Some(kind), _) => *kind,
                (None, Role::Id | Role::Text | Role::Skipped) => ColumnType::Text,
                (None, Role::Field) => infer(sample.iter().filter(|r| at < r.len()).map(|r| r.cell(at).0)),
                (None, _) => ColumnType::Json,
            };
            Ok((name.clone(), role, kind))
        };
        let cells = names.iter().enumerate().map(typed).collect::<Result<_>>()?;
        Ok(CsvRows { file: file.to_owned(), reader, columns, cells, sample, rows: 0 })
    }

    fn row(&self, record: &Record) -> Result<Row> {
        let (number, line) = (self.rows, Some(record.line));
        if record.len() != self.cells.len() {
            let reason =
                format_args!("the row has {} cells, the first line {}", record.len(), self.cells.len());
            return Err(wrong(number, line, "(the row)", reason));
        }
        let mut row = RowBuilder::new(&self.columns, number, line);
        for (at, (name, role, kind)) in self.cells.iter().enumerate() {
            let (bytes, quoted) = record.cell(at);
            // A text of nothing can be said with quotes.
            let is_empty = bytes.is_empty() && !(quoted && *kind == ColumnType::Text && *role != Role::Id);
            if is_empty || *role == Role::Skipped {
                continue;
            }
            let text = std::str::from_utf8(bytes)
                .map_err(|e| row.wrong(name, format_args!("it is not UTF-8 at byte {}", e.valid_up_to())))?;
            let value = value(*kind, text).map_err(|reason| {
                row.wrong(name, format_args!("{reason}; if the column has other values, say so (`types`)"))
            })?;
            row.value(role, name, value)?;
        }
        row.finish()
    }
}

impl Rows for CsvRows<'_> {
    fn next_row(&mut self) -> Result<Option<Row>> {
        self.rows += 1;
        if let Some(record) = self.sample.pop_front() {
            return self.row(&record).map(Some);
        }
        let mut record = Record::default();
        match self.reader.next(&mut record) {
            Ok(true) => self.row(&record).map(Some),
            Ok(false) => Ok(None),
            Err(problem) => {
                let names: Vec<String> = self.cells.iter().map(|(name, ..)| name.clone()).collect();
                Err(failed(&self.file, Some((self.rows, &names)), problem))
            }
        }
    }

    fn bytes_read(&self) -> u64 {
        self.reader.source().bytes_read()
    }
}

fn delimiter(load: &Load, file: &str) -> Result<u8> {
    match load.delimiter.as_deref().map(str::as_bytes) {
        None if file.to_ascii_lowercase().ends_with(".tsv") => Ok(b'\t'),
        None => Ok(b','),
        Some(&[byte]) if byte.is_ascii() && !b"\"\r\n".contains(&byte) => Ok(byte),
        Some(_) => Err(Error::new(agentdb_types::Code::InvalidValue)
            .with("field", "delimiter")
            .with("reason", "it is one ASCII character, and no quote and no end of a line")),
    }
}

fn failed(file: &str, at: Option<(u64, &Vec<String>)>, problem: Problem) -> Error {
    match (problem, at) {
        (Problem::Io(err), _) => read_failed(file, err),
        (Problem::Malformed(found), Some((row, names))) => {
            let column = names.get(found.cell).map_or("(beyond the last)", String::as_str);
            wrong(row, Some(found.line), column, found.reason)
        }
        (Problem::Malformed(found), None) => {
            source(file, format_args!("column {} of its first line: {}", found.cell + 1, found.reason))
        }
    }
}

/// The type that all cells of a sample have.
fn infer<'a>(cells: impl Iterator<Item = &'a [u8]>) -> ColumnType {
    const GUESSED: [ColumnType; 3] = [ColumnType::Boolean, ColumnType::Integer, ColumnType::Number];
    let mut fits = GUESSED.to_vec();
    let mut any = false;
    for cell in cells.filter(|cell| !cell.is_empty()) {
        any = true;
        let text = std::str::from_utf8(cell).unwrap_or("\u{0}");
        fits.retain(|kind| value(*kind, text).is_ok() && keeps_digits(text));
        if fits.is_empty() {
            break;
        }
    }
    if any { fits.first().copied().unwrap_or(ColumnType::Text) } else { ColumnType::Text }
}

/// Whether a number of 64 bits holds so many digits: one with more is text unless somebody says otherwise.
fn keeps_digits(text: &str) -> bool {
    const DIGITS: usize = 17;
    let is_integer = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let significant = mantissa.trim_start_matches(['-', '0', '.']);
    is_integer || significant.bytes().filter(u8::is_ascii_digit).count() <= DIGITS
}

/// The value of a cell.
fn value(kind: ColumnType, text: &str) -> std::result::Result<Value, String> {
    let not = |what: &str| format!("{} is no {what}", shown(text));
    let parsed = || json::parse("cell", text.as_bytes());
    // No blanks: what JSON lets stand around a number is a part of the cell.
    let number = || parsed().ok().filter(|value| value.is_number() && !text.contains(char::is_whitespace));
    match kind {
        ColumnType::Text => Ok(Value::String(text.to_owned())),
        ColumnType::Integer => {
            number().filter(|n| n.is_i64() || n.is_u64()).ok_or_else(|| not("integer of 64 bits"))
        }
        ColumnType::Number => number().ok_or_else(|| not("number")),
        ColumnType::Boolean => text.parse().map(Value::Bool).map_err(|_| not("boolean, `true` or `false`")),
        ColumnType::Time => match text.parse::<Timestamp>() {
            Ok(_) => Ok(Value::String(text.to_owned())),
            Err(err) => Err(err.message()),
        },
        ColumnType::Json => parsed().map_err(|err| err.message()),
    }
}

fn shown(text: &str) -> String {
    const CHARS: usize = 60;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_guessed_only_where_nothing_is_lost() {
        let of = |cells: &[&str]| infer(cells.iter().map(|cell| cell.as_bytes()));
        assert_eq!(of(&["true", "", "false"]), ColumnType::Boolean);
        assert_eq!(of(&["1", "-2", "9007199254740993", "18446744073709551615"]), ColumnType::Integer);
        assert_eq!(of(&["1", "2.5", "1e3", "-0.30000000000000004"]), ColumnType::Number);
        for text in [
            &["007"][..],
            &["1", "x"],
            &["18446744073709551616"],
            &["0.12345678901234567890"],
            &["+1"],
            &[" 1"],
            &["True"],
            &["", ""],
            &[],
            &["1e400"],
            &["null"],
        ] {
            assert_eq!(of(text), ColumnType::Text, "{text:?}");
        }
    }
}
