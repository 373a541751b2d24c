//! `blob.list`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Entry;
use super::row::BlobRow;
use crate::modules::{Paging, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table};

/// Lists blobs by address.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only addresses that start so.
    #[serde(default)]
    pub prefix: String,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last address to the first.
    #[serde(default)]
    pub reverse: bool,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The blobs, in the order of their addresses.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "blob.list",
        doc: "Lists the namespace’s blobs in the order of their addresses, page by page, forwards or backwards.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "blob.read",
        resource: &[],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let paging = Paging {
            prefix: &snapshot.key(Table::Blob).text_prefix(&self.prefix),
            limit: self.limit,
            cursor: self.cursor.as_deref(),
            backward: self.reverse,
        };
        let (items, cursor) = page(snapshot, &paging, &mut |key, row| {
            let address = key.components().text()?;
            Ok(Some(Entry::new(address, BlobRow::decode(&row.body)?, row.lsn)))
        })?;
        Ok(Listed { items, cursor })
    }
}
