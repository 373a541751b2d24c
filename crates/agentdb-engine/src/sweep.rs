//! Deleting what nobody sees any more: rows whose time to live has passed, and what deleted namespaces, sessions and
//! collections left. Everything goes through the sequencer, in small batches.

use std::sync::Arc;

use agentdb_types::{Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::Core;
use crate::key::{Key, NamespaceId};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::request::WriteOptions;
use crate::rows::Reader;
use crate::tx::Tx;
use crate::{Snapshot, Table, modules};

/// Rows deleted in one batch.
const BATCH: usize = 500;

/// Notes that the row of `key` expires at `at`. The row itself says when, too: a row that was renewed is left alone.
pub(crate) fn schedule(tx: &mut Tx<'_>, at: Timestamp, key: &Key) -> Result<()> {
    let entry = tx.key(Table::Expiry).u64(at.micros().unsigned_abs()).raw(key.as_bytes());
    tx.put_bookkeeping(entry, Vec::new())
}

/// What deleted nouns leave behind: the tables whose keys start with the noun's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remains {
    Namespace = 1,
    Session = 2,
    Collection = 3,
}

impl Remains {
    fn tables(self) -> &'static [Table] {
        match self {
            Remains::Namespace => &[],
            Remains::Session if planted::is(Bug::MessagesHalfSwept) => {
                &[Table::Message, Table::SessionCounter]
            }
            Remains::Session => &[Table::Message, Table::MessageById, Table::SessionCounter],
            Remains::Collection => &[Table::Record, Table::Vector],
        }
    }
}

/// Notes that a number is out of use, and its rows are to be deleted.
pub(crate) fn discard(tx: &mut Tx<'_>, kind: Remains, number: u64) -> Result<()> {
    let key = tx.key(Table::Garbage).u64(kind as u64).u64(number);
    tx.put_bookkeeping(key, Vec::new())
}

/// The namespace that a row being written buries, if it is such a row.
pub(crate) fn buried_by(key: &[u8]) -> Option<u64> {
    let garbage =
        Key::namespace_of(key)? == NamespaceId::SYSTEM && Key::table_of(key)? == Table::Garbage as u8;
    let key = garbage.then(|| Key::from_bytes(key.to_vec()))?;
    let mut parts = key.components();
    (parts.u64().ok()? == Remains::Namespace as u64).then(|| parts.u64().ok()).flatten()
}

/// The namespaces that were deleted and are not swept yet.
pub(crate) fn dead_namespaces(rows: &Reader) -> Result<Vec<u64>> {
    let from = Key::new(NamespaceId::SYSTEM, Table::Garbage).u64(Remains::Namespace as u64);
    let to = from.after_prefix();
    let mut numbers = Vec::new();
    for entry in rows.scan(from.as_bytes(), to.as_ref().map(Key::as_bytes), Page::Forward.direction()) {
        numbers.extend(buried_by(&entry?.0));
    }
    Ok(numbers)
}

/// Sweeps one batch, if any namespace has something to sweep.
pub(crate) fn step(core: &Arc<Core>) -> Result<bool> {
    let system = core.snapshot(NamespaceId::SYSTEM)?;
    for namespace in modules::namespace::all(&system)? {
        if is_due(&system.in_namespace(namespace))? {
            core.submit_internal(namespace, Box::new(Sweep {}))?;
            return Ok(true);
        }
    }
    let dead = dead_namespaces(&system.rows)?;
    if let Some(&number) = dead.first() {
        core.submit_internal(NamespaceId(number), Box::new(SweepNamespace {}))?;
        let empty = is_empty(&core.rows.reader(), NamespaceId(number))?;
        if empty {
            modules::blob::remove_namespace(core, NamespaceId(number))?;
            core.submit_internal(NamespaceId::SYSTEM, Box::new(ForgetNamespace { number }))?;
        }
        return Ok(true);
    }
    Ok(false)
}

fn is_due(snapshot: &Snapshot) -> Result<bool> {
    let mut due = false;
    snapshot.scan_prefix(&snapshot.key(Table::Expiry), Page::Forward, &mut |key, _| {
        due = key.components().u64()? <= snapshot.now().micros().unsigned_abs();
        Ok(false)
    })?;
    Ok(due || first_garbage(snapshot)?.is_some())
}

/// The first note of a discarded session or collection. Namespaces have their own way of being swept.
fn first_garbage(rows: &dyn Read) -> Result<Option<(Remains, Key)>> {
    let mut first = None;
    for kind in [Remains::Session, Remains::Collection] {
        rows.scan_prefix(&rows.key(Table::Garbage).u64(kind as u64), Page::Forward, &mut |key, _| {
            first.get_or_insert((kind, key));
            Ok(false)
        })?;
    }
    Ok(first)
}

fn is_empty(rows: &Reader, namespace: NamespaceId) -> Result<bool> {
    let from = Key::namespace(namespace);
    let to = from.after_prefix();
    let mut rows = rows.scan(from.as_bytes(), to.as_ref().map(Key::as_bytes), Page::Forward.direction());
    rows.next().transpose().map(|first| first.is_none())
}

/// A batch of the sweeper in one namespace.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Sweep {}

/// A batch of the sweeper in a deleted namespace.
#[derive(Serialize, Deserialize, JsonSchema)]
struct SweepNamespace {}

/// The end of sweeping a deleted namespace.
#[derive(Serialize, Deserialize, JsonSchema)]
struct ForgetNamespace {
    number: u64,
}

/// The sweeper's requests are in no table: nobody can send them.
pub(crate) const fn internal(name: &'static str) -> About {
    About {
        name,
        doc: "Deletes what nobody sees any more.",
        effect: Effect::Write,
        scope: Scope::Namespace,
        permission: "internal",
        resource: &[],
        sensitive: &[],
        errors: &[],
    }
}

impl Request for Sweep {
    type Response = usize;
    const ABOUT: About = internal("internal.sweep");
}

impl WriteRequest for Sweep {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<usize> {
        let mut due = Vec::new();
        let now = tx.now();
        tx.scan_prefix(&tx.key(Table::Expiry), Page::Forward, &mut |key, _| {
            let mut parts = key.components();
            let expired = parts.u64()? <= now.micros().unsigned_abs();
            if expired {
                let row = Key::from_bytes(parts.rest().to_vec());
                due.push((key, row));
            }
            Ok(expired && due.len() < BATCH)
        })?;
        let mut swept = due.len();
        for (entry, row) in due {
            modules::expire(tx, &row)?;
            tx.delete(entry)?;
        }
        if swept < BATCH {
            swept += sweep_garbage(tx, BATCH - swept)?;
        }
        Ok(swept)
    }
}

/// Deletes up to `limit` rows of the first discarded number, or its note once nothing is left.
fn sweep_garbage(tx: &mut Tx<'_>, limit: usize) -> Result<usize> {
    let Some((kind, note)) = first_garbage(tx)? else { return Ok(0) };
    let mut parts = note.components();
    parts.u64()?;
    let number = parts.u64()?;
    let mut keys = Vec::new();
    for &table in kind.tables() {
        tx.scan_prefix(&tx.key(table).u64(number), Page::Forward, &mut |key, _| {
            keys.push(key);
            Ok(keys.len() < limit)
        })?;
    }
    keys.truncate(limit);
    if keys.is_empty() {
        keys.push(note);
    }
    let swept = keys.len();
    for key in keys {
        tx.delete(key)?;
    }
    Ok(swept)
}

impl Request for SweepNamespace {
    type Response = usize;
    const ABOUT: About = internal("internal.sweep_namespace");
}

impl WriteRequest for SweepNamespace {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<usize> {
        let mut keys = Vec::new();
        tx.scan_prefix(&Key::namespace(tx.namespace()), Page::Forward, &mut |key, _| {
            keys.push(key);
            Ok(keys.len() < BATCH)
        })?;
        let swept = keys.len();
        for key in keys {
            tx.delete(key)?;
        }
        Ok(swept)
    }
}

impl Request for ForgetNamespace {
    type Response = ();
    const ABOUT: About = internal("internal.forget_namespace");
}

impl WriteRequest for ForgetNamespace {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        let key = tx.key(Table::Garbage).u64(Remains::Namespace as u64).u64(self.number);
        tx.delete(key)
    }
}

impl Core {
    /// Commits a request of the engine itself, in any namespace, dead ones included.
    pub(crate) fn submit_internal(
        self: &Arc<Self>,
        namespace: NamespaceId,
        write: Box<dyn crate::operation::AnyWrite>,
    ) -> Result<()> {
        let queued = self.enqueue(namespace, vec![write], WriteOptions::default(), true)?;
        self.drive_until(&queued).map(drop)
    }
}
