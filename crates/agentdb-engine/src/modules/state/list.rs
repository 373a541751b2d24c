//! `state.list`.

use agentdb_types::{Code, Id, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, decode};
use crate::modules::{Paging, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table};

/// Lists an owner's values by key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Whose state.
    pub owner: String,
    /// Only keys that start so.
    #[serde(default)]
    pub prefix: String,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last key to the first.
    #[serde(default)]
    pub reverse: bool,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The states, in the byte order of their keys.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "state.list",
        doc: "Lists an owner’s values in the byte order of their keys, page by page, forwards or backwards.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "state.read",
        resource: &["owner"],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        Id::check("owner", &self.owner)?;
        let prefix = snapshot.key(Table::State).text(&self.owner).text_prefix(&self.prefix);
        let paging = Paging {
            prefix: &prefix,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
            backward: self.reverse,
        };
        let (items, cursor) = page(snapshot, &paging, &mut |key, row| {
            let mut parts = key.components();
            parts.text()?;
            let name = parts.text()?;
            Ok(decode(&row, snapshot.now())?.map(|state| Entry::new(name, state)))
        })?;
        Ok(Listed { items, cursor })
    }
}
