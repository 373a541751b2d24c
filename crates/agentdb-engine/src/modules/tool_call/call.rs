//! A tool call as its row holds it, and the state that it is in at a time.

use agentdb_types::{Duration, Lsn, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::modules::given_json;

/// What is known of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody runs the tool, and the lease has not ended.
    Claimed,
    /// The lease has ended and no outcome was told: the side effect may have happened or not.
    Unknown,
    /// It failed so that it may be run again, or it was resolved so.
    Retryable,
    /// It is done, and its result is recorded.
    Completed,
    /// It has failed for good, and its error is recorded.
    Failed,
}

impl State {
    /// The name, as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            State::Claimed => "claimed",
            State::Unknown => "unknown",
            State::Retryable => "retryable",
            State::Completed => "completed",
            State::Failed => "failed",
        }
    }
}

/// The row of a tool call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(super) tool: String,
    pub(super) arguments: Value,
    pub(super) epoch: Lsn,
    pub(super) attempt: u64,
    pub(super) idempotent: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_attempts: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) worker: Option<String>,
    pub(super) lease_us: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keep_us: Option<Duration>,
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub(super) progress: Option<Value>,
    /// Whether what became of it was told by somebody else than the worker.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) resolved: bool,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) status: Status,
}

/// What was written down of a call's state: that a lease has ended is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Status {
    Claimed {
        lease_end: Timestamp,
    },
    Retryable {
        #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
        error: Option<Value>,
    },
    Completed {
        result: Value,
    },
    Failed {
        error: Value,
    },
}

impl Call {
    pub(super) fn state(&self, now: Timestamp) -> State {
        match &self.status {
            Status::Claimed { lease_end } if *lease_end <= now => State::Unknown,
            Status::Claimed { .. } => State::Claimed,
            Status::Retryable { .. } => State::Retryable,
            Status::Completed { .. } => State::Completed,
            Status::Failed { .. } => State::Failed,
        }
    }

    /// When the call goes: so long after it was finished as it is to be kept. A time beyond the range of times ends with it.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        let finished = matches!(self.status, Status::Completed { .. } | Status::Failed { .. });
        let end = |keep| self.updated.micros().saturating_add(keep).min(limits::TIME_MAX_US);
        // A row that holds no duration keeps its call for ever.
        self.keep_us.filter(|_| finished).and_then(|keep| Timestamp::from_micros(end(keep)).ok())
    }

    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires().is_some_and(|at| at <= now)
    }

    /// Whether another attempt may follow this one.
    pub(super) fn has_attempts_left(&self) -> bool {
        self.max_attempts.is_none_or(|most| self.attempt < most)
    }
}
