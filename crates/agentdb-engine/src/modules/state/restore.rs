//! `state.restore`.

use agentdb_types::{Code, Duration, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ttl, check_version, find, find_head, row_key, store};
use crate::history::{Point, Then};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Makes a value what it was at an earlier point.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Whose state.
    pub owner: String,
    /// The key among the owner's.
    pub key: String,
    /// The point: an LSN or a time.
    pub at: Point,
    /// Microseconds until the restored value expires; it stays for ever if not given, whatever it had then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
    /// The version that the value must have now, 0 for absent; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

/// The answer to [`Restore`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// The version that was there then; absent if there was none, so that there is none now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Lsn>,
    /// The version of the value now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Restore {
    /// Makes a value what it was.
    pub fn new(owner: impl Into<String>, key: impl Into<String>, at: impl Into<Point>) -> Self {
        let (owner, key, at) = (owner.into(), key.into(), at.into());
        Restore { owner, key, at, ttl_us: None, expected_version: None }
    }
}

impl Request for Restore {
    type Response = Restored;
    const ABOUT: About = About {
        name: "state.restore",
        doc: "Makes a value what it was at an earlier point, as a new version; where there was none, it is deleted. What comes between stays in the history.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner", "key"],
        sensitive: &[],
        errors: &[
            Code::VersionMismatch,
            Code::HistoryTrimmed,
            Code::NoHistory,
            Code::PointAhead,
            Code::TtlOutOfRange,
        ],
    };
}

impl WriteRequest for Restore {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Restored> {
        let key = row_key(tx, &self.owner, &self.key)?;
        let now = find_head(tx, &key)?;
        check_version(&self.key, now.as_ref(), self.expected_version)?;
        let then = find(&Then::new(&tx.before(), "at", self.at, Lsn(tx.lsn().0 - 1))?, &key)?;
        let Some(then) = then else {
            if now.is_some() {
                tx.delete(key)?;
            }
            return Ok(Restored { was: None, version: None, expires: None });
        };
        let stored = store(tx, key, now.as_ref(), &then.value, Ttl::Set(self.ttl_us))?;
        Ok(Restored { was: Some(then.version), version: Some(stored.version), expires: stored.expires })
    }
}
