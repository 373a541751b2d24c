//! `message.append`.

use agentdb_types::{Code, Error, Id, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::{Session, check_metadata, create, find, not_found};
use super::{Body, id_key, row_key};
use crate::modules::{encode_value, weigh, weigh_fields};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{numbers, row_json};

/// Appends a message to a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Append {
    /// The session's id.
    pub session: String,
    /// Who speaks: `user`, `assistant`, `system`, `tool`, or whatever the application calls it; 1 to 512 bytes.
    pub role: String,
    /// What is said: any JSON up to 1 MiB and 32 deep; a text, or a list of parts.
    pub content: Value,
    /// The speaker's name: 1 to 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A JSON object to keep with it: up to 1 MiB.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The message's id: 1 to 512 bytes, unique in the session. A UUID version 7 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The session's owner. If it is given, a session that does not exist is created, without a time to live, and one
    /// of another owner is refused; if not, the session must exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// The answer to [`Append`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// The message's id.
    pub message: String,
    /// Its place in the session.
    pub sequence: u64,
    /// Its version.
    pub version: Lsn,
}

impl Append {
    /// A message with nothing but a role and a content.
    pub fn new(session: impl Into<String>, role: impl Into<String>, content: impl Into<Value>) -> Self {
        Append { session: session.into(), role: role.into(), content: content.into(), ..Self::default() }
    }
}

impl Request for Append {
    type Response = Appended;
    const ABOUT: About = About {
        name: "message.append",
        doc: "Appends a message to a session, and renews the session’s time to live. With `owner`, a session that does not exist is created.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "message.write",
        resource: &["owner", "session"],
        sensitive: &["content", "name", "metadata"],
        errors: &[
            Code::SessionNotFound,
            Code::SessionMismatch,
            Code::MessageExists,
            Code::ValueTooLarge,
            Code::DepthExceeded,
        ],
    };
}

impl WriteRequest for Append {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Appended> {
        Id::check("role", &self.role)?;
        if let Some(name) = &self.name {
            Id::check("name", name)?;
        }
        encode_value("content", &self.content)?;
        check_metadata(&self.metadata)?;
        let mut session = self.find_or_create(tx)?;
        let message = self.message.clone().unwrap_or_else(|| tx.new_id().into());
        if session.layers(tx)?.sequence_of(tx, &message)?.is_some() {
            return Err(Error::new(Code::MessageExists)
                .with("session", &self.session)
                .with("message", message));
        }
        session.tally.sequence += 1;
        session.tally.messages += 1;
        session.tally.touch(tx, session.head.number)?;
        let (sequence, layer) = (session.tally.sequence, session.own_layer());
        numbers::tell(tx, Remains::Session, layer, &self.session);
        let body = Body {
            message: message.clone(),
            role: self.role.clone(),
            name: self.name.clone(),
            content: self.content.clone(),
            metadata: self.metadata.clone(),
            created: tx.now(),
        };
        tx.put(row_key(tx, layer, sequence), row_json::encode(&body)?)?;
        tx.put_bookkeeping(id_key(tx, layer, &message)?, sequence.to_le_bytes().to_vec())?;
        Ok(Appended { message, sequence, version: tx.lsn() })
    }

    fn weight(&self) -> usize {
        256 + weigh(&self.content) + weigh_fields(&self.metadata)
    }
}

impl Append {
    /// The session, which is created if it may be.
    fn find_or_create(&self, tx: &mut Tx<'_>) -> Result<Session> {
        let found = find(tx, &self.session)?;
        match (found, &self.owner) {
            (Some(found), Some(owner)) if found.head.owner != *owner => {
                Err(Error::new(Code::SessionMismatch)
                    .with("session", &self.session)
                    .with("owner", found.head.owner))
            }
            (Some(found), _) => Ok(found),
            (None, None) => Err(not_found(&self.session)),
            (None, Some(owner)) => {
                create(tx, &self.session, owner, None, Map::new(), None)?;
                find(tx, &self.session)?.ok_or_else(|| not_found(&self.session))
            }
        }
    }
}
