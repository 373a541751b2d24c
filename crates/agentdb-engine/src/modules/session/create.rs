//! `session.create`.

use agentdb_types::{Code, Duration, Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::find;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Creates a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Whose session: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The session's id: 1 to 512 bytes, unique in the namespace. A UUID version 7 if not given, so that ids sort by
    /// the time of creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What people call it: up to 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A JSON object to keep with it: up to 1 MiB.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Microseconds after its last change until it is deleted with its messages; it stays for ever if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
}

/// The answer to [`Create`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The session's id.
    pub session: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it expires unless it changes before, if it has a time to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Create {
    /// A session of this owner with a generated id, nothing else given.
    pub fn new(owner: impl Into<String>) -> Self {
        Create { owner: owner.into(), ..Self::default() }
    }
}

impl Request for Create {
    type Response = Created;
    const ABOUT: About = About {
        name: "session.create",
        doc: "Creates a session. A time to live counts from the last change, so that a session in use stays.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "session.write",
        resource: &["owner", "session"],
        sensitive: &["title", "metadata"],
        errors: &[Code::SessionExists, Code::ValueTooLarge, Code::DepthExceeded, Code::TtlOutOfRange],
    };
}

impl WriteRequest for Create {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Created> {
        let session = self.session.clone().unwrap_or_else(|| tx.new_id().into());
        if find(tx, &session)?.is_some() {
            return Err(Error::new(Code::SessionExists).with("session", session));
        }
        super::create(tx, &session, &self.owner, self.title.clone(), self.metadata.clone(), self.ttl_us)
    }

    fn weight(&self) -> usize {
        256 + self.title.as_ref().map_or(0, String::len) + crate::modules::weigh_fields(&self.metadata)
    }
}
