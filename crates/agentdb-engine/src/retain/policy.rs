//! How long the things of a noun are kept in a namespace, and how many.

use std::num::NonZeroU64;

use agentdb_types::{Code, Error, Result, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Table;
use crate::history::HistoryNoun;
use crate::key::Key;
use crate::read::{Page, Read};
use crate::row_json;
use crate::tx::Tx;

/// Rounds through a noun in the time for which a thing is kept, and the least and the most between two of them.
const ROUNDS: u64 = 16;
const PAUSE_US: (u64, u64) = (1_000_000, 86_400_000_000);

/// A noun that has a retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// States.
    State,
    /// Sessions, with their messages.
    Session,
    /// Messages of sessions that go on.
    Message,
    /// Items.
    Item,
    /// Records of collections.
    Record,
    /// Tool calls.
    ToolCall,
    /// Threads, with their checkpoints.
    Thread,
    /// Checkpoints of threads that go on.
    Checkpoint,
    /// The namespace itself: of its history alone, without that of states and sessions.
    Namespace,
}

impl Noun {
    /// Every noun that has a retention.
    pub const ALL: [Noun; 9] = [
        Noun::State,
        Noun::Session,
        Noun::Message,
        Noun::Item,
        Noun::Record,
        Noun::ToolCall,
        Noun::Thread,
        Noun::Checkpoint,
        Noun::Namespace,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Noun::State => "state",
            Noun::Session => "session",
            Noun::Message => "message",
            Noun::Item => "item",
            Noun::Record => "record",
            Noun::ToolCall => "tool_call",
            Noun::Thread => "thread",
            Noun::Checkpoint => "checkpoint",
            Noun::Namespace => "namespace",
        }
    }

    /// The noun by whose name its history is kept, if it has one of its own.
    pub(crate) fn history(self) -> Option<HistoryNoun> {
        match self {
            Noun::State => Some(HistoryNoun::State),
            Noun::Session => Some(HistoryNoun::Session),
            Noun::Namespace => Some(HistoryNoun::Namespace),
            _ => None,
        }
    }

    /// Whether it has things that can become too old.
    pub(crate) fn has_things(self) -> bool {
        self != Noun::Namespace
    }

    /// Whether its things are parts of something, of which the newest can be counted.
    pub(crate) fn is_part(self) -> bool {
        matches!(self, Noun::Message | Noun::Checkpoint)
    }

    /// Refuses a field of a retention that the noun has not.
    pub(crate) fn refuse(self, field: &'static str) -> Error {
        let mut known = Vec::new();
        known.extend(self.has_things().then_some("max_age_us"));
        known.extend(self.history().map(|_| "history_us"));
        known.extend(self.is_part().then_some("keep_latest"));
        Error::new(Code::RetentionNotApplicable)
            .with("noun", self.name())
            .with("field", field)
            .with("known", known.join(", "))
    }
}

impl From<HistoryNoun> for Noun {
    fn from(noun: HistoryNoun) -> Self {
        match noun {
            HistoryNoun::State => Noun::State,
            HistoryNoun::Session => Noun::Session,
            HistoryNoun::Namespace => Noun::Namespace,
        }
    }
}

/// What of a noun is kept, as its row holds it. A row that would limit nothing is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// Microseconds for which a thing is kept after it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age_us: Option<NonZeroU64>,
    /// How many of the newest are kept in each session, or in each part of a thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keep_latest: Option<NonZeroU64>,
}

impl Policy {
    fn key(rows: &dyn Read, noun: Noun) -> Key {
        rows.key(Table::Policy).text(noun.name())
    }

    pub(crate) fn load(rows: &dyn Read, noun: Noun) -> Result<Self> {
        let row = rows.get(&Self::key(rows, noun))?;
        row.map_or_else(|| Ok(Self::default()), |row| row_json::decode(&row))
    }

    pub(crate) fn store(self, tx: &mut Tx<'_>, noun: Noun) -> Result<()> {
        let key = Self::key(tx, noun);
        match self == Self::default() {
            true => tx.delete_bookkeeping(key),
            false => tx.put_bookkeeping(key, row_json::encode(&self)?),
        }
    }

    /// The policies of a namespace that limit anything.
    pub(super) fn all(rows: &dyn Read) -> Result<Vec<(Noun, Policy)>> {
        let mut found = Vec::new();
        rows.scan_prefix(&rows.key(Table::Policy), Page::Forward, &mut |key, row| {
            let name = key.components().text()?;
            // A noun that only a newer version knows is kept.
            if let Some(noun) = Noun::ALL.into_iter().find(|noun| noun.name() == name && noun.has_things()) {
                found.push((noun, row_json::decode(&row)?));
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// When something that was written at a time is too old; never if its age does not matter.
    pub(crate) fn due(self, written: Timestamp) -> Option<i64> {
        let age = self.max_age_us?.get();
        Some(written.micros().saturating_add_unsigned(age)).filter(|due| *due <= limits::TIME_MAX_US)
    }

    /// Whether something that was written at a time is too old.
    pub(crate) fn is_over(self, written: Timestamp, now: Timestamp) -> bool {
        self.due(written).is_some_and(|due| due <= now.micros())
    }

    /// How long to wait between two rounds.
    pub(super) fn pause_us(self) -> u64 {
        (self.max_age_us.map_or(0, NonZeroU64::get) / ROUNDS).clamp(PAUSE_US.0, PAUSE_US.1)
    }
}
