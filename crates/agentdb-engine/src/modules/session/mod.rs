//! Sessions: a conversation or task context of an owner, and its [messages](message).
//!
//! A session's rows carry its number, which is never used twice, so that deleting a session or clearing its messages
//! is done at once, however many there are, and their rows are swept later.
//!
//! **Time to live.** It slides, as in the chat histories that people come from (LangChain's on Redis renews the key at
//! each message): it counts from the last change of the session, which is creating, updating or clearing it, or
//! appending or deleting a message. Reading renews nothing. When it has passed, the session is gone with all its
//! messages, and its id may be created again. Messages have no time to live of their own.
//!
//! Rows, format version 1. Session: version byte and JSON of the head. SessionTally (number): what changes with every
//! message (`tally.rs`). Messages: `message/layers.rs`. The Expiry table holds a note for a time at or before the session expires; the sweeper renews it
//! as long as the session lives on, so that an append writes none.

mod create;
mod delete;
mod fork;
mod get;
mod list;
pub mod message;
mod restore;
mod tally;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;
mod update;

pub use create::{Create, Created};
pub use delete::{Delete, Deleted};
pub use fork::{Fork, Forked};
pub use get::{Entry, Get};
pub use list::{List, Listed};
pub use restore::{Restore, Restored};
pub use transfer::SessionLine;
pub use update::{Update, Updated};

use agentdb_types::{Code, Duration, Error, Id, Lsn, Result, Timestamp, json, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key::Key;
use crate::modules::encode_fields;
use crate::modules::state::merge;
use crate::operation::Operation;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::sweep::{self, Remains};
use crate::tx::Tx;
use crate::{Row, Table, numbers, row_json};

pub(crate) use tally::Tally;

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::write::<Create>(),
        Operation::write::<Delete>(),
        Operation::write::<Fork>(),
        Operation::read::<Get>(),
        Operation::read::<List>(),
        Operation::write::<Restore>(),
        Operation::write::<Update>(),
    ];
    operations.extend(message::operations());
    operations
}

/// A session as its row holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    number: u64,
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_us: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<Base>,
}

/// What a session starts with that shares messages with the one that it was forked from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// That session, which may be gone by now.
    pub session: String,
    /// The sequence number up to which it starts with that one's messages.
    pub through_sequence: u64,
    /// As of which LSN it starts with them.
    pub lsn: Lsn,
}

/// A session that is there.
struct Session {
    head: Head,
    tally: Tally,
}

impl Session {
    /// A time to live that would end beyond the range of times ends with it.
    fn expires(&self) -> Result<Option<Timestamp>> {
        let end = |ttl| self.tally.touched.micros().saturating_add(ttl).min(limits::TIME_MAX_US);
        let end = self.head.ttl_us.map(end).map(Timestamp::from_micros).transpose();
        end.map_err(|_| Error::new(Code::RowsCorrupt).with("reason", "a session's time to live is none"))
    }

    fn has_expired(&self, now: Timestamp) -> Result<bool> {
        Ok(self.expires()?.is_some_and(|at| at <= now) && !planted::is(Bug::ExpiredSessionLives))
    }
}

fn row_key(rows: &dyn Read, session: &str) -> Result<Key> {
    Id::check("session", session)?;
    Ok(rows.key(Table::Session).text(session))
}

fn owner_key(rows: &dyn Read, owner: &str, session: &str) -> Key {
    rows.key(Table::SessionByOwner).text(owner).text(session)
}

fn not_found(session: &str) -> Error {
    Error::new(Code::SessionNotFound).with("session", session)
}

/// The session of a row, expired or not.
fn load(rows: &dyn Read, row: &Row) -> Result<Session> {
    let head: Head = row_json::decode(row)?;
    let tally = Tally::load(rows, head.number)?;
    Ok(Session { head, tally })
}

/// The session of this id, if it is there and has not expired.
fn find(rows: &dyn Read, session: &str) -> Result<Option<Session>> {
    let Some(row) = rows.get(&row_key(rows, session)?)? else { return Ok(None) };
    let found = load(rows, &row)?;
    let expired = found.has_expired(rows.now())?;
    Ok(Some(found).filter(|_| !expired))
}

fn require(rows: &dyn Read, session: &str) -> Result<Session> {
    find(rows, session)?.ok_or_else(|| not_found(session))
}

/// Checks a map that users fill.
fn check_metadata(metadata: &Map<String, Value>) -> Result<()> {
    if metadata.is_empty() {
        return Ok(());
    }
    encode_fields("metadata", metadata).map(drop)
}

/// Merges a patch (RFC 7396) into a map that users fill.
fn merge_metadata(metadata: &mut Map<String, Value>, patch: &Value) -> Result<()> {
    if !patch.is_object() {
        let reason = "the patch of metadata must be a JSON object";
        return Err(Error::new(Code::InvalidPatch).with("reason", reason));
    }
    json::check_depth("metadata", patch)?;
    let mut merged = Value::Object(std::mem::take(metadata));
    merge(&mut merged, patch);
    if let Value::Object(merged) = merged {
        *metadata = merged;
    }
    check_metadata(metadata)
}

/// Writes a head. The session lives from now for its time to live.
fn store(tx: &mut Tx<'_>, session: &str, found: &mut Session) -> Result<()> {
    let key = row_key(tx, session)?;
    found.tally.touch(tx, found.head.number)?;
    tx.put(key, row_json::encode(&found.head)?)
}

/// Notes when the session has to be looked at by the sweeper.
fn schedule(tx: &mut Tx<'_>, session: &str, ttl_us: Option<Duration>) -> Result<Option<Timestamp>> {
    let Some(ttl) = ttl_us else { return Ok(None) };
    let at = tx.now().after(ttl)?;
    let key = row_key(tx, session)?;
    sweep::schedule(tx, at, &key)?;
    Ok(Some(at))
}

/// Removes the session itself; what hangs on its number is swept later.
fn remove(tx: &mut Tx<'_>, session: &str, found: &Session) -> Result<()> {
    tx.delete(row_key(tx, session)?)?;
    tx.delete(owner_key(tx, &found.head.owner, session))?;
    found.discard(tx, session)
}

/// When a session was last changed, if there is one.
pub(crate) fn last_changed(rows: &dyn Read, session: &str) -> Result<Option<Timestamp>> {
    let row = rows.get(&row_key(rows, session)?)?;
    row.map(|row| Ok(load(rows, &row)?.tally.touched)).transpose()
}

/// Deletes a session that is kept no longer.
pub(crate) fn let_go(tx: &mut Tx<'_>, session: &str) -> Result<()> {
    let Some(row) = tx.get(&row_key(tx, session)?)? else { return Ok(()) };
    let found = load(tx, &row)?;
    remove(tx, session, &found)
}

/// Deletes the session of `key` if its time to live has passed, or notes when to look again.
pub(super) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let Some(row) = tx.get(key)? else { return Ok(()) };
    let found = load(tx, &row)?;
    match found.expires()? {
        Some(at) if at <= tx.now() => remove(tx, &key.components().text()?, &found),
        Some(at) => sweep::schedule(tx, at, key),
        None => Ok(()),
    }
}

/// Creates a session, which must not exist.
fn create(
    tx: &mut Tx<'_>,
    session: &str,
    owner: &str,
    title: Option<String>,
    metadata: Map<String, Value>,
    ttl_us: Option<Duration>,
) -> Result<Created> {
    Id::check("owner", owner)?;
    check_title(title.as_deref())?;
    check_metadata(&metadata)?;
    let key = row_key(tx, session)?;
    if let Some(row) = tx.get(&key)? {
        // It has expired and is not swept yet: its messages must not come back.
        let old = load(tx, &row)?;
        remove(tx, session, &old)?;
    }
    let number = numbers::allot(tx, Remains::Session, "sessions", session)?;
    let created = tx.now();
    let head = Head { number, owner: owner.to_owned(), title, metadata, created, ttl_us, base: None };
    let expires = schedule(tx, session, ttl_us)?;
    store(tx, session, &mut Session { head, tally: Tally::default() })?;
    tx.put_bookkeeping(owner_key(tx, owner, session), Vec::new())?;
    Ok(Created { session: session.to_owned(), created, expires })
}

fn check_title(title: Option<&str>) -> Result<()> {
    crate::modules::check_inline("title", title.map_or(0, str::len))
}
