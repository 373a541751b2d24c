//! Deleting what nobody sees any more: rows whose time to live has passed, and what deleted namespaces, sessions,
//! collections and threads left. Everything goes through the sequencer, in small batches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::Core;
use crate::key::{Key, NamespaceId};
use crate::modules::session::message;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::{Page, Read};
use crate::request::{Origin, WriteOptions};
use crate::rows::Reader;
use crate::tx::Tx;
use crate::{Snapshot, Table, modules, numbers};

/// Rows deleted in one batch.
const BATCH: usize = 500;
/// The same in a namespace of which a fork is under way.
const BATCH_OF_A_SOURCE: usize = 50;
/// What the log calls a batch of the sweeper.
pub(crate) const OPERATION: &str = "internal.sweep";

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
    Thread = 4,
    /// A layer of messages that nobody lies on any more.
    Messages = 5,
    /// What nobody sees of a layer of messages that others lie on; behind its number, the one place to look at, if not everywhere.
    Unseen = 6,
    /// Links of a record that is gone.
    Node = 7,
}

impl Remains {
    pub(crate) fn from_number(number: u64) -> Result<Self> {
        use Remains::{Collection, Messages, Namespace, Node, Session, Thread, Unseen};
        [Namespace, Session, Collection, Thread, Messages, Unseen, Node]
            .into_iter()
            .find(|kind| *kind as u64 == number)
            .ok_or_else(|| {
                Error::new(Code::RowsCorrupt)
                    .with("reason", format_args!("a note of discarded rows of kind {number}"))
            })
    }

    fn tables(self) -> &'static [Table] {
        match self {
            Remains::Namespace | Remains::Unseen => &[],
            Remains::Messages => &[Table::Message, Table::MessageById, Table::MessageLayerUse],
            Remains::Session if planted::is(Bug::MessagesHalfSwept) => &[Table::Message, Table::SessionTally],
            Remains::Session => &[Table::Message, Table::MessageById, Table::SessionTally],
            Remains::Collection => &[Table::Record, Table::Vector, Table::Node],
            Remains::Thread => &[Table::Checkpoint, Table::ChannelVersion, Table::CheckpointWrite],
            Remains::Node => &[Table::Link, Table::LinkBack],
        }
    }
}

/// Takes the number of what had this name out of use, and notes that its rows are to be deleted.
pub(crate) fn discard(tx: &mut Tx<'_>, kind: Remains, number: u64, name: &str) -> Result<()> {
    if kind != Remains::Namespace {
        numbers::release(tx, kind, number, name)?;
    }
    discard_unnamed(tx, kind, number)
}

/// The same of a number that never had a name.
pub(crate) fn discard_unnamed(tx: &mut Tx<'_>, kind: Remains, number: u64) -> Result<()> {
    let key = tx.key(Table::Garbage).u64(kind as u64).u64(number);
    tx.put_bookkeeping(key, Vec::new())
}

/// Whether the rows of a number wait to be swept.
pub(crate) fn is_discarded(rows: &dyn Read, kind: Remains, number: u64) -> Result<bool> {
    rows.get(&rows.key(Table::Garbage).u64(kind as u64).u64(number)).map(|note| note.is_some())
}

/// The namespace that a row being written buries, if it is such a row.
pub(crate) fn buried_by(key: &[u8]) -> Option<u64> {
    let garbage =
        Key::namespace_of(key)? == NamespaceId::SYSTEM && Key::table_of(key)? == Table::Garbage as u8;
    let key = garbage.then(|| Key::from_bytes(key.to_vec()))?;
    let mut parts = key.components();
    (parts.u64().ok()? == Remains::Namespace as u64).then(|| parts.u64().ok()).flatten()
}

/// What a row being written leaves to the sweeper, if it is such a row: a collection's number in a namespace, or a whole
/// namespace.
pub(crate) fn discarded_by(key: &[u8]) -> Option<(NamespaceId, Option<u64>)> {
    if Key::table_of(key)? != Table::Garbage as u8 {
        return None;
    }
    let namespace = Key::namespace_of(key)?;
    let key = Key::from_bytes(key.to_vec());
    let mut parts = key.components();
    match (parts.u64().ok()?, parts.u64().ok()?) {
        (kind, number) if kind == Remains::Collection as u64 => Some((namespace, Some(number))),
        (kind, number) if kind == Remains::Namespace as u64 => Some((NamespaceId(number), None)),
        _ => None,
    }
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

/// Where the sweeper stands. What it has deleted lies in the memory tables and the base until they are merged, and every scan
/// walks over it: so each batch starts where the one before ended.
#[derive(Default)]
pub(crate) struct Sweeper {
    /// The batch after which nothing has been discarded.
    last_discard: AtomicU64,
    stand: Mutex<Stand>,
}

#[derive(Default)]
struct Stand {
    /// By namespace: where its notes of expiries start; earlier ones are gone, and none will come.
    expiries: HashMap<NamespaceId, Key>,
    discarded: HashMap<NamespaceId, Discarded>,
    /// The deleted namespace that is being swept, and where its rows start.
    namespace: Option<(NamespaceId, Key)>,
}

/// How far the notes of discarded numbers in a namespace were followed.
#[derive(Clone, Default)]
struct Discarded {
    /// All that was noted up to here is swept.
    done: Option<Lsn>,
    /// The round under way: the LSN at which it began, the note to go on with, and the table and row of its number.
    round: Option<(Lsn, Key, usize, Option<Key>)>,
}

impl Sweeper {
    /// Learns of a row that was put.
    pub(crate) fn note(&self, key: &[u8], lsn: Lsn) {
        if Key::table_of(key) == Some(Table::Garbage as u8) {
            self.last_discard.fetch_max(lsn.0, Ordering::AcqRel);
        }
    }
}

/// Sweeps one batch, if any namespace has something to sweep.
pub(crate) fn step(core: &Arc<Core>) -> Result<bool> {
    let mut stand = core.sweeper.stand.lock().unwrap_or_else(PoisonError::into_inner);
    let published_us = core.published_us.load(Ordering::Acquire);
    let system = core.snapshot(NamespaceId::SYSTEM)?;
    for namespace in modules::namespace::all(&system)? {
        let snapshot = system.in_namespace(namespace);
        // What goes is put aside for a fork under way, in the same batch.
        let most = if core.forks.is_source(namespace) { BATCH_OF_A_SOURCE } else { BATCH };
        let from = stand.expiries.get(&namespace);
        let (notes, from) = due_notes(&snapshot, Table::Expiry, from, most, published_us)?;
        let notes: Vec<_> = notes.into_iter().map(Key::into_bytes).collect();
        let discarded = stand.discarded.get(&namespace).cloned().unwrap_or_default();
        let (remains, discarded) = remains(core, &snapshot, discarded, most - notes.len())?;
        let worked = !notes.is_empty() || !remains.is_empty();
        if worked {
            core.submit_internal(namespace, Box::new(Sweep { notes, remains, whole: false }))?;
        }
        stand.expiries.insert(namespace, from);
        stand.discarded.insert(namespace, discarded);
        if worked {
            return Ok(true);
        }
    }
    // What a fork under way still needs of one stays until that is done.
    let dead = dead_namespaces(&system.rows)?;
    match dead.into_iter().find(|number| !core.forks.is_source(NamespaceId(*number))) {
        Some(number) => sweep_namespace(core, &system, &mut stand, NamespaceId(number)).map(|()| true),
        None => Ok(false),
    }
}

/// Up to `most` of the notes in `table` that are due, and where to look next time. Keys start with the time for which the note
/// is, which is later than when it was written; `from` is what this told the last time, if the notes are gone.
pub(crate) fn due_notes(
    snapshot: &Snapshot,
    table: Table,
    from: Option<&Key>,
    most: usize,
    published_us: i64,
) -> Result<(Vec<Key>, Key)> {
    let table = snapshot.key(table);
    let from = from.cloned().unwrap_or_else(|| table.clone());
    let mut notes = Vec::new();
    snapshot.scan(&from, table.after_prefix().as_ref(), Page::Forward, &mut |key, _| {
        let due = key.components().u64()? <= snapshot.now().micros().unsigned_abs();
        if due {
            notes.push(key);
        }
        Ok(due && notes.len() < most)
    })?;
    // What the snapshot does not show yet is not written before what was published.
    let mut next = table.clone().u64(published_us.unsigned_abs());
    if let Some(last) = notes.last().filter(|_| notes.len() == most) {
        next = next.min(last.clone());
    }
    if planted::is(Bug::ExpiriesPassedOver) && !notes.is_empty() {
        next = table.u64(u64::MAX);
    }
    Ok((notes, next.max(from)))
}

/// Up to `room` keys of what discarded sessions, collections and threads left, each followed by the note that told of it, and how far
/// that is.
fn remains(
    core: &Core,
    snapshot: &Snapshot,
    mut discarded: Discarded,
    room: usize,
) -> Result<(Vec<Vec<u8>>, Discarded)> {
    let mut keys = Vec::new();
    if discarded.round.is_none() {
        let last = core.sweeper.last_discard.load(Ordering::Acquire);
        if discarded.done.is_some_and(|done| done.0 >= last) {
            return Ok((keys, discarded));
        }
        let first = snapshot.key(Table::Garbage).u64(Remains::Session as u64);
        discarded.round = Some((snapshot.lsn(), first, 0, None));
    }
    let Some((began, from, mut table, mut row)) = discarded.round.take() else {
        return Ok((keys, discarded));
    };
    let mut notes = Vec::new();
    let end = snapshot.key(Table::Garbage).after_prefix();
    // One more than there is room for tells where to go on.
    snapshot.scan(&from, end.as_ref(), Page::Forward, &mut |key, _| {
        notes.push(key);
        Ok(notes.len() <= room)
    })?;
    for note in notes {
        let mut parts = note.components();
        let kind = Remains::from_number(parts.u64()?)?;
        let number = parts.u64()?;
        if kind == Remains::Unseen {
            let place = if parts.rest().is_empty() { None } else { Some(parts.u64()?) };
            let all = place.map_or((0, u64::MAX), |place| (place, place));
            let from = row.take().map(|row| message::place_of(&row)).transpose()?;
            let rest = (from.unwrap_or(all.0), all.1);
            if let Some(next) = message::unseen(snapshot, number, rest, room, &mut keys)? {
                let next = snapshot.key(Table::Message).u64(number).u64(next);
                discarded.round = Some((began, note, table, Some(next)));
                return Ok((keys, discarded));
            }
        }
        while let Some(&of) = kind.tables().get(table).filter(|_| keys.len() < room) {
            let prefix = snapshot.key(of).u64(number);
            let start = row.take().unwrap_or_else(|| prefix.clone());
            snapshot.scan(&start, prefix.after_prefix().as_ref(), Page::Forward, &mut |key, _| {
                if keys.len() == room {
                    row = Some(key);
                    return Ok(false);
                }
                keys.push(key.into_bytes());
                Ok(true)
            })?;
            if row.is_some() {
                break;
            }
            table += 1;
        }
        if keys.len() == room {
            discarded.round = Some((began, note, table, row));
            return Ok((keys, discarded));
        }
        keys.push(note.into_bytes());
        table = 0;
    }
    discarded.done = Some(began);
    Ok((keys, discarded))
}

/// Sweeps a batch of a deleted namespace, or forgets it if nothing is left.
fn sweep_namespace(
    core: &Arc<Core>,
    system: &Snapshot,
    stand: &mut Stand,
    number: NamespaceId,
) -> Result<()> {
    stand.expiries.remove(&number);
    stand.discarded.remove(&number);
    let all = Key::namespace(number);
    let from = match stand.namespace.take() {
        Some((swept, from)) if swept == number => from,
        _ => all.clone(),
    };
    let (mut keys, mut next) = (Vec::new(), None);
    system.scan(&from, all.after_prefix().as_ref(), Page::Forward, &mut |key, _| {
        if keys.len() == BATCH {
            next = Some(key);
            return Ok(false);
        }
        keys.push(key.into_bytes());
        Ok(true)
    })?;
    if !keys.is_empty() {
        core.submit_internal(number, Box::new(Sweep { notes: Vec::new(), remains: keys, whole: true }))?;
    }
    if next.is_none() {
        modules::blob::remove_namespace(core, number)?;
        core.submit_internal(NamespaceId::SYSTEM, Box::new(ForgetNamespace { number: number.number() }))?;
    }
    stand.namespace = next.map(|from| (number, from));
    Ok(())
}

/// A batch of the sweeper in one namespace.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Sweep {
    /// Keys of notes of expiries.
    notes: Vec<Vec<u8>>,
    /// Keys of rows that nobody can change any more.
    remains: Vec<Vec<u8>>,
    /// Whether everything else goes, too.
    whole: bool,
}

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
    type Response = ();
    const ABOUT: About = internal(OPERATION);
}

impl WriteRequest for Sweep {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        for note in &self.notes {
            let note = Key::from_bytes(note.clone());
            let mut parts = note.components();
            if parts.u64()? <= tx.now().micros().unsigned_abs() {
                modules::expire(tx, &Key::from_bytes(parts.rest().to_vec()))?;
                tx.delete(note)?;
            }
        }
        if self.whole {
            tx.forget();
        }
        for key in &self.remains {
            let key = Key::from_bytes(key.clone());
            if !self.whole {
                modules::checkpoint::forget(tx, &key)?;
                modules::link::forget(tx, &key)?;
            }
            tx.delete(key)?;
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.notes.iter().chain(&self.remains).map(|key| 32 + key.len()).sum()
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
        let queued = self.enqueue(namespace, vec![write], WriteOptions::default(), Origin::Engine)?;
        self.drive_until(&queued).map(drop)
    }

    /// The same of one whose answer is wanted.
    pub(crate) fn decide_internal<R: WriteRequest>(
        self: &Arc<Self>,
        namespace: NamespaceId,
        request: R,
    ) -> Result<R::Response> {
        let options = WriteOptions::default();
        let queued = self.enqueue(namespace, vec![Box::new(request)], options, Origin::Engine)?;
        Ok(crate::request::typed::<R>(self.clone(), queued).wait()?.response)
    }
}
