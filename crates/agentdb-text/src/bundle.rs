//! A segment as bytes, to be kept in a file, and back.
//!
//! ```text
//! magic "ADBTEXT1", u32 version, then sections, each a u64 length and its bytes, then u32 CRC-32C of all before it
//! sections: fields (JSON: names and analyzers), slots, births (u64 each), lengths (u32, field by field),
//!           keys, ends of keys (u32), terms (3 x u32), postings, positions
//! ```
//!
//! All numbers are little-endian. The same entries, inserted, deleted and merged in the same order, give the same bytes.
//! When entries died is not in them: whoever keeps the log knows.

use std::sync::atomic::AtomicU64;

use agentdb_types::{Code, Error, Result};
use serde_json::json;

use crate::Field;
use crate::dictionary::Dictionary;
use crate::segment::{ALIVE, Lengths, Segment, TermInfo};

const MAGIC: &[u8; 8] = b"ADBTEXT1";
const VERSION: u32 = 1;
/// Raised when an analyzer finds other terms than before, so that segments of before are built anew.
const ANALYSIS: u32 = 1;

/// The bytes of a segment.
pub(crate) fn write(segment: &Segment, fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::with_capacity(segment.bytes() + 256);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let mut section = |bytes: &[u8]| {
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    section(&describe(fields));
    section(&longs(&segment.slots));
    section(&longs(&segment.born));
    section(
        &segment
            .fields
            .iter()
            .flat_map(|f| f.lengths.iter().flat_map(|l| l.to_le_bytes()))
            .collect::<Vec<u8>>(),
    );
    section(segment.terms.bytes());
    section(&segment.terms.ends().iter().flat_map(|e| e.to_le_bytes()).collect::<Vec<u8>>());
    let info = |i: &TermInfo| [i.docs, i.posts, i.positions];
    section(&segment.infos.iter().flat_map(info).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    section(&segment.posts);
    section(&segment.positions);
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The segment of some bytes. What has the right checksum was written by [`write`]: beyond it, only lengths are checked.
///
/// # Errors
/// [`Code::TextCorrupt`] if the bytes are not what was written, or are of other fields; [`Code::FormatTooNew`].
pub(crate) fn read(bytes: &[u8], fields: &[Field]) -> Result<Segment> {
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(|| corrupt("it is too short"))?;
    let rest = body.strip_prefix(MAGIC).ok_or_else(|| corrupt("it is not a segment of a text index"))?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Err(corrupt("the checksum does not hold"));
    }
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("it is too short"))?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        let error = Error::new(Code::FormatTooNew).with("path", "a segment of a text index");
        return Err(error.with("actual", version).with("supported", VERSION));
    }
    let mut sections = Sections { rest };
    if sections.next()? != describe(fields) {
        return Err(corrupt("it is of other fields, or of other analyzers"));
    }
    let (slots, born) = (longs_of(sections.next()?), longs_of(sections.next()?));
    let (lengths, terms) = (ints_of(sections.next()?), sections.next()?.to_vec());
    let (ends, infos) = (ints_of(sections.next()?), ints_of(sections.next()?));
    let (posts, positions) = (sections.next()?.to_vec(), sections.next()?.to_vec());
    let count = slots.len();
    let infos: Vec<TermInfo> =
        infos.chunks_exact(3).map(|i| TermInfo { docs: i[0], posts: i[1], positions: i[2] }).collect();
    let sound = sections.rest.is_empty()
        && born.len() == count
        && lengths.len() == count * fields.len()
        && infos.len() == ends.len()
        && ends.is_sorted()
        && ends.last().copied().unwrap_or(0) as usize == terms.len()
        && infos.iter().all(|i| {
            i.docs as usize <= count
                && i.posts as usize <= posts.len()
                && i.positions as usize <= positions.len()
        });
    if !sound {
        return Err(corrupt("its parts do not belong together"));
    }
    let field = |f: usize| {
        let mut field = Lengths::default();
        lengths[f * count..(f + 1) * count].iter().for_each(|length| field.push(*length));
        field
    };
    Ok(Segment {
        max_born: born.iter().copied().max().unwrap_or(0),
        died: slots.iter().map(|_| AtomicU64::new(ALIVE)).collect(),
        fields: (0..fields.len()).map(field).collect(),
        terms: Dictionary::new(terms, ends),
        slots,
        born,
        infos,
        posts,
        positions,
    })
}

struct Sections<'a> {
    rest: &'a [u8],
}

impl<'a> Sections<'a> {
    fn next(&mut self) -> Result<&'a [u8]> {
        let short = || corrupt("it is too short");
        let (length, rest) = self.rest.split_first_chunk::<8>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        let (section, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        self.rest = rest;
        Ok(section)
    }
}

/// What of the fields the terms depend on.
fn describe(fields: &[Field]) -> Vec<u8> {
    let field = |f: &Field| json!({"name": f.name, "analyzer": f.analyzer});
    let fields: Vec<_> = fields.iter().map(field).collect();
    json!({"analysis": ANALYSIS, "fields": fields}).to_string().into_bytes()
}

fn longs(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn longs_of(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()
}

fn ints_of(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

fn corrupt(reason: &str) -> Error {
    Error::new(Code::TextCorrupt).with("reason", reason)
}
