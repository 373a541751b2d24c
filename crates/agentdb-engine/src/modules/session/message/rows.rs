//! Messages as rows, for what takes all of a session's.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result, limits};

use super::super::Session;
use super::{Body, id_key, layers, row_key, tell};
use crate::read::{Page, Read};
use crate::tx::Tx;
use crate::{Row, row_json};

/// Rows of messages by their sequence numbers.
pub(in crate::modules::session) type Rows = BTreeMap<u64, Row>;

/// The messages of a session up to some sequence number.
///
/// # Errors
/// [`Code::BatchTooLarge`] if they are more than a batch could write.
pub(in crate::modules::session) fn all(rows: &dyn Read, of: &Session, through: u64) -> Result<Rows> {
    let mut found = Rows::new();
    of.layers(rows)?.scan(rows, (0, through), Page::Forward, &mut |sequence, row| {
        found.insert(sequence, row);
        Ok(found.len() <= limits::BATCH_MUTATIONS)
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

/// Writes a message as it is into a session. Its tally is still to be written.
pub(in crate::modules::session) fn put(
    tx: &mut Tx<'_>,
    to: (&str, &mut Session),
    sequence: u64,
    row: &Row,
) -> Result<()> {
    put_body(tx, to, sequence, (&id(row)?, row.body.to_vec()))
}

/// The same of one that is not a row yet.
pub(super) fn put_body(
    tx: &mut Tx<'_>,
    (session, to): (&str, &mut Session),
    sequence: u64,
    (message, body): (&str, Vec<u8>),
) -> Result<()> {
    let layers = layers::to_edit(tx, to, sequence)?;
    tell(tx, session, layers.own, message, sequence);
    let id = id_key(tx, layers.own, message)?;
    tx.put_bookkeeping(id, sequence.to_le_bytes().to_vec())?;
    tx.put(row_key(tx, layers.own, sequence), body)?;
    layers::hidden(tx, &layers, sequence)
}

/// Deletes a message from a session. Its tally is still to be written.
pub(in crate::modules::session) fn delete(
    tx: &mut Tx<'_>,
    from: (&str, &mut Session),
    sequence: u64,
    row: &Row,
) -> Result<()> {
    delete_id(tx, from, sequence, &id(row)?)
}

/// The same of one whose id is known.
pub(super) fn delete_id(
    tx: &mut Tx<'_>,
    (session, from): (&str, &mut Session),
    sequence: u64,
    message: &str,
) -> Result<()> {
    let layers = layers::to_edit(tx, from, sequence)?;
    tell(tx, session, layers.own, message, sequence);
    layers::delete(tx, &layers, sequence, message)
}
