//! State: an owner's keyed documents. A value is JSON; its version is the LSN of the batch that wrote it, so it grows
//! with every change and never returns, not even when a key is deleted and put again.
//!
//! Row, format version 1: a version byte, created, updated and expires as little-endian `i64` microseconds (expires 0:
//! never), then the value as JSON.

mod clear;
mod compare_and_set;
mod count;
mod delete;
mod diff;
mod expire;
mod get;
mod get_many;
mod history;
mod increment;
mod list;
mod owners;
mod patch;
mod put;
mod restore;
mod take;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;

pub use clear::{Clear, Cleared};
pub use compare_and_set::CompareAndSet;
pub use count::{Count, Counted};
pub use delete::{Delete, Deleted};
pub use diff::{Change, Changes, Diff};
pub use expire::Expire;
pub use get::{Entry, Get};
pub use get_many::{GetMany, Gotten};
pub use history::{History, Version, Versions};
pub use increment::{Increment, Incremented};
pub use list::{List, Listed};
pub use owners::{Owner, Owners, OwnersListed};
pub(super) use patch::merge;
pub use patch::{Patch, Patched};
pub use put::{Put, Stored};
pub use restore::{Restore, Restored};
pub use take::Take;
pub use transfer::StateLine;

use agentdb_types::{Code, Duration, Error, Id, Lsn, Result, Timestamp};
use serde_json::Value;

use crate::key::Key;
use crate::modules::{decode_value, encode_value};
use crate::operation::Operation;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Row, Table, sweep};

const ROW_VERSION: u8 = 1;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Clear>(),
        Operation::write::<CompareAndSet>(),
        Operation::read::<Count>(),
        Operation::write::<Delete>(),
        Operation::read::<Diff>(),
        Operation::write::<Expire>(),
        Operation::read::<Get>(),
        Operation::read::<GetMany>(),
        Operation::read::<History>(),
        Operation::write::<Increment>(),
        Operation::read::<List>(),
        Operation::read::<Owners>(),
        Operation::write::<Patch>(),
        Operation::write::<Put>(),
        Operation::write::<Restore>(),
        Operation::write::<Take>(),
    ]
}

/// A state as its row holds it, or what the row holds beside the value.
struct State<V = Value> {
    version: Lsn,
    created: Timestamp,
    updated: Timestamp,
    expires: Option<Timestamp>,
    value: V,
}

fn check_ids(owner: &str, key: &str) -> Result<()> {
    Id::check("owner", owner)?;
    Id::check("key", key)
}

fn row_key(rows: &dyn Read, owner: &str, key: &str) -> Result<Key> {
    check_ids(owner, key)?;
    Ok(rows.key(Table::State).text(owner).text(key))
}

fn not_found(owner: &str, key: &str) -> Error {
    Error::new(Code::StateNotFound).with("owner", owner).with("key", key)
}

/// A row of a value as JSON, with the times at which it was created, updated and expires.
fn encode(times: [Timestamp; 3], json: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(25 + json.len());
    body.push(ROW_VERSION);
    times.iter().for_each(|time| body.extend_from_slice(&time.micros().to_le_bytes()));
    body.extend_from_slice(json);
    body
}

/// What a row decodes to, encoded again.
#[cfg(any(test, feature = "decoders"))]
pub(crate) fn recode(row: &Row) -> Result<Vec<u8>> {
    let malformed = || Error::new(Code::RowsCorrupt).with("reason", "a state that never was");
    let state = decode(row, Timestamp::default())?.ok_or_else(malformed)?;
    let times = [state.created, state.updated, state.expires.unwrap_or_default()];
    Ok(encode(times, &encode_value("value", &state.value)?))
}

/// The times in a row.
struct Times {
    created: Timestamp,
    updated: Timestamp,
    expires: Option<Timestamp>,
}

impl Times {
    fn have_ended(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now) && !planted::is(Bug::TtlIgnored)
    }
}

/// The times of a row, and its value as JSON.
fn split(row: &Row) -> Result<(Times, &[u8])> {
    let malformed = || Error::new(Code::RowsCorrupt).with("reason", "a state's row is malformed");
    let (&version, rest) = row.body.split_first().ok_or_else(malformed)?;
    if version != ROW_VERSION {
        return Err(Error::new(Code::FormatTooNew)
            .with("path", "a state's row")
            .with("actual", version)
            .with("supported", ROW_VERSION));
    }
    let (times, json) = rest.split_first_chunk::<24>().ok_or_else(malformed)?;
    let time = |i: usize| {
        let bytes = times[8 * i..8 * i + 8].try_into().map_err(|_| malformed())?;
        Timestamp::from_micros(i64::from_le_bytes(bytes)).map_err(|_| malformed())
    };
    let expires = Some(time(2)?).filter(|t| t.micros() != 0);
    Ok((Times { created: time(0)?, updated: time(1)?, expires }, json))
}

/// When a row was last written. Its value is not read.
pub(crate) fn written(row: &Row) -> Result<Timestamp> {
    Ok(split(row)?.0.updated)
}

/// Whether the time to live of a row has passed. Its value is not read.
fn has_expired(row: &Row, now: Timestamp) -> Result<bool> {
    Ok(split(row)?.0.have_ended(now))
}

/// The state of a row, unless its time to live has passed.
fn decode(row: &Row, now: Timestamp) -> Result<Option<State>> {
    decode_with(row, now, decode_value)
}

fn decode_with<V>(row: &Row, now: Timestamp, value: fn(&[u8]) -> Result<V>) -> Result<Option<State<V>>> {
    let (times, json) = split(row)?;
    if times.have_ended(now) {
        return Ok(None);
    }
    let Times { created, updated, expires } = times;
    Ok(Some(State { version: row.lsn, created, updated, expires, value: value(json)? }))
}

/// The state of this key, if it is there and has not expired.
fn find(rows: &dyn Read, key: &Key) -> Result<Option<State>> {
    match rows.get(key)? {
        Some(row) => decode(&row, rows.now()),
        None => Ok(None),
    }
}

/// The same without reading the value, for writes that replace it whatever it is.
fn find_head(rows: &dyn Read, key: &Key) -> Result<Option<State<()>>> {
    match rows.get(key)? {
        Some(row) => decode_with(&row, rows.now(), |_| Ok(())),
        None => Ok(None),
    }
}

/// Refuses unless the state is at the version that the request expected.
fn check_version<V>(key: &str, found: Option<&State<V>>, expected: Option<Lsn>) -> Result<()> {
    let Some(expected) = expected else { return Ok(()) };
    let actual = found.map_or(Lsn::ZERO, |s| s.version);
    if actual == expected {
        return Ok(());
    }
    Err(Error::new(Code::VersionMismatch).with("key", key).with("actual", actual).with("expected", expected))
}

/// What a write does to the time to live of an existing value.
enum Ttl {
    Keep,
    Set(Option<Duration>),
}

/// Writes a value; `before` is what was there.
fn store<V>(tx: &mut Tx<'_>, key: Key, before: Option<&State<V>>, value: &Value, ttl: Ttl) -> Result<Stored> {
    let now = tx.now();
    let created = before.map_or(now, |s| s.created);
    let expires = match ttl {
        Ttl::Keep => before.and_then(|s| s.expires),
        Ttl::Set(ttl) => ttl.map(|ttl| now.after(ttl)).transpose()?,
    };
    let json = encode_value("value", value)?;
    let body = encode([created, now, expires.unwrap_or_default()], &json);
    if let Some(expires) = expires {
        sweep::schedule(tx, expires, &key)?;
    }
    tx.put(key, body)?;
    Ok(Stored { version: tx.lsn(), created: before.is_none(), expires })
}

/// Deletes the row if its time to live has passed.
pub(super) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    if let Some(row) = tx.get(key)?
        && has_expired(&row, tx.now())?
    {
        tx.delete(key.clone())?;
    }
    Ok(())
}
