//! How long the history of a noun is kept in a namespace, and how far it goes back.

use agentdb_types::{Lsn, Result, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::key::{Key, NamespaceId};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Row, Table, row_json};

/// A noun whose rows have a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryNoun {
    /// States.
    State,
    /// Sessions, with their messages.
    Session,
    /// Everything else that a fork of the namespace takes along. Nothing of it is kept unless somebody asks for it.
    Namespace,
}

impl HistoryNoun {
    /// Every noun that has a history.
    pub const ALL: [HistoryNoun; 3] = [HistoryNoun::State, HistoryNoun::Session, HistoryNoun::Namespace];

    /// The noun that a table's rows belong to, if it has a history: those that a fork of the namespace takes along.
    pub(crate) fn of(table: Table) -> Option<Self> {
        match table {
            Table::State => Some(HistoryNoun::State),
            Table::Session
            | Table::SessionByOwner
            | Table::SessionTally
            | Table::MessageLayer
            | Table::MessageLayerUse
            | Table::Message
            | Table::MessageById => Some(HistoryNoun::Session),
            Table::Counter
            | Table::Garbage
            | Table::Expiry
            | Table::Name
            | Table::Blob
            | Table::Collection
            | Table::Record
            | Table::Vector
            | Table::Thread
            | Table::Checkpoint
            | Table::CheckpointByRun
            | Table::CheckpointWrite
            | Table::ChannelVersion
            | Table::ChannelContent
            | Table::ChannelContentCount
            | Table::Item
            | Table::ItemExpiry
            | Table::ItemIndex
            | Table::ToolCall
            | Table::ToolCallByState
            | Table::ToolCallByTool
            | Table::Node
            | Table::Link
            | Table::LinkBack
            | Table::Policy => Some(HistoryNoun::Namespace),
            // A fork has none of what follows, but for how long histories are kept. Histories begin anew.
            Table::History
            | Table::Retention
            // A retry of what was written in the source is for the source.
            | Table::Idempotency
            // Files of deleted blobs are not shared.
            | Table::BlobGarbage
            | Table::BlobDue
            // Whoever imports into the source goes on there.
            | Table::Import
            | Table::Load
            // The source may be a fork itself.
            | Table::Fork
            // Of the system namespace, or of a fork under way: neither can be forked.
            | Table::Namespace
            | Table::Moment
            | Table::Job
            | Table::ForkBlob => None,
        }
    }

    /// The noun whose history is kept under this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|noun| noun.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            HistoryNoun::State => "state",
            HistoryNoun::Session => "session",
            HistoryNoun::Namespace => "namespace",
        }
    }
}

/// The retention of a noun's history, as its row holds it.
///
/// Row of table Retention (noun), format version 1: version byte and JSON. Absent: the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Retention {
    /// Microseconds for which a version is kept after it ended; for ever if `None`, none at all if 0.
    pub(crate) history_us: Option<u64>,
    /// What was there at an earlier LSN than this cannot be told any more.
    pub(crate) since: Lsn,
}

impl Retention {
    /// What holds as long as nobody says anything.
    pub(crate) fn unsaid(noun: HistoryNoun) -> Self {
        let history_us = match noun {
            HistoryNoun::State | HistoryNoun::Session => limits::HISTORY_KEPT_US.unsigned_abs(),
            HistoryNoun::Namespace => 0,
        };
        Retention { history_us: Some(history_us), since: Lsn::ZERO }
    }

    pub(crate) fn key(namespace: NamespaceId, noun: HistoryNoun) -> Key {
        Key::new(namespace, Table::Retention).text(noun.name())
    }

    pub(crate) fn decode(noun: HistoryNoun, row: Option<&Row>) -> Result<Self> {
        row.map_or_else(|| Ok(Self::unsaid(noun)), row_json::decode)
    }

    pub(crate) fn load(rows: &dyn Read, noun: HistoryNoun) -> Result<Self> {
        Self::decode(noun, rows.get(&Self::key(rows.namespace(), noun))?.as_ref())
    }

    pub(crate) fn store(self, tx: &mut Tx<'_>, noun: HistoryNoun) -> Result<()> {
        let key = Self::key(tx.namespace(), noun);
        tx.put_bookkeeping(key, row_json::encode(&self)?)
    }

    /// Whether versions that end are kept.
    pub(crate) fn keeps(self) -> bool {
        self.history_us != Some(0)
    }

    /// The earliest LSN as of which rows can be read; `None` if only the present can.
    pub(crate) fn readable_from(self) -> Option<Lsn> {
        self.keeps().then_some(self.since)
    }

    /// The time before which versions that ended may go; `None` if none may.
    pub(super) fn cut(self, now: Timestamp) -> Option<Timestamp> {
        let kept = i64::try_from(self.history_us?).ok()?;
        Some(Timestamp::from_micros(now.micros().checked_sub(kept)?.max(0)).unwrap_or_default())
    }
}
