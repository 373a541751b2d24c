//! `thread.list`.

use agentdb_types::{Code, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::modules::{Paging, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table};

/// Lists threads by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only names that start so.
    #[serde(default)]
    pub prefix: String,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last name to the first.
    #[serde(default)]
    pub reverse: bool,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The threads, in the byte order of their names.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The thread.
    pub thread: String,
    /// When it got its first checkpoint or write, or was copied.
    pub created: Timestamp,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "thread.list",
        doc: "Lists threads in the byte order of their names, page by page, forwards or backwards.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "checkpoint.read",
        resource: &[],
        sensitive: &[],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let prefix = snapshot.key(Table::Thread).text_prefix(&self.prefix);
        let (cursor, backward) = (self.cursor.as_deref(), self.reverse);
        let paging = Paging { prefix: &prefix, limit: self.limit, cursor, backward };
        let (items, cursor) =
            page(snapshot, &paging, &mut |key, row| super::shown(key.components().text()?, &row).map(Some))?;
        Ok(Listed { items, cursor })
    }
}
