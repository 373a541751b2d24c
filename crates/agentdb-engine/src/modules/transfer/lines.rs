//! Writing lines, and reading them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use agentdb_types::{Code, Error, Result, limits};

use super::line::{Check, End, Line};
use crate::modules::source_failed;

/// Rows, and bytes, of lines that one check covers: an import commits them together.
const CHECK_ROWS: usize = 500;
const CHECK_BYTES: usize = 1 << 20;

/// How far an export or an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Lines that are done.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Collects lines, and adds checks.
pub(super) struct LineWriter {
    out: Vec<u8>,
    hasher: blake3::Hasher,
    counts: BTreeMap<String, u64>,
    progress: Progress,
    /// Rows that one check covers.
    pub(super) check_rows: usize,
    /// Rows and bytes since the last check.
    since_check: (usize, usize),
}

impl LineWriter {
    pub(super) fn new() -> Self {
        LineWriter {
            out: Vec::new(),
            hasher: blake3::Hasher::new(),
            counts: BTreeMap::new(),
            progress: Progress::default(),
            check_rows: CHECK_ROWS,
            since_check: (0, 0),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// Bytes that were not taken yet.
    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn put(&mut self, line: &Line) -> Result<()> {
        let start = self.out.len();
        serde_json::to_writer(&mut self.out, line)
            .map_err(|e| Error::new(Code::InvalidJson).with("field", "line").with("reason", e))?;
        self.out.push(b'\n');
        let bytes = self.out.len() - start;
        self.hasher.update(&self.out[start..]);
        self.progress.lines += 1;
        self.progress.bytes += bytes as u64;
        self.since_check.0 += line.rows();
        self.since_check.1 += bytes;
        Ok(())
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: &Line) -> Result<()> {
        self.put(line)?;
        if !matches!(line, Line::Export(_)) {
            *self.counts.entry(line.noun().to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// Adds a check if it is time for one.
    pub(super) fn check_if_due(&mut self) -> Result<()> {
        if self.since_check.0 >= self.check_rows || self.since_check.1 >= CHECK_BYTES {
            self.check()?;
        }
        Ok(())
    }

    /// Adds a check, unless the last line is one.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.since_check != (0, 0) {
            let blake3 = self.hasher.finalize().to_hex().to_string();
            self.put(&Line::Check(Check { blake3 }))?;
            self.since_check = (0, 0);
        }
        Ok(())
    }

    /// Adds the last line.
    pub(super) fn end(&mut self) -> Result<BTreeMap<String, u64>> {
        let end = End {
            lines: Some(self.progress.lines),
            counts: Some(self.counts.clone()),
            blake3: Some(self.hasher.finalize().to_hex().to_string()),
        };
        self.put(&Line::End(end))?;
        Ok(std::mem::take(&mut self.counts))
    }
}

/// Reads lines one after another, and hashes what it passes.
pub(crate) struct LineReader<'a> {
    source: BufReader<Box<dyn Read + 'a>>,
    /// The line that was read last, not hashed yet.
    line: Vec<u8>,
    hasher: blake3::Hasher,
    progress: Progress,
}

impl<'a> LineReader<'a> {
    pub(crate) fn new(source: Box<dyn Read + 'a>) -> Self {
        LineReader {
            source: BufReader::with_capacity(256 << 10, source),
            line: Vec::new(),
            hasher: blake3::Hasher::new(),
            progress: Progress::default(),
        }
    }

    /// How far it is, the last line included.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// The text of the next line without its end; `None` behind the last one.
    ///
    /// # Errors
    /// [`Code::ImportLine`] for a line beyond the limit; [`Code::Io`], or the error that the source gives inside its own.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        self.hash_line();
        let limit = limits::IMPORT_LINE_BYTES as u64;
        let mut limited = (&mut self.source).take(limit + 1);
        let read = limited
            .read_until(b'\n', &mut self.line)
            .map_err(|e| source_failed("the lines to import", e))? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.progress.lines += 1;
        self.progress.bytes += read;
        if read > limit {
            return Err(Error::new(Code::ImportLine)
                .with("line", self.progress.lines)
                .with("reason", format_args!("it has more than {limit} bytes")));
        }
        Ok(Some(self.line.strip_suffix(b"\n").unwrap_or(&self.line)))
    }

    /// Whether the last line ends as lines do: only the last of all may not.
    pub(crate) fn has_ended(&self) -> bool {
        self.line.ends_with(b"\n")
    }

    fn hash_line(&mut self) {
        self.hasher.update(&self.line);
        self.line.clear();
    }

    /// The hash of everything before the last line.
    pub(crate) fn hash_before(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    /// The hash of everything up to the last line, that included.
    pub(crate) fn hash_through(&mut self) -> String {
        self.hash_line();
        self.hash_before()
    }
}
