//! `link.put`.

use agentdb_types::{Code, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::end::{Named, tell};
use super::{LinkRow, back_key, check_type, key, node};
use crate::modules::{encode_fields, weigh_fields};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::row_json;
use crate::tx::Tx;

/// Links a record to a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The collection of the record that the link goes from.
    pub collection: String,
    /// That record.
    pub record: String,
    /// The type, up to 512 bytes.
    #[serde(rename = "type")]
    pub link_type: String,
    /// The record that it goes to, which may be the same.
    pub to: String,
    /// The collection of the record that it goes to; the same collection if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_collection: Option<String>,
    /// What is known of the link: a JSON object, up to 1 MiB and 32 deep.
    #[serde(default)]
    pub payload: Map<String, Value>,
}

/// The answer to [`Put`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// The version of the link.
    pub version: Lsn,
    /// Whether there was none before.
    pub created: bool,
}

impl Put {
    /// A link within a collection, without a payload.
    pub fn new(
        collection: impl Into<String>,
        record: impl Into<String>,
        link_type: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        Put {
            collection: collection.into(),
            record: record.into(),
            link_type: link_type.into(),
            to: to.into(),
            to_collection: None,
            payload: Map::new(),
        }
    }
}

impl Request for Put {
    type Response = Stored;
    const ABOUT: About = About {
        name: "link.put",
        doc: "Links a record to a record of the same collection or of another one, under a type. If there is such a link, its payload is replaced. The link is gone when either record is; putting or patching a record again keeps its links.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "link.write",
        resource: &["collection", "record", "type", "to_collection", "to"],
        sensitive: &["payload"],
        errors: &[Code::CollectionNotFound, Code::RecordNotFound, Code::ValueTooLarge],
    };
}

impl WriteRequest for Put {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Stored> {
        check_type(&self.link_type)?;
        encode_fields("payload", &self.payload)?;
        let from = Named::from(&self.collection, &self.record);
        let to_collection = self.to_collection.as_ref().unwrap_or(&self.collection);
        let to = Named::to(to_collection, &self.to);
        let (from, to) = (from.find(tx)?, to.find(tx)?);
        let (from, to) = (from.place(node::allot(tx, &from.key)?), to.place(node::allot(tx, &to.key)?));
        tell(tx, (&self.collection, &from), (to_collection, &to));
        let key = key(tx, from.node, &self.link_type, &to);
        let before: Option<LinkRow> = tx.get(&key)?.map(|row| row_json::decode(&row)).transpose()?;
        let created = before.is_none();
        if created {
            tx.put_bookkeeping(back_key(tx, &from, &self.link_type, to.node), Vec::new())?;
        }
        let row = LinkRow {
            created: before.map_or(tx.now(), |before| before.created),
            payload: self.payload.clone(),
        };
        tx.put(key, row_json::encode(&row)?)?;
        Ok(Stored { version: tx.lsn(), created })
    }

    fn weight(&self) -> usize {
        1024 + weigh_fields(&self.payload)
    }
}
