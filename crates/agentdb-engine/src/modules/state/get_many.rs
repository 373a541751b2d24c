//! `state.get_many`.

use agentdb_types::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, find, row_key};
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Reads several values of one owner at one moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetMany {
    /// Whose state.
    pub owner: String,
    /// The keys, at most a page of them.
    pub keys: Vec<String>,
}

/// The answer to [`GetMany`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gotten {
    /// For each key, in the order asked: its state, or null.
    pub items: Vec<Option<Entry>>,
}

impl Request for GetMany {
    type Response = Gotten;
    const ABOUT: About = About {
        name: "state.get_many",
        doc: "Reads several values of one owner at one moment; a key without a value gives null.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "state.read",
        resource: &["owner", "keys"],
        sensitive: &["items"],
        errors: &[agentdb_types::Code::PageTooLarge],
    };
}

impl ReadRequest for GetMany {
    fn read(&self, snapshot: &Snapshot) -> Result<Gotten> {
        crate::modules::check_page(self.keys.len())?;
        let find = |name: &String| {
            let key = row_key(snapshot, &self.owner, name)?;
            Ok(find(snapshot, &key)?.map(|state| Entry::new(name.clone(), state)))
        };
        Ok(Gotten { items: self.keys.iter().map(find).collect::<Result<_>>()? })
    }
}
