//! `tool_call.claim`.

use agentdb_types::{Code, Duration, Error, Id, Lsn, Result, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Place;
use super::call::{Call, Status};
use crate::modules::{encode_value, given_json, weigh};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;

/// Asks for leave to run a tool, or for what became of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Whose call: an agent, a run of a workflow, whatever makes keys unique; 1 to 512 bytes.
    pub owner: String,
    /// The key among the owner's calls: 1 to 512 bytes. It must be the same when the agent runs again, so it is made of what
    /// stays: the run, the step, the call's place in it.
    pub key: String,
    /// The tool: 1 to 512 bytes.
    pub tool: String,
    /// The arguments: any JSON up to 1 MiB and 32 deep. If the key comes back, tool and arguments must be the same.
    pub arguments: Value,
    /// Whether running the tool twice does no harm: if nobody tells what became of this claim, the call may be claimed
    /// again without being resolved.
    #[serde(default)]
    pub idempotent: bool,
    /// Microseconds until the lease ends, unless it is renewed; one minute if not given. It must be longer than the tool
    /// takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_us: Option<Duration>,
    /// Who claims, to be told to others: 1 to 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// How many attempts there may be, this one and earlier ones included; any number if not given. A retryable failure of
    /// the last one is final, and if it becomes unknown it is not claimed again though the tool is idempotent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
    /// Microseconds for which the call is kept once it is completed or has failed; for ever if not given. It can be claimed
    /// afresh after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_us: Option<Duration>,
}

/// The answer to [`Claim`]: leave to run the tool, or what became of it before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Answer {
    /// The tool is to be run now, by who asked, and its outcome to be told.
    Claimed {
        /// What the outcome must carry.
        epoch: Lsn,
        /// Which attempt it is, from 1.
        attempt: u64,
        /// When the lease ends unless it is renewed.
        lease_end: Timestamp,
        /// How far an earlier attempt told it was, if one did.
        #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
        progress: Option<Value>,
    },
    /// It is done: the tool must not be run.
    Completed {
        /// The result that was recorded.
        result: Value,
        /// When it was.
        finished: Timestamp,
    },
    /// It failed for good: the tool must not be run.
    Failed {
        /// The error that was recorded.
        error: Value,
        /// When it was.
        finished: Timestamp,
    },
}

impl Answer {
    /// The epoch to tell the outcome under, if the tool is to be run now.
    pub fn epoch(&self) -> Option<Lsn> {
        match self {
            Answer::Claimed { epoch, .. } => Some(*epoch),
            Answer::Completed { .. } | Answer::Failed { .. } => None,
        }
    }
}

impl Claim {
    /// A claim of a tool that is not idempotent, for a minute.
    pub fn new(
        owner: impl Into<String>,
        key: impl Into<String>,
        tool: impl Into<String>,
        arguments: impl Into<Value>,
    ) -> Self {
        Claim {
            owner: owner.into(),
            key: key.into(),
            tool: tool.into(),
            arguments: arguments.into(),
            ..Self::default()
        }
    }
}

impl Request for Claim {
    type Response = Answer;
    const ABOUT: About = About {
        name: "tool_call.claim",
        doc: "Claims a tool call before its tool is run, or tells the outcome that was recorded. Refused while someone else runs it, and once it is unknown unless it was declared idempotent: an error means that the tool must not be run. It cannot have an idempotency key.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "tool_call.write",
        resource: &["owner", "key"],
        sensitive: &["arguments", "progress", "result", "error"],
        errors: &[
            Code::ToolCallRunning,
            Code::ToolCallUnknown,
            Code::ToolCallMismatch,
            Code::NotRepeatable,
            Code::TtlOutOfRange,
            Code::ValueTooLarge,
            Code::DepthExceeded,
        ],
    };
}

impl WriteRequest for Claim {
    /// The answer gives leave to act once. A process that starts again with the same idempotency key would have it twice.
    const REPEATABLE: bool = false;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Answer> {
        let place = self.check()?;
        let lease_us = self.lease_us.unwrap_or(limits::TOOL_CALL_LEASE_US);
        let lease_end = tx.now().after(lease_us)?;
        if let Some(keep) = self.keep_us {
            tx.now().after(keep)?;
        }
        // One that is kept no more leaves a row until it is swept.
        let before = place.load(tx)?;
        let found = before.as_ref().filter(|call| !call.has_expired(tx.now()));
        if let Some(answer) = found.map(|call| self.recorded(tx, place, call)).transpose()?.flatten() {
            return Ok(answer);
        }
        let call = Call {
            tool: self.tool.clone(),
            arguments: self.arguments.clone(),
            epoch: tx.lsn(),
            attempt: found.map_or(1, |call| call.attempt.saturating_add(1)),
            idempotent: self.idempotent,
            max_attempts: self.max_attempts,
            worker: self.worker.clone(),
            lease_us,
            keep_us: self.keep_us,
            progress: found.and_then(|call| call.progress.clone()),
            resolved: false,
            created: found.map_or(tx.now(), |call| call.created),
            updated: tx.now(),
            status: Status::Claimed { lease_end },
        };
        let (epoch, attempt, progress) = (call.epoch, call.attempt, call.progress.clone());
        place.store(tx, before.as_ref(), call)?;
        Ok(Answer::Claimed { epoch, attempt, lease_end, progress })
    }

    fn weight(&self) -> usize {
        256 + weigh(&self.arguments)
    }
}

impl Claim {
    fn check(&self) -> Result<Place<'_>> {
        let place = Place::new(&self.owner, &self.key)?;
        Id::check("tool", &self.tool)?;
        if let Some(worker) = &self.worker {
            Id::check("worker", worker)?;
        }
        encode_value("arguments", &self.arguments)?;
        if self.max_attempts == Some(0) {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "max_attempts")
                .with("reason", "this attempt is one of them"));
        }
        Ok(place)
    }

    /// The outcome that a call has; none if the call can be claimed.
    fn recorded(&self, tx: &Tx<'_>, place: Place<'_>, call: &Call) -> Result<Option<Answer>> {
        for (field, same) in
            [("tool", call.tool == self.tool), ("arguments", call.arguments == self.arguments)]
        {
            if !same {
                return Err(place.error(Code::ToolCallMismatch).with("field", field));
            }
        }
        let finished = call.updated;
        match &call.status {
            Status::Completed { result } => Ok(Some(Answer::Completed { result: result.clone(), finished })),
            Status::Failed { error } => Ok(Some(Answer::Failed { error: error.clone(), finished })),
            Status::Retryable { .. } => Ok(None),
            Status::Claimed { lease_end } if *lease_end > tx.now() => Err(place.running(call, lease_end)),
            Status::Claimed { .. } if call.idempotent && call.has_attempts_left() => Ok(None),
            Status::Claimed { .. } if planted::is(Bug::UnknownRunsAgain) => Ok(None),
            Status::Claimed { lease_end } => Err(place.unknown(call, lease_end)),
        }
    }
}
