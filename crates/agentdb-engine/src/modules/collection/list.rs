//! `collection.list`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Entry;
use crate::modules::{Paging, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table, row_json};

/// Lists collections by name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
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
    /// The collections.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "collection.list",
        doc: "Lists collections by name.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "collection.read",
        resource: &[],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let table = snapshot.key(Table::Collection);
        let paging = Paging {
            prefix: &table,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
            backward: self.reverse,
        };
        let (items, cursor) = page(snapshot, &paging, &mut |key, row| {
            let name = key.components().text()?;
            Entry::new(snapshot, name, row_json::decode(&row)?).map(Some)
        })?;
        Ok(Listed { items, cursor })
    }
}
