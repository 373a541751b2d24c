//! `retention.list`.

use agentdb_types::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Noun};
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Tells what of each noun is kept in the namespace, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// Every noun that has a retention.
    pub items: Vec<Entry>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "retention.list",
        doc: "Tells how long things of each noun are kept in the namespace, how many of them, how long their history, and how far that goes back.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "retention.read",
        resource: &[],
        sensitive: &[],
        errors: &[],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        Ok(Listed {
            items: Noun::ALL.into_iter().map(|noun| Entry::load(snapshot, noun)).collect::<Result<_>>()?,
        })
    }
}
