//! `item.get`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::path::{key_of, parts};
use super::row::Item;
use super::{find, not_found};
use crate::Snapshot;
use crate::key::Key;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Reads an item.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The path: 1 to 32 segments of 1 to 512 bytes.
    pub path: Vec<String>,
    /// The key under the path: 1 to 512 bytes.
    pub key: String,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The path.
    pub path: Vec<String>,
    /// The key under the path.
    pub key: String,
    /// The value.
    pub value: Map<String, Value>,
    /// The version of the value, which grows with every put and is left as it is when a time to live is renewed.
    pub version: Lsn,
    /// When the item was first put.
    pub created: Timestamp,
    /// When the value was put.
    pub updated: Timestamp,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Of an item that a query found: the score of the best of its vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

impl Entry {
    pub(super) fn new(key: &Key, item: Item, score: Option<f32>) -> Result<Self> {
        let (path, key) = parts(key)?;
        let Item { version, head, expiry, value } = item;
        let expires = expiry.map(|expiry| expiry.ends);
        Ok(Entry { path, key, value, version, created: head.created, updated: head.updated, expires, score })
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "item.get",
        doc: "Reads an item with its version and times. To renew its time to live besides, use item.touch.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "item.read",
        resource: &["path", "key"],
        sensitive: &["value"],
        errors: &[Code::ItemNotFound, Code::PathLength],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        let key = key_of(snapshot, &self.path, &self.key)?;
        let item = find(snapshot, &key)?.ok_or_else(|| not_found(&self.path, &self.key))?;
        Entry::new(&key, item, None)
    }
}
