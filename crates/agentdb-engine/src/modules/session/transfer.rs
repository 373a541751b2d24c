//! A session as a line of an export.

use agentdb_types::{Duration, Id, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Entry, Head, Session, Tally, check_metadata, check_title, load, message, owner_key, remove, row_key,
};
use crate::key::Key;
use crate::modules::transfer::{Existing, Fate, check_ttl, unfit};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Row, numbers, row_json, sweep};

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionLine {
    /// The session's id.
    pub session: String,
    /// Whose session it is.
    pub owner: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is kept with it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When it was created.
    pub created: Timestamp,
    /// When it, or one of its messages, was last changed.
    pub updated: Timestamp,
    /// Its time to live after the last change, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
    /// The sequence number that was given last.
    pub last_sequence: u64,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of a row and where its messages lie, unless its time to live has passed.
pub(crate) fn export(
    rows: &dyn Read,
    key: &Key,
    row: &Row,
) -> Result<Option<(SessionLine, message::Layers)>> {
    let found = load(rows, row)?;
    if found.has_expired(rows.now())? {
        return Ok(None);
    }
    let layers = found.layers(rows)?;
    let Entry { session, owner, title, metadata, created, updated, ttl_us, last_sequence, .. } =
        Entry::new(key.components().text()?, found)?;
    let version = Some(row.lsn);
    let line =
        SessionLine { session, owner, title, metadata, created, updated, ttl_us, last_sequence, version };
    Ok(Some((line, layers)))
}

/// Stores the session of a line, without messages; tells its number if it did.
pub(crate) fn import(tx: &mut Tx<'_>, line: &SessionLine, existing: Existing) -> Result<(Fate, Option<u64>)> {
    let (session, key) = (&*line.session, row_key(tx, &line.session)?);
    check(line)?;
    let tally = Tally { touched: line.updated, sequence: line.last_sequence, ..Tally::default() };
    let mut new = Session { head: head(line), tally };
    if new.has_expired(tx.now())? {
        return Ok((Fate::Expired, None));
    }
    let old = tx.get(&key)?.map(|row| load(tx, &row)).transpose()?;
    let there = old.as_ref().map(|old| old.has_expired(tx.now())).transpose()? == Some(false);
    let fate = existing.fate(there, || format!("the session {session:?}"))?;
    if !fate.stores() {
        return Ok((fate, None));
    }
    if let Some(old) = old {
        remove(tx, session, &old)?;
    }
    new.head.number = numbers::allot(tx, Remains::Session, "sessions", session)?;
    if let Some(expires) = new.expires()? {
        sweep::schedule(tx, expires, &key)?;
    }
    tally.store(tx, new.head.number)?;
    tx.put(key, row_json::encode(&new.head)?)?;
    tx.put_bookkeeping(owner_key(tx, &line.owner, session), Vec::new())?;
    Ok((fate, Some(new.head.number)))
}

fn head(line: &SessionLine) -> Head {
    let SessionLine { owner, title, metadata, created, ttl_us, .. } = line.clone();
    Head { number: 0, owner, title, metadata, created, ttl_us, base: None }
}

fn check(line: &SessionLine) -> Result<()> {
    Id::check("owner", &line.owner)?;
    check_title(line.title.as_deref())?;
    check_metadata(&line.metadata)?;
    check_ttl(line.ttl_us)?;
    if i64::try_from(line.last_sequence).is_err() {
        return Err(unfit("last_sequence", "no session has had so many messages"));
    }
    Ok(())
}
