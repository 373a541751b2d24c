//! The numbers under which sessions, collections and threads keep their rows. A number is never used twice, so that what has a
//! name is deleted, or emptied, at once: its name gets another number or none, and what lies under the old one is swept later.
//!
//! A row of table `Name`, (kind, number) to the name, is there as long as the number is in use. Keys in the log hold numbers
//! alone; whoever writes rows under one names it there ([`Tx::name`]), so that a reader of the log needs nothing else.

use agentdb_types::{Code, Error, Result};

use crate::Table;
use crate::key::{Key, NamespaceId};
use crate::read::Read;
use crate::rows::Reader;
use crate::sweep::Remains;
use crate::tx::Tx;

impl Remains {
    /// The table of what has the number; none for namespaces, whose numbers are in every key.
    pub(crate) fn table(self) -> Option<Table> {
        match self {
            Remains::Namespace | Remains::Messages | Remains::Unseen | Remains::Node => None,
            Remains::Session => Some(Table::Session),
            Remains::Collection => Some(Table::Collection),
            Remains::Thread => Some(Table::Thread),
        }
    }
}

fn key(rows: &dyn Read, kind: Remains, number: u64) -> Key {
    rows.key(Table::Name).u64(kind as u64).u64(number)
}

/// A number for what has this name.
pub(crate) fn allot(tx: &mut Tx<'_>, kind: Remains, counter: &str, name: &str) -> Result<u64> {
    let number = tx.add(tx.counter(counter), 1)?.unsigned_abs();
    tx.put_bookkeeping(key(tx, kind, number), name.as_bytes().to_vec())?;
    tell(tx, kind, number, name);
    Ok(number)
}

/// Gives what has a number another name.
pub(crate) fn rename(tx: &mut Tx<'_>, kind: Remains, number: u64, name: &str) -> Result<()> {
    tx.put_bookkeeping(key(tx, kind, number), name.as_bytes().to_vec())?;
    tell(tx, kind, number, name);
    Ok(())
}

/// Takes a number out of use, which had this name.
pub(crate) fn release(tx: &mut Tx<'_>, kind: Remains, number: u64, name: &str) -> Result<()> {
    tell(tx, kind, number, name);
    tx.delete_bookkeeping(key(tx, kind, number))
}

/// Tells in the log which name a number has.
pub(crate) fn tell(tx: &mut Tx<'_>, kind: Remains, number: u64, name: &str) {
    if let Some(table) = kind.table() {
        tx.name(table, &[number], name);
    }
}

/// Tells it of a number of which only the rows know the name; nothing if it is out of use.
pub(crate) fn tell_if_used(tx: &mut Tx<'_>, kind: Remains, number: u64) -> Result<()> {
    if let Some(row) = tx.get(&key(tx, kind, number))? {
        tell(tx, kind, number, &name(&row.body)?);
    }
    Ok(())
}

/// The name that a number has; none if it is out of use.
pub(crate) fn name_of(rows: &dyn Read, kind: Remains, number: u64) -> Result<Option<String>> {
    rows.get(&key(rows, kind, number))?.map(|row| name(&row.body)).transpose()
}

/// Whether a number of a namespace is in use.
pub(crate) fn is_used(rows: &Reader, namespace: NamespaceId, kind: Remains, number: u64) -> Result<bool> {
    let key = Key::new(namespace, Table::Name).u64(kind as u64).u64(number);
    Ok(rows.get(key.as_bytes())?.is_some())
}

/// The name in a row.
pub(crate) fn name(body: &[u8]) -> Result<String> {
    let malformed = |_| Error::new(Code::RowsCorrupt).with("reason", "the name of a number is malformed");
    String::from_utf8(body.to_vec()).map_err(malformed)
}
