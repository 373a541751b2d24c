//! `link.get`.

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::end::Named;
use super::{LinkRow, check_type, key};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, row_json};

/// Reads a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The collection of the record that the link goes from.
    pub collection: String,
    /// That record.
    pub record: String,
    /// The type.
    #[serde(rename = "type")]
    pub link_type: String,
    /// The record that it goes to.
    pub to: String,
    /// The collection of the record that it goes to; the same collection if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_collection: Option<String>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// What is known of it.
    pub payload: Map<String, Value>,
    /// The version, which grows with every put.
    pub version: Lsn,
    /// When the link was first put.
    pub created: Timestamp,
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "link.get",
        doc: "Reads a link.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "link.read",
        resource: &["collection", "record", "type", "to_collection", "to"],
        sensitive: &["payload"],
        errors: &[Code::CollectionNotFound, Code::LinkNotFound],
    };
}

impl ReadRequest for Get {
    fn read(&self, snapshot: &Snapshot) -> Result<Entry> {
        check_type(&self.link_type)?;
        let from = Named::from(&self.collection, &self.record);
        let to = Named::to(self.to_collection.as_ref().unwrap_or(&self.collection), &self.to);
        let found = match (from.linked(snapshot)?, to.linked(snapshot)?) {
            (Some(from), Some(to)) => snapshot.get(&key(snapshot, from.node, &self.link_type, &to))?,
            _ => None,
        };
        let Some(row) = found else {
            return Err(Error::new(Code::LinkNotFound)
                .with("collection", from.collection)
                .with("record", from.record)
                .with("type", &self.link_type)
                .with("to_collection", to.collection)
                .with("to", to.record));
        };
        let LinkRow { created, payload } = row_json::decode(&row)?;
        Ok(Entry { payload, version: row.lsn, created })
    }
}
