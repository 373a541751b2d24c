//! What a feed gives.

use agentdb_types::{Lsn, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Thing;
use crate::modules::session::Base;

/// A committed batch, as far as it is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its LSN, which is the version of all that it put. Watch from the one behind it to go on.
    pub lsn: Lsn,
    /// Log time.
    pub time: Timestamp,
    /// The operations, joined by commas.
    pub operation: String,
    /// Who asked, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Whose data it is, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What changed: what was deleted with all in it before what was put there. Nothing in an event that tells progress.
    pub changes: Vec<Change>,
}

/// A change of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What changed.
    #[serde(flatten)]
    pub thing: Thing,
    /// What happened to it.
    pub kind: Kind,
    /// Of a session that was forked: whose messages it starts with, which are not told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// What was put, as its get operation shows it, but for what is counted or hangs on it and changes without it; if it was
    /// asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Whether what was put is not there any more as it was put, so that there is no value: a later event says more, or its
    /// time to live has passed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
}

/// What happened to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was created or changed.
    Put,
    /// Someone deleted it.
    Deleted,
    /// Its time to live had passed, or retention keeps it no longer, and it was deleted for that.
    Expired,
}
