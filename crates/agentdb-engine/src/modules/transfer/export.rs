//! `namespace.export`: what a namespace holds at one LSN, line by line.

use std::collections::BTreeMap;

use agentdb_types::{Code, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lines::LineWriter;
use super::{FORMAT, Header, Line, Progress};
use crate::key::Key;
use crate::modules::blob::BlobReader;
use crate::modules::session::message::Layers;
use crate::modules::{
    blob, checkpoint, collection, item, link, namespace, record, retention, session, state, tool_call,
};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::{Engine, NamespaceId, Row, Snapshot, Table};

/// Bytes of a piece, about.
const PIECE: usize = 256 << 10;

/// Exports what a namespace holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The namespace.
    pub name: String,
    /// Whether lines tell versions and epochs, which mean something in this database alone.
    #[serde(default)]
    pub versions: bool,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exported {
    /// The LSN of the snapshot that the export shows.
    pub lsn: Lsn,
    /// How many lines it has.
    pub lines: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many lines of each noun.
    pub counts: BTreeMap<String, u64>,
}

impl Request for Export {
    type Response = Exported;
    const ABOUT: About = About {
        name: "namespace.export",
        doc: "Exports everything that a namespace holds at one LSN as lines of JSON, a noun a line, that people and other programs can read, and namespace.import reads again. The last line tells counts and a hash.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "namespace.export",
        resource: &["name"],
        sensitive: &[],
        errors: &[Code::NamespaceNotFound, Code::BlobCorrupt],
    };
}

/// An export under way: one snapshot, shown piece by piece. While it lives, memory and files of what is replaced meanwhile
/// are not freed.
pub struct ExportJob {
    snapshot: Snapshot,
    versions: bool,
    header: Option<Header>,
    /// What is still to be shown, the next last.
    remaining: Vec<Remaining>,
    lines: LineWriter,
    exported: Option<Exported>,
}

/// Rows to show, the messages of a session, or the bytes of a blob.
enum Remaining {
    Rows { of: Of, from: Key, to: Option<Key> },
    Messages { session: String, layers: Layers, from: u64 },
    Bytes { reader: Box<BlobReader>, offset: u64 },
}

/// What rows are.
#[derive(Clone)]
enum Of {
    Retention,
    Policy,
    ItemIndex,
    State,
    Sessions,
    Blobs,
    Collections,
    Records(String),
    LinkedCollections,
    LinkedRecords(String),
    Links(String, String),
    Threads,
    ChannelValues(String),
    Checkpoints(String),
    Writes(String),
    Items,
    ToolCalls,
}

impl Engine {
    /// Begins an export; [`ExportJob::next_piece`] goes on with it.
    ///
    /// # Errors
    /// [`Code::NamespaceNotFound`]; those of [`Engine::snapshot`].
    pub fn begin_export(&self, export: &Export) -> Result<ExportJob> {
        let system = self.snapshot(NamespaceId::SYSTEM)?;
        let about = namespace::Get { name: export.name.clone() }.read(&system)?;
        Ok(self.export(&system, about, export.versions))
    }

    /// Begins an export of a namespace whose name is not at hand.
    ///
    /// # Errors
    /// Those of [`Engine::begin_export`].
    pub fn begin_export_of(&self, namespace: NamespaceId, versions: bool) -> Result<ExportJob> {
        let system = self.snapshot(NamespaceId::SYSTEM)?;
        let about = namespace::entry(&system, namespace)?;
        Ok(self.export(&system, about, versions))
    }

    fn export(&self, system: &Snapshot, about: namespace::Entry, versions: bool) -> ExportJob {
        let namespace::Entry { name, number, description, created } = about;
        // What the database says of `default` is the same everywhere.
        let description = created.map(|_| description).unwrap_or_default();
        let snapshot = system.in_namespace(NamespaceId(number));
        let header = Header {
            format: FORMAT,
            database: Some(self.id().to_owned()),
            namespace: Some(name),
            description,
            lsn: Some(snapshot.lsn()),
            time: Some(snapshot.now()),
        };
        let table = |of, table| Remaining::rows(of, snapshot.key(table));
        let mut remaining = vec![
            table(Of::Retention, Table::Retention),
            table(Of::Policy, Table::Policy),
            table(Of::ItemIndex, Table::ItemIndex),
            table(Of::State, Table::State),
            table(Of::Sessions, Table::Session),
            table(Of::Blobs, Table::Blob),
            table(Of::Collections, Table::Collection),
            table(Of::LinkedCollections, Table::Collection),
            table(Of::Threads, Table::Thread),
            table(Of::Items, Table::Item),
            table(Of::ToolCalls, Table::ToolCall),
        ];
        remaining.reverse();
        let header = Some(header);
        ExportJob { snapshot, versions, header, remaining, lines: LineWriter::new(), exported: None }
    }
}

impl ExportJob {
    /// The next lines, whole ones, some hundred kilobytes or one line that is longer; `None` behind the last.
    ///
    /// # Errors
    /// [`Code::BlobCorrupt`], [`Code::RowsCorrupt`] for damage that is met; [`Code::BlobNotFound`] for a blob that was deleted
    /// more than an hour ago while the export went on, [`Code::NamespaceNotFound`] if the namespace was; errors of files. What was given by then has no last line.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        if self.exported.is_some() {
            return Ok(None);
        }
        if let Some(header) = self.header.take() {
            self.lines.line(&Line::Export(header))?;
        }
        while self.lines.waiting() < PIECE {
            let Some(remaining) = self.remaining.pop() else {
                self.finish()?;
                break;
            };
            match remaining {
                Remaining::Rows { of, from, to } => self.rows(of, &from, to)?,
                Remaining::Messages { session, layers, from } => self.messages(session, layers, from)?,
                Remaining::Bytes { reader, offset } => self.bytes(reader, offset)?,
            }
        }
        Ok(Some(self.lines.take()))
    }

    /// With a check after so many rows, which an import commits together.
    #[must_use]
    pub fn check_every(mut self, rows: usize) -> Self {
        self.lines.check_rows = rows;
        self
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.lines.progress()
    }

    /// What was exported, once everything is.
    pub fn exported(&self) -> Option<&Exported> {
        self.exported.as_ref()
    }

    fn finish(&mut self) -> Result<()> {
        let counts = self.lines.end()?;
        let Progress { lines, bytes } = self.lines.progress();
        self.exported = Some(Exported { lsn: self.snapshot.lsn(), lines, bytes, counts });
        Ok(())
    }

    /// Shows rows until there is enough for a piece, or something follows one of them.
    fn rows(&mut self, of: Of, from: &Key, to: Option<Key>) -> Result<()> {
        let (snapshot, lines, versions) = (&self.snapshot, &mut self.lines, self.versions);
        let (mut last, mut following) = (None, Vec::new());
        snapshot.scan(from, to.as_ref(), Page::Forward, &mut |key, row| {
            let line = of.line(snapshot, &key, &row, &mut following)?;
            if let Some(mut line) = line.filter(|line| !is_skipped(line)) {
                if !versions {
                    line.forget_versions();
                }
                // What a check covers is committed together, and a blob with its bytes alone.
                if matches!(line, Line::Blob(_)) {
                    lines.check()?;
                    lines.line(&line)?;
                } else {
                    lines.line(&line)?;
                    lines.check_if_due()?;
                }
            }
            last = Some(key);
            Ok(following.is_empty() && lines.waiting() < PIECE)
        })?;
        let Some(last) = last.filter(|_| !following.is_empty() || self.lines.waiting() >= PIECE) else {
            return Ok(());
        };
        // Keys are self-delimiting: nothing lies between.
        self.remaining.push(Remaining::Rows { of, from: last.raw(&[0]), to });
        self.remaining.extend(following.into_iter().rev());
        Ok(())
    }

    /// Shows messages of a session until there is enough for a piece.
    fn messages(&mut self, session: String, layers: Layers, from: u64) -> Result<()> {
        let (snapshot, lines, versions) = (&self.snapshot, &mut self.lines, self.versions);
        let mut last = 0;
        layers.scan(snapshot, (from, u64::MAX), Page::Forward, &mut |sequence, row| {
            let mut line = Line::Message(session::message::transfer::export(&session, sequence, &row)?);
            if !versions {
                line.forget_versions();
            }
            if !is_skipped(&line) {
                lines.line(&line)?;
                lines.check_if_due()?;
            }
            last = sequence;
            Ok(lines.waiting() < PIECE)
        })?;
        if self.lines.waiting() >= PIECE
            && let Some(from) = last.checked_add(1)
        {
            self.remaining.push(Remaining::Messages { session, layers, from });
        }
        Ok(())
    }

    fn bytes(&mut self, mut reader: Box<BlobReader>, offset: u64) -> Result<()> {
        match blob::transfer::export_bytes(&mut reader, offset)? {
            Some((line, offset)) => {
                self.lines.line(&Line::BlobBytes(line))?;
                self.remaining.push(Remaining::Bytes { reader, offset });
                Ok(())
            }
            None => self.lines.check(),
        }
    }
}

/// A mistake that can be planted.
fn is_skipped(line: &Line) -> bool {
    planted::is(Bug::ExportSkipsMessages)
        && matches!(line, Line::Message(message) if message.sequence.is_multiple_of(3))
}

impl Remaining {
    fn rows(of: Of, prefix: Key) -> Self {
        Remaining::Rows { of, to: prefix.after_prefix(), from: prefix }
    }
}

impl Of {
    /// The line of a row, if it has one, and what follows it.
    fn line(
        &self,
        snapshot: &Snapshot,
        key: &Key,
        row: &Row,
        following: &mut Vec<Remaining>,
    ) -> Result<Option<Line>> {
        let mut follow = |of: Of, table: Table, number: u64| {
            following.push(Remaining::rows(of, snapshot.key(table).u64(number)));
        };
        Ok(match self {
            Of::Retention => retention::transfer::export(key, row)?.map(Line::Retention),
            Of::Policy => Some(Line::Retention(retention::transfer::export_policy(key, row)?)),
            Of::ItemIndex => Some(Line::ItemIndex(item::transfer::export_index(row)?)),
            Of::State => state::transfer::export(snapshot, key, row)?.map(Line::State),
            Of::Sessions => session::transfer::export(snapshot, key, row)?.map(|(line, layers)| {
                following.push(Remaining::Messages { session: line.session.clone(), layers, from: 0 });
                Line::Session(line)
            }),
            Of::Blobs => {
                let (line, reader) = blob::transfer::export(snapshot, key, row)?;
                following.push(Remaining::Bytes { reader: Box::new(reader), offset: 0 });
                Some(Line::Blob(line))
            }
            Of::Collections => {
                let (line, number) = collection::transfer::export(snapshot, key, row)?;
                follow(Of::Records(line.collection.clone()), Table::Record, number);
                Some(Line::Collection(line))
            }
            Of::Records(collection) => {
                record::transfer::export(snapshot, collection, key, row)?.map(Line::Record)
            }
            Of::LinkedCollections => {
                let (name, number) = collection::numbered(key, row)?;
                follow(Of::LinkedRecords(name), Table::Node, number);
                None
            }
            Of::LinkedRecords(collection) => {
                let (record, groups) = link::transfer::groups(snapshot, key, row)?;
                let of = Of::Links(collection.clone(), record);
                following.extend(groups.into_iter().map(|group| Remaining::rows(of.clone(), group)));
                None
            }
            Of::Links(collection, record) => {
                link::transfer::export(snapshot, (collection, record), key, row)?.map(Line::Link)
            }
            Of::Threads => {
                let (line, number) = checkpoint::thread::transfer::export(key, row)?;
                let thread = || line.thread.clone();
                follow(Of::ChannelValues(thread()), Table::ChannelVersion, number);
                follow(Of::Checkpoints(thread()), Table::Checkpoint, number);
                follow(Of::Writes(thread()), Table::CheckpointWrite, number);
                Some(Line::Thread(line))
            }
            Of::ChannelValues(thread) => {
                Some(Line::ChannelValue(checkpoint::transfer::export_value(snapshot, thread, key, row)?))
            }
            Of::Checkpoints(thread) => {
                Some(Line::Checkpoint(checkpoint::transfer::export(snapshot, thread, key, row)?))
            }
            Of::Writes(thread) => {
                Some(Line::CheckpointWrite(checkpoint::transfer::export_write(thread, key, row)?))
            }
            Of::Items => item::transfer::export(snapshot, key, row)?.map(Line::Item),
            Of::ToolCalls => tool_call::transfer::export(snapshot, key, row)?.map(Line::ToolCall),
        })
    }
}

impl Line {
    /// Leaves out what means something in its own database alone.
    fn forget_versions(&mut self) {
        match self {
            Line::State(line) => line.version = None,
            Line::Session(line) => line.version = None,
            Line::Message(line) => line.version = None,
            Line::Blob(line) => line.version = None,
            Line::Collection(line) => line.version = None,
            Line::Record(line) => line.version = None,
            Line::Link(line) => line.version = None,
            Line::Thread(line) => line.version = None,
            Line::Checkpoint(line) => line.version = None,
            Line::CheckpointWrite(line) => line.version = None,
            Line::Item(line) => line.version = None,
            Line::ToolCall(line) => (line.version, line.epoch) = (None, None),
            Line::Export(_)
            | Line::Check(_)
            | Line::End(_)
            | Line::Retention(_)
            | Line::ItemIndex(_)
            | Line::BlobBytes(_)
            | Line::ChannelValue(_) => {}
        }
    }
}

/// The pieces, one after another.
impl Iterator for ExportJob {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}
