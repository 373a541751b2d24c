//! `session.update`.

use agentdb_types::{Code, Duration, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{check_title, merge_metadata, require, schedule, store};
use crate::modules::given;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::tx::Tx;

/// Changes a session's title, metadata or time to live. What is not given stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The session's id.
    pub session: String,
    /// The new title; null to have none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub title: Option<Option<String>>,
    /// A JSON object, merged into the metadata (RFC 7396): given fields are replaced, null removes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The new time to live after the last change, in microseconds; null to keep the session for ever.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Option<Duration>>,
}

/// The answer to [`Update`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// When the session was changed: now.
    pub updated: Timestamp,
    /// When it expires unless it changes before, if it has a time to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Request for Update {
    type Response = Updated;
    const ABOUT: About = About {
        name: "session.update",
        doc: "Changes a session’s title, metadata (by JSON Merge Patch) or time to live. What is not given stays; the time to live starts anew.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "session.write",
        resource: &["session"],
        sensitive: &["title", "metadata"],
        errors: &[
            Code::SessionNotFound,
            Code::InvalidPatch,
            Code::ValueTooLarge,
            Code::DepthExceeded,
            Code::TtlOutOfRange,
        ],
    };
}

impl WriteRequest for Update {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Updated> {
        let mut found = require(tx, &self.session)?;
        let head = &mut found.head;
        if let Some(title) = &self.title {
            check_title(title.as_deref())?;
            head.title.clone_from(title);
        }
        if let Some(patch) = &self.metadata {
            merge_metadata(&mut head.metadata, patch)?;
        }
        if let Some(ttl) = self.ttl_us {
            head.ttl_us = ttl;
            schedule(tx, &self.session, ttl)?;
        }
        store(tx, &self.session, &mut found)?;
        Ok(Updated { updated: tx.now(), expires: found.expires()? })
    }

    fn weight(&self) -> usize {
        let title = self.title.as_ref().and_then(|title| title.as_ref()).map_or(0, String::len);
        256 + title + self.metadata.as_ref().map_or(0, crate::modules::weigh)
    }
}
