//! The rows of checkpoints, their channels and their writes.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_types::{Code, Error, Id, Result, Timestamp, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::{self, Content, Hash};
use super::get::{Entry, PendingWrite};
use super::history;
use super::thread::{self, Thread};
use crate::key::Key;
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::tx::Tx;
use crate::{Row, Table, row_json};

/// What of the metadata names delta channels.
const DELTA_COUNTERS: &str = "counters_since_delta_snapshot";
/// What of the metadata names the run.
const RUN: &str = "run_id";

/// A checkpoint as its row holds it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Head {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) versions: Map<String, Value>,
    /// Values that are not those of the versions: contents, or none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) own: BTreeMap<String, Option<String>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) data: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) metadata: Map<String, Value>,
    pub(super) created: Timestamp,
    /// The number whose contents these are.
    pub(super) root: u64,
}

impl Head {
    pub(super) fn run(&self) -> Option<&str> {
        self.metadata.get(RUN)?.as_str().filter(|run| Id::check(RUN, run).is_ok())
    }

    /// The channels whose values are what their histories add up to.
    pub(super) fn delta_channels(&self) -> impl Iterator<Item = &String> {
        self.metadata.get(DELTA_COUNTERS).and_then(Value::as_object).into_iter().flat_map(Map::keys)
    }

    fn own(&self, channel: &str) -> Result<Option<Option<Hash>>> {
        self.own.get(channel).map(|hash| hash.as_deref().map(hash_from).transpose()).transpose()
    }
}

/// Checkpoints of a part of a thread, by id.
pub(super) type Heads = BTreeMap<String, Head>;

/// Where a checkpoint is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) number: u64,
    pub(super) namespace: &'a str,
    pub(super) checkpoint: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn at(self, checkpoint: &'a str) -> Self {
        Place { checkpoint, ..self }
    }

    pub(super) fn key(self, rows: &dyn Read) -> Key {
        namespace_key(rows, Table::Checkpoint, self.number, self.namespace).text(self.checkpoint)
    }

    /// The start of the keys of the versions of a channel.
    pub(super) fn channel_key(self, rows: &dyn Read, channel: &str) -> Key {
        namespace_key(rows, Table::ChannelVersion, self.number, self.namespace).text(channel)
    }

    pub(super) fn version_key(self, rows: &dyn Read, channel: &str, version: &Value) -> Key {
        self.channel_key(rows, channel).text(&version.to_string())
    }

    pub(super) fn writes_key(self, rows: &dyn Read) -> Key {
        namespace_key(rows, Table::CheckpointWrite, self.number, self.namespace).text(self.checkpoint)
    }

    fn run_key(self, rows: &dyn Read, run: &str) -> Key {
        let runs = rows.key(Table::CheckpointByRun).text(run).u64(self.number);
        runs.text(self.namespace).text(self.checkpoint)
    }

    pub(super) fn find(self, rows: &dyn Read) -> Result<Option<(Head, Row)>> {
        let Some(row) = rows.get(&self.key(rows))? else { return Ok(None) };
        Ok(Some((row_json::decode(&row)?, row)))
    }
}

/// The start of the keys of a table's rows for a thread's namespace.
pub(super) fn namespace_key(rows: &dyn Read, table: Table, number: u64, namespace: &str) -> Key {
    rows.key(table).u64(number).text(namespace)
}

pub(super) fn check_namespace(namespace: &str) -> Result<()> {
    if namespace.is_empty() { Ok(()) } else { Id::check("namespace", namespace) }
}

pub(super) fn not_found(thread: &str, namespace: &str, checkpoint: Option<&str>) -> Error {
    Error::new(Code::CheckpointNotFound)
        .with("thread", thread)
        .with("namespace", namespace)
        .with("checkpoint", checkpoint.unwrap_or("(the latest)"))
}

/// The id of the latest checkpoint of a thread's namespace.
pub(super) fn latest(rows: &dyn Read, number: u64, namespace: &str) -> Result<Option<String>> {
    let prefix = namespace_key(rows, Table::Checkpoint, number, namespace);
    let mut found = None;
    rows.scan_prefix(&prefix, Page::Backward, &mut |key, _| {
        found = Some(parts(&key)?.1);
        Ok(false)
    })?;
    Ok(found)
}

/// Namespace and checkpoint of the key of a checkpoint.
pub(super) fn parts(key: &Key) -> Result<(String, String)> {
    let mut parts = key.components();
    parts.u64()?;
    Ok((parts.text()?, parts.text()?))
}

pub(super) fn version_from(row: &Row) -> Result<(u64, Hash)> {
    let (root, hash) = row.body.split_first_chunk().ok_or_else(malformed)?;
    Ok((u64::from_le_bytes(*root), hash.try_into().map_err(|_| malformed())?))
}

/// The row of a version of a channel.
pub(super) fn version_row(root: u64, hash: &Hash) -> Vec<u8> {
    [&root.to_le_bytes()[..], hash].concat()
}

/// A hash as the row of a checkpoint holds it.
pub(super) fn hash_text(hash: Hash) -> String {
    blake3::Hash::from(hash).to_hex().to_string()
}

fn malformed() -> Error {
    Error::new(Code::RowsCorrupt).with("reason", "the version of a channel is malformed")
}

pub(super) fn hash_from(text: &str) -> Result<Hash> {
    blake3::Hash::from_hex(text).map(Into::into).map_err(|_| malformed())
}

/// The content of a channel in a checkpoint, if it has a value there.
pub(super) fn channel(rows: &dyn Read, place: Place<'_>, head: &Head, channel: &str) -> Result<Option<Hash>> {
    if let Some(own) = head.own(channel)? {
        return Ok(own);
    }
    let Some(version) = head.versions.get(channel) else { return Ok(None) };
    let row = rows.get(&place.version_key(rows, channel, version))?;
    row.map(|row| version_from(&row).map(|(_, hash)| hash)).transpose()
}

/// Stores the value that a checkpoint has for a channel.
pub(super) fn set_channel(
    tx: &mut Tx<'_>,
    place: Place<'_>,
    head: &mut Head,
    channel: &str,
    value: Option<Content>,
    base: Option<Hash>,
) -> Result<()> {
    let key = head.versions.get(channel).map(|version| place.version_key(tx, channel, version));
    let there = match &key {
        Some(key) => tx.get(key)?.map(|row| version_from(&row)).transpose()?,
        None => None,
    };
    match (value, key, there) {
        (Some(value), Some(key), None) => {
            let hash = content::store(tx, head.root, value, base)?;
            tx.put_bookkeeping(key, version_row(head.root, &hash))?;
        }
        (Some(value), _, Some((_, hash))) if hash == value.hash() => {}
        (Some(value), ..) => {
            let hash = content::store(tx, head.root, value, base)?;
            head.own.insert(channel.to_owned(), Some(hash_text(hash)));
        }
        // Another checkpoint may give its version a value later.
        (None, ..) => drop(head.own.insert(channel.to_owned(), None)),
    }
    Ok(())
}

/// Writes the row of a checkpoint and what leads to it.
pub(super) fn write(tx: &mut Tx<'_>, place: Place<'_>, head: &Head) -> Result<()> {
    if let Some(run) = head.run() {
        tx.put_bookkeeping(place.run_key(tx, run), Vec::new())?;
    }
    tx.put(place.key(tx), row_json::encode(head)?)
}

/// Takes back what the row of a checkpoint refers to.
pub(super) fn unlink(tx: &mut Tx<'_>, place: Place<'_>, head: &Head) -> Result<()> {
    if let Some(run) = head.run() {
        tx.delete(place.run_key(tx, run))?;
    }
    for hash in head.own.values().flatten() {
        content::release(tx, head.root, hash_from(hash)?)?;
    }
    Ok(())
}

/// Deletes a checkpoint with its writes; returns how many rows that were.
pub(super) fn delete(tx: &mut Tx<'_>, place: Place<'_>, head: &Head) -> Result<usize> {
    unlink(tx, place, head)?;
    tx.delete(place.key(tx))?;
    let mut writes = Vec::new();
    tx.scan_prefix(&place.writes_key(tx), Page::Forward, &mut |key, _| {
        writes.push(key);
        Ok(true)
    })?;
    let deleted = 1 + writes.len();
    writes.into_iter().try_for_each(|key| tx.delete(key))?;
    Ok(deleted)
}

/// The checkpoints of a part of a thread, by id.
pub(super) fn of_part(rows: &dyn Read, number: u64, namespace: &str) -> Result<Heads> {
    let prefix = namespace_key(rows, Table::Checkpoint, number, namespace);
    Ok(below(rows, &prefix)?.into_values().next().unwrap_or_default())
}

/// The checkpoints of a thread, by part.
pub(super) fn of_thread(rows: &dyn Read, number: u64) -> Result<BTreeMap<String, Heads>> {
    below(rows, &rows.key(Table::Checkpoint).u64(number))
}

fn below(rows: &dyn Read, prefix: &Key) -> Result<BTreeMap<String, Heads>> {
    let mut found: BTreeMap<String, Heads> = BTreeMap::new();
    rows.scan_prefix(prefix, Page::Forward, &mut |key, row| {
        let (namespace, checkpoint) = parts(&key)?;
        found.entry(namespace).or_default().insert(checkpoint, row_json::decode(&row)?);
        Ok(true)
    })?;
    Ok(found)
}

/// Deletes checkpoints of a part that has `all` these, with their writes and the versions that no other of them names, until
/// about `most` rows are deleted; returns how many were.
pub(super) fn delete_all<'a>(
    tx: &mut Tx<'_>,
    place: Place<'_>,
    all: &Heads,
    going: impl IntoIterator<Item = &'a String>,
    most: usize,
) -> Result<usize> {
    let (mut gone, mut unused, mut deleted) = (BTreeSet::new(), BTreeSet::new(), 0);
    for checkpoint in going {
        let Some(head) = all.get(checkpoint).filter(|_| deleted < most) else { break };
        unused.extend(versions(tx, place, head));
        deleted += delete(tx, place.at(checkpoint), head)?;
        gone.insert(checkpoint);
    }
    for (_, head) in all.iter().filter(|(checkpoint, _)| !gone.contains(checkpoint)) {
        for key in versions(tx, place, head) {
            unused.remove(&key);
        }
    }
    deleted += unused.len();
    unused.into_iter().try_for_each(|key| delete_version(tx, key))?;
    Ok(deleted)
}

/// Deletes the version of a channel.
pub(super) fn delete_version(tx: &mut Tx<'_>, key: Key) -> Result<()> {
    if let Some(row) = tx.get(&key)? {
        let (root, hash) = version_from(&row)?;
        content::release(tx, root, hash)?;
        tx.delete(key)?;
    }
    Ok(())
}

/// The keys of the versions that a checkpoint names.
pub(super) fn versions<'a>(
    rows: &'a dyn Read,
    place: Place<'a>,
    head: &'a Head,
) -> impl Iterator<Item = Key> + 'a {
    head.versions.iter().map(move |(channel, version)| place.version_key(rows, channel, version))
}

/// Takes back what a row of a deleted thread refers to, before the sweeper deletes it.
pub(crate) fn forget(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let table = Key::table_of(key.as_bytes()).and_then(Table::from_number);
    let Some(row) = tx.get(key)? else { return Ok(()) };
    match table {
        Some(Table::Checkpoint) => {
            let number = key.components().u64()?;
            let (namespace, checkpoint) = parts(key)?;
            let place = Place { number, namespace: &namespace, checkpoint: &checkpoint };
            unlink(tx, place, &row_json::decode(&row)?)
        }
        Some(Table::ChannelVersion) => {
            let (root, hash) = version_from(&row)?;
            content::release(tx, root, hash)
        }
        _ => Ok(()),
    }
}

/// What a copy of a thread has of it.
pub(super) enum Selection {
    All,
    /// Checkpoints with their writes, by part, and the keys of versions of channels.
    Some {
        checkpoints: BTreeMap<String, BTreeSet<String>>,
        versions: BTreeSet<Key>,
    },
}

impl Selection {
    /// The checkpoints whose ids do not come behind `at`, which must be there, and what those need; `None` if it is not.
    pub(super) fn up_to(rows: &dyn Read, number: u64, at: &str) -> Result<Option<Self>> {
        let parts = of_thread(rows, number)?;
        if !parts.values().any(|all| all.contains_key(at)) {
            return Ok(None);
        }
        let (mut checkpoints, mut versions) = (BTreeMap::new(), BTreeSet::new());
        for (namespace, all) in &parts {
            let place = Place { number, namespace, checkpoint: at };
            let before = all.keys().filter(|checkpoint| checkpoint.as_str() <= at);
            let needed = history::needed(rows, place, all, before)?;
            for (_, head) in all.iter().filter(|(checkpoint, _)| needed.contains(checkpoint)) {
                versions.extend(self::versions(rows, place, head));
            }
            checkpoints.insert(namespace.clone(), needed.into_iter().cloned().collect());
        }
        Ok(Some(Selection::Some { checkpoints, versions }))
    }

    /// Whether the copy has a row of the thread.
    fn has(&self, table: Table, key: &Key) -> Result<bool> {
        Ok(match self {
            Selection::All => true,
            Selection::Some { versions, .. } if table == Table::ChannelVersion => versions.contains(key),
            Selection::Some { checkpoints, .. } => {
                let (namespace, checkpoint) = parts(key)?;
                checkpoints.get(&namespace).is_some_and(|of| of.contains(&checkpoint))
            }
        })
    }
}

/// Copies rows of a thread to another number.
pub(super) fn copy(tx: &mut Tx<'_>, from: &Thread, to: u64, selected: &Selection) -> Result<usize> {
    let mut rows = Vec::new();
    for table in [Table::Checkpoint, Table::ChannelVersion, Table::CheckpointWrite] {
        tx.scan_prefix(&tx.key(table).u64(from.number), Page::Forward, &mut |key, row| {
            if !selected.has(table, &key)? {
                return Ok(true);
            }
            let mut parts = key.components();
            parts.u64()?;
            let copy = Key::new(tx.namespace(), table).u64(to).raw(parts.rest());
            rows.push((table, copy, row));
            // The batch refuses more.
            Ok(rows.len() <= limits::BATCH_MUTATIONS)
        })?;
    }
    let mut checkpoints = 0;
    for (table, key, row) in rows {
        match table {
            Table::Checkpoint => {
                checkpoints += 1;
                let head: Head = row_json::decode(&row)?;
                let (namespace, checkpoint) = parts(&key)?;
                for hash in head.own.values().flatten() {
                    content::refer(tx, head.root, &hash_from(hash)?)?;
                }
                let place = Place { number: to, namespace: &namespace, checkpoint: &checkpoint };
                write(tx, place, &head)?;
            }
            Table::ChannelVersion => {
                let (root, hash) = version_from(&row)?;
                if !planted::is(Bug::CopyNotCounted) {
                    content::refer(tx, root, &hash)?;
                }
                tx.put(key, row.body.to_vec())?;
            }
            _ => tx.put(key, row.body.to_vec())?,
        }
    }
    Ok(checkpoints)
}

/// A write as the start of its row holds it; the content follows.
#[derive(Serialize, Deserialize)]
struct WriteHead {
    channel: String,
    path: String,
    created: Timestamp,
}

impl WriteHead {
    /// The head in a row, and the content behind it.
    fn split(row: &Row) -> Result<(Self, &[u8])> {
        let malformed = || Error::new(Code::RowsCorrupt).with("reason", "a pending write is malformed");
        let (len, rest) = row.body.split_first_chunk().ok_or_else(malformed)?;
        let (head, content) =
            rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(malformed)?;
        Ok((row_json::decode(&Row { lsn: row.lsn, body: head.into() })?, content))
    }
}

/// When the checkpoint of a row was put.
pub(super) fn created_at(row: &Row) -> Result<Timestamp> {
    Ok(row_json::decode::<Head>(row)?.created)
}

/// When the write of a row was stored.
pub(super) fn stored_at(row: &Row) -> Result<Timestamp> {
    Ok(WriteHead::split(row)?.0.created)
}

/// A write of a task.
pub(super) struct Write {
    pub(super) task: String,
    pub(super) path: String,
    pub(super) index: i64,
    pub(super) channel: String,
    pub(super) content: Content,
    pub(super) created: Timestamp,
}

impl Write {
    pub(super) fn key(place: Place<'_>, rows: &dyn Read, task: &str, index: i64) -> Key {
        place.writes_key(rows).text(task).u64(index.cast_unsigned() ^ (1 << 63))
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let (channel, path) = (self.channel.clone(), self.path.clone());
        let head = row_json::encode(&WriteHead { channel, path, created: self.created })?;
        let mut out = (head.len() as u32).to_le_bytes().to_vec();
        out.extend_from_slice(&head);
        self.content.append_to(&mut out);
        Ok(out)
    }

    pub(super) fn decode(key: &Key, row: &Row) -> Result<Self> {
        let mut parts = key.components();
        parts.u64()?;
        let (_, _, task) = (parts.text()?, parts.text()?, parts.text()?);
        let index = index_of(parts.u64()?);
        let (head, content) = WriteHead::split(row)?;
        let WriteHead { channel, path, created } = head;
        let content = Content::from_end(content)?;
        Ok(Write { task, path, index, channel, content, created })
    }

    pub(super) fn shown(self) -> Result<PendingWrite> {
        let (value, encoded) = self.content.shown()?;
        let Write { task, path, index, channel, .. } = self;
        Ok(PendingWrite { task, path, index, channel, value, encoded })
    }
}

/// The index of a write from the key of its row, where it lies so that keys are in its order.
pub(crate) fn index_of(component: u64) -> i64 {
    (component ^ (1 << 63)).cast_signed()
}

/// The write of a row, if it still belongs to the thread of this name.
pub(crate) fn pending_write(rows: &dyn Read, thread: &str, key: &Key, row: &Row) -> Result<PendingWrite> {
    let number = key.components().u64()?;
    match thread::find(rows, thread)? {
        Some(found) if found.number == number => Write::decode(key, row)?.shown(),
        _ => Err(Error::new(Code::ThreadNotFound).with("thread", thread)),
    }
}

/// The writes behind a checkpoint, in the order in which they apply: by path, task and index.
pub(super) fn writes(rows: &dyn Read, place: Place<'_>) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    rows.scan_prefix(&place.writes_key(rows), Page::Forward, &mut |key, row| {
        writes.push(Write::decode(&key, &row)?);
        Ok(true)
    })?;
    writes.sort_by(|a, b| (&a.path, &a.task, a.index).cmp(&(&b.path, &b.task, b.index)));
    Ok(writes)
}

/// A checkpoint as callers see it; without values and writes if it is to be brief.
pub(super) fn entry(
    rows: &dyn Read,
    thread: &str,
    place: Place<'_>,
    head: Head,
    row: &Row,
    brief: bool,
) -> Result<Entry> {
    let (mut values, mut encoded, mut pending) = (Map::new(), BTreeMap::new(), Vec::new());
    if !brief {
        let channels: BTreeSet<&String> = head.versions.keys().chain(head.own.keys()).collect();
        for name in channels {
            let Some(hash) = channel(rows, place, &head, name)? else { continue };
            match content::load(rows, head.root, &hash)?.shown()? {
                (Some(value), _) => drop(values.insert(name.clone(), value)),
                (_, Some(value)) => drop(encoded.insert(name.clone(), value)),
                _ => {}
            }
        }
        pending = writes(rows, place)?.into_iter().map(Write::shown).collect::<Result<_>>()?;
    }
    Ok(Entry {
        thread: thread.to_owned(),
        namespace: place.namespace.to_owned(),
        checkpoint: place.checkpoint.to_owned(),
        parent: head.parent,
        versions: head.versions,
        values,
        encoded,
        data: head.data,
        metadata: head.metadata,
        writes: pending,
        created: head.created,
        version: row.lsn,
    })
}

/// A row of these tables, decoded and encoded again.
#[cfg(any(test, feature = "decoders"))]
pub(crate) fn recode(table: Table, row: &Row) -> Result<Vec<u8>> {
    match table {
        Table::Thread => row_json::encode(&row_json::decode::<Thread>(row)?),
        Table::Checkpoint => row_json::encode(&row_json::decode::<Head>(row)?),
        Table::ChannelContent => content::recode(row),
        Table::ChannelVersion => {
            let (root, hash) = version_from(row)?;
            Ok(version_row(root, &hash))
        }
        _ => {
            let key = rows_key_of_a_write();
            Write::decode(&key, row)?.encode()
        }
    }
}

/// Any: the row does not depend on it.
#[cfg(any(test, feature = "decoders"))]
fn rows_key_of_a_write() -> Key {
    Key::new(crate::NamespaceId::DEFAULT, Table::CheckpointWrite).u64(1).text("").text("c").text("t").u64(0)
}
