//! Nodes: what stands for a record at the ends of its links, as long as the record is there.

use agentdb_types::Result;

use super::{Ends, back_key, corrupt, key};
use crate::key::Key;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Row, Table};

/// A node, and where its record lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the collection.
    pub(crate) collection: u64,
    pub(crate) record: String,
    pub(crate) node: u64,
}

impl Place {
    /// From the note that a node which is gone leaves to the sweeper.
    pub(crate) fn decode(node: u64, note: &[u8]) -> Result<Self> {
        let malformed = || corrupt("the note of a node is malformed");
        let (number, record) = note.split_first_chunk().ok_or_else(malformed)?;
        let record = String::from_utf8(record.to_vec()).map_err(|_| malformed())?;
        Ok(Place { collection: u64::from_le_bytes(*number), record, node })
    }

    /// The body of that note.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.collection.to_le_bytes(), self.record.as_bytes()].concat()
    }

    /// Of the record with this key.
    pub(super) fn of(key: &Key, node: u64) -> Result<Self> {
        let mut parts = key.components();
        Ok(Place { collection: parts.u64()?, record: parts.text()?, node })
    }
}

/// The node in a row.
pub(super) fn number(row: &Row) -> Result<u64> {
    let bytes = row.body[..].try_into();
    bytes.map(u64::from_le_bytes).map_err(|_| corrupt("the number of a node is malformed"))
}

/// The node of the record with this key, if it has one.
pub(super) fn of(rows: &dyn Read, record: &Key) -> Result<Option<u64>> {
    rows.get(&record.in_table(Table::Node))?.map(|row| number(&row)).transpose()
}

/// The node of a record that is there, a new one if it has none yet.
pub(super) fn allot(tx: &mut Tx<'_>, record: &Key) -> Result<u64> {
    if let Some(node) = of(tx, record)? {
        return Ok(node);
    }
    let node = tx.add(tx.counter("nodes"), 1)?.unsigned_abs();
    tx.put_bookkeeping(record.in_table(Table::Node), node.to_le_bytes().to_vec())?;
    Ok(node)
}

/// Takes all links from a record that is about to be deleted, or to be another one; their rows are swept.
pub(crate) fn leave(tx: &mut Tx<'_>, record: &Key) -> Result<()> {
    if planted::is(Bug::LinksOfTheDead) {
        return Ok(());
    }
    let Some(row) = tx.get(&record.in_table(Table::Node))? else { return Ok(()) };
    let place = Place::of(record, number(&row)?)?;
    if row.lsn != tx.lsn() {
        // What the same batch linked was never there, for all that a feed can tell.
        tx.name(Table::Garbage, &[Remains::Node as u64, place.node, place.collection], &place.record);
    }
    tx.delete_bookkeeping(record.in_table(Table::Node))?;
    discard(tx, &place)
}

fn note_key(rows: &dyn Read, node: u64) -> Key {
    rows.key(Table::Garbage).u64(Remains::Node as u64).u64(node)
}

fn discard(tx: &mut Tx<'_>, place: &Place) -> Result<()> {
    tx.put_bookkeeping(note_key(tx, place.node), place.encode())
}

/// The node that is gone, whose links are being swept.
fn swept(rows: &dyn Read, node: u64) -> Result<Place> {
    match rows.get(&note_key(rows, node))? {
        Some(note) => Place::decode(node, &note.body),
        None => Err(corrupt("links are swept whose node is there")),
    }
}

/// Deletes what hangs on a row, before the sweeper deletes it: the other row of a link; the links of a record whose collection
/// is gone.
pub(crate) fn forget(tx: &mut Tx<'_>, row: &Key) -> Result<()> {
    match Key::table_of(row.as_bytes()).and_then(Table::from_number) {
        Some(Table::Node) => {
            // The record may have expired since, and its node with it.
            let Some(found) = tx.get(row)? else { return Ok(()) };
            discard(tx, &Place::of(row, number(&found)?)?)
        }
        Some(Table::Link | Table::LinkBack) if planted::is(Bug::LinksHalfSwept) => Ok(()),
        Some(Table::Link) => {
            let Ends { node, link_type, other } = Ends::of(row)?;
            let from = swept(tx, node)?;
            tx.delete_bookkeeping(back_key(tx, &from, &link_type, other.node))
        }
        Some(Table::LinkBack) => {
            let Ends { node, link_type, other } = Ends::of(row)?;
            let to = swept(tx, node)?;
            tx.delete_bookkeeping(key(tx, other.node, &link_type, &to))
        }
        _ => Ok(()),
    }
}
