//! `tool_call.complete`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Place;
use super::call::Status;
use crate::modules::{encode_value, weigh};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Tells that the tool has done its work.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// Whose call.
    pub owner: String,
    /// The key among the owner's calls.
    pub key: String,
    /// The epoch of the claim under which the tool was run.
    pub epoch: Lsn,
    /// The result, which is recorded for whoever claims the call again: any JSON up to 1 MiB and 32 deep.
    pub result: Value,
}

/// The answer to [`Complete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Completed {
    /// When the call was completed: now, or when it was the first time.
    pub finished: Timestamp,
    /// Until when it is kept, if not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Request for Complete {
    type Response = Completed;
    const ABOUT: About = About {
        name: "tool_call.complete",
        doc: "Records the result of a tool call, once. It is taken after the lease has ended, too, as long as nobody has claimed or resolved the call since; with the epoch of an earlier claim it is refused. The same result again is answered as the first time.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "tool_call.write",
        resource: &["owner", "key"],
        sensitive: &["result"],
        errors: &[
            Code::ToolCallNotFound,
            Code::ToolCallFenced,
            Code::ToolCallFinished,
            Code::ValueTooLarge,
            Code::DepthExceeded,
        ],
    };
}

impl WriteRequest for Complete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Completed> {
        let place = Place::new(&self.owner, &self.key)?;
        encode_value("result", &self.result)?;
        let before = place.require(tx, self.epoch)?;
        match &before.status {
            Status::Claimed { .. } => {}
            Status::Completed { result } if *result == self.result => {
                return Ok(Completed { finished: before.updated, expires: before.expires() });
            }
            _ => return Err(place.finished(tx, &before)),
        }
        let mut call = before.clone();
        call.status = Status::Completed { result: self.result.clone() };
        let call = place.store(tx, Some(&before), call)?;
        Ok(Completed { finished: call.updated, expires: call.expires() })
    }

    fn weight(&self) -> usize {
        256 + weigh(&self.result)
    }
}
