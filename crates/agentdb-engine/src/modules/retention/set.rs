//! `retention.set`.

use std::num::NonZeroU64;

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Noun};
use crate::history::Retention;
use crate::modules::given;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::retain::Policy;
use crate::tx::Tx;

/// Says how long things of a noun are kept in the namespace, how many, and how long their history. What is not given stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Whose: `state`, `session`, `message`, `item`, `record`, `tool_call`, `thread` or `checkpoint`; `namespace` for the history
    /// of everything but states and sessions.
    pub noun: Noun,
    /// Microseconds for which a thing is kept after it was last written (a session or thread: used; a message or checkpoint:
    /// created; a tool call: settled); null to have none: for ever.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub max_age_us: Option<Option<NonZeroU64>>,
    /// How many of the newest are kept: messages of each session, checkpoints of each part of a thread; null to have none:
    /// all.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub keep_latest: Option<Option<NonZeroU64>>,
    /// Microseconds for which a version is kept after it was replaced or deleted, of `state`, of `session` (with its
    /// messages) or of `namespace` (everything else); 0 to keep none; null to keep all.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub history_us: Option<Option<u64>>,
}

impl Set {
    /// Nothing yet that would change how a noun is kept.
    pub fn new(noun: impl Into<Noun>) -> Self {
        Set { noun: noun.into(), max_age_us: None, keep_latest: None, history_us: None }
    }

    fn check(&self) -> Result<()> {
        if self.keep_latest.is_some() && !self.noun.is_part() {
            return Err(self.noun.refuse("keep_latest"));
        }
        if self.max_age_us.is_some() && !self.noun.has_things() {
            return Err(self.noun.refuse("max_age_us"));
        }
        if (self.max_age_us, self.keep_latest, self.history_us) == (None, None, None) {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "retention.set")
                .with("reason", "it says nothing of how long, or how many, are kept"));
        }
        Ok(())
    }
}

impl Request for Set {
    type Response = Entry;
    const ABOUT: About = About {
        name: "retention.set",
        doc: "Says how long things of a noun are kept in the namespace (`max_age_us`), how many (`keep_latest`), and how long their history (`history_us`): what it takes to read as of an earlier point, to compare points, to restore and to fork. What is not given stays. History of states and sessions is kept for 24 hours, of the rest of the namespace none, and everything else for ever, until this says otherwise. What is kept no longer is deleted in the background. With a history of 0 none is kept, and what there is goes; kept again, it begins there.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "retention.manage",
        resource: &["noun"],
        sensitive: &[],
        errors: &[Code::InvalidValue, Code::RetentionNotApplicable],
    };
}

impl WriteRequest for Set {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Entry> {
        self.check()?;
        if let Some(history_us) = self.history_us {
            self.set_history(tx, history_us)?;
        }
        let before = Policy::load(tx, self.noun)?;
        let after = Policy {
            max_age_us: self.max_age_us.unwrap_or(before.max_age_us),
            keep_latest: self.keep_latest.unwrap_or(before.keep_latest),
        };
        if after != before {
            after.store(tx, self.noun)?;
        }
        Entry::load(tx, self.noun)
    }
}

impl Set {
    fn set_history(&self, tx: &mut Tx<'_>, history_us: Option<u64>) -> Result<()> {
        let noun = self.noun.history().ok_or_else(|| self.noun.refuse("history_us"))?;
        let before = Retention::load(tx, noun)?;
        let mut after = Retention { history_us, ..before };
        if before.keeps() != after.keeps() {
            after.since = tx.lsn();
        }
        if after != before {
            after.store(tx, noun)?;
        }
        Ok(())
    }
}
