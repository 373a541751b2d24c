//! `session.get`.

use agentdb_types::{Code, Duration, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Base, Session, require};
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Tells what a session is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The session's id.
    pub session: String,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
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
    /// When it expires unless it changes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// How many messages it has.
    pub messages: u64,
    /// The sequence number of the last message that was appended; 0 if none ever was. Never given twice.
    pub last_sequence: u64,
    /// The session that it was forked from, if it started with messages of that one that it shares; not once it was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
}

impl Entry {
    pub(super) fn new(session: String, found: Session) -> Result<Self> {
        let expires = found.expires()?;
        let Session { head, tally } = found;
        Ok(Entry {
            messages: tally.messages,
            last_sequence: tally.sequence,
            session,
            owner: head.owner,
            title: head.title,
            metadata: head.metadata,
            created: head.created,
            updated: tally.touched,
            ttl_us: head.ttl_us,
            expires,
            base: head.base,
        })
    }
}

impl Get {
    /// Asks for the session of this id.
    pub fn new(session: impl Into<String>) -> Self {
        Get { session: session.into() }
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "session.get",
        doc: "Tells what a session is: owner, title, metadata, times, how many messages it has.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "session.read",
        resource: &["session"],
        sensitive: &["title", "metadata"],
        errors: &[Code::SessionNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        let found = require(snapshot, &self.session)?;
        Entry::new(self.session.clone(), found)
    }
}
