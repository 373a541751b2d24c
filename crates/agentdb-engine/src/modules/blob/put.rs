//! `blob.put`.

use agentdb_types::{Code, Error, Id, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::collect;
use super::directory::Received;
use super::row::{BlobRow, Head};
use super::{check_address, due, due_key, note_key, row_key};
use crate::modules::encode_fields;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::request::{Committed, WriteOptions};
use crate::tx::Tx;
use crate::{Engine, NamespaceId};

/// Stores bytes under the hash of their content. What is not given stays as it is if the bytes are there already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The address that the bytes must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// What the bytes are, such as `image/png`: 1 to 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What people call it, such as a file name: 1 to 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A JSON object to keep with it: up to 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// The answer to [`Put`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// The address: 64 hexadecimal digits.
    pub blob: String,
    /// How many bytes.
    pub bytes: u64,
    /// Whether the namespace did not have the blob before.
    pub created: bool,
}

impl Request for Put {
    type Response = Stored;
    const ABOUT: About = About {
        name: "blob.put",
        doc: "Stores bytes, up to 5 GiB, under the hash of their content. The same bytes again are stored once; what is told of them is brought up to date, and a damaged file is replaced.",
        effect: Effect::Write,
        scope: Scope::Namespace,
        permission: "blob.write",
        resource: &["blob"],
        sensitive: &["media_type", "name", "metadata"],
        errors: &[Code::BlobMismatch, Code::BlobTooLarge, Code::ValueTooLarge, Code::DepthExceeded],
    };
}

impl Put {
    pub(super) fn check(&self) -> Result<()> {
        if let Some(address) = &self.blob {
            check_address(address)?;
        }
        for (field, value) in [("media_type", &self.media_type), ("name", &self.name)] {
            if let Some(value) = value {
                Id::check(field, value)?;
            }
        }
        if let Some(metadata) = &self.metadata {
            encode_fields("metadata", metadata)?;
        }
        Ok(())
    }
}

impl Engine {
    /// Stores what `source` gives. The bytes are durable before the row that refers to them is sequenced.
    ///
    /// # Errors
    /// [`Code::BlobMismatch`] if the bytes have another address than the one given; [`Code::BlobTooLarge`]; those of
    /// [`Engine::write`]; errors of files. Nothing has happened then, except after [`Code::OutcomeUnknown`].
    pub fn put_blob(
        &self,
        namespace: NamespaceId,
        source: &mut dyn std::io::Read,
        put: Put,
        options: WriteOptions,
    ) -> Result<Committed<Stored>> {
        put.check()?;
        self.core.check_failed()?;
        self.core.check_alive(namespace, Lsn(u64::MAX))?;
        let mut received = self.core.blobs.receive(source)?;
        if let Some(expected) = put.blob.as_ref().filter(|expected| **expected != received.address) {
            return Err(Error::new(Code::BlobMismatch)
                .with("actual", &received.address)
                .with("expected", expected));
        }
        let (address, sums) = (received.address.clone(), std::mem::take(&mut received.sums));
        let reference = Reference { put, address, bytes: received.bytes, sums };
        self.place_blob(namespace, received, || self.write(namespace, reference, options)?.wait())
    }

    /// Gives received bytes their place, and calls `commit` to commit the row that refers to them.
    pub(super) fn place_blob<T>(
        &self,
        namespace: NamespaceId,
        mut received: Received,
        commit: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let announced = self.core.blobs.announce(namespace, &received.address);
        received.place(&self.core.blobs, namespace)?;
        self.core.blobs.sync(namespace, &received.address).inspect_err(|err| self.core.poison(err))?;
        let answer = commit();
        drop(announced);
        if self.core.check_failed().is_ok() {
            // A refused row, or an answer that was remembered from before a deletion, leaves a file without a row. If
            // removing it fails, the next opening finds it: the answer stays what it is.
            let _ = collect::remove_unreferenced(&self.core, namespace, &received.address);
        }
        answer
    }
}

/// The row of received bytes, on its way to the sequencer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Reference {
    put: Put,
    address: String,
    bytes: u64,
    sums: Vec<u32>,
}

impl Request for Reference {
    type Response = Stored;
    const ABOUT: About = Put::ABOUT;
}

impl WriteRequest for Reference {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Stored> {
        let key = row_key(tx, &self.address)?;
        let before = tx.get(&key)?.map(|row| BlobRow::decode(&row.body)).transpose()?;
        let (created, old) = (before.is_none(), before.map(|row| row.head));
        let head = Head {
            bytes: self.bytes,
            media_type: self.put.media_type.clone().or_else(|| old.as_ref()?.media_type.clone()),
            name: self.put.name.clone().or_else(|| old.as_ref()?.name.clone()),
            metadata: self
                .put
                .metadata
                .clone()
                .or_else(|| Some(old.as_ref()?.metadata.clone()))
                .unwrap_or_default(),
            created: old.as_ref().map_or(tx.now(), |old| old.created),
        };
        if old.as_ref() != Some(&head) {
            tx.put(key, BlobRow { head, sums: self.sums.clone() }.encode()?)?;
        }
        take_note_back(tx, &self.address)?;
        Ok(Stored { blob: self.address.clone(), bytes: self.bytes, created })
    }

    fn weight(&self) -> usize {
        1024 + 4 * self.sums.len() + self.put.metadata.as_ref().map_or(0, crate::modules::weigh_fields)
    }
}

/// Takes back the note that the file of an address may go.
pub(super) fn take_note_back(tx: &mut Tx<'_>, address: &str) -> Result<()> {
    if let Some(due) = due(tx, address)?.filter(|_| !planted::is(Bug::LivingBlobCollected)) {
        tx.delete(note_key(tx, due, address))?;
        tx.delete(due_key(tx, address))?;
    }
    Ok(())
}
