//! `message.clear`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{counter, store};
use super::{MESSAGES, SEQUENCE, counter_key, require};
use crate::numbers;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::sweep::{self, Remains};
use crate::tx::Tx;

/// Deletes all messages of a session.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clear {
    /// The session's id.
    pub session: String,
}

/// The answer to [`Clear`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cleared {
    /// How many messages there were.
    pub deleted: u64,
}

impl Request for Clear {
    type Response = Cleared;
    const ABOUT: About = About {
        name: "message.clear",
        doc: "Deletes all messages of a session, however many, at once, and keeps the session. Sequence numbers go on; cursors of earlier pages end.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "message.write",
        resource: &["session"],
        sensitive: &[],
        errors: &[Code::SessionNotFound],
    };
}

impl WriteRequest for Clear {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Cleared> {
        let mut head = require(tx, &self.session)?.head;
        let deleted = counter(tx, head.number, MESSAGES)?.unsigned_abs();
        let sequence = counter(tx, head.number, SEQUENCE)?;
        sweep::discard(tx, Remains::Session, head.number, &self.session)?;
        head.number = numbers::allot(tx, Remains::Session, "sessions", &self.session)?;
        let sequence = if planted::is(Bug::SequenceGivenTwice) { 0 } else { sequence };
        tx.add(counter_key(tx, head.number, SEQUENCE), sequence)?;
        store(tx, &self.session, &head)?;
        Ok(Cleared { deleted })
    }
}
