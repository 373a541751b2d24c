//! From the mutations of a batch to changes of things.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_types::{Code, Error, Lsn, Result};

use super::{Change as Told, Kind, Thing};
use crate::key::{Key, NamespaceId};
use crate::modules::link;
use crate::modules::session::{self, Base};
use crate::mutation::{Body, Change, Entry, Mutation};
use crate::planted::{self, Bug};
use crate::sweep::{self, Remains};
use crate::{Table, retain};

/// A change, and the key of the row that tells its version.
pub(super) struct Found {
    pub(super) told: Told,
    pub(super) row: Vec<u8>,
}

/// What a batch changes in a namespace, in the order of the rows' keys: what a number lost before what it gets.
pub(super) fn of(entry: &Entry, namespace: NamespaceId, lsn: Lsn) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let batch = Batch::new(entry, namespace, lsn)?;
    for mutation in &entry.mutations {
        let thing = if Key::namespace_of(&mutation.key) == Some(namespace) {
            batch.thing(mutation)?
        } else {
            let buries = sweep::buried_by(&mutation.key) == Some(namespace.number());
            (buries && !is_delete(mutation)).then_some((Thing::Namespace, Kind::Deleted))
        };
        if let Some((thing, kind)) = thing {
            let base = match (&thing, kind) {
                (Thing::Session { session }, Kind::Put) => batch.bases.get(session).cloned(),
                _ => None,
            };
            let told = Told { thing, kind, base, value: None, superseded: false };
            found.push(Found { told, row: mutation.key.clone() });
        }
    }
    Ok(found)
}

fn is_delete(mutation: &Mutation) -> bool {
    matches!(mutation.body, Body::Clear(Change::Delete))
}

/// The session that a list of layers belongs to, and what it starts with, if it was forked.
fn base_of(entry: &Entry, mutation: &Mutation) -> Result<Option<(String, Base)>> {
    let number = Key::from_bytes(mutation.key.clone()).components().u64()?;
    let fork = entry.names.get(Table::Session, &[number]);
    let base = entry.names.first_of(Table::MessageLayer, &[number]);
    Ok(fork.zip(base).and_then(|(fork, (numbers, session))| {
        let [through_sequence, lsn] = numbers[..] else { return None };
        Some((fork.to_owned(), Base { session: session.to_owned(), through_sequence, lsn: Lsn(lsn) }))
    }))
}

/// A batch, with what its changes have to do with each other.
struct Batch<'a> {
    entry: &'a Entry,
    lsn: Lsn,
    /// Whether the sweeper did it.
    sweeps: bool,
    /// Whether what it deletes was kept for as long as it was to be: a time to live had passed, or retention let it go.
    expires: bool,
    /// Numbers that it takes out of use: their rows are not there any more, whatever it does to them.
    discarded: BTreeSet<(u64, u64)>,
    /// Rows of sessions, collections and threads that it deletes.
    deleted: BTreeSet<&'a [u8]>,
    /// What sessions start with that it forks.
    bases: BTreeMap<String, Base>,
    namespace: NamespaceId,
}

impl<'a> Batch<'a> {
    fn new(entry: &'a Entry, namespace: NamespaceId, lsn: Lsn) -> Result<Self> {
        let sweeps = entry.operation == sweep::OPERATION;
        let expires = sweeps || entry.operation == retain::OPERATION;
        let (mut discarded, mut deleted) = (BTreeSet::new(), BTreeSet::new());
        let mut bases = BTreeMap::new();
        let own = |mutation: &&Mutation| Key::namespace_of(&mutation.key) == Some(namespace);
        for mutation in entry.mutations.iter().filter(own) {
            match (Key::table_of(&mutation.key).and_then(Table::from_number), is_delete(mutation)) {
                (Some(Table::Garbage), false) if !planted::is(Bug::DiscardedRowsShown) => {
                    let key = Key::from_bytes(mutation.key.clone());
                    let mut parts = key.components();
                    discarded.insert((parts.u64()?, parts.u64()?));
                }
                (Some(Table::MessageLayer), false) => bases.extend(base_of(entry, mutation)?),
                (Some(Table::MessageLayerUse), false) if session::message::is_gone(mutation) => {
                    let layer = Key::from_bytes(mutation.key.clone()).components().u64()?;
                    discarded.insert((Remains::Session as u64, layer));
                }
                (Some(Table::Session | Table::Collection | Table::Thread), true) => {
                    deleted.insert(&mutation.key[..]);
                }
                _ => {}
            }
        }
        Ok(Batch { entry, lsn, sweeps, expires, discarded, deleted, bases, namespace })
    }

    /// What a mutation does to what, if it is more than bookkeeping.
    fn thing(&self, mutation: &Mutation) -> Result<Option<(Thing, Kind)>> {
        let key = Key::from_bytes(mutation.key.clone());
        let mut parts = key.components();
        let mut deletes = is_delete(mutation);
        let Some(table) = Key::table_of(&mutation.key).and_then(Table::from_number) else {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", format_args!("a batch of the log, LSN {}", self.lsn))
                .with("actual", format_args!("a table of number {:?}", Key::table_of(&mutation.key)))
                .with("supported", "those that it knows"));
        };
        let thing = match table {
            Table::State => Thing::State { owner: parts.text()?, key: parts.text()? },
            Table::Session => Thing::Session { session: parts.text()? },
            Table::Message => {
                let number = parts.u64()?;
                let sequence = parts.u64()?;
                // Of a message that lies further down, too.
                deletes |= matches!(&mutation.body, Body::Clear(Change::Put(body)) if body.is_empty());
                let Some(session) = self.owner(Remains::Session, number)? else { return Ok(None) };
                let Some(message) = self.message(number, sequence, deletes)? else { return Ok(None) };
                Thing::Message { session, message, sequence }
            }
            Table::Blob => Thing::Blob { blob: parts.text()? },
            Table::Item => {
                let (path, key) = crate::modules::item::place(&key)?;
                Thing::Item { path, key }
            }
            Table::ToolCall => Thing::ToolCall { owner: parts.text()?, key: parts.text()? },
            // It is told by the name of its number when it is created; what is put later is bookkeeping.
            Table::Collection if deletes => Thing::Collection { collection: parts.text()? },
            Table::Record => {
                let Some(collection) = self.owner(Remains::Collection, parts.u64()?)? else {
                    return Ok(None);
                };
                Thing::Record { collection, record: parts.text()? }
            }
            Table::Thread => Thing::Thread { thread: parts.text()? },
            Table::Checkpoint => {
                let Some(thread) = self.owner(Remains::Thread, parts.u64()?)? else { return Ok(None) };
                Thing::Checkpoint { thread, namespace: parts.text()?, checkpoint: parts.text()? }
            }
            Table::CheckpointWrite => {
                let Some(thread) = self.owner(Remains::Thread, parts.u64()?)? else { return Ok(None) };
                let (namespace, checkpoint) = (parts.text()?, parts.text()?);
                let (task, index) = (parts.text()?, crate::modules::checkpoint::index_of(parts.u64()?));
                Thing::CheckpointWrite { thread, namespace, checkpoint, task, index }
            }
            Table::Link => {
                let link::Ends { node, link_type, other } = link::Ends::of(&key)?;
                let (Some((from, record)), false) = (self.node(node)?, self.is_left(other.node)) else {
                    return Ok(None);
                };
                let (Some(collection), Some(to_collection)) = (
                    self.owner(Remains::Collection, from)?,
                    self.owner(Remains::Collection, other.collection)?,
                ) else {
                    return Ok(None);
                };
                Thing::Link { collection, record, link_type, to_collection, to: other.record }
            }
            // The note of links that were there, and go with their record.
            Table::Garbage if !deletes => {
                let (kind, number) = (parts.u64()?, parts.u64()?);
                let Some((of, record)) = self.entry.names.under(Table::Garbage, &[kind, number]) else {
                    return Ok(None);
                };
                let Some(collection) = self.owner(Remains::Collection, of)? else { return Ok(None) };
                deletes = true;
                Thing::Links { collection, record: record.to_owned() }
            }
            Table::Name => return self.number(parts.u64()?, parts.u64()?, mutation),
            Table::Collection
            | Table::Counter
            | Table::Namespace
            | Table::Garbage
            | Table::Idempotency
            | Table::Expiry
            | Table::SessionByOwner
            | Table::MessageById
            | Table::SessionTally
            | Table::MessageLayer
            | Table::MessageLayerUse
            | Table::ItemExpiry
            | Table::ItemIndex
            | Table::ToolCallByState
            | Table::ToolCallByTool
            | Table::Node
            | Table::LinkBack
            | Table::History
            | Table::Retention
            | Table::Policy
            | Table::Moment
            | Table::Import
            | Table::Load
            | Table::BlobGarbage
            | Table::BlobDue
            | Table::Vector
            | Table::CheckpointByRun
            | Table::ChannelVersion
            | Table::ChannelContent
            | Table::ChannelContentCount
            | Table::Job
            | Table::Fork
            | Table::ForkBlob => return Ok(None),
        };
        Ok(Some((thing, self.kind(deletes))))
    }

    fn kind(&self, deletes: bool) -> Kind {
        match (deletes, self.expires) {
            (false, _) => Kind::Put,
            (true, false) => Kind::Deleted,
            (true, true) => Kind::Expired,
        }
    }

    /// What has the number under which a row lies; none if the row is gone with it.
    fn owner(&self, kind: Remains, number: u64) -> Result<Option<String>> {
        if self.discarded.contains(&(kind as u64, number)) {
            return Ok(None);
        }
        match kind.table().and_then(|table| self.entry.names.get(table, &[number])) {
            Some(name) => Ok(Some(name.to_owned())),
            // The sweeper takes what numbers left that are out of use.
            None if self.sweeps => Ok(None),
            None => Err(self.unnamed(format_args!("number {number}"))),
        }
    }

    /// Whether the batch takes this node from its record.
    fn is_left(&self, node: u64) -> bool {
        self.discarded.contains(&(Remains::Node as u64, node))
    }

    /// The number of the collection and the id of the record that a node stands for; none if it does not any more.
    fn node(&self, node: u64) -> Result<Option<(u64, String)>> {
        if self.is_left(node) {
            return Ok(None);
        }
        match self.entry.names.under(Table::Node, &[node]) {
            Some((number, record)) => Ok(Some((number, record.to_owned()))),
            // The sweeper takes what nodes left that are gone.
            None if self.sweeps => Ok(None),
            None => Err(self.unnamed(format_args!("node {node}"))),
        }
    }

    /// The id of a message: in the key of another row if it was appended, or took the place of one that the batch deletes; else
    /// told beside the batch; none if nobody saw it any more.
    fn message(&self, number: u64, sequence: u64, deletes: bool) -> Result<Option<String>> {
        if !deletes && let Some(message) = self.message_put(number, sequence)? {
            return Ok(Some(message));
        }
        match self.entry.names.get(Table::Message, &[number, sequence]) {
            Some(message) => Ok(Some(message.to_owned())),
            // The sweeper deletes what others left, of a layer that may have the number of a session which it lets expire.
            None if self.sweeps => Ok(None),
            None => Err(self.unnamed(format_args!("message {sequence} of number {number}"))),
        }
    }

    fn message_put(&self, number: u64, sequence: u64) -> Result<Option<String>> {
        let prefix = Key::new(self.namespace, Table::MessageById).u64(number);
        let from = self.entry.mutations.partition_point(|m| m.key[..] < *prefix.as_bytes());
        let ids = self.entry.mutations[from..].iter().take_while(|m| m.key.starts_with(prefix.as_bytes()));
        for mutation in ids {
            if matches!(&mutation.body, Body::Clear(Change::Put(body)) if body[..] == sequence.to_le_bytes())
            {
                let key = Key::from_bytes(mutation.key.clone());
                let mut parts = key.components();
                parts.u64()?;
                return parts.text().map(Some);
            }
        }
        Ok(None)
    }

    /// What it means that a number is taken into use, or out of it.
    fn number(&self, kind: u64, number: u64, mutation: &Mutation) -> Result<Option<(Thing, Kind)>> {
        let kind = Remains::from_number(kind)?;
        let Some(table) = kind.table() else { return Ok(None) };
        let name = self.entry.names.get(table, &[number]).map(str::to_owned);
        let name = name.ok_or_else(|| self.unnamed(format_args!("number {number}")))?;
        if !is_delete(mutation) {
            return match kind {
                Remains::Collection => Ok(Some((Thing::Collection { collection: name }, Kind::Put))),
                _ => Ok(None),
            };
        }
        let head = Key::new(self.namespace, table).text(&name);
        if self.deleted.contains(head.as_bytes()) {
            // Told by the row that has the name.
            return Ok(None);
        }
        let all = match kind {
            Remains::Session => Thing::Messages { session: name },
            Remains::Collection => Thing::Records { collection: name },
            Remains::Thread => Thing::Checkpoints { thread: name },
            Remains::Namespace | Remains::Messages | Remains::Unseen | Remains::Node => {
                return Ok(None);
            }
        };
        Ok(Some((all, Kind::Deleted)))
    }

    fn unnamed(&self, what: impl std::fmt::Display) -> Error {
        Error::new(Code::LogCorrupt)
            .with("segment", "(a group whose checksum holds)")
            .with("offset", 0)
            .with("lsn", self.lsn)
            .with("reason", format_args!("the name of {what} is missing"))
    }
}
