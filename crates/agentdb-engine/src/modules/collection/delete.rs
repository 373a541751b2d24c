//! `collection.delete`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Head, find, key, records_counter, slots_counter, vectors};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::sweep::{self, Remains};
use crate::tx::Tx;

/// Deletes a collection with its records.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The name.
    pub collection: String,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The number that it had.
    pub number: u64,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "collection.delete",
        doc: "Deletes a collection with its records. It is gone at once; its rows are deleted in the background.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "collection.manage",
        resource: &["collection"],
        sensitive: &[],
        errors: &[Code::CollectionNotFound],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        let head = find(tx, &self.collection)?;
        remove(tx, &self.collection, &head)?;
        Ok(Deleted { number: head.number })
    }
}

/// Removes a collection with this head; its records are swept later.
pub(super) fn remove(tx: &mut Tx<'_>, collection: &str, head: &Head) -> Result<()> {
    tx.delete(key(tx, collection)?)?;
    leave(tx, collection, head)
}

/// Leaves the records of a collection to the sweeper.
pub(super) fn leave(tx: &mut Tx<'_>, collection: &str, head: &Head) -> Result<()> {
    tx.delete(records_counter(tx, head.number))?;
    tx.delete(slots_counter(tx, head.number))?;
    head.vectors.values().try_for_each(|space| vectors::discard(tx, *space))?;
    sweep::discard(tx, Remains::Collection, head.number, collection)
}
