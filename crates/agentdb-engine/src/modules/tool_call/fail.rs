//! `tool_call.fail`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Place;
use super::call::{Call, State, Status};
use crate::modules::{encode_value, weigh};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::tx::Tx;

/// Tells that the tool has failed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// Whose call.
    pub owner: String,
    /// The key among the owner's calls.
    pub key: String,
    /// The epoch of the claim under which the tool was run.
    pub epoch: Lsn,
    /// What went wrong: any JSON up to 1 MiB and 32 deep.
    pub error: Value,
    /// Whether the tool may be run again: only if it is certain that the side effect has not happened, or that it does no
    /// harm twice.
    #[serde(default)]
    pub retry: bool,
}

/// The answer to [`Fail`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// The state that it led to: `retryable`, or `failed` if it is not to be run again or was the last attempt.
    pub state: State,
    /// When the call failed: now, or when it did the first time.
    pub finished: Timestamp,
    /// Until when it is kept, if not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Failed {
    fn of(rows: &dyn Read, call: &Call) -> Self {
        Failed { state: call.state(rows.now()), finished: call.updated, expires: call.expires() }
    }
}

impl Request for Fail {
    type Response = Failed;
    const ABOUT: About = About {
        name: "tool_call.fail",
        doc: "Records that a tool call failed: for good, or, with `retry` and while attempts are left, so that it can be claimed again. The same failure again is answered as the first time.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "tool_call.write",
        resource: &["owner", "key"],
        sensitive: &["error"],
        errors: &[
            Code::ToolCallNotFound,
            Code::ToolCallFenced,
            Code::ToolCallFinished,
            Code::ValueTooLarge,
            Code::DepthExceeded,
        ],
    };
}

impl WriteRequest for Fail {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Failed> {
        let place = Place::new(&self.owner, &self.key)?;
        encode_value("error", &self.error)?;
        let before = place.require(tx, self.epoch)?;
        let error = self.error.clone();
        let status = match self.retry && before.has_attempts_left() {
            true => Status::Retryable { error: Some(error) },
            false => Status::Failed { error },
        };
        if before.status == status {
            return Ok(Failed::of(tx, &before));
        }
        if !matches!(before.status, Status::Claimed { .. }) {
            return Err(place.finished(tx, &before));
        }
        let call = place.store(tx, Some(&before), Call { status, ..before.clone() })?;
        Ok(Failed::of(tx, &call))
    }

    fn weight(&self) -> usize {
        256 + weigh(&self.error)
    }
}
