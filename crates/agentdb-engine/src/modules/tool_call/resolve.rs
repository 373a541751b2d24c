//! `tool_call.resolve`.

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Place;
use super::call::{Call, State, Status};
use crate::modules::{encode_value, given_json, weigh};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;

/// What became of an unknown call, or what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The side effect has happened, with `result`.
    Completed,
    /// It has not, and is not to be tried again; `error` says why.
    Failed,
    /// The tool is to be run again, by whoever claims the call next; attempts count from 1 again.
    Retry,
}

/// Tells what became of a call that nobody told the outcome of.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// Whose call.
    pub owner: String,
    /// The key among the owner's calls.
    pub key: String,
    /// The epoch of the claim that is unknown: one that was claimed again in the meantime is not resolved by mistake.
    pub epoch: Lsn,
    /// What became of it.
    pub resolution: Resolution,
    /// The result, if it was completed: any JSON up to 1 MiB and 32 deep; null if not given.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The error, if it failed: any JSON up to 1 MiB and 32 deep; null if not given.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

/// The answer to [`Resolve`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolved {
    /// The state that it led to.
    pub state: State,
    /// The epoch of the resolution, which the claim's outcome does not have.
    pub epoch: Lsn,
    /// Until when the call is kept, if not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Request for Resolve {
    type Response = Resolved;
    const ABOUT: About = About {
        name: "tool_call.resolve",
        doc: "Tells what became of an unknown tool call: it was completed, it failed, or it is to be run again. An outcome that comes late from the claim is refused from then on.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "tool_call.resolve",
        resource: &["owner", "key"],
        sensitive: &["result", "error"],
        errors: &[
            Code::ToolCallNotFound,
            Code::ToolCallRunning,
            Code::ToolCallFenced,
            Code::ToolCallFinished,
            Code::ValueTooLarge,
            Code::DepthExceeded,
        ],
    };
}

impl WriteRequest for Resolve {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Resolved> {
        let place = Place::new(&self.owner, &self.key)?;
        let status = self.status()?;
        let before = place.require(tx, self.epoch)?;
        match &before.status {
            Status::Claimed { lease_end } if *lease_end > tx.now() => {
                return Err(place.running(&before, lease_end));
            }
            Status::Claimed { .. } => {}
            _ => return Err(place.finished(tx, &before)),
        }
        let attempt = if self.resolution == Resolution::Retry { 0 } else { before.attempt };
        let epoch = if planted::is(Bug::ResolvedNotFenced) { before.epoch } else { tx.lsn() };
        let call = Call { status, attempt, epoch, resolved: true, ..before.clone() };
        let call = place.store(tx, Some(&before), call)?;
        Ok(Resolved { state: call.state(tx.now()), epoch, expires: call.expires() })
    }

    fn weight(&self) -> usize {
        256 + [&self.result, &self.error].into_iter().flatten().map(weigh).sum::<usize>()
    }
}

impl Resolve {
    /// The status that the resolution leads to. What it has no use for is refused, not dropped.
    fn status(&self) -> Result<Status> {
        let useless = |field: &str, resolution: &str| {
            Err(Error::new(Code::InvalidValue)
                .with("field", field)
                .with("reason", format_args!("it is for the resolution `{resolution}` alone")))
        };
        if self.result.is_some() && self.resolution != Resolution::Completed {
            return useless("result", "completed");
        }
        if self.error.is_some() && self.resolution != Resolution::Failed {
            return useless("error", "failed");
        }
        let (result, error) =
            (self.result.clone().unwrap_or_default(), self.error.clone().unwrap_or_default());
        encode_value("result", &result)?;
        encode_value("error", &error)?;
        Ok(match self.resolution {
            Resolution::Completed => Status::Completed { result },
            Resolution::Failed => Status::Failed { error },
            Resolution::Retry => Status::Retryable { error: None },
        })
    }
}
