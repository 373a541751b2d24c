//! `blob.delete`.

use agentdb_types::{Code, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{due_key, note_key, row_key};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::tx::Tx;

/// Deletes a blob.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The address: 64 lowercase hexadecimal digits.
    pub blob: String,
}

/// The answer to [`Delete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was such a blob.
    pub deleted: bool,
}

impl Request for Delete {
    type Response = Deleted;
    const ABOUT: About = About {
        name: "blob.delete",
        doc: "Deletes a blob; it is no error if there is none. It is gone at once; its file is removed an hour later.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "blob.write",
        resource: &["blob"],
        sensitive: &[],
        errors: &[Code::InvalidValue],
    };
}

impl WriteRequest for Delete {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Deleted> {
        let key = row_key(tx, &self.blob)?;
        if tx.get(&key)?.is_none() {
            return Ok(Deleted { deleted: false });
        }
        tx.delete(key)?;
        let kept = if planted::is(Bug::BlobNotKept) { 0 } else { limits::BLOB_KEPT_US };
        let due = (tx.now().micros() + kept).unsigned_abs();
        tx.put_bookkeeping(due_key(tx, &self.blob), due.to_le_bytes().to_vec())?;
        tx.put_bookkeeping(note_key(tx, due, &self.blob), Vec::new())?;
        Ok(Deleted { deleted: true })
    }
}
