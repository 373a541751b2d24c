//! `collection.truncate`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Head, find, key, leave, vectors};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{numbers, row_json};

/// Deletes all records of a collection.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Truncate {
    /// The name.
    pub collection: String,
}

/// The answer to [`Truncate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Truncated {
    /// The number under which its rows are kept from now on.
    pub number: u64,
}

impl Request for Truncate {
    type Response = Truncated;
    const ABOUT: About = About {
        name: "collection.truncate",
        doc: "Deletes all records of a collection, which stays as it is otherwise. They are gone at once, whatever their number; their rows are deleted in the background.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "collection.manage",
        resource: &["collection"],
        sensitive: &[],
        errors: &[Code::CollectionNotFound],
    };
}

impl WriteRequest for Truncate {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Truncated> {
        let head = find(tx, &self.collection)?;
        leave(tx, &self.collection, &head)?;
        let number = numbers::allot(tx, Remains::Collection, "collections", &self.collection)?;
        let mut head = Head { number, expiring: false, ..head };
        for space in head.vectors.values_mut() {
            *space = vectors::allot(tx, space.settings())?;
        }
        tx.put_bookkeeping(key(tx, &self.collection)?, row_json::encode(&head)?)?;
        Ok(Truncated { number })
    }
}
