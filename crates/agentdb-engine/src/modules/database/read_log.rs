//! `log.read`.

use agentdb_log::LogReader;
use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::Core;
use crate::key::Key;
use crate::mutation::{self, Body, Entry, Mutation};
use crate::operation::{About, Effect, Request, Scope};
use crate::{Engine, Table, describe};

/// Reads the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadLog {
    /// From which LSN on; from the earliest that the log still holds if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Lsn>,
}

/// One committed batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogEntry {
    /// Its LSN.
    pub lsn: Lsn,
    /// Log time.
    pub time: Timestamp,
    /// The operations, joined by commas.
    pub operation: String,
    /// Who asked, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Whose data it is, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it changed, in the order of the keys.
    pub mutations: Vec<LogMutation>,
}

/// One change of a row. Its body stays in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogMutation {
    /// The number of the namespace.
    pub namespace: u64,
    /// The name of the table; absent if this version does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The key in words.
    pub key: String,
    /// What happens to the row: `put`, `delete`, `add`, `append`, `splice`.
    pub kind: String,
    /// Whether the body is sealed with the subject's key.
    pub sealed: bool,
}

impl Request for ReadLog {
    type Response = LogEntry;
    const ABOUT: About = About {
        name: "log.read",
        doc: "Reads the log: every committed batch from an LSN on, with its operations, who asked, and the rows it changed. Bodies are not shown, and sealed ones stay sealed.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "log.read",
        resource: &[],
        sensitive: &["mutations"],
        errors: &[Code::LogTrimmed, Code::LogCorrupt],
    };
}

impl Engine {
    /// Calls `visit` with every batch committed from `from` on, in order, until it returns false or what was visible when
    /// the call began is read. Writers do not wait, and `visit` may itself write.
    ///
    /// # Errors
    /// [`Code::LogTrimmed`] if the log no longer reaches back to `from`, or lets go of what was still to be read;
    /// [`Code::LogCorrupt`]; what `visit` returns.
    pub fn read_log(&self, from: Option<Lsn>, visit: &mut dyn FnMut(LogEntry) -> Result<bool>) -> Result<()> {
        let (from, end, groups) = begin(&self.core, from)?;
        for group in groups {
            let group = group?;
            let entries = mutation::entries(&group.body, group.count, group.first_lsn)?;
            for (lsn, entry) in (group.first_lsn.0..).map(Lsn).zip(entries) {
                if lsn > end || (lsn >= from && !visit(LogEntry::new(lsn, group.time, entry))?) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Where to begin, where to end, and what reads it.
fn begin(core: &Core, from: Option<Lsn>) -> Result<(Lsn, Lsn, LogReader)> {
    // What is visible is in the log.
    let end = core.rows.visible();
    let log = &core.lock_sequencer().log;
    let from = match from.filter(|from| *from != Lsn::ZERO) {
        Some(from) => from,
        None => log.segment_starts().next().unwrap_or(Lsn(1)),
    };
    Ok((from, end, log.reader_from(from)?))
}

impl LogEntry {
    fn new(lsn: Lsn, time: Timestamp, entry: Entry) -> Self {
        LogEntry {
            lsn,
            time,
            operation: entry.operation,
            principal: entry.principal,
            subject: entry.subject,
            mutations: entry.mutations.iter().map(LogMutation::new).collect(),
        }
    }
}

impl LogMutation {
    fn new(mutation: &Mutation) -> Self {
        let (kind, sealed) = match &mutation.body {
            Body::Clear(change) => (change.kind(), false),
            Body::Sealed(kind, _) => (*kind, true),
        };
        LogMutation {
            namespace: Key::namespace_of(&mutation.key).map_or(0, |n| n.number()),
            table: Key::table_of(&mutation.key).and_then(Table::from_number).map(|t| t.name().to_owned()),
            key: describe(&mutation.key),
            kind: mutation::kind_name(kind).to_owned(),
            sealed,
        }
    }
}
