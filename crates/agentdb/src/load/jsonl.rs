//! JSON lines: an object a line.

use std::io::BufRead;

use agentdb_engine::modules::load::{Load, Row, Rows};
use agentdb_types::{Result, json, limits};
use serde_json::Value;

use super::cells::RowBuilder;
use super::columns::{Columns, source};
use super::source::{Input, read_failed};

pub(super) struct JsonLines<'a> {
    file: String,
    load: Load,
    input: Input<'a>,
    line: Vec<u8>,
    /// Lines that were read.
    lines: u64,
    /// Rows that were given.
    rows: u64,
    columns: Option<Columns>,
}

impl<'a> JsonLines<'a> {
    pub(super) fn new(load: &Load, file: &str, input: Input<'a>) -> Self {
        let (file, load) = (file.to_owned(), load.clone());
        JsonLines { file, load, input, line: Vec::new(), lines: 0, rows: 0, columns: None }
    }

    /// Reads a line that is not blank; tells whether there is one.
    fn next_line(&mut self) -> Result<bool> {
        loop {
            self.line.clear();
            let limit = limits::IMPORT_LINE_BYTES as u64;
            let mut limited = std::io::Read::take(&mut self.input, limit + 1);
            let read = limited.read_until(b'\n', &mut self.line).map_err(|e| read_failed(&self.file, e))?;
            if read == 0 {
                return Ok(false);
            }
            self.lines += 1;
            if read as u64 > limit {
                return Err(source(
                    &self.file,
                    format_args!("line {} has more than {limit} bytes", self.lines),
                ));
            }
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
    }
}

impl Rows for JsonLines<'_> {
    fn next_row(&mut self) -> Result<Option<Row>> {
        if !self.next_line()? {
            return Ok(None);
        }
        self.rows += 1;
        let (number, line) = (self.rows, Some(self.lines));
        let parsed = json::parse_around("line", &self.line, 1).map_err(|err| err.at_row(number, line))?;
        let Value::Object(fields) = parsed else {
            let reason = "it is not an object: a file of JSON lines has one on each line";
            return Err(super::cells::wrong(number, line, "(the line)", reason));
        };
        let columns = match &self.columns {
            Some(columns) => columns,
            // What the load names must be there, if only as null.
            None => {
                self.columns.insert(Columns::new(&self.load, &self.file, fields.keys().map(String::as_str))?)
            }
        };
        let mut row = RowBuilder::new(columns, number, line);
        for (name, value) in fields {
            let role = columns.role(&name).map_err(|err| err.at_row(number, line))?;
            row.value(&role, &name, value)?;
        }
        row.finish().map(Some)
    }

    fn bytes_read(&self) -> u64 {
        self.input.bytes_read()
    }
}
