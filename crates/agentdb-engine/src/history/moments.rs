//! Moments: which log time belongs to which LSN, so that what is asked for at a time is found without the log, which is
//! trimmed.
//!
//! They lie in the system namespace and are derived where entries are applied, by the sequencer and by recovery alike: the
//! log has them in its frames. Row of a chunk, format version 1. Key: the LSN of its first moment. Body: a version byte,
//! the first time (`i64` microseconds, little-endian), then up to 63 further moments, each as two varints: by how much the
//! LSN and the time grew. A moment says that batches from its LSN on, up to the next moment, have its time.

use std::sync::{Arc, Mutex, PoisonError};

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};

use crate::codec::{Reader, put_varint};
use crate::key::{Key, NamespaceId};
use crate::read::{Page, Read};
use crate::{Row, Table};

const ROW_VERSION: u8 = 1;
/// Moments of a chunk: what is written anew with each of them stays small.
const CHUNK: usize = 64;

/// The newest chunk, for whoever applies entries.
#[derive(Default)]
pub(crate) struct Moments(Mutex<Option<Chunk>>);

/// Moments in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    moments: Vec<(Lsn, Timestamp)>,
}

fn malformed() -> Error {
    Error::new(Code::RowsCorrupt).with("reason", "a chunk of moments is malformed")
}

impl Moments {
    /// Starts from what the rows have up to `head`, read forwards from close before it. Damage, which may be that of a row
    /// beside them, is nothing that opening fails for: whoever asks for a row that is damaged is told, and what cannot be
    /// gone on with is begun anew.
    pub(crate) fn load(&self, rows: &dyn Read, head: Lsn) {
        let mut back = CHUNK as u64;
        let mut newest = None;
        while newest.is_none() && head > Lsn::ZERO {
            let from = head.0.saturating_sub(back);
            let visit = &mut |key: Key, row: Row| {
                newest = Some(Chunk::of(&key, &row)?);
                Ok(true)
            };
            let read = rows.scan(&table().u64(from), table().after_prefix().as_ref(), Page::Forward, visit);
            if from == 0 || read.is_err() {
                break;
            }
            back = back.saturating_mul(4);
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = newest;
    }

    /// Takes note that batches from this LSN on have this time; the row to be applied with the first of them, if the time is
    /// a new one.
    pub(crate) fn note(&self, lsn: Lsn, time: Timestamp) -> Option<(Key, Arc<[u8]>)> {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *newest {
            Some(chunk) if chunk.last().1 >= time => return None,
            Some(chunk) if chunk.moments.len() < CHUNK => chunk.moments.push((lsn, time)),
            full => *full = Some(Chunk { moments: vec![(lsn, time)] }),
        }
        newest.as_ref().map(|chunk| (key(chunk.first().0), chunk.encode().into()))
    }
}

fn key(first: Lsn) -> Key {
    Key::new(NamespaceId::SYSTEM, Table::Moment).u64(first.0)
}

impl Chunk {
    pub(super) fn first(&self) -> (Lsn, Timestamp) {
        self.moments.first().copied().unwrap_or_default()
    }

    fn last(&self) -> (Lsn, Timestamp) {
        self.moments.last().copied().unwrap_or_default()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = vec![ROW_VERSION];
        let mut before = self.first();
        body.extend_from_slice(&before.1.micros().to_le_bytes());
        for &(lsn, time) in self.moments.iter().skip(1) {
            put_varint(&mut body, lsn.0 - before.0.0);
            put_varint(&mut body, (time.micros() - before.1.micros()).unsigned_abs());
            before = (lsn, time);
        }
        body
    }

    pub(crate) fn decode(first: Lsn, body: &[u8]) -> Result<Self> {
        let (&version, rest) = body.split_first().ok_or_else(malformed)?;
        if version != ROW_VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", "a chunk of moments")
                .with("actual", version)
                .with("supported", ROW_VERSION));
        }
        let (time, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        let time = Timestamp::from_micros(i64::from_le_bytes(*time)).map_err(|_| malformed())?;
        let (mut moments, mut reader) = (vec![(first, time)], Reader(rest));
        while !reader.is_empty() {
            let (lsn, time) = moments.last().copied().ok_or_else(malformed)?;
            let [lsns, micros] = [reader.varint(), reader.varint()];
            let lsn = lsns.filter(|by| *by > 0).and_then(|by| lsn.0.checked_add(by)).ok_or_else(malformed)?;
            let micros = micros.filter(|by| *by > 0).ok_or_else(malformed)?;
            let time = time.micros().checked_add_unsigned(micros).ok_or_else(malformed)?;
            moments.push((Lsn(lsn), Timestamp::from_micros(time).map_err(|_| malformed())?));
        }
        if moments.len() > CHUNK { Err(malformed()) } else { Ok(Chunk { moments }) }
    }

    fn of(key: &Key, row: &Row) -> Result<Self> {
        Chunk::decode(Lsn(key.components().u64()?), &row.body)
    }
}

/// The first chunk that a scan meets.
fn chunk(rows: &dyn Read, from: &Key, to: Option<&Key>, page: Page) -> Result<Option<Chunk>> {
    let mut found = None;
    rows.scan(from, to, page, &mut |key, row| {
        found = Some(Chunk::of(&key, &row)?);
        Ok(false)
    })?;
    Ok(found)
}

fn table() -> Key {
    Key::new(NamespaceId::SYSTEM, Table::Moment)
}

/// The chunk that an LSN is in, or the last one before it.
fn last_chunk(rows: &dyn Read, lsn: Lsn) -> Result<Option<Chunk>> {
    let end = lsn.0.checked_add(1).map_or_else(|| table().after_prefix(), |next| Some(table().u64(next)));
    chunk(rows, &table(), end.as_ref(), Page::Backward)
}

/// The first chunk from an LSN on.
pub(super) fn next_chunk(rows: &dyn Read, from: Lsn) -> Result<Option<Chunk>> {
    chunk(rows, &table().u64(from.0), table().after_prefix().as_ref(), Page::Forward)
}

/// The time of a batch; `None` if that is not kept any more, or there was none yet.
pub(crate) fn time_of(rows: &dyn Read, lsn: Lsn) -> Result<Option<Timestamp>> {
    let found = last_chunk(rows, lsn)?;
    Ok(found
        .and_then(|chunk| chunk.moments.into_iter().rfind(|moment| moment.0 <= lsn))
        .map(|moment| moment.1))
}

/// The last batch, none after `head`, whose time is not after `time`; `None` if that is not kept any more. It is
/// [`Lsn::ZERO`] before the first.
pub(crate) fn latest_at(rows: &dyn Read, time: Timestamp, head: Lsn) -> Result<Option<Lsn>> {
    let Some(mut best) = next_chunk(rows, Lsn::ZERO)? else { return Ok(Some(Lsn::ZERO)) };
    if best.first().1 > time {
        return Ok(Some(Lsn::ZERO).filter(|_| best.first().0 == Lsn(1)));
    }
    // The chunk of `low` begins at or before the time, that of `high`, if there is one, after it.
    let (mut low, mut high) = (best.first().0.0, head.0.saturating_add(1));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match last_chunk(rows, Lsn(middle))? {
            Some(chunk) if chunk.first().1 > time => high = chunk.first().0.0,
            Some(chunk) => (low, best) = (middle, chunk),
            None => low = middle,
        }
    }
    let after = best.moments.iter().find(|moment| moment.1 > time).map(|moment| moment.0);
    let after = match after {
        Some(after) => Some(after),
        None => next_chunk(rows, best.last().0.next())?.map(|next| next.first().0),
    };
    Ok(Some(after.map_or(head, |after| Lsn(after.0 - 1).min(head))))
}

/// The earliest LSN whose time is kept.
pub(super) fn earliest(rows: &dyn Read) -> Result<Lsn> {
    Ok(next_chunk(rows, Lsn::ZERO)?.map_or(Lsn::ZERO, |chunk| chunk.first().0))
}
