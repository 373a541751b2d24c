//! `tool_call.renew`.

use agentdb_types::{Code, Duration, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Place;
use super::call::{Call, Status};
use crate::modules::{encode_value, given_json, weigh};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::tx::Tx;

/// Tells that the tool is still running.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// Whose call.
    pub owner: String,
    /// The key among the owner's calls.
    pub key: String,
    /// The epoch of the claim.
    pub epoch: Lsn,
    /// Microseconds from now until the lease ends; as many as the claim asked for if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_us: Option<Duration>,
    /// How far the tool is: any JSON up to 1 MiB and 32 deep, in place of what was told before. Another attempt is told it.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
}

/// The answer to [`Renew`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Renewed {
    /// When the lease ends now.
    pub lease_end: Timestamp,
}

impl Request for Renew {
    type Response = Renewed;
    const ABOUT: About = About {
        name: "tool_call.renew",
        doc: "Makes the lease of a claim end later, counted from now, and keeps how far the tool is. A lease that has ended is renewed, too, as long as nobody has claimed or resolved the call since.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "tool_call.write",
        resource: &["owner", "key"],
        sensitive: &["progress"],
        errors: &[
            Code::ToolCallNotFound,
            Code::ToolCallFenced,
            Code::ToolCallFinished,
            Code::TtlOutOfRange,
            Code::ValueTooLarge,
            Code::DepthExceeded,
        ],
    };
}

impl WriteRequest for Renew {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Renewed> {
        let place = Place::new(&self.owner, &self.key)?;
        if let Some(progress) = &self.progress {
            encode_value("progress", progress)?;
        }
        let before = place.require(tx, self.epoch)?;
        if !matches!(before.status, Status::Claimed { .. }) {
            return Err(place.finished(tx, &before));
        }
        let lease_end = tx.now().after(self.lease_us.unwrap_or(before.lease_us))?;
        let progress = self.progress.clone().or_else(|| before.progress.clone());
        let call = Call { progress, status: Status::Claimed { lease_end }, ..before.clone() };
        place.store(tx, Some(&before), call)?;
        Ok(Renewed { lease_end })
    }

    fn weight(&self) -> usize {
        256 + self.progress.as_ref().map_or(0, weigh)
    }
}
