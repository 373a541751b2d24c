//! `checkpoint.get`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Id, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::Encoded;
use super::rows::{self, Place, check_namespace, not_found};
use super::thread;
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Reads a checkpoint, or the latest one, with its values and writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The thread.
    pub thread: String,
    /// The part of the thread; empty is the root.
    #[serde(default)]
    pub namespace: String,
    /// The checkpoint; the latest if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The thread.
    pub thread: String,
    /// The part of the thread; empty is the root.
    pub namespace: String,
    /// The checkpoint's id.
    pub checkpoint: String,
    /// The checkpoint that it follows, which may have been deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The version of each channel.
    pub versions: Map<String, Value>,
    /// The values of channels that have one.
    pub values: Map<String, Value>,
    /// The values of channels that were given in a serializer's form.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub encoded: BTreeMap<String, Encoded>,
    /// What else the framework keeps in a checkpoint.
    pub data: Map<String, Value>,
    /// What a list can be filtered by.
    pub metadata: Map<String, Value>,
    /// What tasks wrote behind it, by path, task and index: the order in which it applies.
    pub writes: Vec<PendingWrite>,
    /// When it was put.
    pub created: Timestamp,
    /// Its version.
    pub version: Lsn,
}

/// A write of a task behind a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingWrite {
    /// The task.
    pub task: String,
    /// The task's path.
    pub path: String,
    /// The write's place among those of the task.
    pub index: i64,
    /// The channel.
    pub channel: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
    /// The value, if it was given in a serializer's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<Encoded>,
}

/// A null that is there is a value.
pub(super) fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Get {
    /// The latest checkpoint of a thread's root.
    pub fn new(thread: impl Into<String>) -> Self {
        Get { thread: thread.into(), ..Self::default() }
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "checkpoint.get",
        doc: "Reads a checkpoint, or the latest one of a thread’s namespace, with the values of its channels and the writes that are pending behind it.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "checkpoint.read",
        resource: &["thread"],
        sensitive: &["values", "encoded", "data", "metadata", "writes"],
        errors: &[Code::CheckpointNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        check_namespace(&self.namespace)?;
        if let Some(checkpoint) = &self.checkpoint {
            Id::check("checkpoint", checkpoint)?;
        }
        let missing = || not_found(&self.thread, &self.namespace, self.checkpoint.as_deref());
        let thread = thread::find(snapshot, &self.thread)?.ok_or_else(missing)?;
        let checkpoint = match &self.checkpoint {
            Some(checkpoint) => checkpoint.clone(),
            None => rows::latest(snapshot, thread.number, &self.namespace)?.ok_or_else(missing)?,
        };
        let place = Place { number: thread.number, namespace: &self.namespace, checkpoint: &checkpoint };
        let (head, row) = place.find(snapshot)?.ok_or_else(missing)?;
        rows::entry(snapshot, &self.thread, place, head, &row, false)
    }
}
