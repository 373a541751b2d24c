//! A batch of lines, decided as one: the rows, and how far the import has come.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mark::{Mark, Parent};
use super::{Counts, Existing, Fate, Line};
use crate::modules::{
    blob, checkpoint, collection, item, link, record, retention, session, state, tool_call,
};
use crate::operation::{About, Request, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::sweep;
use crate::tx::Tx;

/// Lines on their way to the sequencer.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Lines {
    /// The hash of the first line of the import.
    pub(super) import: String,
    pub(super) existing: Existing,
    /// Whether the import is done, and these lines only ask if what they bring is still there.
    pub(super) again: bool,
    /// How many lines precede these.
    pub(super) after: u64,
    pub(super) lines: Vec<NumberedLine>,
    /// The checksums of the blob, if the line is one.
    pub(super) sums: Vec<u32>,
    /// The last of these lines, and the hash of all up to it.
    pub(super) line: u64,
    pub(super) hash: String,
    /// Whether the import is done.
    pub(super) last: bool,
    /// Bytes of the lines.
    pub(super) bytes: usize,
}

/// A line, and which it is, from 1.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct NumberedLine {
    pub(super) number: u64,
    pub(super) line: Line,
}

/// What became of lines so far.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Decided {
    pub(super) counts: Counts,
}

impl Request for Lines {
    type Response = Decided;
    const ABOUT: About = sweep::internal("internal.import");
}

impl WriteRequest for Lines {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Decided> {
        let mut mark = Mark::find(tx, &self.import)?.unwrap_or_default();
        if self.again && mark.done.is_some() {
            self.check_there(tx)?;
            return Ok(Decided { counts: mark.counts });
        }
        if mark.done.is_some() {
            mark = Mark::default();
        }
        if mark.line != self.after {
            return Err(Error::new(Code::ImportMoved).with("actual", mark.line).with("expected", self.after));
        }
        for NumberedLine { number, line } in &self.lines {
            let fate = self
                .import(tx, *number, line, &mut mark.parent)
                .map_err(|err| err.at_import_line(*number))?;
            mark.counts.entry(line.noun().to_owned()).or_default().add(fate);
        }
        (mark.line, mark.hash, mark.updated) = (self.line, self.hash.clone(), tx.now());
        mark.done = self.last.then(|| tx.lsn());
        if self.last || self.lines.is_empty() || !planted::is(Bug::ImportMarkedApart) {
            mark.store(tx, &self.import)?;
        }
        Ok(Decided { counts: mark.counts })
    }

    fn weight(&self) -> usize {
        2 * self.bytes
    }
}

impl Lines {
    /// How far the import has come, and nothing of what was imported.
    pub(super) fn without_lines(&self) -> Self {
        let (import, hash) = (self.import.clone(), self.hash.clone());
        Lines { import, hash, lines: Vec::new(), sums: Vec::new(), ..*self }
    }

    /// Refuses if what these lines bring is not there any more. What belongs to something is taken to be there with it.
    fn check_there(&self, tx: &mut Tx<'_>) -> Result<()> {
        let asking = Lines { existing: Existing::Skip, ..self.without_lines() };
        for NumberedLine { number, line } in self.lines.iter().filter(|line| !line.line.belongs()) {
            let fate = asking.import(tx, *number, line, &mut None);
            if fate.map_err(|err| err.at_import_line(*number))?.stores() {
                let what = format_args!("what precedes line {number}, which is not there any more itself,");
                return Err(Error::new(Code::ImportExists).with("what", what).at_import_line(*number));
            }
        }
        Ok(())
    }

    fn import(&self, tx: &mut Tx<'_>, number: u64, line: &Line, parent: &mut Option<Parent>) -> Result<Fate> {
        let existing = self.existing;
        let of = |noun: &str, name: &str, parent: &Option<Parent>| {
            Parent::number(parent.as_ref(), noun, name, number)
        };
        let mut open = |noun: &str, name: &str, (fate, number): (Fate, Option<u64>)| {
            *parent = Some(Parent::new(noun, name, number));
            fate
        };
        Ok(match line {
            Line::Retention(line) => retention::transfer::import(tx, line, existing)?,
            Line::ItemIndex(line) => item::transfer::import_index(tx, line, existing)?,
            Line::State(line) => state::transfer::import(tx, line, existing)?,
            Line::Session(line) => {
                open("session", &line.session, session::transfer::import(tx, line, existing)?)
            }
            Line::Collection(line) => {
                open("collection", &line.collection, collection::transfer::import(tx, line, existing)?)
            }
            Line::Thread(line) => {
                open("thread", &line.thread, checkpoint::thread::transfer::import(tx, line, existing)?)
            }
            Line::Message(line) => {
                let number = of("session", &line.session, parent)?;
                session::message::transfer::import(tx, line, number)?
            }
            Line::Record(line) => {
                let number = of("collection", &line.collection, parent)?;
                record::transfer::import(tx, line, number, existing)?
            }
            Line::Link(line) => link::transfer::import(tx, line, existing)?,
            Line::ChannelValue(line) => {
                checkpoint::transfer::import_value(tx, line, of("thread", &line.thread, parent)?)?
            }
            Line::Checkpoint(line) => {
                checkpoint::transfer::import(tx, line, of("thread", &line.thread, parent)?, existing)?
            }
            Line::CheckpointWrite(line) => {
                let number = of("thread", &line.thread, parent)?;
                checkpoint::transfer::import_write(tx, line, number, existing)?
            }
            Line::Blob(line) => blob::transfer::import(tx, line, &self.sums, existing)?,
            Line::Item(line) => item::transfer::import(tx, line, existing)?,
            Line::ToolCall(line) => tool_call::transfer::import(tx, line, existing)?,
            Line::Export(_) | Line::Check(_) | Line::End(_) | Line::BlobBytes(_) => {
                return Err(Error::new(Code::ImportLine)
                    .with("line", number)
                    .with("reason", format_args!("a line of the noun `{}` cannot stand here", line.noun())));
            }
        })
    }
}
