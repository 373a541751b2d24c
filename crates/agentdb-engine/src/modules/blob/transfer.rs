//! A blob as lines of an export: what is known of it, then its bytes, piece by piece.

use agentdb_types::{Code, Error, Lsn, Result, Timestamp};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::put::{Put, take_note_back};
use super::row::{BlobRow, Head};
use super::{BlobReader, Entry, get, row_key};
use crate::key::Key;
use crate::modules::transfer::{Existing, Fate, unfit};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Engine, NamespaceId, Row, Snapshot};

/// Bytes of a blob in one line.
const PIECE: usize = 192 << 10;

/// What is known of a blob. Lines of its bytes follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlobLine {
    /// The address: the BLAKE3 hash of the bytes.
    pub blob: String,
    /// How many bytes.
    pub bytes: u64,
    /// What the bytes are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is kept with it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When it was stored.
    pub created: Timestamp,
    /// Its version in the database that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Lsn>,
}

/// Bytes of the blob that precedes them, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BytesLine {
    /// The address of the blob.
    pub blob: String,
    /// Which byte of the blob is the first.
    pub offset: u64,
    /// The bytes, base64.
    pub data: String,
}

impl BytesLine {
    pub(crate) fn decode(&self) -> Result<Vec<u8>> {
        let decoded = BASE64_STANDARD.decode(&self.data);
        decoded.map_err(|e| unfit("data", format_args!("it is not base64: {e}")))
    }
}

/// The line of a row, and what reads the bytes.
pub(crate) fn export(snapshot: &Snapshot, key: &Key, row: &Row) -> Result<(BlobLine, BlobReader)> {
    let address = key.components().text()?;
    let reader = get::open(snapshot, &address)?;
    let entry = Entry::new(address, BlobRow::decode(&row.body)?, row.lsn);
    let Entry { blob, bytes, media_type, name, metadata, created, version } = entry;
    let version = Some(version);
    Ok((BlobLine { blob, bytes, media_type, name, metadata, created, version }, reader))
}

/// The line of the next bytes; `None` at the end. All of them together hash to the address.
pub(crate) fn export_bytes(reader: &mut BlobReader, offset: u64) -> Result<Option<(BytesLine, u64)>> {
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    while read < piece.len() {
        match reader.read_next(&mut piece[read..])? {
            0 => break,
            more => read += more,
        }
    }
    let line = || {
        let blob = reader.entry().blob.clone();
        (BytesLine { blob, offset, data: BASE64_STANDARD.encode(&piece[..read]) }, offset + read as u64)
    };
    Ok((read > 0).then(line))
}

/// Refuses what is told of a blob that cannot be stored.
pub(crate) fn check(line: &BlobLine) -> Result<()> {
    Put {
        blob: Some(line.blob.clone()),
        media_type: line.media_type.clone(),
        name: line.name.clone(),
        metadata: Some(line.metadata.clone()),
    }
    .check()
}

/// Stores the row of a blob whose file is in its place.
pub(crate) fn import(tx: &mut Tx<'_>, line: &BlobLine, sums: &[u32], existing: Existing) -> Result<Fate> {
    check(line)?;
    let key = row_key(tx, &line.blob)?;
    let fate = existing.fate(tx.get(&key)?.is_some(), || format!("the blob {}", line.blob))?;
    if fate.stores() {
        let BlobLine { bytes, media_type, name, metadata, created, .. } = line.clone();
        let head = Head { bytes, media_type, name, metadata, created };
        tx.put(key, BlobRow { head, sums: sums.to_vec() }.encode()?)?;
        take_note_back(tx, &line.blob)?;
    }
    Ok(fate)
}

impl Engine {
    /// Gives the bytes of a blob, which must be those of its line, their place, and calls `commit` with their checksums to
    /// commit the row.
    pub(crate) fn import_blob<S: std::io::Read, T>(
        &self,
        namespace: NamespaceId,
        line: &BlobLine,
        source: &mut S,
        commit: impl FnOnce(&mut S, Vec<u32>) -> Result<T>,
    ) -> Result<T> {
        check(line)?;
        let blobs = &self.core.blobs;
        let mut received = blobs.receive(source)?;
        if (&received.address, received.bytes) != (&line.blob, line.bytes) {
            return Err(Error::new(Code::BlobMismatch)
                .with("actual", format_args!("{} ({} bytes)", received.address, received.bytes))
                .with("expected", format_args!("{} ({} bytes)", line.blob, line.bytes)));
        }
        let sums = std::mem::take(&mut received.sums);
        self.place_blob(namespace, received, || commit(source, sums))
    }
}
