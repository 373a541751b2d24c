//! Pages of a search: all of one snapshot, which is kept for them a while.
//!
//! A cursor says which pinned snapshot is read, at which hit the page starts, and how deep the several queries of a search
//! look, which the first page decides. A digest of the request is in it, so that it continues no other search.

use agentdb_types::{Code, Error, Lsn, Result};

use super::Search;
use crate::Snapshot;
use crate::operation::encode_json;
use crate::read::Read;

/// Bytes of the digest of a request in a cursor.
const DIGEST: usize = 8;
/// Bytes of a cursor before its checksum: pin, LSN, position, pool, digest.
const BODY: usize = 8 + 8 + 4 + 4 + DIGEST;

/// Which part of the ranking is asked for, as of when.
pub(super) struct Page {
    pub(super) snapshot: Snapshot,
    /// How many hits come before.
    pub(super) position: usize,
    /// How many records each of several queries finds if it does not say, as the first page decided.
    pub(super) pool: Option<usize>,
    pin: Option<u64>,
}

impl Page {
    /// The page that a request asks for.
    ///
    /// # Errors
    /// [`Code::InvalidCursor`] for a cursor that no search, or another one, was answered with; [`Code::SearchCursorExpired`].
    pub(super) fn of(search: &Search, snapshot: &Snapshot) -> Result<Page> {
        let Some(cursor) = &search.cursor else {
            return Ok(Page { snapshot: snapshot.clone(), position: 0, pool: None, pin: None });
        };
        let cursor = Cursor::decode(cursor)?;
        let kept = snapshot.core.pins.find(&snapshot.core, cursor.pin);
        // A handle counts its pins from 0: one of an earlier handle may have had the number.
        let Some(kept) = kept.filter(|kept| kept.lsn() == cursor.lsn) else {
            return Err(Error::new(Code::SearchCursorExpired).with("lsn", cursor.lsn));
        };
        if kept.namespace() != snapshot.namespace() || digest(search, &kept)? != cursor.digest {
            return Err(invalid("it belongs to another search"));
        }
        let (position, pool) = (cursor.position as usize, Some(cursor.pool as usize));
        Ok(Page { snapshot: kept, position, pool, pin: Some(cursor.pin) })
    }

    /// The cursor of the page that starts at a position. The snapshot is kept from now on.
    pub(super) fn next(&self, search: &Search, position: usize, pool: usize) -> Result<String> {
        let pin = self.pin.unwrap_or_else(|| self.snapshot.core.pins.pin(&self.snapshot));
        let too_deep = |_| {
            Error::new(Code::InvalidValue)
                .with("field", "cursor")
                .with("reason", "there are no pages so deep")
        };
        let cursor = Cursor {
            pin,
            lsn: self.snapshot.lsn(),
            position: position.try_into().map_err(too_deep)?,
            pool: pool.try_into().map_err(too_deep)?,
            digest: digest(search, &self.snapshot)?,
        };
        Ok(cursor.encode())
    }
}

struct Cursor {
    pin: u64,
    lsn: Lsn,
    position: u32,
    pool: u32,
    digest: [u8; DIGEST],
}

impl Cursor {
    fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(BODY + 4);
        bytes.extend_from_slice(&self.pin.to_be_bytes());
        bytes.extend_from_slice(&self.lsn.0.to_be_bytes());
        bytes.extend_from_slice(&self.position.to_be_bytes());
        bytes.extend_from_slice(&self.pool.to_be_bytes());
        bytes.extend_from_slice(&self.digest);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn decode(text: &str) -> Result<Cursor> {
        let bytes = hexadecimal(text).ok_or_else(|| invalid("it is not hexadecimal"))?;
        let (body, check) = bytes.split_last_chunk::<4>().ok_or_else(|| invalid("it is too short"))?;
        if crc32c::crc32c(body).to_be_bytes() != *check {
            return Err(invalid("it was altered"));
        }
        Cursor::of(body).ok_or_else(|| invalid("it is of another list"))
    }

    fn of(body: &[u8]) -> Option<Cursor> {
        let (pin, rest) = body.split_first_chunk::<8>()?;
        let (lsn, rest) = rest.split_first_chunk::<8>()?;
        let (position, rest) = rest.split_first_chunk::<4>()?;
        let (pool, rest) = rest.split_first_chunk::<4>()?;
        Some(Cursor {
            pin: u64::from_be_bytes(*pin),
            lsn: Lsn(u64::from_be_bytes(*lsn)),
            position: u32::from_be_bytes(*position),
            pool: u32::from_be_bytes(*pool),
            digest: rest.try_into().ok()?,
        })
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

fn invalid(reason: &str) -> Error {
    Error::new(Code::InvalidCursor).with("reason", reason)
}

/// What tells one search of a snapshot from another: everything but how many hits a page has, and which page it is.
fn digest(search: &Search, snapshot: &Snapshot) -> Result<[u8; DIGEST]> {
    let mut request = encode_json(search)?;
    if let Some(fields) = request.as_object_mut() {
        fields.retain(|field, _| !["cursor", "limit", "pages"].contains(&field.as_str()));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(snapshot.core.format.id.as_bytes());
    hasher.update(&snapshot.namespace().number().to_be_bytes());
    hasher.update(&snapshot.now().micros().to_be_bytes());
    hasher.update(request.to_string().as_bytes());
    let mut digest = [0; DIGEST];
    hasher.finalize_xof().fill(&mut digest);
    Ok(digest)
}
