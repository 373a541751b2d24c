//! `tool_call.get`.

use agentdb_types::{Code, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Place;
use super::call::{Call, State, Status};
use crate::modules::given_json;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Row, Snapshot, row_json};

/// Reads a call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// Whose call.
    pub owner: String,
    /// The key among the owner's calls.
    pub key: String,
}

/// A tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Whose call.
    pub owner: String,
    /// The key among the owner's calls.
    pub key: String,
    /// The tool.
    pub tool: String,
    /// The arguments.
    pub arguments: Value,
    /// What is known of it at the time of the read.
    pub state: State,
    /// The epoch of the claim or of the resolution that came last.
    pub epoch: Lsn,
    /// Which attempt it is or was; 0 if it was resolved to be run again.
    pub attempt: u64,
    /// How many attempts there may be, if that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
    /// Whether running the tool twice does no harm.
    pub idempotent: bool,
    /// Who claimed it last, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When the lease ends, or ended, if it is claimed or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_end: Option<Timestamp>,
    /// How far the tool was, if it was told.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
    /// The result, if it is completed.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The error, if it failed.
    #[serde(default, deserialize_with = "given_json", skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Whether the state was told by tool_call.resolve.
    pub resolved: bool,
    /// When it was claimed first.
    pub created: Timestamp,
    /// When it was claimed, renewed, finished or resolved last.
    pub updated: Timestamp,
    /// Until when it is kept, if not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Its version, which grows with every change.
    pub version: Lsn,
}

impl Entry {
    /// The call of a row, if it is still kept.
    pub(super) fn of(place: Place<'_>, row: &Row, now: Timestamp) -> Result<Option<Self>> {
        let call: Call = row_json::decode(row)?;
        if call.has_expired(now) {
            return Ok(None);
        }
        let (state, expires) = (call.state(now), call.expires());
        let (mut lease, mut result, mut error) = (None, None, None);
        match call.status {
            Status::Claimed { lease_end } => lease = Some(lease_end),
            Status::Retryable { error: told } => error = told,
            Status::Completed { result: told } => result = Some(told),
            Status::Failed { error: told } => error = Some(told),
        }
        Ok(Some(Entry {
            owner: place.owner.to_owned(),
            key: place.key.to_owned(),
            tool: call.tool,
            arguments: call.arguments,
            state,
            epoch: call.epoch,
            attempt: call.attempt,
            max_attempts: call.max_attempts,
            idempotent: call.idempotent,
            worker: call.worker,
            lease_end: lease,
            progress: call.progress,
            result,
            error,
            resolved: call.resolved,
            created: call.created,
            updated: call.updated,
            expires,
            version: row.lsn,
        }))
    }
}

impl Get {
    /// A read of one call.
    pub fn new(owner: impl Into<String>, key: impl Into<String>) -> Self {
        Get { owner: owner.into(), key: key.into() }
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "tool_call.get",
        doc: "Reads a tool call: its state, epoch, arguments, progress and outcome. It claims nothing.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "tool_call.read",
        resource: &["owner", "key"],
        sensitive: &["arguments", "progress", "result", "error"],
        errors: &[Code::ToolCallNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        let place = Place::new(&self.owner, &self.key)?;
        let row = snapshot.get(&place.row(snapshot))?;
        let found = row.map(|row| Entry::of(place, &row, snapshot.now())).transpose()?.flatten();
        found.ok_or_else(|| place.error(Code::ToolCallNotFound))
    }
}
