//! `state.count`.

use agentdb_types::{Id, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::{Page, Read};
use crate::{Snapshot, Table};

/// Counts an owner's values.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Whose state.
    pub owner: String,
    /// Only keys that start so.
    #[serde(default)]
    pub prefix: String,
}

/// The answer to [`Count`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// How many there are.
    pub count: u64,
}

impl Request for Count {
    type Response = Counted;
    const ABOUT: About = About {
        name: "state.count",
        doc: "Counts an owner’s values, by reading them.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "state.read",
        resource: &["owner"],
        sensitive: &[],
        errors: &[],
    };
}

impl ReadRequest for Count {
    fn read(&self, snapshot: &Snapshot) -> Result<Counted> {
        Id::check("owner", &self.owner)?;
        let prefix = snapshot.key(Table::State).text(&self.owner).text_prefix(&self.prefix);
        let mut count = 0;
        snapshot.scan_prefix(&prefix, Page::Forward, &mut |_, row| {
            count += u64::from(decode(&row, snapshot.now())?.is_some());
            Ok(true)
        })?;
        Ok(Counted { count })
    }
}
