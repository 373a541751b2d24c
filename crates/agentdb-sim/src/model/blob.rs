//! Blobs: bytes of a few contents, by their address.

use std::rc::Rc;
use std::sync::LazyLock;

use agentdb_types::{Code, limits};
use serde_json::{Map, Value, json};

use super::{Decision, Moment, Namespace, check_id, check_map, given_text, time, with};

/// What is uploaded: nothing, a little, a page, some pages, more than the block that one checksum covers.
const SIZES: [usize; 5] = [0, 1, 600, 9_000, (256 << 10) + 1];

/// The contents that are uploaded, with their addresses.
pub(crate) static CONTENTS: LazyLock<Vec<(Vec<u8>, String)>> = LazyLock::new(|| {
    let content = |(i, size): (usize, usize)| -> (Vec<u8>, String) {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 31 + at / 251 + i) as u8).collect();
        let address = blake3::hash(&bytes).to_hex().to_string();
        (bytes, address)
    };
    SIZES.into_iter().enumerate().map(content).collect()
});

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blob {
    /// Which of [`CONTENTS`].
    pub(crate) content: usize,
    media_type: Option<String>,
    name: Option<String>,
    metadata: Map<String, Value>,
    created: i64,
    pub(super) version: u64,
}

impl Blob {
    pub(crate) fn entry(&self) -> Value {
        let (bytes, address) = &CONTENTS[self.content];
        let entry = json!({
            "blob": address, "bytes": bytes.len(), "metadata": self.metadata,
            "created": time(self.created), "version": self.version,
        });
        with(
            entry,
            &[
                ("media_type", self.media_type.clone().map(Value::String)),
                ("name", self.name.clone().map(Value::String)),
            ],
        )
    }
}

/// Which content an upload uploads.
pub(crate) fn content(fields: &Value) -> usize {
    fields["content"].as_u64().unwrap_or_default() as usize
}

fn check_address(address: &str) -> Result<(), Code> {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if address.len() == 64 && address.bytes().all(digit) { Ok(()) } else { Err(Code::InvalidValue) }
}

/// What refuses an upload before its row is queued: its fields first, the bytes last.
pub(crate) fn check_upload(fields: &Value, alive: bool) -> Result<(), Code> {
    let expected = given_text(fields, "blob");
    expected.as_deref().map_or(Ok(()), check_address)?;
    for name in ["media_type", "name"] {
        given_text(fields, name).as_deref().map_or(Ok(()), check_id)?;
    }
    fields["metadata"].as_object().map_or(Ok(()), check_map)?;
    if !alive {
        return Err(Code::NamespaceNotFound);
    }
    match expected {
        Some(expected) if expected != CONTENTS[content(fields)].1 => Err(Code::BlobMismatch),
        _ => Ok(()),
    }
}

impl Namespace {
    pub(super) fn blob_operation(&mut self, name: &str, fields: &Value, moment: &mut Moment<'_>) -> Decision {
        if name == "blob.put" {
            return Ok(self.upload(fields, moment));
        }
        let address = fields["blob"].as_str().unwrap_or_default().to_owned();
        check_address(&address)?;
        let found = self.blobs.contains_key(&address);
        if found {
            Rc::make_mut(&mut self.blobs).remove(&address);
            Rc::make_mut(&mut self.dues).insert(address, moment.now + limits::BLOB_KEPT_US);
        }
        Ok((json!({"deleted": found}), found))
    }

    fn upload(&mut self, fields: &Value, moment: &mut Moment<'_>) -> (Value, bool) {
        let content = content(fields);
        let (bytes, address) = &CONTENTS[content];
        let before = self.blobs.get(address).cloned();
        let old = |field: fn(&Blob) -> Option<String>| before.as_deref().and_then(field);
        let metadata = fields["metadata"].as_object().cloned();
        let mut after = Blob {
            content,
            media_type: given_text(fields, "media_type").or_else(|| old(|b| b.media_type.clone())),
            name: given_text(fields, "name").or_else(|| old(|b| b.name.clone())),
            metadata: metadata.or_else(|| before.as_ref().map(|b| b.metadata.clone())).unwrap_or_default(),
            created: before.as_ref().map_or(moment.now, |b| b.created),
            version: before.as_ref().map_or(moment.lsn, |b| b.version),
        };
        let response = json!({"blob": address, "bytes": bytes.len(), "created": before.is_none()});
        let changed = before.as_deref() != Some(&after);
        if changed {
            after.version = moment.lsn;
            Rc::make_mut(&mut self.blobs).insert(address.clone(), Rc::new(after));
        }
        if self.dues.contains_key(address) {
            Rc::make_mut(&mut self.dues).remove(address);
        }
        (response, changed)
    }
}
