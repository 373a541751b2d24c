//! `record.delete`.

use agentdb_types::{Code, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_version, find, key, remove};
use crate::modules::collection;
use crate::numbers;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::sweep::Remains;
use crate::tx::Tx;

/// Deletes a record.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The collection.
    pub collection: String,
    /// The id.
    pub record: String,
    /// The version that the record must have; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was a record.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "record.delete",
        doc: "Deletes a record; it is no error if there is none.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "record.write",
        resource: &["collection", "record"],
        sensitive: &[],
        errors: &[Code::CollectionNotFound, Code::VersionMismatch],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        let number = collection::shared(tx, &self.collection)?.number;
        let key = key(tx, number, &self.record)?;
        let before = find(tx, &key)?;
        check_version(&self.record, before.as_ref(), self.expected_version)?;
        // A record that has expired is absent already; its rows are the sweeper's.
        if before.is_some() {
            numbers::tell(tx, Remains::Collection, number, &self.collection);
            remove(tx, number, key)?;
        }
        Ok(Deleted { deleted: before.is_some() })
    }
}
