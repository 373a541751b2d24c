//! `session.fork`.

use agentdb_types::{Code, Error, Id, Lsn, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Base, Created, Head, Session, create, find, message, require, store};
use crate::Table;
use crate::history::{Point, Then};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
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
        doc: "Makes a session that starts from what another one is, or was at an earlier point: owner, title, metadata, time to live, and its messages up to some sequence number, with their ids, sequence numbers and times. From then on the two are apart. Messages are not copied but shared, however many they are, as long as neither session changes or deletes them; those of an earlier point from which some changed since, or of a session that was cleared or deleted since, or that the same batch wrote, or behind 64 forks of forks, are copied, up to 9,999: a write that names a subject seals copies with that subject’s key.",
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
        Id::check("to", &to)?;
        if find(tx, &to)?.is_some() {
            return Err(Error::new(Code::SessionExists).with("session", to));
        }
        let through = self.through_sequence.unwrap_or(u64::MAX);
        let (then, at) = self.look(tx)?;
        let through = through.min(then.tally.sequence);
        let Head { owner, title, metadata, ttl_us, .. } = then.head.clone();
        let created = create(tx, &to, &owner, title, metadata, ttl_us)?;
        let mut new = require(tx, &to)?;
        let messages = match self.share(tx, (&then, at), &mut new, through)? {
            Some(messages) => {
                if messages > 0 {
                    // What the same batch did to that session before is not shared.
                    let lsn = if self.at.is_some() { at } else { Lsn(tx.lsn().0 - 1) };
                    let base = Base { session: self.session.clone(), through_sequence: through, lsn };
                    tx.name(Table::MessageLayer, &[new.head.number, through, lsn.0], &self.session);
                    new.head.base = Some(base);
                }
                messages
            }
            None => self.copy(tx, (&to, &mut new), through)?,
        };
        new.tally.sequence = through;
        new.tally.messages = messages;
        store(tx, &to, &mut new)?;
        Ok(Forked { created, messages })
    }
}

impl Fork {
    /// The session as it is, or was, and the LSN of that.
    fn look(&self, tx: &Tx<'_>) -> Result<(Session, Lsn)> {
        let Some(at) = self.at else { return Ok((require(tx, &self.session)?, tx.lsn())) };
        let before = tx.before();
        let then = Then::new(&before, "at", at, Lsn(tx.lsn().0 - 1))?;
        Ok((require(&then, &self.session)?, then.at()))
    }

    /// Has the new session share the messages, if that can be.
    fn share(
        &self,
        tx: &mut Tx<'_>,
        (then, at): (&Session, Lsn),
        new: &mut Session,
        through: u64,
    ) -> Result<Option<u64>> {
        let now = find(tx, &self.session)?.filter(|now| now.head.number == then.head.number);
        now.map_or(Ok(None), |mut now| now.share(tx, new, through, at))
    }

    /// Copies the messages; tells how many they are.
    fn copy(&self, tx: &mut Tx<'_>, (to, new): (&str, &mut Session), through: u64) -> Result<u64> {
        let messages = match self.at {
            None => message::all(tx, &require(tx, &self.session)?, through)?,
            Some(at) => {
                let before = tx.before();
                let then = Then::new(&before, "at", at, Lsn(tx.lsn().0 - 1))?;
                message::all(&then, &require(&then, &self.session)?, through)?
            }
        };
        let most = limits::BATCH_MUTATIONS - 1;
        if messages.len() > most {
            return Err(too_many(messages.len(), most));
        }
        messages.iter().try_for_each(|(sequence, row)| message::put(tx, (to, new), *sequence, row))?;
        new.tally.edited = Lsn::ZERO;
        Ok(messages.len() as u64)
    }
}

fn too_many(actual: impl std::fmt::Display, most: usize) -> Error {
    let error = Error::new(Code::BatchTooLarge).with("actual", actual);
    error.with("unit", "messages that must be copied, since they cannot be shared").with("limit", most)
}
