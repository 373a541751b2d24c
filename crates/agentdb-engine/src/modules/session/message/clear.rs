//! `message.clear`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Tally, store};
use super::require;
use crate::numbers;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::sweep::Remains;
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
        let mut found = require(tx, &self.session)?;
        found.discard(tx, &self.session)?;
        found.head.number = numbers::allot(tx, Remains::Session, "sessions", &self.session)?;
        found.head.base = None;
        let Tally { touched, sequence, messages: deleted, .. } = found.tally;
        found.tally = Tally { touched, sequence, ..Tally::default() };
        if planted::is(Bug::SequenceGivenTwice) {
            found.tally.sequence = 0;
        }
        store(tx, &self.session, &mut found)?;
        Ok(Cleared { deleted })
    }
}
