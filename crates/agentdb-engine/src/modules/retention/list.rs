//! `retention.list`.

use agentdb_types::{Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Snapshot;
use crate::history::{HistoryNoun, Retention};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Tells how long the history of each noun is kept in the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// How long the history of a noun is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The noun.
    pub noun: HistoryNoun,
    /// Microseconds for which a version is kept after it was replaced or deleted; 0: none is; null: all are.
    pub history_us: Option<u64>,
    /// The earliest LSN as of which the noun can be read; absent if none but the present can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Lsn>,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// Every noun that has a history.
    pub items: Vec<Entry>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "retention.list",
        doc: "Tells how long the history of each noun is kept in the namespace, and how far it goes back.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "retention.read",
        resource: &[],
        sensitive: &[],
        errors: &[],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let entry = |&noun: &HistoryNoun| {
            let retention = Retention::load(snapshot, noun)?;
            Ok(Entry { noun, history_us: retention.history_us, since: retention.readable_from() })
        };
        Ok(Listed { items: HistoryNoun::ALL.iter().map(entry).collect::<Result<_>>()? })
    }
}
