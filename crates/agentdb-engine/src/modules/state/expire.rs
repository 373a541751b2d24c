//! `state.expire`.

use agentdb_types::{Code, Duration, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Stored, Ttl, check_version, find, not_found, row_key, store};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Gives a value a new time to live, or takes it away.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expire {
    /// Whose state: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The key among the owner's: 1 to 512 bytes.
    pub key: String,
    /// Microseconds from now until the value expires; null to keep it for ever. Required: leaving it out would take a time
    /// to live away by mistake.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required)]
    pub ttl_us: Option<Duration>,
    /// The version that the value must have, 0 for absent; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

impl Request for Expire {
    type Response = Stored;
    const ABOUT: About = About {
        name: "state.expire",
        doc: "Gives a value a new time to live, or (null) takes it away. The value stays, its version grows.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner", "key"],
        sensitive: &["value"],
        errors: &[Code::StateNotFound, Code::VersionMismatch, Code::TtlOutOfRange],
    };
}

impl WriteRequest for Expire {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Stored> {
        let key = row_key(tx, &self.owner, &self.key)?;
        let before = find(tx, &key)?.ok_or_else(|| not_found(&self.owner, &self.key))?;
        check_version(&self.key, Some(&before), self.expected_version)?;
        store(tx, key, Some(&before), &before.value, Ttl::Set(self.ttl_us))
    }
}
