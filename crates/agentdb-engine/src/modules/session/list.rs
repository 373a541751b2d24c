//! `session.list`.

use agentdb_types::{Code, Id, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, find};
use crate::modules::{Paging, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table};

/// Lists sessions by id.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only sessions of this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last id to the first: the newest session first, if the ids were generated.
    #[serde(default)]
    pub reverse: bool,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The sessions, in the byte order of their ids.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "session.list",
        doc: "Lists sessions, all or an owner’s, in the byte order of their ids, which is that of their creation if they were generated.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "session.read",
        resource: &["owner"],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let prefix = match &self.owner {
            Some(owner) => {
                Id::check("owner", owner)?;
                snapshot.key(Table::SessionByOwner).text(owner)
            }
            None => snapshot.key(Table::Session),
        };
        let paging = Paging {
            prefix: &prefix,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
            backward: self.reverse,
        };
        let (items, cursor) = page(snapshot, &paging, &mut |key, _| {
            let mut parts = key.components();
            if self.owner.is_some() {
                parts.text()?;
            }
            let session = parts.text()?;
            let found = find(snapshot, &session)?;
            found.map(|found| Entry::new(session, found)).transpose()
        })?;
        Ok(Listed { items, cursor })
    }
}
