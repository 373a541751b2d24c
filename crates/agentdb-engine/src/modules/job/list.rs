//! `job.list`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Kind, State, Stored};
use crate::modules::{Paging, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table, row_json};

/// Lists jobs: all, or those of a kind, in a state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last to the first.
    #[serde(default)]
    pub reverse: bool,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The jobs.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "job.list",
        doc: "Lists jobs page by page, in the order in which they were begun: long work that runs, waits or rests, and what ended within seven days.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "job.read",
        resource: &[],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let paging = Paging {
            prefix: &snapshot.key(Table::Job),
            limit: self.limit,
            cursor: self.cursor.as_deref(),
            backward: self.reverse,
        };
        let now = snapshot.now();
        let (items, cursor) = page(snapshot, &paging, &mut |key, row| {
            let stored: Stored = row_json::decode(&row)?;
            if stored.has_expired(now) {
                return Ok(None);
            }
            let entry = Entry::new(key.components().u64()?, stored, now);
            let asked = self.kind.is_none_or(|kind| kind == entry.kind)
                && self.state.is_none_or(|state| state == entry.state);
            Ok(asked.then_some(entry))
        })?;
        Ok(Listed { items, cursor })
    }
}
