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
}

impl HistoryNoun {
    /// Every noun that has a history.
    pub const ALL: [HistoryNoun; 2] = [HistoryNoun::State, HistoryNoun::Session];

    /// The noun that a table's rows belong to, if it has a history.
    pub(crate) fn of(table: Table) -> Option<Self> {
        match table {
            Table::State => Some(HistoryNoun::State),
            Table::Session
            | Table::SessionByOwner
            | Table::SessionTally
            | Table::Message
            | Table::MessageById => Some(HistoryNoun::Session),
            _ => None,
        }
    }

    /// The first and the last of its tables, which lie together.
    pub(super) fn tables(self) -> (Table, Table) {
        match self {
            HistoryNoun::State => (Table::State, Table::State),
            HistoryNoun::Session => (Table::Session, Table::SessionTally),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            HistoryNoun::State => "state",
            HistoryNoun::Session => "session",
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

impl Default for Retention {
    fn default() -> Self {
        Retention { history_us: Some(limits::HISTORY_KEPT_US.unsigned_abs()), since: Lsn::ZERO }
    }
}

impl Retention {
    pub(crate) fn key(namespace: NamespaceId, noun: HistoryNoun) -> Key {
        Key::new(namespace, Table::Retention).text(noun.name())
    }

    pub(crate) fn decode(row: Option<&Row>) -> Result<Self> {
        row.map_or_else(|| Ok(Self::default()), row_json::decode)
    }

    pub(crate) fn load(rows: &dyn Read, noun: HistoryNoun) -> Result<Self> {
        Self::decode(rows.get(&Self::key(rows.namespace(), noun))?.as_ref())
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
