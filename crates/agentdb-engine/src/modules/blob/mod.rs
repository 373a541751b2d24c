//! Blobs: bytes addressed by content within a namespace. The address is the BLAKE3 hash of the bytes, 64 lowercase
//! hexadecimal digits. The bytes lie in `blobs/<namespace number>/<first two digits>/<address>`, exactly as given; what
//! is known of them is a row.
//!
//! Row, format version 1: version byte, length of the head `u32`, the head as JSON, then the CRC-32C `u32` of each
//! block of 256 KiB of the bytes, little-endian, so that a range is checked without reading the rest.
//!
//! # Why no crash and no race loses a blob
//!
//! *A row that survives finds its file.* An upload writes a file of its own under `blobs/new`, syncs it, renames it to
//! its address and syncs the directories, in this order, and only then hands the row to the sequencer. So whenever the
//! log holds the row, the entry of a file with synced contents is durable. A rename onto an existing file replaces
//! it atomically, with the same bytes or, if the old ones were damaged, better ones. A failed sync of a directory
//! poisons the handle, since what it was to make durable is unknown.
//!
//! *A file that goes has no row.* `blob.delete` takes the row and notes in the same batch when the file may go: an hour
//! later, for those who read from older snapshots. `blob.put` takes the note back in the batch that puts the row. So
//! row and note never coexist. The collector removes a file only if, at an LSN up to which the log is durable, there is
//! no row, and no note or a due one; and if no upload of this address is under way: uploads announce themselves before
//! they rename and until their row is answered, and the collector looks and removes under the lock of that list. A
//! later row therefore comes from an upload that renames after the removal. A crash can take the log back to
//! no LSN at which the row still stood, since the one looked at is durable.
//!
//! *What a crash leaves is found.* Between the removal and the commit that takes the note, the note stays and the
//! removal is done again. An upload that got no row leaves a file that no row and no note names: it is removed at once
//! if this process is still there to do so, else by the collector after the next opening, which looks at every file
//! once. Unfinished uploads in `blobs/new` are removed when the database is opened. A deleted namespace takes its
//! directory along when its last row is swept.

mod collect;
mod delete;
mod directory;
mod get;
mod list;
mod put;
mod reader;
pub(crate) mod row;
mod share;
mod stat;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;

pub(crate) use collect::{remove_namespace, step};
pub use delete::{Delete, Deleted};
pub(crate) use directory::Blobs;
pub use get::Get;
pub use list::{List, Listed};
pub use put::{Put, Stored};
pub use reader::BlobReader;
pub(crate) use share::share;
pub use stat::{Entry, Stat};
pub use transfer::{BlobLine, BytesLine};

use agentdb_types::{Code, Error, Result};

use crate::key::Key;
use crate::operation::{Operation, Shape};
use crate::read::Read;
use crate::rows::BaseSnapshot;
use crate::{NamespaceId, Snapshot, Table, history};

/// Digits of an address.
const ADDRESS_DIGITS: usize = 64;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Delete>(),
        Operation::shaped::<Get>(Shape::Stream),
        Operation::read::<List>(),
        Operation::shaped::<Put>(Shape::Upload),
        Operation::read::<Stat>(),
    ]
}

/// Checks the form of an address. Only one spelling is an address, so that no two name the same bytes.
fn check_address(address: &str) -> Result<()> {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if address.len() == ADDRESS_DIGITS && address.bytes().all(digit) {
        return Ok(());
    }
    Err(Error::new(Code::InvalidValue)
        .with("field", "blob")
        .with("reason", "an address is 64 lowercase hexadecimal digits, the BLAKE3 hash of the bytes"))
}

fn row_key(rows: &dyn Read, address: &str) -> Result<Key> {
    check_address(address)?;
    Ok(rows.key(Table::Blob).text(address))
}

/// Where it stands when the file of a deleted blob may go.
fn due_key(rows: &dyn Read, address: &str) -> Key {
    rows.key(Table::BlobDue).text(address)
}

/// The note for the collector.
fn note_key(rows: &dyn Read, due: u64, address: &str) -> Key {
    rows.key(Table::BlobGarbage).u64(due).text(address)
}

/// When the file of a deleted blob may go.
fn due(rows: &dyn Read, address: &str) -> Result<Option<u64>> {
    let Some(row) = rows.get(&due_key(rows, address))? else { return Ok(None) };
    let bytes = row.body[..].try_into();
    let bytes = bytes.map_err(|_| {
        Error::new(Code::RowsCorrupt).with("reason", "the time of a blob's note is malformed")
    })?;
    Ok(Some(u64::from_le_bytes(bytes)))
}

/// Reads the blob of a row's key and tells whether it is whole; false if it was deleted since.
pub(crate) fn check(snapshot: &Snapshot, key: &[u8], visit: &mut dyn FnMut(u64)) -> Result<bool> {
    let namespace = Key::namespace_of(key).unwrap_or(NamespaceId::SYSTEM);
    let address = Key::from_bytes(key.to_vec()).components().text()?;
    match get::open(&snapshot.in_namespace(namespace), &address).and_then(|reader| reader.check(visit)) {
        Ok(()) => Ok(true),
        Err(err) if err.code() == Code::BlobNotFound => Ok(false),
        Err(err) => Err(err.with("namespace", namespace.number())),
    }
}

/// The blobs of a namespace, by the rows of a base: addresses and lengths.
pub(crate) fn stored(base: &BaseSnapshot, namespace: NamespaceId) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for row in base.rows(&Key::new(namespace, Table::Blob)) {
        let (key, row) = row?;
        let address = Key::from_bytes(key).components().text()?;
        check_address(&address)?;
        found.push((address, row::BlobRow::decode(&row.body)?.head.bytes));
    }
    Ok(found)
}

/// The blobs of which a base has no row any more, but versions that ended: whoever forks the namespace as it was needs them.
pub(crate) fn ended(base: &BaseSnapshot, namespace: NamespaceId) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for row in base.rows(&Key::new(namespace, Table::History).raw(&[Table::Blob as u8])) {
        let (key, _) = row?;
        let (key, _) = history::versioned(&Key::from_bytes(key))?;
        let address = key.components().text()?;
        check_address(&address)?;
        if found.last() != Some(&address) {
            found.push(address);
        }
    }
    Ok(found)
}

fn not_found(address: &str) -> Error {
    Error::new(Code::BlobNotFound).with("blob", address)
}

pub(crate) fn corrupt(address: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::BlobCorrupt).with("blob", address).with("reason", reason)
}
