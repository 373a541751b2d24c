//! `session.fork`.

use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Created, Session, create, find, message, require};
use crate::history::{Point, Then};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::tx::Tx;

/// Makes a session that starts from what another one was.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// The session to start from.
    pub session: String,
    /// The new session's id, which must not exist; a UUID version 7 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The point at which it is looked at, an LSN or a time; now if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Point>,
    /// Only messages up to this sequence number; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through_sequence: Option<u64>,
}

/// The answer to [`Fork`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forked {
    /// The new session.
    #[serde(flatten)]
    pub created: Created,
    /// How many messages it starts with.
    pub messages: u64,
}

impl Fork {
    /// A fork of a session as it is now, with a generated id.
    pub fn new(session: impl Into<String>) -> Self {
        Fork { session: session.into(), ..Self::default() }
    }
}

impl Request for Fork {
    type Response = Forked;
    const ABOUT: About = About {
        name: "session.fork",
        doc: "Makes a session that starts from what another one is, or was at an earlier point: owner, title, metadata, time to live, and its messages up to some sequence number, with their ids, sequence numbers and times. From then on the two are apart. A write that names a subject seals the copies with that subject’s key. Up to 9,999 messages.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "session.write",
        resource: &["session", "to"],
        sensitive: &[],
        errors: &[
            Code::SessionNotFound,
            Code::SessionExists,
            Code::BatchTooLarge,
            Code::HistoryTrimmed,
            Code::NoHistory,
            Code::PointAhead,
        ],
    };
}

impl WriteRequest for Fork {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Forked> {
        let to = self.to.clone().unwrap_or_else(|| tx.new_id().into());
        if find(tx, &to)?.is_some() {
            return Err(Error::new(Code::SessionExists).with("session", to));
        }
        let through = self.through_sequence.unwrap_or(u64::MAX);
        let (then, messages) = match self.at {
            None => look(tx, &self.session, through)?,
            Some(point) => {
                let before = tx.before();
                look(&Then::new(&before, "at", point, Lsn(tx.lsn().0 - 1))?, &self.session, through)?
            }
        };
        let Session { head, tally } = then;
        let created = create(tx, &to, &head.owner, head.title, head.metadata, head.ttl_us)?;
        let mut new = require(tx, &to)?;
        new.tally.sequence = tally.sequence.min(through);
        let count = messages.len() as u64;
        new.tally.messages = count;
        new.tally.touch(tx, new.head.number)?;
        messages
            .iter()
            .try_for_each(|(sequence, row)| message::put(tx, (&to, new.head.number), *sequence, row))?;
        Ok(Forked { created, messages: count })
    }
}

/// A session, and its messages up to some sequence number.
fn look(rows: &dyn Read, session: &str, through: u64) -> Result<(Session, message::Rows)> {
    let found = require(rows, session)?;
    let messages = message::all(rows, found.head.number, through)?;
    Ok((found, messages))
}
