//! What lies in tables and directories once everything is swept and collected: what the model has, and no more.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use agentdb_engine::{Engine, Key, NamespaceId, Page, Read, Snapshot, Table};
use agentdb_env::Env;

use super::Check;
use crate::model::Namespace;

fn keys(snapshot: &Snapshot, prefix: &Key) -> Check<Vec<Key>> {
    let mut keys = Vec::new();
    let scanned = snapshot.scan_prefix(prefix, Page::Forward, &mut |key, _| {
        keys.push(key);
        Ok(true)
    });
    scanned.map(|()| keys).map_err(|e| format!("scanning rows: {e}"))
}

/// How many rows have a body.
fn bodies(snapshot: &Snapshot, prefix: &Key) -> Check<usize> {
    let mut found = 0;
    let scanned = snapshot.scan_prefix(prefix, Page::Forward, &mut |_, row| {
        found += usize::from(!row.body.is_empty());
        Ok(true)
    });
    scanned.map(|()| found).map_err(|e| format!("scanning rows: {e}"))
}

/// Checks that a namespace has the rows of what has not expired at `now`, which the model was purged to; and that one
/// that was deleted has none. `snapshot` may be of any namespace.
pub(crate) fn rows(
    snapshot: &Snapshot,
    namespace: NamespaceId,
    model: Option<&Namespace>,
    now: i64,
) -> Check {
    let number = namespace.number();
    let Some(model) = model else {
        let left = keys(snapshot, &Key::namespace(namespace))?;
        let Some(first) = left.first() else { return Ok(()) };
        let first = agentdb_engine::describe(first.as_bytes());
        return Err(format!("{} rows of the deleted namespace {number} are left: {first}", left.len()));
    };
    let counted = |table: Table| keys(snapshot, &Key::new(namespace, table)).map(|found| found.len());
    // A message that sessions share lies there once.
    let messages = model.sessions.values().flat_map(|session| session.messages.values());
    let messages = messages.map(Rc::as_ptr).collect::<BTreeSet<_>>().len();
    let found = bodies(snapshot, &Key::new(namespace, Table::Message))?;
    if found != messages {
        return Err(format!("{found} messages are left in {number}, not {messages}"));
    }
    let records = || model.collections.values().flat_map(|collection| collection.records.values());
    let threads = || model.threads.values();
    let runs = threads().flat_map(|thread| thread.checkpoints.values()).filter(|found| found.run().is_some());
    let item_vectors: usize =
        model.items.values().map(|item| item.vectors_in(model.item_index.as_deref())).sum();
    let links = model.links_among(&model.nodes()).count();
    let exact = [
        (Table::Thread, model.threads.len()),
        (Table::Checkpoint, threads().map(|thread| thread.checkpoints.len()).sum()),
        (Table::CheckpointByRun, runs.count()),
        (Table::CheckpointWrite, threads().flat_map(|t| t.writes.values()).map(|writes| writes.len()).sum()),
        (Table::ChannelVersion, threads().map(|thread| thread.versions.len()).sum()),
        (Table::ToolCall, model.calls.len()),
        (Table::ToolCallByState, model.calls.len()),
        (Table::ToolCallByTool, model.calls.len()),
        (Table::Garbage, 0),
        (Table::Policy, model.policies.len()),
        (Table::Name, model.sessions.len() + model.collections.len() + model.threads.len()),
        (Table::Idempotency, model.remembered()),
        (Table::State, model.states.len()),
        (Table::Session, model.sessions.len()),
        (Table::SessionByOwner, model.sessions.len()),
        (Table::SessionTally, model.sessions.len()),
        (Table::MessageById, messages),
        (Table::Blob, model.blobs.len()),
        (Table::Collection, model.collections.len()),
        (Table::Record, records().count()),
        (Table::Vector, model.collections.values().map(|c| c.vector_rows()).sum::<usize>() + item_vectors),
        (Table::Node, model.nodes().len()),
        (Table::Link, links),
        (Table::LinkBack, links),
        (Table::Item, model.items.len()),
        (Table::ItemExpiry, model.items.values().filter(|item| item.expires.is_some()).count()),
        (Table::ItemIndex, usize::from(model.item_index.is_some())),
    ];
    for (table, expected) in exact {
        let found = counted(table)?;
        if found != expected {
            return Err(format!("{found} rows of {} are left in {number}, not {expected}", table.name()));
        }
    }
    // A collection has up to two counters, the index of items up to one.
    let collections = model.collections.len();
    let bounded = [(Table::Counter, 0, 5 + 2 * collections), (Table::BlobDue, 0, model.dues.len())];
    for (table, least, most) in bounded {
        let found = counted(table)?;
        if !(least..=most).contains(&found) {
            return Err(format!("{found} rows of {} in {number}, not {least} to {most}", table.name()));
        }
    }
    // What nothing refers to any more is there only as the base of something else.
    let contents: usize = threads().map(|thread| thread.contents().len()).max().unwrap_or_default();
    let found = counted(Table::ChannelContent)?;
    if found != counted(Table::ChannelContentCount)?
        || found < contents
        || (found > 0 && threads().all(|thread| thread.contents().is_empty()))
    {
        return Err(format!("{found} contents of channels in {number}, not {contents} or some more"));
    }
    if counted(Table::BlobDue)? != counted(Table::BlobGarbage)? {
        return Err(format!("the notes of deleted blobs in {number} do not belong together"));
    }
    for table in [Table::Expiry, Table::BlobGarbage] {
        let first = keys(snapshot, &Key::new(namespace, table))?.into_iter().next();
        let due = first.map(|key| key.components().u64()).transpose().map_err(|e| e.to_string())?;
        if due.is_some_and(|due| due <= now.unsigned_abs()) {
            return Err(format!("a note of {} in {number} is due and was left", table.name()));
        }
    }
    Ok(())
}

/// The first LSN whose time is known; 1 if no time is.
pub(crate) fn first_moment(engine: &Engine) -> Check<u64> {
    let snapshot = engine.snapshot(NamespaceId::SYSTEM).map_err(|e| e.to_string())?;
    let first = keys(&snapshot, &Key::new(NamespaceId::SYSTEM, Table::Moment))?.into_iter().next();
    first.map_or(Ok(1), |key| key.components().u64().map_err(|e| e.to_string()))
}

/// Checks that the files of a namespace's blobs are those that a row refers to, or that are kept for readers a while.
pub(crate) fn files(env: &Env, dir: &Path, number: u64, model: Option<&Namespace>, now: i64) -> Check {
    let list = |dir: &Path| -> Check<Vec<String>> {
        match env.files.exists(dir) {
            Ok(true) => env.files.list(dir).map_err(|e| format!("listing {}: {e}", dir.display())),
            Ok(false) => Ok(Vec::new()),
            Err(err) => Err(format!("looking for {}: {err}", dir.display())),
        }
    };
    let unfinished = list(&dir.join("blobs/new"))?;
    if !unfinished.is_empty() {
        return Err(format!("uploads are left: {unfinished:?}"));
    }
    let dir = dir.join("blobs").join(number.to_string());
    let mut found = BTreeSet::new();
    // The mark of a directory that could not be made stays until it is made.
    for start in list(&dir)?.into_iter().filter(|name| !name.ends_with(".unproven")) {
        found.extend(list(&dir.join(start))?);
    }
    let mut expected = BTreeSet::new();
    if let Some(model) = model {
        expected.extend(model.blobs.keys().cloned());
        expected.extend(model.dues.iter().filter(|(_, due)| **due > now).map(|(address, _)| address.clone()));
    }
    // The file of a blob that was deleted stays as long as history has its row, and may stay an hour longer.
    if let Some(model) = model.filter(|model| model.retention.keep_files()) {
        found.retain(|address| expected.contains(address) || !model.dues.contains_key(address));
    }
    if found == expected {
        return Ok(());
    }
    Err(format!("the files of blobs in {number} are {found:?}, not {expected:?}"))
}
