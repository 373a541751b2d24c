//! Comma-separated values as RFC 4180 has them, read strictly: what other readers repair is an error here.

use std::io::{self, BufRead};

/// What is wrong with the text.
pub(super) struct Malformed {
    /// The line on which the record begins.
    pub(super) line: u64,
    /// The number of the cell, from 0.
    pub(super) cell: usize,
    pub(super) reason: &'static str,
}

/// A problem of the text, or of reading it.
pub(super) enum Problem {
    Malformed(Malformed),
    Io(io::Error),
}

impl From<io::Error> for Problem {
    fn from(err: io::Error) -> Self {
        Problem::Io(err)
    }
}

/// Where the reader is within a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a cell.
    Start,
    Plain,
    Quoted,
    /// Behind a quote in a quoted cell: its end, or the first of two.
    Quote,
    /// Behind a carriage return, which a line feed must follow.
    Return,
}

/// One record: its cells one behind another.
#[derive(Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    /// Where each cell ends, and whether it stands in quotes.
    ends: Vec<(usize, bool)>,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of a cell, and whether it stands in quotes.
    pub(super) fn cell(&self, at: usize) -> (&[u8], bool) {
        let start = if at == 0 { 0 } else { self.ends[at - 1].0 };
        let (end, quoted) = self.ends[at];
        (&self.bytes[start..end], quoted)
    }

    fn is_blank(&self) -> bool {
        self.bytes.is_empty() && self.ends == [(0, false)]
    }
}

pub(super) struct CsvReader<R> {
    source: R,
    delimiter: u8,
    /// Lines that are read.
    line: u64,
    /// Bytes that a record may have.
    limit: usize,
}

impl<R: BufRead> CsvReader<R> {
    pub(super) fn new(source: R, delimiter: u8, limit: usize) -> Self {
        CsvReader { source, delimiter, line: 0, limit }
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    /// Reads the next record into `record`; tells whether there is one. Lines without anything are passed over.
    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, Problem> {
        loop {
            record.bytes.clear();
            record.ends.clear();
            record.line = self.line + 1;
            if !self.read(record)? {
                return Ok(false);
            }
            if !record.is_blank() {
                return Ok(true);
            }
        }
    }

    fn read(&mut self, record: &mut Record) -> Result<bool, Problem> {
        let (mut state, mut quoted, mut any) = (State::Start, false, false);
        loop {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                return match state {
                    State::Quoted => Err(malformed(record, "its quotes are not closed")),
                    _ if !any => Ok(false),
                    _ => {
                        record.ends.push((record.bytes.len(), quoted));
                        Ok(true)
                    }
                };
            }
            let mut used = 0;
            let mut whole = false;
            for &byte in buffer {
                used += 1;
                any = true;
                if byte == b'\n' {
                    self.line += 1;
                }
                match (state, byte) {
                    (State::Quoted, b'"') => state = State::Quote,
                    (State::Quoted, byte) => record.bytes.push(byte),
                    (State::Quote, b'"') => {
                        record.bytes.push(b'"');
                        state = State::Quoted;
                    }
                    (State::Start, b'"') => (state, quoted) = (State::Quoted, true),
                    (State::Plain, b'"') => {
                        return Err(malformed(
                            record,
                            "a quote stands within a cell that does not begin with one",
                        ));
                    }
                    (_, b'\n') => {
                        record.ends.push((record.bytes.len(), quoted));
                        whole = true;
                        break;
                    }
                    (State::Return, _) => {
                        return Err(malformed(record, "a carriage return stands outside of quotes"));
                    }
                    (_, b'\r') => state = State::Return,
                    (_, byte) if byte == self.delimiter => {
                        record.ends.push((record.bytes.len(), quoted));
                        (state, quoted) = (State::Start, false);
                    }
                    (State::Quote, _) => {
                        return Err(malformed(record, "something stands behind its closing quote"));
                    }
                    (_, byte) => {
                        record.bytes.push(byte);
                        state = State::Plain;
                    }
                }
            }
            self.source.consume(used);
            if record.bytes.len() > self.limit {
                return Err(malformed(record, "its row is too long; are quotes closed?"));
            }
            if whole {
                return Ok(true);
            }
        }
    }
}

fn malformed(record: &Record, reason: &'static str) -> Problem {
    Problem::Malformed(Malformed { line: record.line, cell: record.ends.len(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Result<Vec<Vec<String>>, (u64, usize, &'static str)> {
        // A small buffer: everything crosses its edges.
        let source = io::BufReader::with_capacity(3, text.as_bytes());
        let mut reader = CsvReader::new(source, b',', 1_000);
        let (mut record, mut all) = (Record::default(), Vec::new());
        loop {
            match reader.next(&mut record) {
                Ok(true) => all.push(
                    (0..record.len())
                        .map(|at| String::from_utf8(record.cell(at).0.to_vec()).unwrap())
                        .collect(),
                ),
                Ok(false) => return Ok(all),
                Err(Problem::Malformed(Malformed { line, cell, reason })) => {
                    return Err((line, cell, reason));
                }
                Err(Problem::Io(err)) => panic!("{err}"),
            }
        }
    }

    #[test]
    fn records_are_read_as_the_rfc_says() {
        let text = "a,b\r\n\"x,\ny\"\"z\",\n\n,\"\"\nlast,1";
        let expected = [vec!["a", "b"], vec!["x,\ny\"z", ""], vec!["", ""], vec!["last", "1"]];
        assert_eq!(records(text).unwrap(), expected);
        assert_eq!(records("").unwrap(), Vec::<Vec<String>>::new());
    }

    #[test]
    fn what_other_readers_repair_is_refused() {
        for (text, line, cell) in [
            ("a\nb\"c\n", 2, 0),
            ("a,\"b\"c\n", 1, 1),
            ("a\n\"x\ny\nb,\"c\n", 2, 0),
            ("a,\"b\" ,c\n", 1, 1),
            ("a\rb\n", 1, 0),
        ] {
            let (at, found, reason) = records(text).unwrap_err();
            assert_eq!((at, found), (line, cell), "{text:?}: {reason}");
        }
    }
}
