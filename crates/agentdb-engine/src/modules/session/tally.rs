//! What changes with every message of a session, in one row.
//!
//! Row, format version 1: a version byte, then three little-endian integers of eight bytes: the time of the last change in
//! microseconds, the last sequence number that was given, how many messages there are.

use agentdb_types::{Code, Error, Result, Timestamp};

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
}

fn row_key(rows: &dyn Read, number: u64) -> Key {
    rows.key(Table::SessionTally).u64(number)
}

impl Tally {
    pub(super) fn load(rows: &dyn Read, number: u64) -> Result<Self> {
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
        let integers: &[u8; 24] = rest.try_into().map_err(|_| malformed())?;
        let (integers, _) = integers.as_chunks::<8>();
        let touched = Timestamp::from_micros(i64::from_le_bytes(integers[0])).map_err(|_| malformed())?;
        let [sequence, messages] = [integers[1], integers[2]].map(u64::from_le_bytes);
        Ok(Tally { touched, sequence, messages })
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut body = vec![ROW_VERSION];
        body.extend_from_slice(&self.touched.micros().to_le_bytes());
        body.extend_from_slice(&self.sequence.to_le_bytes());
        body.extend_from_slice(&self.messages.to_le_bytes());
        body
    }

    /// Writes the tally: the session was changed now.
    pub(super) fn touch(&mut self, tx: &mut Tx<'_>, number: u64) -> Result<()> {
        if !planted::is(Bug::SessionNotRenewed) || self.touched == Timestamp::default() {
            self.touched = tx.now();
        }
        self.put(tx, number)
    }

    /// Writes the tally as it is.
    pub(super) fn put(self, tx: &mut Tx<'_>, number: u64) -> Result<()> {
        let key = row_key(tx, number);
        tx.put_bookkeeping(key, self.encode())
    }
}
