//! `link.delete`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::end::{Named, tell};
use super::{back_key, check_type, key};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;

/// Deletes a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
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

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was such a link.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "link.delete",
        doc: "Deletes a link; it is no error if there is none. Its records stay.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "link.write",
        resource: &["collection", "record", "type", "to_collection", "to"],
        sensitive: &[],
        errors: &[Code::CollectionNotFound],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        check_type(&self.link_type)?;
        let from = Named::from(&self.collection, &self.record);
        let to_collection = self.to_collection.as_ref().unwrap_or(&self.collection);
        let to = Named::to(to_collection, &self.to);
        let (Some(from), Some(to)) = (from.linked(tx)?, to.linked(tx)?) else {
            return Ok(Deleted { deleted: false });
        };
        let key = key(tx, from.node, &self.link_type, &to);
        if tx.get(&key)?.is_none() {
            return Ok(Deleted { deleted: false });
        }
        tell(tx, (&self.collection, &from), (to_collection, &to));
        tx.delete(key)?;
        if !planted::is(Bug::LinkDeletedOneWay) {
            tx.delete_bookkeeping(back_key(tx, &from, &self.link_type, to.node))?;
        }
        Ok(Deleted { deleted: true })
    }

    fn weight(&self) -> usize {
        1024
    }
}
