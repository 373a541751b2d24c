//! `session.restore`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Session, create, find, message, owner_key, require, schedule, store};
use crate::Row;
use crate::history::{Point, Then};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Makes a session what it was at an earlier point.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The session's id.
    pub session: String,
    /// The point: an LSN or a time.
    pub at: Point,
}

/// The answer to [`Restore`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// How many messages the session has.
    pub messages: u64,
    /// How many of them were put back, or given back what they were.
    pub restored: u64,
    /// How many were deleted, since they were not there.
    pub deleted: u64,
    /// When the session expires unless it changes before, if it has a time to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Restore {
    /// Makes a session what it was.
    pub fn new(session: impl Into<String>, at: impl Into<Point>) -> Self {
        Restore { session: session.into(), at: at.into() }
    }
}

impl Request for Restore {
    type Response = Restored;
    const ABOUT: About = About {
        name: "session.restore",
        doc: "Makes a session what it was at an earlier point: owner, title, metadata, time to live, messages; one that was deleted since comes back. Messages that are as they were keep their versions, and sequence numbers go on from the greatest that was ever given. A write that names a subject seals what is put back with that subject’s key. Up to 10,000 messages then and now, of which 9,999 change.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "session.write",
        resource: &["session"],
        sensitive: &[],
        errors: &[
            Code::SessionNotFound,
            Code::BatchTooLarge,
            Code::HistoryTrimmed,
            Code::NoHistory,
            Code::PointAhead,
        ],
    };
}

impl WriteRequest for Restore {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Restored> {
        let (then, messages) = {
            let before = tx.before();
            let then = Then::new(&before, "at", self.at, Lsn(tx.lsn().0 - 1))?;
            let found = require(&then, &self.session)?;
            let messages = message::all(&then, &found, u64::MAX)?;
            (found, messages)
        };
        let mut session = self.make_room(tx, &then)?;
        let there = message::all(tx, &session, u64::MAX)?;
        let (mut restored, mut deleted) = (0, 0);
        // All that goes first: an id may come back at another place.
        for (sequence, row) in there.iter().filter(|(sequence, row)| !is_in(&messages, **sequence, row)) {
            message::delete(tx, (&self.session, &mut session), *sequence, row)?;
            deleted += u64::from(!messages.contains_key(sequence));
        }
        for (sequence, row) in messages.iter().filter(|(sequence, row)| !is_in(&there, **sequence, row)) {
            message::put(tx, (&self.session, &mut session), *sequence, row)?;
            restored += 1;
        }
        let count = messages.len() as u64;
        let super::Head { number, base, .. } = session.head;
        // It does not start any more with what it was forked with, if that was another session of this id.
        let base = base.filter(|_| number == then.head.number);
        session.head = super::Head { number, base, ..then.head };
        session.tally.messages = count;
        session.tally.sequence = session.tally.sequence.max(then.tally.sequence);
        let expires = schedule(tx, &self.session, session.head.ttl_us)?;
        store(tx, &self.session, &mut session)?;
        Ok(Restored { messages: count, restored, deleted, expires })
    }
}

/// Whether this version of a message is among others.
fn is_in(messages: &message::Rows, sequence: u64, row: &Row) -> bool {
    messages.get(&sequence).is_some_and(|other| other.lsn == row.lsn)
}

impl Restore {
    /// The session as it is now, under the owner that it had; a new one if it is gone.
    fn make_room(&self, tx: &mut Tx<'_>, then: &Session) -> Result<Session> {
        if let Some(now) = find(tx, &self.session)? {
            if now.head.owner != then.head.owner {
                tx.delete(owner_key(tx, &now.head.owner, &self.session))?;
                tx.put_bookkeeping(owner_key(tx, &then.head.owner, &self.session), Vec::new())?;
            }
            return Ok(now);
        }
        let head = &then.head;
        create(tx, &self.session, &head.owner, head.title.clone(), head.metadata.clone(), head.ttl_us)?;
        require(tx, &self.session)
    }
}
