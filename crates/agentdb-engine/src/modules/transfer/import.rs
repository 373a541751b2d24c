//! `namespace.import`: lines into a namespace, batch by batch.

use std::collections::BTreeMap;
use std::io;

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decide::{Lines, NumberedLine};
use super::line::{Check, Counts, End, Header};
use super::lines::LineReader;
use super::mark::Mark;
use super::{FORMAT, Line, Progress};
use crate::modules::blob::BlobLine;
use crate::modules::namespace;
use crate::operation::{About, Effect, Request, Scope};
use crate::planted::{self, Bug};
use crate::request::WriteOptions;
use crate::{Engine, NamespaceId, Task};

/// Rows, and bytes, of lines that are committed together where no check says so before.
const BATCH_ROWS: usize = 2_000;
const BATCH_BYTES: usize = 16 << 20;
/// Bytes that one step passes over of what was imported before.
const PASSED_BYTES: u64 = 64 << 20;
/// What some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What an import does with what is there already under a name that it brings. Sessions, collections and threads are taken
/// whole, with everything in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// It refuses: what was imported before stays, and the import can go on.
    #[default]
    Refuse,
    /// It leaves what is there.
    Skip,
    /// It puts what it brings in its place.
    Replace,
}

/// Imports what was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The namespace, which is created if it does not exist.
    pub name: String,
    /// What to do with what is there already: `refuse`, `skip` or `replace`.
    #[serde(default)]
    pub existing: Existing,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// The LSN of the last batch.
    pub lsn: Lsn,
    /// How many lines there were.
    pub lines: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Behind which line this import went on, if it was begun before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_behind: Option<u64>,
    /// What became of the lines, by noun; those of before it went on included.
    pub counts: Counts,
}

impl Request for Import {
    type Response = Imported;
    const ABOUT: About = About {
        name: "namespace.import",
        doc: "Imports lines of JSON that namespace.export wrote, or another program, into a new or an existing namespace, in batches that are committed whole. Begun again with the same lines after it was stopped, it goes on where it ended.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "namespace.import",
        resource: &["name"],
        sensitive: &[],
        errors: &[
            Code::ImportLine,
            Code::ImportDamaged,
            Code::ImportTruncated,
            Code::ImportChanged,
            Code::ImportExists,
            Code::ImportMoved,
            Code::FormatTooNew,
            Code::BlobMismatch,
            Code::ToolCallRunning,
            Code::ToolCallUnknown,
            Code::InvalidName,
        ],
    };
}

/// An import under way. Dropped before its end, it leaves what its batches have committed, and the next one with the same
/// lines goes on there.
pub struct ImportJob<'a> {
    engine: Engine,
    namespace: NamespaceId,
    existing: Existing,
    options: WriteOptions,
    reader: LineReader<'a>,
    header: Header,
    /// The hash of the first line: what the import is known by.
    import: String,
    /// The lines that were committed before, until they are passed.
    before: Option<Mark>,
    resumed_behind: Option<u64>,
    /// What an import with the same first line has brought to its end, as long as it is all there.
    again: Option<Mark>,
    /// When and at which LSN that was.
    completed: Option<(Timestamp, Lsn)>,
    /// Lines that are committed.
    after: u64,
    batch: Batch,
    /// A line that was read, and belongs to what comes next.
    ahead: Option<(u64, Line)>,
    counts: Counts,
    /// Lines by noun since the first, unless some were passed over.
    seen: Option<BTreeMap<String, u64>>,
}

/// Lines that wait to be committed.
#[derive(Default)]
struct Batch {
    lines: Vec<NumberedLine>,
    rows: usize,
    bytes: usize,
}

impl Engine {
    /// Begins an import into a namespace of this name, which is created if there is none; [`ImportJob::step`] goes on with it.
    ///
    /// # Errors
    /// Those of [`Engine::begin_import_into`]; [`Code::InvalidName`].
    pub fn begin_import<'a>(
        &self,
        import: &Import,
        source: Box<dyn io::Read + 'a>,
        options: WriteOptions,
    ) -> Result<ImportJob<'a>> {
        let (reader, header, hash) = first_line(source)?;
        let name = import.name.clone();
        if self.namespace(&name).is_err_and(|err| err.code() == Code::NamespaceNotFound) {
            let create = namespace::Create { name: name.clone(), description: header.description.clone() };
            match self.write(NamespaceId::SYSTEM, create, WriteOptions::default())?.wait() {
                Err(err) if err.code() != Code::NamespaceExists => return Err(err),
                _ => {}
            }
        }
        self.begin(self.namespace(&name)?, import.existing, (reader, header, hash), options)
    }

    /// Begins an import into a namespace that there is.
    ///
    /// # Errors
    /// [`Code::ImportLine`] for a first line that is none; [`Code::FormatTooNew`]; [`Code::InvalidValue`] for an idempotency key; errors of the source.
    pub fn begin_import_into<'a>(
        &self,
        namespace: NamespaceId,
        existing: Existing,
        source: Box<dyn io::Read + 'a>,
        options: WriteOptions,
    ) -> Result<ImportJob<'a>> {
        self.begin(namespace, existing, first_line(source)?, options)
    }

    fn begin<'a>(
        &self,
        namespace: NamespaceId,
        existing: Existing,
        (reader, header, import): (LineReader<'a>, Header, String),
        options: WriteOptions,
    ) -> Result<ImportJob<'a>> {
        if options.idempotency_key.is_some() {
            return Err(super::unfit("idempotency_key", "an import is many batches, and goes on by itself"));
        }
        let found = Mark::find(&self.snapshot(namespace)?, &import)?;
        let (again, before) = match found {
            Some(mark) if mark.done.is_some() => (Some(mark), None),
            found => (None, found),
        };
        // Any other word on what is there holds for what the import has brought itself, too.
        let again = again.filter(|_| existing == Existing::Refuse);
        Ok(ImportJob {
            completed: again.as_ref().and_then(|mark| Some((mark.updated, mark.done?))),
            again,
            engine: self.clone(),
            namespace,
            existing,
            options,
            reader,
            header,
            import,
            resumed_behind: before.as_ref().map(|mark| mark.line),
            after: before.as_ref().map_or(0, |mark| mark.line),
            counts: before.as_ref().map(|mark| mark.counts.clone()).unwrap_or_default(),
            seen: before.is_none().then(BTreeMap::new),
            before,
            batch: Batch::default(),
            ahead: None,
        })
    }
}

/// What the first line says in every version of the format.
#[derive(Deserialize)]
struct Version {
    noun: String,
    format: u64,
}

/// Reads the first line, and its hash.
fn first_line<'a>(source: Box<dyn io::Read + 'a>) -> Result<(LineReader<'a>, Header, String)> {
    let not = |reason: &str| Error::new(Code::ImportLine).with("line", 1).with("reason", reason);
    let mut reader = LineReader::new(source);
    let text = reader.next()?.unwrap_or_default();
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err(not("a byte order mark stands before it, which no line of JSON has"));
    }
    // Whatever else is new in it.
    if let Ok(Version { noun, format }) = serde_json::from_slice(text)
        && noun == "export"
        && format > FORMAT
    {
        let newer = Error::new(Code::FormatTooNew).with("path", "the export").with("actual", format);
        return Err(newer.with("supported", FORMAT).at_import_line(1));
    }
    let (line, hash) = (Line::parse(1, text), blake3::hash(text).to_hex().to_string());
    if !reader.has_ended() {
        return Err(truncated(0));
    }
    match line? {
        Line::Export(header) if header.format == FORMAT => Ok((reader, header, hash)),
        Line::Export(header) => {
            Err(not(&format!("it is of format {}, and this version knows {FORMAT}", header.format)))
        }
        _ => Err(not("the first line of an export has the noun `export`")),
    }
}

impl ImportJob<'_> {
    /// What the first line says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How far it has read.
    pub fn progress(&self) -> Progress {
        self.reader.progress()
    }

    /// Imports the next batch; tells what was imported when it is done. It must not be stepped after that, or after an error.
    ///
    /// # Errors
    /// Those that [`Import`] tells, and those of the operations that write what the lines hold; they name the line. Nothing of
    /// the batch is imported then, and another import of the same lines goes on there.
    pub fn step(&mut self) -> Result<Option<Imported>> {
        if let Some(mark) = self.before.take() {
            return self.pass(mark).map(|()| None);
        }
        if self.engine.core.check_room().is_err() {
            make_room(&self.engine)?;
            return Ok(None);
        }
        loop {
            let Some((number, line)) = self.next_line()? else {
                return Err(truncated(self.progress().lines));
            };
            match line {
                Line::Check(check) => {
                    self.check(&check)?;
                    self.commit(Vec::new(), false)?;
                    return Ok(None);
                }
                Line::End(end) => {
                    self.check_end(&end)?;
                    return self.finish().map(Some);
                }
                Line::Blob(blob) if self.batch.lines.is_empty() => {
                    self.blob(number, blob)?;
                    return Ok(None);
                }
                Line::Blob(_) => {
                    // The blob is a batch of its own; what precedes it is checked together with it, or was before.
                    self.ahead = Some((number, line));
                    self.commit(Vec::new(), false)?;
                    return Ok(None);
                }
                line => {
                    self.batch.rows += line.rows();
                    self.batch.lines.push(NumberedLine { number, line });
                    if self.batch.rows >= BATCH_ROWS || self.batch.bytes >= BATCH_BYTES {
                        self.commit(Vec::new(), false)?;
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Passes over lines that were imported before, a piece at a time.
    fn pass(&mut self, mark: Mark) -> Result<()> {
        let end = self.progress().bytes + PASSED_BYTES;
        while self.progress().lines < mark.line {
            if self.reader.next()?.is_none() {
                return Err(changed(mark.line, "there are fewer"));
            }
            if self.progress().bytes >= end {
                self.before = Some(mark);
                return Ok(());
            }
        }
        if self.reader.hash_through() != mark.hash {
            return Err(changed(mark.line, "they have another hash"));
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<(u64, Line)>> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        let before = self.reader.progress();
        let Some(text) = self.reader.next()? else { return Ok(None) };
        let number = before.lines + 1;
        let line = Line::parse(number, text);
        if !self.reader.has_ended() && !matches!(line, Ok(Line::End(_))) {
            return Err(truncated(before.lines));
        }
        let line = line?;
        self.batch.bytes += (self.reader.progress().bytes - before.bytes) as usize;
        if let Some(seen) = &mut self.seen
            && !matches!(line, Line::Check(_) | Line::End(_))
        {
            *seen.entry(line.noun().to_owned()).or_default() += 1;
        }
        Ok(Some((number, line)))
    }

    fn check(&self, check: &Check) -> Result<()> {
        if check.blake3 == self.reader.hash_before() {
            return Ok(());
        }
        Err(self.damaged("it has another hash than its `check` line says"))
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::new(Code::ImportDamaged).with("line", self.progress().lines).with("reason", reason)
    }

    /// The last line must agree with what precedes it, as far as it says, and nothing may follow.
    fn check_end(&mut self, end: &End) -> Result<()> {
        if end.blake3.as_ref().is_some_and(|hash| *hash != self.reader.hash_before()) {
            return Err(self.damaged("it has another hash than its last line says"));
        }
        let lines = self.progress().lines;
        if end.lines.is_some_and(|said| said != lines - 1) {
            return Err(self.damaged("it has another number of lines than its last line says"));
        }
        if let (Some(said), Some(seen)) = (&end.counts, &self.seen)
            && said != seen
        {
            return Err(self.damaged("it has other numbers of lines by noun than its last line says"));
        }
        let rest = self.reader.next()?.is_some();
        if rest {
            let reason = "it stands behind the last line";
            return Err(Error::new(Code::ImportLine).with("line", lines + 1).with("reason", reason));
        }
        Ok(())
    }

    /// Commits the lines that wait, and that they are; if the import was done before, looks whether what they bring is there.
    fn commit(&mut self, sums: Vec<u32>, last: bool) -> Result<Lsn> {
        let Batch { lines, bytes, .. } = std::mem::take(&mut self.batch);
        // A line that was read ahead belongs to the next batch.
        let (line, hash) = match &self.ahead {
            Some((ahead, _)) => (ahead - 1, self.reader.hash_before()),
            None => (self.progress().lines, self.reader.hash_through()),
        };
        let (import, existing) = (self.import.clone(), self.existing);
        let (after, again) = (self.after, false);
        let lines = Lines { import, existing, again, after, lines, sums, line, hash, last, bytes };
        if let Some(lsn) = self.is_there(&lines)? {
            self.after = line;
            return Ok(lsn);
        }
        let mark_alone = planted::is(Bug::ImportMarkedApart).then(|| lines.without_lines());
        let committed = self.engine.write(self.namespace, lines, self.options.clone())?.wait();
        let mut committed = committed.map_err(|err| self.say_completed(err))?;
        if let Some(mark) = mark_alone {
            committed = self.engine.write(self.namespace, mark, self.options.clone())?.wait()?;
        }
        self.counts = committed.response.counts;
        self.after = line;
        Ok(committed.lsn)
    }

    /// Whether the import was done before and what these lines bring is there; the LSN at which it was done then. If the first
    /// ones bring what is not, it is imported anew.
    fn is_there(&mut self, lines: &Lines) -> Result<Option<Lsn>> {
        let Some(lsn) = self.again.as_ref().and_then(|mark| mark.done) else { return Ok(None) };
        let asking = Lines { again: true, ..lines.clone() };
        match self.engine.write(self.namespace, asking, self.options.clone())?.wait() {
            Ok(_) => Ok(Some(lsn)),
            Err(err) if err.code() == Code::ImportExists && self.after == 0 => {
                self.again = None;
                Ok(None)
            }
            Err(err) => Err(self.say_completed(err)),
        }
    }

    /// Adds when the import was done before to what it refuses now.
    fn say_completed(&self, err: Error) -> Error {
        match self.completed {
            Some((time, lsn)) if err.code() == Code::ImportExists => {
                err.with("completed", time).with("completed_lsn", lsn)
            }
            _ => err,
        }
    }

    /// Imports a blob, which is a batch of its own: its bytes are in their place before its row is committed.
    fn blob(&mut self, number: u64, line: BlobLine) -> Result<()> {
        let (engine, namespace) = (self.engine.clone(), self.namespace);
        let mut source = BlobSource { blob: line.blob.clone(), offset: 0, piece: Vec::new(), job: self };
        let committed = engine.import_blob(namespace, &line, &mut source, |source, sums| {
            source.job.check_behind_blob()?;
            source.job.batch.lines.push(NumberedLine { number, line: Line::Blob(line.clone()) });
            source.job.commit(sums, false)
        });
        committed.map(drop).map_err(|err| err.at_import_line(number))
    }

    /// What is told of a blob is checked before it is committed, if a check follows it.
    fn check_behind_blob(&mut self) -> Result<()> {
        let Some((number, line)) = self.next_line()? else { return Ok(()) };
        match line {
            Line::Check(check) => self.check(&check),
            line => {
                self.ahead = Some((number, line));
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<Imported> {
        let hash = self.reader.hash_through();
        let lsn = self.commit(Vec::new(), true)?;
        let Progress { lines, bytes } = self.progress();
        if let Some(done) = self.again.take() {
            if (lines, &hash) != (done.line, &done.hash) {
                let what = "what these lines bring, which are others behind the same first line,";
                return Err(Error::new(Code::ImportExists).with("what", what));
            }
            return Ok(Imported { lsn, lines, bytes, resumed_behind: Some(lines), counts: done.counts });
        }
        let (resumed_behind, counts) = (self.resumed_behind, std::mem::take(&mut self.counts));
        Ok(Imported { lsn, lines, bytes, resumed_behind, counts })
    }
}

/// Lets rows be moved to the disk while too many wait for it.
pub(crate) fn make_room(engine: &Engine) -> Result<()> {
    if !engine.step(Task::Drain)? && !engine.step(Task::Merge)? {
        engine.step(Task::Sequence)?;
        engine.step(Task::Sync)?;
    }
    Ok(())
}

fn truncated(line: u64) -> Error {
    Error::new(Code::ImportTruncated).with("line", line)
}

fn changed(line: u64, reason: &str) -> Error {
    Error::new(Code::ImportChanged).with("line", line).with("reason", reason)
}

/// The bytes of a blob, from the lines that follow it.
struct BlobSource<'j, 'a> {
    blob: String,
    offset: u64,
    piece: Vec<u8>,
    job: &'j mut ImportJob<'a>,
}

impl BlobSource<'_, '_> {
    /// Reads the next line of bytes; nothing if another line follows.
    fn fill(&mut self) -> Result<()> {
        let Some((number, line)) = self.job.next_line()? else {
            return Err(truncated(self.job.progress().lines));
        };
        let Line::BlobBytes(bytes) = line else {
            self.job.ahead = Some((number, line));
            return Ok(());
        };
        // They are never in a batch.
        self.job.batch.bytes = 0;
        if (&bytes.blob, bytes.offset) != (&self.blob, self.offset) {
            return Err(Error::new(Code::ImportLine).with("line", number).with(
                "reason",
                format_args!("these are not the bytes of the blob from {} on", self.offset),
            ));
        }
        self.piece = bytes.decode().map_err(|err| err.at_import_line(number))?;
        self.offset += self.piece.len() as u64;
        Ok(())
    }
}

impl io::Read for BlobSource<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.job.ahead.is_none() {
            self.fill().map_err(io::Error::other)?;
        }
        let taken = out.len().min(self.piece.len());
        out[..taken].copy_from_slice(&self.piece[..taken]);
        self.piece.drain(..taken);
        Ok(taken)
    }
}
