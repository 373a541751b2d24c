//! Nodes: what stands for a record at the ends of its links, as long as the record is there.

use agentdb_types::Result;

use super::{back_key, corrupt, ends, key};
use crate::key::Key;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::sweep::{self, Remains};
use crate::tx::Tx;
use crate::{Row, Table};

/// Where a node's record lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the collection.
    pub(crate) collection: u64,
    pub(crate) record: String,
}

impl Place {
    pub(crate) fn decode(body: &[u8]) -> Result<Self> {
        let malformed = || corrupt("the row of a node is malformed");
        let (number, record) = body.split_first_chunk().ok_or_else(malformed)?;
        let record = String::from_utf8(record.to_vec()).map_err(|_| malformed())?;
        Ok(Place { collection: u64::from_le_bytes(*number), record })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.collection.to_le_bytes(), self.record.as_bytes()].concat()
    }

    /// Of the record with this key.
    fn of(key: &Key) -> Result<Self> {
        let mut parts = key.components();
        Ok(Place { collection: parts.u64()?, record: parts.text()? })
    }
}

fn node_key(rows: &dyn Read, node: u64) -> Key {
    rows.key(Table::Node).u64(node)
}

/// The node in a row of [`Table::NodeOfRecord`].
pub(super) fn number(row: &Row) -> Result<u64> {
    let bytes = row.body[..].try_into();
    bytes.map(u64::from_le_bytes).map_err(|_| corrupt("the number of a node is malformed"))
}

/// The node of the record with this key, if it has one.
pub(super) fn of(rows: &dyn Read, record: &Key) -> Result<Option<u64>> {
    rows.get(&record.in_table(Table::NodeOfRecord))?.map(|row| number(&row)).transpose()
}

/// Where the record of a node lies; none if it was deleted.
pub(super) fn place(rows: &dyn Read, node: u64) -> Result<Option<Place>> {
    rows.get(&node_key(rows, node))?.map(|row| Place::decode(&row.body)).transpose()
}

/// The node of a record that is there, a new one if it has none yet.
pub(super) fn allot(tx: &mut Tx<'_>, record: &Key) -> Result<u64> {
    if let Some(node) = of(tx, record)? {
        return Ok(node);
    }
    let node = tx.add(tx.counter("nodes"), 1)?.unsigned_abs();
    tx.put_bookkeeping(node_key(tx, node), Place::of(record)?.encode())?;
    tx.put_bookkeeping(record.in_table(Table::NodeOfRecord), node.to_le_bytes().to_vec())?;
    Ok(node)
}

/// Tells in the log which record a node stands for. Who does so tells the name of the collection, too.
pub(super) fn tell(tx: &mut Tx<'_>, node: u64, record: &Key) -> Result<()> {
    let Place { collection, record } = Place::of(record)?;
    tx.name(Table::Node, &[node, collection], &record);
    Ok(())
}

/// Takes all links from a record that is about to be deleted, or to be another one; their rows are swept.
pub(crate) fn leave(tx: &mut Tx<'_>, record: &Key) -> Result<()> {
    if planted::is(Bug::LinksOfTheDead) {
        return Ok(());
    }
    let Some(node) = of(tx, record)? else { return Ok(()) };
    tell(tx, node, record)?;
    tx.delete_bookkeeping(record.in_table(Table::NodeOfRecord))?;
    tx.delete_bookkeeping(node_key(tx, node))?;
    sweep::discard_unnamed(tx, Remains::Node, node)
}

/// Deletes what hangs on a row, before the sweeper deletes it: the other row of a link; the node of a record whose collection
/// is gone.
pub(crate) fn forget(tx: &mut Tx<'_>, swept: &Key) -> Result<()> {
    match Key::table_of(swept.as_bytes()).and_then(Table::from_number) {
        Some(Table::NodeOfRecord) => {
            // It may have expired since, and its node with it.
            let Some(row) = tx.get(swept)? else { return Ok(()) };
            let node = number(&row)?;
            tx.delete_bookkeeping(node_key(tx, node))?;
            sweep::discard_unnamed(tx, Remains::Node, node)
        }
        Some(Table::Link | Table::LinkBack) if planted::is(Bug::LinksHalfSwept) => Ok(()),
        Some(Table::Link) => {
            let (from, link_type, to) = ends(swept)?;
            tx.delete_bookkeeping(back_key(tx, from, &link_type, to))
        }
        Some(Table::LinkBack) => {
            let (to, link_type, from) = ends(swept)?;
            tx.delete_bookkeeping(key(tx, from, &link_type, to))
        }
        _ => Ok(()),
    }
}
