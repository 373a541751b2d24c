//! `checkpoint.list`.

use agentdb_types::{Code, Id, Result, json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::get::Entry;
use super::rows::{self, Head, Place, check_namespace};
use super::thread;
use crate::modules::{Paging, check_page, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table, cursor, row_json};

/// Lists the checkpoints of a thread, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The thread.
    pub thread: String,
    /// The part of the thread, empty for the root. If it is not given, all are listed one after the other, from the last
    /// name to the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Only checkpoints with smaller ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Only checkpoints whose metadata have these values.
    #[serde(default)]
    pub filter: Map<String, Value>,
    /// Without values and writes.
    #[serde(default)]
    pub brief: bool,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The checkpoints, newest first.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl List {
    /// The checkpoints of all parts of a thread.
    pub fn new(thread: impl Into<String>) -> Self {
        List { thread: thread.into(), ..Self::default() }
    }

    fn admits(&self, checkpoint: &str, head: &Head) -> bool {
        self.before.as_deref().is_none_or(|before| checkpoint < before)
            && self.filter.iter().all(|(name, value)| head.metadata.get(name) == Some(value))
    }
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "checkpoint.list",
        doc: "Lists the checkpoints of a thread page by page, newest first: those of one part or of all, before an id, with given metadata. A thread that does not exist has none.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "checkpoint.read",
        resource: &["thread"],
        sensitive: &["items", "filter"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor, Code::DepthExceeded],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        if let Some(namespace) = &self.namespace {
            check_namespace(namespace)?;
        }
        if let Some(before) = &self.before {
            Id::check("before", before)?;
        }
        self.filter.values().try_for_each(|value| json::check_depth("filter", value))?;
        check_page(self.limit.unwrap_or(1))?;
        let Some(thread) = thread::find(snapshot, &self.thread)? else {
            return Ok(Listed { items: Vec::new(), cursor: None });
        };
        let all = snapshot.key(Table::Checkpoint).u64(thread.number);
        let prefix = self.namespace.as_ref().map_or_else(|| all.clone(), |name| all.clone().text(name));
        // In one part, `before` is a place in its list.
        let before = self.before.as_ref().filter(|_| self.namespace.is_some() && self.cursor.is_none());
        let before = before.map(|before| cursor::encode(&prefix, &prefix.clone().text(before)));
        let cursor = self.cursor.as_ref().or(before.as_ref()).map(String::as_str);
        let paging = Paging { prefix: &prefix, limit: self.limit, cursor, backward: true };
        let (items, cursor) = page(snapshot, &paging, &mut |key, row| {
            let head: Head = row_json::decode(&row)?;
            let (namespace, checkpoint) = rows::parts(&key)?;
            if !self.admits(&checkpoint, &head) {
                return Ok(None);
            }
            let place = Place { number: thread.number, namespace: &namespace, checkpoint: &checkpoint };
            rows::entry(snapshot, &self.thread, place, head, &row, self.brief).map(Some)
        })?;
        Ok(Listed { items, cursor })
    }
}
