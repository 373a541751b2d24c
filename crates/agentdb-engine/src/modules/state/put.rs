//! `state.put`.

use agentdb_types::{Code, Duration, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Ttl, check_version, find_head, row_key, store};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Stores a value, replacing what was there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// Whose state: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The key among the owner's: 1 to 512 bytes.
    pub key: String,
    /// The value: any JSON, up to 1 MiB and 32 deep.
    pub value: Value,
    /// Microseconds until the value expires; it stays for ever if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
    /// The version that the value must have, 0 for absent (insert only); any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

/// The answer to a write of a state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// The version of the value.
    pub version: Lsn,
    /// Whether there was no value before.
    pub created: bool,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Put {
    /// A put without time to live or expected version.
    pub fn new(owner: impl Into<String>, key: impl Into<String>, value: Value) -> Self {
        Put { owner: owner.into(), key: key.into(), value, ttl_us: None, expected_version: None }
    }
}

impl Request for Put {
    type Response = Stored;
    const ABOUT: About = About {
        name: "state.put",
        doc: "Stores a value under an owner and a key, replacing what was there. With `expected_version` 0 it only inserts: a value that is there stays, and the answer is version_mismatch.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner", "key"],
        sensitive: &["value"],
        errors: &[Code::VersionMismatch, Code::ValueTooLarge, Code::DepthExceeded, Code::TtlOutOfRange],
    };
}

impl WriteRequest for Put {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Stored> {
        let key = row_key(tx, &self.owner, &self.key)?;
        let before = find_head(tx, &key)?;
        check_version(&self.key, before.as_ref(), self.expected_version)?;
        store(tx, key, before.as_ref(), &self.value, Ttl::Set(self.ttl_us))
    }

    fn weight(&self) -> usize {
        256 + crate::modules::weigh(&self.value)
    }
}
