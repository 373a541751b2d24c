//! What changes with every message of a session, in one row.
//!
//! Row, format version 1: a version byte, then little-endian integers of eight bytes: the time of the last change in
//! microseconds, the last sequence number that was given, how many messages there are; and unless all of them are 0, what
//! sharing messages needs (`message/layers.rs`): `layer`, `shared`, `edited`.

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};

use crate::key::Key;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Row, Table};

const ROW_VERSION: u8 = 1;

/// The tally of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// When the session, or one of its messages, was last changed.
    pub(crate) touched: Timestamp,
    /// The sequence number that was given last.
    pub(crate) sequence: u64,
    /// How many messages there are.
    pub(crate) messages: u64,
    /// The layer that its messages are written into, which lies on others; 0 if that is the one of the session's number, and lies on
    /// none.
    pub(crate) layer: u64,
    /// The sequence number up to which others may see that layer.
    pub(crate) shared: u64,
    /// The batch that last changed or deleted a message, or put one elsewhere than at the end.
    pub(crate) edited: Lsn,
}

fn row_key(rows: &dyn Read, number: u64) -> Key {
    rows.key(Table::SessionTally).u64(number)
}

impl Tally {
    pub(in crate::modules::session) fn load(rows: &dyn Read, number: u64) -> Result<Self> {
        match rows.get(&row_key(rows, number))? {
            Some(row) => Tally::decode(&row),
            None => Err(Error::new(Code::RowsCorrupt).with("reason", "a session has no tally")),
        }
    }

    pub(crate) fn decode(row: &Row) -> Result<Self> {
        let malformed = || Error::new(Code::RowsCorrupt).with("reason", "a session's tally is malformed");
        let (&version, rest) = row.body.split_first().ok_or_else(malformed)?;
        if version != ROW_VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", "a session's tally")
                .with("actual", version)
                .with("supported", ROW_VERSION));
        }
        let (integers, rest) = rest.as_chunks::<8>();
        let integer = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
        let (&[touched, sequence, messages], sharing) = match integers {
            [first @ .., layer, shared, edited] if first.len() == 3 => {
                (first.try_into().map_err(|_| malformed())?, [*layer, *shared, *edited].map(integer))
            }
            first => (first.try_into().map_err(|_| malformed())?, [0; 3]),
        };
        if !rest.is_empty() || (integers.len() == 6 && sharing == [0; 3]) {
            return Err(malformed());
        }
        let touched = Timestamp::from_micros(i64::from_le_bytes(touched)).map_err(|_| malformed())?;
        let [sequence, messages] = [sequence, messages].map(integer);
        let [layer, shared, edited] = sharing;
        Ok(Tally { touched, sequence, messages, layer, shared, edited: Lsn(edited) })
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut body = vec![ROW_VERSION];
        body.extend_from_slice(&self.touched.micros().to_le_bytes());
        body.extend_from_slice(&self.sequence.to_le_bytes());
        body.extend_from_slice(&self.messages.to_le_bytes());
        let sharing = [self.layer, self.shared, self.edited.0];
        if sharing != [0; 3] {
            body.extend(sharing.into_iter().flat_map(u64::to_le_bytes));
        }
        body
    }

    /// Writes the tally: the session was changed now.
    pub(in crate::modules::session) fn touch(&mut self, tx: &mut Tx<'_>, number: u64) -> Result<()> {
        if !planted::is(Bug::SessionNotRenewed) || self.touched == Timestamp::default() {
            self.touched = tx.now();
        }
        self.store(tx, number)
    }

    /// Deletes the tally of a number that goes out of use.
    pub(in crate::modules::session) fn remove(tx: &mut Tx<'_>, number: u64) -> Result<()> {
        let key = row_key(tx, number);
        tx.delete_bookkeeping(key)
    }

    /// Writes the tally as it is: whatever changed does not renew the session.
    pub(in crate::modules::session) fn store(self, tx: &mut Tx<'_>, number: u64) -> Result<()> {
        let key = row_key(tx, number);
        tx.put_bookkeeping(key, self.encode())
    }
}
