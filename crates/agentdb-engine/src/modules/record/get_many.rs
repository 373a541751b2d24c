//! `record.get_many`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, find, key};
use crate::Snapshot;
use crate::modules::{check_page, collection};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Reads several records at one moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetMany {
    /// The collection.
    pub collection: String,
    /// The ids, at most a page of them.
    pub records: Vec<String>,
    /// Whether to give back the vectors.
    #[serde(default)]
    pub include_vector: bool,
}

/// The answer to [`GetMany`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gotten {
    /// For each id, in the order asked: its record, or null.
    pub items: Vec<Option<Entry>>,
}

impl Request for GetMany {
    type Response = Gotten;
    const ABOUT: About = About {
        name: "record.get_many",
        doc: "Reads several records at one moment; an id without a record gives null.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection", "records"],
        sensitive: &["items"],
        errors: &[Code::CollectionNotFound, Code::PageTooLarge],
    };
}

impl ReadRequest for GetMany {
    fn read(&self, snapshot: &Snapshot) -> Result<Gotten> {
        check_page(self.records.len())?;
        let head = collection::find(snapshot, &self.collection)?;
        let find = |id: &String| match find(snapshot, &key(snapshot, head.number, id)?)? {
            Some(found) => Entry::new(snapshot, &head, id.clone(), found, self.include_vector).map(Some),
            None => Ok(None),
        };
        Ok(Gotten { items: self.records.iter().map(find).collect::<Result<_>>()? })
    }
}
