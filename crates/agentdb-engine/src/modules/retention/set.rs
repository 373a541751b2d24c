//! `retention.set`.

use agentdb_types::{Code, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::{HistoryNoun, Retention};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Says how long the history of a noun is kept in the namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Whose history: `state`, or `session` (with its messages).
    pub noun: HistoryNoun,
    /// Microseconds for which a version is kept after it was replaced or deleted; 0 to keep none; null to keep all.
    /// Required: leaving it out would keep history for ever by mistake.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required)]
    pub history_us: Option<u64>,
}

/// The answer to [`Set`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetTo {
    /// The earliest LSN as of which the noun can be read; absent if none but the present can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Lsn>,
}

impl Request for Set {
    type Response = SetTo;
    const ABOUT: About = About {
        name: "retention.set",
        doc: "Says how long the history of a noun is kept in the namespace: what it takes to read as of an earlier point, to compare points, to restore and to fork. It is 24 hours until this says otherwise. With 0 no history is kept, and what there is goes; kept again, it begins there.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "retention.manage",
        resource: &["noun"],
        sensitive: &[],
        errors: &[Code::InvalidValue],
    };
}

impl WriteRequest for Set {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<SetTo> {
        let before = Retention::load(tx, self.noun)?;
        let mut after = Retention { history_us: self.history_us, ..before };
        if before.keeps() != after.keeps() {
            after.since = tx.lsn();
        }
        if after != before {
            after.store(tx, self.noun)?;
        }
        Ok(SetTo { since: after.readable_from() })
    }
}
