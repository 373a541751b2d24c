//! `change.watch`.

use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Event, Noun};
use crate::operation::{About, Effect, Request, Scope};

/// Watches what changes in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// From which LSN on; from the earliest that the log still holds if not given. To go on, the LSN behind the last one seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Lsn>,
    /// Only these nouns; all if empty. What is deleted with something that holds it is told as that; what takes links along is told
    /// to all who watch links, whatever the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nouns: Vec<Noun>,
    /// Only what has these first components of its key: an owner for state, a session for messages, a collection for records, a
    /// thread for checkpoints, then what comes next in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// Only what has a next component of its key that starts so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Whether to read what was put, as far as it is still there as it was put.
    #[serde(default)]
    pub values: bool,
    /// After how many batches without a change that is watched an event without changes tells how far the feed is; never if
    /// not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u64>,
}

impl Watch {
    /// Everything from an LSN on.
    pub fn from_lsn(from: Lsn) -> Self {
        Watch { from: Some(from), ..Self::default() }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.progress {
            Some(0) => Err(Error::new(Code::InvalidValue)
                .with("field", "progress")
                .with("reason", "it is a number of batches, 1 at least")),
            _ => Ok(()),
        }
    }
}

impl Request for Watch {
    type Response = Event;
    const ABOUT: About = About {
        name: "change.watch",
        doc: "Watches what changes in a namespace: every committed batch from an LSN on with what it put and deleted, in order, none twice, none left out, and nothing before it is durable.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "change.read",
        resource: &["nouns", "key", "prefix"],
        sensitive: &["changes"],
        errors: &[Code::NamespaceNotFound, Code::LogTrimmed, Code::LsnAhead, Code::LogCorrupt],
    };
}
