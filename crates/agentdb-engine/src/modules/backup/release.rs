//! `log.release`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{About, Effect, Request, Scope};

/// Lets go of a log that is held for an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {}

/// The answer to [`Release`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Released {
    /// The place that the log was held for, if it was.
    pub held_for: Option<String>,
}

impl Request for Release {
    type Response = Released;
    const ABOUT: About = About {
        name: "log.release",
        doc: "Lets go of a log that `backup.archive` holds: segments go again when the rows hold what they say and the log is longer than it is to be kept, archived or not.",
        effect: Effect::Write,
        scope: Scope::Database,
        permission: "backup.create",
        resource: &[],
        sensitive: &[],
        errors: &[],
    };
}
