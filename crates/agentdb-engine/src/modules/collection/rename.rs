//! `collection.rename`.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{find, key};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{numbers, row_json};

/// Gives a collection another name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The name.
    pub collection: String,
    /// The new name: letters, digits, `_`, `-` and `.`; no collection may have it.
    pub to: String,
}

/// The answer to [`Rename`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Renamed {
    /// The number of the collection, which stays.
    pub number: u64,
}

impl Request for Rename {
    type Response = Renamed;
    const ABOUT: About = About {
        name: "collection.rename",
        doc: "Gives a collection another name, which no collection may have. Its records stay where they are; a change feed tells of the old name as deleted, and of the new one as put. It cannot be part of a batch.",
        effect: Effect::Write,
        scope: Scope::Namespace,
        permission: "collection.manage",
        resource: &["collection"],
        sensitive: &[],
        errors: &[Code::CollectionNotFound, Code::CollectionExists, Code::InvalidName],
    };
}

impl WriteRequest for Rename {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Renamed> {
        let head = find(tx, &self.collection)?;
        let (from, to) = (key(tx, &self.collection)?, key(tx, &self.to)?);
        if tx.get(&to)?.is_some() {
            return Err(Error::new(Code::CollectionExists).with("collection", &self.to));
        }
        tx.delete(from)?;
        tx.put_bookkeeping(to, row_json::encode(&head)?)?;
        numbers::rename(tx, Remains::Collection, head.number, &self.to)?;
        Ok(Renamed { number: head.number })
    }
}
