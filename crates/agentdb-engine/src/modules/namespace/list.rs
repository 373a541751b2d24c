//! `namespace.list`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DEFAULT, Entry};
use crate::modules::{Paging, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table, row_json};

/// Lists namespaces by name, `default` first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct List {
    /// How many at most; 100 if not given.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The namespaces.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "namespace.list",
        doc: "Lists namespaces by name, `default` first.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "namespace.read",
        resource: &[],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let table = snapshot.key(Table::Namespace);
        let paging =
            Paging { prefix: &table, limit: self.limit, cursor: self.cursor.as_deref(), backward: false };
        let (mut items, cursor) = page(snapshot, &paging, &mut |key, row| {
            let name = key.components().text()?;
            Ok(Some(Entry::new(name, row_json::decode(&row)?)))
        })?;
        if self.cursor.is_none() && !items.iter().any(|e| e.name == DEFAULT) {
            items.insert(0, Entry::default_namespace());
        }
        Ok(Listed { items, cursor })
    }
}
