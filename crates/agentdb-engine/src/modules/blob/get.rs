//! `blob.get`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::BlobRow;
use super::{BlobReader, Entry, corrupt, not_found, row_key};
use crate::operation::{About, Effect, Request, Scope};
use crate::read::Read;
use crate::{Engine, Snapshot};

/// Reads a blob, or a range of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The address: 64 lowercase hexadecimal digits.
    pub blob: String,
    /// From which byte on.
    #[serde(default)]
    pub offset: u64,
    /// How many bytes at most; to the end if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
}

impl Request for Get {
    type Response = Entry;
    const ABOUT: About = About {
        name: "blob.get",
        doc: "Reads a blob, or a range of it, as a stream of bytes. Damage is an error, never wrong bytes.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "blob.read",
        resource: &["blob"],
        sensitive: &["media_type", "name", "metadata"],
        errors: &[Code::BlobNotFound, Code::BlobCorrupt, Code::InvalidValue],
    };
}

impl Engine {
    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`Code::BlobNotFound`]: never stored, deleted, or deleted more than an hour ago while the snapshot was held;
    /// [`Code::BlobCorrupt`] if its file is gone or has another length; [`Code::InvalidValue`] if `address` is none;
    /// errors of files.
    pub fn open_blob(&self, snapshot: &Snapshot, address: &str) -> Result<BlobReader> {
        open(snapshot, address)
    }
}

pub(super) fn open(snapshot: &Snapshot, address: &str) -> Result<BlobReader> {
    let key = row_key(snapshot, address)?;
    let found = snapshot.get(&key)?.ok_or_else(|| not_found(address))?;
    let row = BlobRow::decode(&found.body)?;
    let core = &snapshot.core;
    let Some(file) = core.blobs.open_file(snapshot.namespace(), address)? else {
        let still_there = core.snapshot(snapshot.namespace())?.get(&key)?.is_some();
        let path = core.blobs.path(snapshot.namespace(), address);
        let gone = || corrupt(address, format_args!("its file {} is missing", path.display()));
        return Err(if still_there { gone() } else { not_found(address) });
    };
    let (actual, expected) = (file.len()?, row.head.bytes);
    if actual != expected {
        return Err(corrupt(address, format_args!("its file has {actual} bytes, not {expected}")));
    }
    let sums = row.sums.clone();
    Ok(BlobReader::new(file, Entry::new(address.to_owned(), row, found.lsn), sums))
}
