//! A value as a line of an export.

use agentdb_types::{Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Entry, decode, encode, find, row_key};
use crate::key::Key;
use crate::modules::encode_value;
use crate::modules::transfer::{Existing, Fate};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Row, sweep};

/// A value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateLine {
    /// Its owner.
    pub owner: String,
    /// Its key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// When the key was first put.
    pub created: Timestamp,
    /// When the value was last changed.
    pub updated: Timestamp,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// The line of a row, unless its time to live has passed.
pub(crate) fn export(rows: &dyn Read, key: &Key, row: &Row) -> Result<Option<StateLine>> {
    let mut parts = key.components();
    let (owner, key) = (parts.text()?, parts.text()?);
    Ok(decode(row, rows.now())?.map(|state| {
        let Entry { key, value, version, created, updated, expires } = Entry::new(key, state);
        StateLine { owner, key, value, created, updated, expires, version: Some(version) }
    }))
}

/// Stores the value of a line.
pub(crate) fn import(tx: &mut Tx<'_>, line: &StateLine, existing: Existing) -> Result<Fate> {
    let key = row_key(tx, &line.owner, &line.key)?;
    let json = encode_value("value", &line.value)?;
    if line.expires.is_some_and(|at| at <= tx.now()) {
        return Ok(Fate::Expired);
    }
    let there = find(tx, &key)?.is_some();
    let fate = existing.fate(there, || format!("the state {:?} of owner {:?}", line.key, line.owner))?;
    if fate.stores() {
        if let Some(expires) = line.expires {
            sweep::schedule(tx, expires, &key)?;
        }
        tx.put(key, encode([line.created, line.updated, line.expires.unwrap_or_default()], &json))?;
    }
    Ok(fate)
}
