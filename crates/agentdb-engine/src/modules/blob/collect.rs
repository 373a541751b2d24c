//! Removing files that nothing refers to: a step of the engine, whose outcome goes through the sequencer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use agentdb_types::{Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::directory::Uploads;
use super::{due, due_key, note_key, row_key};
use crate::engine::Core;
use crate::operation::{About, Request, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;
use crate::{NamespaceId, Snapshot, Table, history, modules, sweep};

/// Files removed in one step.
const BATCH: usize = 100;

/// Does one piece of collecting; returns whether there was any.
pub(crate) fn step(core: &Arc<Core>) -> Result<bool> {
    let mut collected_to = core.blobs.collected_to.lock().unwrap_or_else(PoisonError::into_inner);
    let published_us = core.published_us.load(Ordering::Acquire);
    let system = core.snapshot(NamespaceId::SYSTEM)?;
    for namespace in modules::namespace::all(&system)? {
        let snapshot = system.in_namespace(namespace);
        let from = collected_to.get(&namespace);
        let (due, next) = sweep::due_notes(&snapshot, Table::BlobGarbage, from, BATCH, published_us)?;
        let mut notes = Vec::new();
        for key in &due {
            let mut parts = key.components();
            notes.push((parts.u64()?, parts.text()?));
        }
        let Looked { collected, kept } = collect(core, namespace, notes)?;
        let looked_at = collected.len() + kept.len();
        let (some, all) = (looked_at > 0, looked_at == due.len());
        if some {
            core.submit_internal(namespace, Box::new(Collected { notes: collected, kept }))?;
        }
        // A note whose blob is being uploaded again is looked at again.
        if all {
            collected_to.insert(namespace, next);
        }
        if some {
            return Ok(true);
        }
    }
    drop(collected_to);
    look_at_files(core)
}

/// Notes that were looked at.
#[derive(Default)]
struct Looked {
    /// They are done with.
    collected: Vec<(u64, String)>,
    /// History has the row, and whoever forks the namespace as it was needs the file.
    kept: Vec<(u64, String)>,
}

/// Removes the files of due notes.
fn collect(core: &Arc<Core>, namespace: NamespaceId, notes: Vec<(u64, String)>) -> Result<Looked> {
    if notes.is_empty() {
        return Ok(Looked::default());
    }
    let uploads = core.blobs.uploads();
    if core.is_backed_up() {
        return Ok(Looked::default());
    }
    let Some(durable) = durable_snapshot(core, namespace)? else { return Ok(Looked::default()) };
    // A fork under way may have the row of what was deleted since, and not share its file yet.
    if core.forks.is_source(namespace) {
        return Ok(Looked::default());
    }
    let Looked { mut collected, mut kept } = Looked::default();
    for (at, address) in notes {
        if is_uploading(&uploads, namespace, &address) {
            continue;
        }
        let still_due = due(&durable, &address)? == Some(at);
        let row = row_key(&durable, &address)?;
        if still_due && history::has_versions(&durable, &row)? {
            kept.push((at, address));
            continue;
        }
        let gone = durable.get(&row)?.is_none();
        if still_due && (gone || planted::is(Bug::LivingBlobCollected)) {
            remove(core, namespace, &address)?;
        }
        collected.push((at, address));
    }
    Ok(Looked { collected, kept })
}

fn remove(core: &Core, namespace: NamespaceId, address: &str) -> Result<bool> {
    let removed = core.blobs.remove(namespace, address)?;
    if removed {
        core.blobs.sync(namespace, address).inspect_err(|err| core.poison(err))?;
    }
    Ok(removed)
}

fn is_uploading(uploads: &Uploads<'_>, namespace: NamespaceId, address: &str) -> bool {
    uploads.contains_key(&(namespace, address.to_owned()))
}

/// The newest rows, if the log is durable up to them.
fn durable_snapshot(core: &Arc<Core>, namespace: NamespaceId) -> Result<Option<Snapshot>> {
    let snapshot = snapshot(core, namespace)?;
    if core.synced_lsn() < snapshot.lsn() {
        core.step(crate::Task::Sync)?;
    }
    Ok(Some(snapshot).filter(|s| core.synced_lsn() >= s.lsn()))
}

/// Removes the file of an address if neither a row nor a note names it and nobody is uploading it.
pub(super) fn remove_unreferenced(core: &Arc<Core>, namespace: NamespaceId, address: &str) -> Result<bool> {
    let uploads = core.blobs.uploads();
    if is_uploading(&uploads, namespace, address) || is_referenced(&snapshot(core, namespace)?, address)? {
        return Ok(false);
    }
    match durable_snapshot(core, namespace)? {
        Some(durable) if !is_referenced(&durable, address)? => remove(core, namespace, address),
        _ => Ok(false),
    }
}

fn is_referenced(rows: &Snapshot, address: &str) -> Result<bool> {
    Ok(rows.get(&row_key(rows, address)?)?.is_some() || due(rows, address)?.is_some())
}

/// The newest rows of a namespace, deleted ones included.
fn snapshot(core: &Arc<Core>, namespace: NamespaceId) -> Result<Snapshot> {
    core.snapshot(NamespaceId::SYSTEM).map(|system| system.in_namespace(namespace))
}

/// Looks at the files of one namespace that were there when the database was opened.
fn look_at_files(core: &Arc<Core>) -> Result<bool> {
    if core.is_backed_up() {
        return Ok(false);
    }
    let next = core.blobs.unseen.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let Some(namespace) = next else { return Ok(false) };
    core.blobs.settle(namespace)?;
    for address in core.blobs.addresses(namespace)? {
        remove_unreferenced(core, namespace, &address)?;
    }
    Ok(true)
}

/// Removes the files of a namespace that was deleted and whose last row was swept.
pub(crate) fn remove_namespace(core: &Arc<Core>, namespace: NamespaceId) -> Result<()> {
    core.blobs.collected_to.lock().unwrap_or_else(PoisonError::into_inner).remove(&namespace);
    if core.is_backed_up() {
        // Looked at when the backup is done.
        core.blobs.unseen.lock().unwrap_or_else(PoisonError::into_inner).push_back(namespace);
        return Ok(());
    }
    for address in core.blobs.addresses(namespace)? {
        remove_unreferenced(core, namespace, &address)?;
    }
    Ok(())
}

/// What the collector has removed.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Collected {
    notes: Vec<(u64, String)>,
    /// What is to be looked at again.
    kept: Vec<(u64, String)>,
}

impl Request for Collected {
    type Response = ();
    const ABOUT: About = sweep::internal("internal.collect");
}

impl WriteRequest for Collected {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        for (at, address) in &self.notes {
            // A blob that was put and deleted again meanwhile has another note.
            if due(tx, address)? == Some(*at) {
                tx.delete(due_key(tx, address))?;
            }
            tx.delete(note_key(tx, *at, address))?;
        }
        for (at, address) in &self.kept {
            if due(tx, address)? == Some(*at) {
                let again = (tx.now().micros() + limits::BLOB_KEPT_US).unsigned_abs();
                tx.put_bookkeeping(due_key(tx, address), again.to_le_bytes().to_vec())?;
                tx.put_bookkeeping(note_key(tx, again, address), Vec::new())?;
            }
            tx.delete(note_key(tx, *at, address))?;
        }
        Ok(())
    }
}
