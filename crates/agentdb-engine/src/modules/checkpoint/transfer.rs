//! What belongs to a thread as lines of an export: values of channels, each once, the checkpoints that name their versions,
//! and the writes behind them.

use std::collections::BTreeMap;

use agentdb_types::{Id, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::{self, Content, Encoded, Hash};
use super::get::{PendingWrite, present};
use super::put::{self, Put};
use super::rows::{self, Head, Place, Write, check_namespace};
use super::thread::{self, Thread};
use crate::key::Key;
use crate::modules::transfer::{Existing, Fate, unfit};
use crate::read::{Page, Read};
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Row, numbers, row_json};

/// The value of a version of a channel, in the thread that precedes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelValueLine {
    /// The thread.
    pub thread: String,
    /// The part of the thread; empty is the root.
    #[serde(default)]
    pub namespace: String,
    /// The channel.
    pub channel: String,
    /// The version of the channel, a text or a number.
    pub channel_version: Value,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
    /// The value in a serializer's form, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<Encoded>,
}

/// A checkpoint of the thread that precedes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointLine {
    /// The thread.
    pub thread: String,
    /// The part of the thread; empty is the root.
    #[serde(default)]
    pub namespace: String,
    /// The checkpoint's id.
    pub checkpoint: String,
    /// The checkpoint that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The version of each channel. Its value is that of the line of that version, if there is one.
    #[serde(default)]
    pub versions: Map<String, Value>,
    /// Values of channels that differ from those of their versions.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
    /// The same in a serializer's form.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub encoded: BTreeMap<String, Encoded>,
    /// Channels that have no value, whatever their version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub empty: Vec<String>,
    /// What else the framework keeps in a checkpoint.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// What a list can be filtered by, and what names the delta channels.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When it was put.
    pub created: Timestamp,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// A write of a task behind a checkpoint of the thread that precedes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteLine {
    /// The thread.
    pub thread: String,
    /// The part of the thread; empty is the root.
    #[serde(default)]
    pub namespace: String,
    /// The checkpoint, which need not be there.
    pub checkpoint: String,
    /// The task.
    pub task: String,
    /// The task's path.
    #[serde(default)]
    pub path: String,
    /// The write's place among those of the task.
    pub index: i64,
    /// The channel.
    pub channel: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
    /// The value in a serializer's form, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<Encoded>,
    /// When it was put.
    pub created: Timestamp,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The content of a line.
fn content(value: Option<&Value>, encoded: Option<&Encoded>) -> Result<Content> {
    match (value, encoded) {
        (Some(value), None) => Content::json("value", value),
        (None, Some(encoded)) => Content::encoded(encoded),
        _ => Err(unfit("value", "there is one of `value` and `encoded`")),
    }
}

/// The line of a row of versions of channels.
pub(crate) fn export_value(rows: &dyn Read, thread: &str, key: &Key, row: &Row) -> Result<ChannelValueLine> {
    let mut parts = key.components();
    parts.u64()?;
    let (namespace, channel) = (parts.text()?, parts.text()?);
    let channel_version = crate::modules::decode_value(parts.text()?.as_bytes())?;
    let (root, hash) = rows::version_from(row)?;
    let (value, encoded) = content::load(rows, root, &hash)?.shown()?;
    Ok(ChannelValueLine { thread: thread.to_owned(), namespace, channel, channel_version, value, encoded })
}

/// The line of a row of checkpoints.
pub(crate) fn export(rows: &dyn Read, thread: &str, key: &Key, row: &Row) -> Result<CheckpointLine> {
    let (namespace, checkpoint) = rows::parts(key)?;
    let head: Head = row_json::decode(row)?;
    let (mut values, mut encoded, mut empty) = (Map::new(), BTreeMap::new(), Vec::new());
    for (channel, hash) in &head.own {
        let Some(hash) = hash.as_deref().map(rows::hash_from).transpose()? else {
            empty.push(channel.clone());
            continue;
        };
        match content::load(rows, head.root, &hash)?.shown()? {
            (Some(value), _) => drop(values.insert(channel.clone(), value)),
            (_, Some(value)) => drop(encoded.insert(channel.clone(), value)),
            _ => {}
        }
    }
    let Head { parent, versions, data, metadata, created, .. } = head;
    let (thread, version) = (thread.to_owned(), Some(row.lsn));
    Ok(CheckpointLine {
        thread,
        namespace,
        checkpoint,
        parent,
        versions,
        values,
        encoded,
        empty,
        data,
        metadata,
        created,
        version,
    })
}

/// The line of a row of writes.
pub(crate) fn export_write(thread: &str, key: &Key, row: &Row) -> Result<WriteLine> {
    let (namespace, checkpoint) = rows::parts(key)?;
    let write = Write::decode(key, row)?;
    let created = write.created;
    let PendingWrite { task, path, index, channel, value, encoded } = write.shown()?;
    let (thread, version) = (thread.to_owned(), Some(row.lsn));
    Ok(WriteLine {
        thread,
        namespace,
        checkpoint,
        task,
        path,
        index,
        channel,
        value,
        encoded,
        created,
        version,
    })
}

/// The thread that was imported under this number, if it is still there.
fn imported(tx: &mut Tx<'_>, thread: &str, number: Option<u64>) -> Result<Option<Thread>> {
    let found = thread::find(tx, thread)?.filter(|found| Some(found.number) == number);
    if let Some(found) = &found {
        numbers::tell(tx, Remains::Thread, found.number, thread);
    }
    Ok(found)
}

/// Stores the value of a line.
pub(crate) fn import_value(tx: &mut Tx<'_>, line: &ChannelValueLine, number: Option<u64>) -> Result<Fate> {
    check_namespace(&line.namespace)?;
    put::check_version(&line.channel, &line.channel_version)?;
    let content = content(line.value.as_ref(), line.encoded.as_ref())?;
    let Some(thread) = imported(tx, &line.thread, number)? else { return Ok(Fate::Skipped) };
    let place = Place { number: thread.number, namespace: &line.namespace, checkpoint: "" };
    let key = place.version_key(tx, &line.channel, &line.channel_version);
    if tx.get(&key)?.is_some() {
        return Ok(Fate::Skipped);
    }
    let base = version_before(tx, place, &line.channel, &key)?;
    let hash = content::store(tx, thread.root, content, base)?;
    tx.put_bookkeeping(key, rows::version_row(thread.root, &hash))?;
    Ok(Fate::Put)
}

/// The content of the version before this one, which it mostly adds to.
fn version_before(tx: &Tx<'_>, place: Place<'_>, channel: &str, key: &Key) -> Result<Option<Hash>> {
    let mut before = None;
    tx.scan(&place.channel_key(tx, channel), Some(key), Page::Backward, &mut |_, row| {
        before = Some(rows::version_from(&row)?.1);
        Ok(false)
    })?;
    Ok(before)
}

/// Stores the checkpoint of a line.
pub(crate) fn import(
    tx: &mut Tx<'_>,
    line: &CheckpointLine,
    number: Option<u64>,
    existing: Existing,
) -> Result<Fate> {
    let put = as_put(line);
    put.check()?;
    let contents = put.contents()?;
    let Some(thread) = imported(tx, &line.thread, number)? else { return Ok(Fate::Skipped) };
    let place = Place { number: thread.number, namespace: &line.namespace, checkpoint: &line.checkpoint };
    let before = place.find(tx)?;
    let fate = existing.fate(before.is_some(), || {
        format!("the checkpoint {:?} of thread {:?}", line.checkpoint, line.thread)
    })?;
    if !fate.stores() {
        return Ok(fate);
    }
    let parent = put.parent_of(tx, place)?;
    let mut own = BTreeMap::new();
    for (channel, content) in contents {
        let base = match &parent {
            Some((place, head)) => rows::channel(tx, *place, head, channel)?,
            None => None,
        };
        let stored = content.map(|content| content::store(tx, thread.root, content, base));
        own.insert(channel.clone(), stored.transpose()?.map(rows::hash_text));
    }
    if let Some((before, _)) = &before {
        rows::unlink(tx, place, before)?;
    }
    let CheckpointLine { parent, versions, data, metadata, created, .. } = line.clone();
    rows::write(tx, place, &Head { parent, versions, own, data, metadata, created, root: thread.root })?;
    Ok(fate)
}

fn as_put(line: &CheckpointLine) -> Put {
    let CheckpointLine { thread, namespace, checkpoint, parent, versions, .. } = line.clone();
    let CheckpointLine { values, encoded, empty, data, metadata, .. } = line.clone();
    let checkpoint = Some(checkpoint);
    Put { thread, namespace, checkpoint, parent, versions, values, encoded, empty, data, metadata }
}

/// Stores the write of a line.
pub(crate) fn import_write(
    tx: &mut Tx<'_>,
    line: &WriteLine,
    number: Option<u64>,
    existing: Existing,
) -> Result<Fate> {
    check_namespace(&line.namespace)?;
    for (field, id) in [("checkpoint", &line.checkpoint), ("task", &line.task), ("channel", &line.channel)] {
        Id::check(field, id)?;
    }
    if !line.path.is_empty() {
        Id::check("path", &line.path)?;
    }
    let content = content(line.value.as_ref(), line.encoded.as_ref())?;
    let Some(thread) = imported(tx, &line.thread, number)? else { return Ok(Fate::Skipped) };
    let place = Place { number: thread.number, namespace: &line.namespace, checkpoint: &line.checkpoint };
    let key = Write::key(place, tx, &line.task, line.index);
    let fate = existing.fate(tx.get(&key)?.is_some(), || {
        format!("the write {} of task {:?} in thread {:?}", line.index, line.task, line.thread)
    })?;
    if fate.stores() {
        let WriteLine { task, path, index, channel, created, .. } = line.clone();
        tx.put(key, Write { task, path, index, channel, content, created }.encode()?)?;
    }
    Ok(fate)
}
