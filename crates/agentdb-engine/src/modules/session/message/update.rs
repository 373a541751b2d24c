//! `message.update`.

use agentdb_types::{Code, Error, Id, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::merge_metadata;
use super::rows::put_body;
use super::{Body, not_found, require};
use crate::modules::{encode_value, given, given_json, weigh};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::row_json;
use crate::tx::Tx;

/// Changes a message's content, name or metadata. What is not given stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The session's id.
    pub session: String,
    /// The message's id.
    pub message: String,
    /// The new content: any JSON up to 1 MiB and 32 deep.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    /// The speaker's new name: 1 to 512 bytes; null to have none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub name: Option<Option<String>>,
    /// A JSON object, merged into the metadata (RFC 7396): given fields are replaced, null removes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The version that the message must have; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

/// The answer to [`Update`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// Its place in the session, as before.
    pub sequence: u64,
    /// Its new version.
    pub version: Lsn,
}

impl Update {
    /// A new content for a message.
    pub fn new(session: impl Into<String>, message: impl Into<String>, content: impl Into<Value>) -> Self {
        let (session, message) = (session.into(), message.into());
        Update { session, message, content: Some(content.into()), ..Self::default() }
    }
}

impl Request for Update {
    type Response = Updated;
    const ABOUT: About = About {
        name: "message.update",
        doc: "Changes a message’s content, name or metadata (by JSON Merge Patch). What is not given stays, and so do its id, role, place and time; its version grows, and the session’s time to live is renewed.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "message.write",
        resource: &["session", "message"],
        sensitive: &["content", "name", "metadata"],
        errors: &[
            Code::SessionNotFound,
            Code::MessageNotFound,
            Code::VersionMismatch,
            Code::InvalidPatch,
            Code::ValueTooLarge,
            Code::DepthExceeded,
        ],
    };
}

impl WriteRequest for Update {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Updated> {
        let mut found = require(tx, &self.session)?;
        let layers = found.layers(tx)?;
        let missing = || not_found(&self.session, &self.message);
        let sequence = layers.sequence_of(tx, &self.message)?.ok_or_else(missing)?;
        let row = layers.get(tx, sequence)?.ok_or_else(missing)?;
        if let Some(expected) = self.expected_version.filter(|e| *e != row.lsn) {
            return Err(Error::new(Code::VersionMismatch)
                .with("key", &self.message)
                .with("actual", row.lsn)
                .with("expected", expected));
        }
        let mut body: Body = row_json::decode(&row)?;
        if let Some(content) = &self.content {
            encode_value("content", content)?;
            body.content.clone_from(content);
        }
        if let Some(name) = &self.name {
            if let Some(name) = name {
                Id::check("name", name)?;
            }
            body.name.clone_from(name);
        }
        if let Some(patch) = &self.metadata {
            merge_metadata(&mut body.metadata, patch)?;
        }
        put_body(tx, (&self.session, &mut found), sequence, (&self.message, row_json::encode(&body)?))?;
        let number = found.head.number;
        if planted::is(Bug::UpdateRenewsNothing) {
            found.tally.store(tx, number)?;
        } else {
            found.tally.touch(tx, number)?;
        }
        Ok(Updated { sequence, version: tx.lsn() })
    }

    fn weight(&self) -> usize {
        256 + self.content.as_ref().map_or(0, weigh) + self.metadata.as_ref().map_or(0, weigh)
    }
}
