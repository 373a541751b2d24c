//! Messages as rows, for what takes all of a session's.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result, limits};

use super::{Body, id_key, row_key, tell};
use crate::read::{Page, Read};
use crate::tx::Tx;
use crate::{Row, Table, row_json};

/// Rows of messages by their sequence numbers.
pub(in crate::modules::session) type Rows = BTreeMap<u64, Row>;

/// The messages of a session up to some sequence number.
///
/// # Errors
/// [`Code::BatchTooLarge`] if they are more than a batch could write.
pub(in crate::modules::session) fn all(rows: &dyn Read, number: u64, through: u64) -> Result<Rows> {
    let prefix = rows.key(Table::Message).u64(number);
    let mut found = Rows::new();
    rows.scan_prefix(&prefix, Page::Forward, &mut |key, row| {
        let mut parts = key.components();
        parts.u64()?;
        let sequence = parts.u64()?;
        if sequence <= through {
            found.insert(sequence, row);
        }
        Ok(sequence < through && found.len() <= limits::BATCH_MUTATIONS)
    })?;
    if found.len() > limits::BATCH_MUTATIONS {
        return Err(Error::new(Code::BatchTooLarge)
            .with("actual", format_args!("more than {}", limits::BATCH_MUTATIONS))
            .with("unit", "messages")
            .with("limit", limits::BATCH_MUTATIONS));
    }
    Ok(found)
}

fn id(row: &Row) -> Result<String> {
    Ok(row_json::decode::<Body>(row)?.message)
}

/// Writes a message as it is into a session, which has this number.
pub(in crate::modules::session) fn put(
    tx: &mut Tx<'_>,
    (session, number): (&str, u64),
    sequence: u64,
    row: &Row,
) -> Result<()> {
    let message = id(row)?;
    tell(tx, session, number, &message, sequence);
    let id = id_key(tx, number, &message)?;
    tx.put_bookkeeping(id, sequence.to_le_bytes().to_vec())?;
    tx.put(row_key(tx, number, sequence), row.body.to_vec())
}

/// Deletes a message from a session, which has this number.
pub(in crate::modules::session) fn delete(
    tx: &mut Tx<'_>,
    (session, number): (&str, u64),
    sequence: u64,
    row: &Row,
) -> Result<()> {
    let message = id(row)?;
    tell(tx, session, number, &message, sequence);
    let id = id_key(tx, number, &message)?;
    tx.delete(id)?;
    tx.delete(row_key(tx, number, sequence))
}
