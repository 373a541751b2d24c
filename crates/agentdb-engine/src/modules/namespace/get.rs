//! `namespace.get`.

use agentdb_types::{Code, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DEFAULT, Head, head, not_found};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::{NamespaceId, Snapshot};

/// Tells what a namespace is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The name.
    pub name: String,
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// The number under which its rows are kept.
    pub number: u64,
    /// When it was created; absent for `default`, which always exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// What it is for.
    pub description: String,
}

impl Entry {
    pub(super) fn default_namespace() -> Self {
        let number = NamespaceId::DEFAULT.number();
        Entry { name: DEFAULT.to_owned(), number, created: None, description: "always exists".to_owned() }
    }

    pub(super) fn new(name: String, head: Head) -> Self {
        Entry { name, number: head.number, created: Some(head.created), description: head.description }
    }
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "namespace.get",
        doc: "Tells what a namespace is.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "namespace.read",
        resource: &["name"],
        sensitive: &["description"],
        errors: &[Code::NamespaceNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        if self.name == DEFAULT {
            return Ok(Entry::default_namespace());
        }
        let head = head(snapshot, &self.name)?.ok_or_else(|| not_found(&self.name))?;
        Ok(Entry::new(self.name.clone(), head))
    }
}
