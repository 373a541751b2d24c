//! Contents of channels: each once, by its hash, whole or as what it adds to an earlier one.
//!
//! Format version 1 (little-endian): version byte; 0 (whole) or 1 (changed); bytes of the type `u16`, the type; whole: the
//! content. Changed: hash of the base (32), how many bases there are in a row `u8`, bytes of changes up to the last whole
//! content `u32`, length `u32`, then `u32` each: start and length of what is taken of the base first, length of what is
//! taken of its end, bytes before the first, then those bytes and the bytes between the two.

use agentdb_types::{Code, Error, Id, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::common;
use crate::key::Key;
use crate::modules::{check_inline, encode_value};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Row, Table};

const VERSION: u8 = 1;
const WHOLE: u8 = 0;
const CHANGED: u8 = 1;
const JSON: &str = "json";
/// Bases in a row: a read takes as many rows and one more.
const BASES: u8 = 64;
/// Bytes by which a serializer's head may differ from one value to the next.
const HEAD: usize = 6;
/// Bytes that a change must save to be worth its reads.
const WORTH: usize = 64;

/// The hash of a content with its type.
pub(super) type Hash = [u8; 32];

/// A value in a serializer's own form, which the database does not look into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encoded {
    /// What the serializer calls the form, such as `msgpack`: 1 to 512 bytes, not `json`.
    pub r#type: String,
    /// The bytes, up to 1 MiB; base64 in JSON.
    #[serde(with = "as_base64")]
    #[schemars(with = "String")]
    pub data: Vec<u8>,
}

mod as_base64 {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

/// The bytes of a value, and what form they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) form: String,
    pub(super) bytes: Vec<u8>,
}

impl Content {
    pub(super) fn json(field: &'static str, value: &Value) -> Result<Self> {
        Ok(Content { form: JSON.to_owned(), bytes: encode_value(field, value)? })
    }

    pub(super) fn encoded(encoded: &Encoded) -> Result<Self> {
        Id::check("type", &encoded.r#type)?;
        if encoded.r#type == JSON {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "type")
                .with("reason", "JSON is given as a value, not encoded"));
        }
        check_inline("data", encoded.data.len())?;
        Ok(Content { form: encoded.r#type.clone(), bytes: encoded.data.clone() })
    }

    /// What a write or a response gives: JSON, or the serializer's form.
    pub(super) fn given(value: &Value, encoded: Option<&Encoded>) -> Result<Self> {
        match encoded {
            None => Content::json("value", value),
            Some(encoded) if value.is_null() => Content::encoded(encoded),
            Some(_) => Err(Error::new(Code::InvalidValue)
                .with("field", "encoded")
                .with("reason", "a write has a value, or an encoded one")),
        }
    }

    pub(super) fn shown(self) -> Result<(Option<Value>, Option<Encoded>)> {
        if self.form == JSON {
            return crate::modules::decode_value(&self.bytes).map(|value| (Some(value), None));
        }
        Ok((None, Some(Encoded { r#type: self.form, data: self.bytes })))
    }

    pub(super) fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.form.len() as u64).to_le_bytes());
        hasher.update(self.form.as_bytes());
        hasher.update(&self.bytes);
        *hasher.finalize().as_bytes()
    }

    /// With its type before it: the end of a row.
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.form.len() as u16).to_le_bytes());
        out.extend_from_slice(self.form.as_bytes());
        out.extend_from_slice(&self.bytes);
    }

    pub(super) fn from_end(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let form = take_form(&mut rest)?;
        Ok(Content { form, bytes: rest.to_vec() })
    }
}

/// A row of contents.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept<'a> {
    Whole { form: String, bytes: &'a [u8] },
    Changed { form: String, change: Change<'a> },
}

/// What a content is against another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change<'a> {
    base: Hash,
    bases: u8,
    changes: u32,
    len: u32,
    start: u32,
    first: u32,
    last: u32,
    head: &'a [u8],
    middle: &'a [u8],
}

fn damaged() -> Error {
    Error::new(Code::RowsCorrupt).with("reason", "the content of a channel is malformed")
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count).ok_or_else(damaged)?;
    *rest = left;
    Ok(taken)
}

fn take_u32(rest: &mut &[u8]) -> Result<u32> {
    take(rest, 4)?.try_into().map(u32::from_le_bytes).map_err(|_| damaged())
}

fn take_form(rest: &mut &[u8]) -> Result<String> {
    let len: [u8; 2] = take(rest, 2)?.try_into().map_err(|_| damaged())?;
    let form = take(rest, u16::from_le_bytes(len).into())?;
    String::from_utf8(form.to_vec()).map_err(|_| damaged())
}

/// The row of a content.
pub(super) fn decode(bytes: &[u8]) -> Result<Kept<'_>> {
    let mut rest = bytes;
    let version = take(&mut rest, 1)?[0];
    if version != VERSION {
        return Err(Error::new(Code::FormatTooNew)
            .with("path", "the content of a channel")
            .with("actual", version)
            .with("supported", VERSION));
    }
    let kind = take(&mut rest, 1)?[0];
    let form = take_form(&mut rest)?;
    match kind {
        WHOLE => Ok(Kept::Whole { form, bytes: rest }),
        CHANGED => {
            let base = take(&mut rest, 32)?.try_into().map_err(|_| damaged())?;
            let bases = take(&mut rest, 1)?[0];
            let (changes, len) = (take_u32(&mut rest)?, take_u32(&mut rest)?);
            let (start, first, last) = (take_u32(&mut rest)?, take_u32(&mut rest)?, take_u32(&mut rest)?);
            let head = take_u32(&mut rest)?;
            let head = take(&mut rest, head as usize)?;
            let parts = [head.len(), first as usize, rest.len(), last as usize];
            let sum = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(*part));
            if sum != Some(len as usize) || !(1..=BASES).contains(&bases) {
                return Err(damaged());
            }
            Ok(Kept::Changed {
                form,
                change: Change { base, bases, changes, len, start, first, last, head, middle: rest },
            })
        }
        _ => Err(damaged()),
    }
}

impl Change<'_> {
    fn encode(&self, form: &str) -> Vec<u8> {
        let mut out = vec![VERSION, CHANGED];
        out.extend_from_slice(&(form.len() as u16).to_le_bytes());
        out.extend_from_slice(form.as_bytes());
        out.extend_from_slice(&self.base);
        out.push(self.bases);
        for number in [self.changes, self.len, self.start, self.first, self.last, self.head.len() as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(self.head);
        out.extend_from_slice(self.middle);
        out
    }

    /// Makes of the base what it was changed into. A content is read through many changes, each of which mostly adds to the
    /// end: what stays is left where it is.
    fn apply(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let start = self.start as usize;
        let first = start.checked_add(self.first as usize).filter(|end| *end <= bytes.len());
        let last = bytes.len().checked_sub(self.last as usize);
        let (Some(first_end), Some(last_start)) = (first, last) else { return Err(damaged()) };
        if first_end > last_start {
            // Bytes of the base are taken twice.
            *bytes = [self.head, &bytes[start..first_end], self.middle, &bytes[last_start..]].concat();
            return Ok(());
        }
        bytes.splice(first_end..last_start, self.middle.iter().copied());
        bytes.splice(..start, self.head.iter().copied());
        Ok(())
    }
}

/// What `new` has in common with `base`: how many bytes before it in each, and how many there are. A serializer writes the
/// number of items first, in one to five bytes.
fn common_start(base: &[u8], new: &[u8]) -> (usize, usize, usize) {
    let mut best = (0, 0, 0);
    for skip in 0..=HEAD.min(base.len()) {
        for head in 0..=HEAD.min(new.len()) {
            let common = common::at_start(&base[skip..], &new[head..]);
            if common > best.2 {
                best = (skip, head, common);
            }
            // The usual case, and what no other start could better by much: every pair would be compared to its end.
            if common > WORTH && (skip + head == 0 || common > new.len() / 2) {
                return best;
            }
        }
    }
    best
}

fn key(rows: &dyn Read, root: u64, hash: &Hash) -> Key {
    rows.key(Table::ChannelContent).u64(root).raw(hash)
}

fn count_key(rows: &dyn Read, root: u64, hash: &Hash) -> Key {
    rows.key(Table::ChannelContentCount).u64(root).raw(hash)
}

fn row(rows: &dyn Read, root: u64, hash: &Hash) -> Result<Row> {
    rows.get(&key(rows, root, hash))?
        .ok_or_else(|| Error::new(Code::RowsCorrupt).with("reason", "the content of a channel is missing"))
}

/// Reads a content.
pub(super) fn load(rows: &dyn Read, root: u64, hash: &Hash) -> Result<Content> {
    let mut changes = vec![row(rows, root, hash)?];
    let (form, mut bytes) = loop {
        let newest = changes.last().ok_or_else(damaged)?;
        match decode(&newest.body)? {
            Kept::Whole { form, bytes } => break (form, bytes.to_vec()),
            Kept::Changed { .. } if changes.len() > BASES.into() => return Err(damaged()),
            Kept::Changed { change, .. } => {
                let base = row(rows, root, &change.base)?;
                changes.push(base);
            }
        }
    };
    changes.pop();
    for newer in changes.iter().rev() {
        if let Kept::Changed { change, .. } = decode(&newer.body)? {
            change.apply(&mut bytes)?;
        }
    }
    Ok(Content { form, bytes })
}

/// Refers to a content once more, storing it if it is new: against the content `base`, if that saves much.
pub(super) fn store(tx: &mut Tx<'_>, root: u64, content: Content, base: Option<Hash>) -> Result<Hash> {
    let hash = content.hash();
    let at = key(tx, root, &hash);
    if tx.get(&at)?.is_none() {
        let changed = base.map(|base| changed(tx, root, &content, base)).transpose()?.flatten();
        let body = match changed {
            Some((base, body)) => {
                tx.add(count_key(tx, root, &base), 1)?;
                body
            }
            None => {
                let mut body = vec![VERSION, WHOLE];
                content.append_to(&mut body);
                body
            }
        };
        tx.put(at, body)?;
        tx.recent().keep((tx.namespace(), root, hash), content.bytes);
    }
    tx.add(count_key(tx, root, &hash), 1)?;
    Ok(hash)
}

/// The row of a content as a change of `base`, if that is worth it.
fn changed(tx: &Tx<'_>, root: u64, content: &Content, base: Hash) -> Result<Option<(Hash, Vec<u8>)>> {
    let (bases, changes) = match decode(&row(tx, root, &base)?.body)? {
        Kept::Whole { form, .. } if form == content.form => (1, 0),
        Kept::Changed { form, change } if form == content.form && change.bases < BASES => {
            (change.bases + 1, change.changes)
        }
        _ => return Ok(None),
    };
    let recent = tx.recent().take(&(tx.namespace(), root, base));
    let old = recent.map_or_else(|| load(tx, root, &base).map(|content| content.bytes), Ok)?;
    let new = &content.bytes;
    let (start, head, first) = common_start(&old, new);
    let (old_rest, new_rest) = (&old[start + first..], &new[head + first..]);
    let last = common::at_end(old_rest, new_rest);
    let middle = &new_rest[..new_rest.len() - last];
    let changes = changes as usize + head + middle.len();
    // Whole now and then: changes never take more than the content, so that what is read stays in proportion to it.
    if first + last < WORTH + new.len() / 2 || changes > new.len() {
        return Ok(None);
    }
    let change = Change {
        base,
        bases,
        changes: changes as u32,
        len: new.len() as u32,
        start: start as u32,
        first: first as u32,
        last: last as u32,
        head: &new[..head],
        middle,
    };
    Ok(Some((base, change.encode(&content.form))))
}

/// Refers to a content that is there once more.
pub(super) fn refer(tx: &mut Tx<'_>, root: u64, hash: &Hash) -> Result<()> {
    tx.add(count_key(tx, root, hash), 1).map(drop)
}

/// Refers to a content once less. The last time it goes, and what it is based on is referred to once less.
pub(super) fn release(tx: &mut Tx<'_>, root: u64, hash: Hash) -> Result<()> {
    let mut next = Some(hash);
    while let Some(hash) = next.take() {
        if tx.add(count_key(tx, root, &hash), -1)? > 0 {
            break;
        }
        if let Kept::Changed { change, .. } = decode(&row(tx, root, &hash)?.body)? {
            next = Some(change.base);
        }
        tx.recent().take(&(tx.namespace(), root, hash));
        tx.delete(count_key(tx, root, &hash))?;
        tx.delete(key(tx, root, &hash))?;
    }
    Ok(())
}

/// A row of contents, decoded and encoded again.
#[cfg(any(test, feature = "decoders"))]
pub(super) fn recode(row: &Row) -> Result<Vec<u8>> {
    Ok(match decode(&row.body)? {
        Kept::Changed { form, change } => change.encode(&form),
        Kept::Whole { form, bytes } => {
            let mut out = vec![VERSION, WHOLE];
            Content { form, bytes: bytes.to_vec() }.append_to(&mut out);
            out
        }
    })
}
