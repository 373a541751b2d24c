//! `state.history`.

use agentdb_types::{Code, Lsn, Result, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{decode, row_key};
use crate::history::{self, HistoryNoun, Past, versions_of};
use crate::modules::{Paging, check_page, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Row, Snapshot, cursor};

/// Lists the versions of a value, newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Whose state.
    pub owner: String,
    /// The key among the owner's.
    pub key: String,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A version of a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// The version: the LSN of the batch that wrote it.
    pub version: Lsn,
    /// The value.
    pub value: Value,
    /// When the key was first put.
    pub created: Timestamp,
    /// When this version was written.
    pub updated: Timestamp,
    /// When it expires, or would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The LSN of the batch that replaced or deleted it, be it the sweeper's; absent for the present one, and for one that has
    /// expired and is not swept yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Lsn>,
    /// When it was replaced or deleted, or expired before that; absent for the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// The answer to [`History`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// The versions, newest first.
    pub items: Vec<Version>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl History {
    /// The newest versions of a key.
    pub fn new(owner: impl Into<String>, key: impl Into<String>) -> Self {
        History { owner: owner.into(), key: key.into(), ..Self::default() }
    }
}

impl Request for History {
    type Response = Versions;
    const ABOUT: About = About {
        name: "state.history",
        doc: "Lists the versions of a value, newest first, the present one included, as far as its history is kept: what it was, and when it was replaced or deleted. A key that never was has none.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "state.read",
        resource: &["owner", "key"],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor, Code::NoHistory],
    };
}

impl ReadRequest for History {
    fn read(&self, snapshot: &Snapshot) -> Result<Versions> {
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        let key = row_key(snapshot, &self.owner, &self.key)?;
        let earliest = Past::new(snapshot, snapshot.lsn())?.earliest(HistoryNoun::State)?;
        let mut versions = Versions { items: Vec::new(), cursor: None };
        let Some(prefix) = versions_of(key.as_bytes()) else { return Ok(versions) };
        if self.cursor.is_none()
            && let Some(row) = snapshot.get(&key)?
            && let Some(state) = decode(&row, Timestamp::default())?
        {
            let expired = state.expires.filter(|at| *at <= snapshot.now());
            versions.items.push(Version::new(state, None, expired));
        }
        let paging = Paging {
            prefix: &prefix,
            limit: Some((limit - versions.items.len()).max(1)),
            cursor: self.cursor.as_deref(),
            backward: true,
        };
        let (mut ended, next) =
            page(snapshot, &paging, &mut |key, row| version(snapshot, &key, &row, earliest))?;
        versions.cursor = next;
        if versions.items.len() + ended.len() > limit {
            // There was room for the present one alone.
            ended.clear();
            versions.cursor = Some(cursor::encode(&prefix, &prefix.clone().u64(u64::MAX)));
        }
        versions.items.append(&mut ended);
        Ok(versions)
    }
}

/// A version that ended, unless that was too long ago.
fn version(snapshot: &Snapshot, key: &crate::Key, row: &Row, earliest: Lsn) -> Result<Option<Version>> {
    let (_, ended) = history::versioned(key)?;
    if ended <= earliest {
        return Ok(None);
    }
    // Its own time to live is told, not applied.
    let state = decode(&history::decode(row)?, Timestamp::default())?;
    let ended_at = history::time_of(snapshot, ended)?;
    let first = |state: &super::State| ended_at.map(|at| state.expires.map_or(at, |expired| expired.min(at)));
    Ok(state.map(|state| {
        let ended_at = first(&state);
        Version::new(state, Some(ended), ended_at)
    }))
}

impl Version {
    fn new(state: super::State, ended: Option<Lsn>, ended_at: Option<Timestamp>) -> Self {
        let super::State { version, created, updated, expires, value } = state;
        Version { version, value, created, updated, expires, ended, ended_at }
    }
}
