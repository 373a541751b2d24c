//! `state.compare_and_set`.

use agentdb_types::{Code, Duration, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Stored, Ttl, check_version, find_head, row_key, store};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Stores a value if the one there has the version that the caller read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareAndSet {
    /// Whose state: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The key among the owner's: 1 to 512 bytes.
    pub key: String,
    /// The version that the value must have; 0 if there must be none.
    pub expected_version: Lsn,
    /// The new value.
    pub value: Value,
    /// Microseconds until the value expires; it stays for ever if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
}

impl Request for CompareAndSet {
    type Response = Stored;
    const ABOUT: About = About {
        name: "state.compare_and_set",
        doc: "Stores a value if the one there still has the version that the caller read; 0 stands for absent.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner", "key"],
        sensitive: &["value"],
        errors: &[Code::VersionMismatch, Code::ValueTooLarge, Code::DepthExceeded, Code::TtlOutOfRange],
    };
}

impl WriteRequest for CompareAndSet {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Stored> {
        let key = row_key(tx, &self.owner, &self.key)?;
        let before = find_head(tx, &key)?;
        check_version(&self.key, before.as_ref(), Some(self.expected_version))?;
        store(tx, key, before.as_ref(), &self.value, Ttl::Set(self.ttl_us))
    }

    fn weight(&self) -> usize {
        256 + crate::modules::weigh(&self.value)
    }
}
