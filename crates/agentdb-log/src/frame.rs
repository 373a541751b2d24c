//! The frame of a group: format version 1.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | magic `ADBG` |
//! | 4 | 2 | format version |
//! | 6 | 2 | flags: bit 0 tells that the body is packed; an unknown bit among the low eight refuses, among the high eight is ignored |
//! | 8 | 4 | shard |
//! | 12 | 4 | count of entries |
//! | 16 | 8 | epoch of the writer |
//! | 24 | 8 | first LSN |
//! | 32 | 8 | synced LSN: what was durable when this frame was written |
//! | 40 | 8 | log time, microseconds |
//! | 48 | 4 | bytes of the body, as it is stored |
//! | 52 | 4 | bytes of the body unpacked, if it is packed; zero |
//! | 56 | 32 | chain hash of everything before this frame |
//! | 88 | 4 | zero |
//! | 92 | 4 | CRC-32C of the segment's salt, the frame's offset, bytes 0 to 91, and the body |
//! | 96 |  | the body, then zeros up to a multiple of 8 |
//!
//! All integers are little-endian. The CRC covers the segment's random salt and the offset, so that bytes of a frame
//! that a user stored as a value are never taken for a frame. How a body is packed: [`body`](crate::body). The chain is that
//! of bodies as they are stored.

use agentdb_types::{ChainHash, Code, Error, Lsn, Result, Timestamp};

use crate::body::{self, Stored};
use crate::{Group, NewGroup};

/// The version of frames that this build writes.
pub const FRAME_VERSION: u16 = 1;
/// Bytes of a frame before its body.
pub const HEADER_BYTES: usize = 96;

const MAGIC: [u8; 4] = *b"ADBG";
const ALIGN: usize = 8;
const CRITICAL_FLAGS: u16 = 0x00ff;
const PACKED: u16 = 1;

/// A decoded frame: the group, and what only recovery needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The group.
    pub group: Group,
    /// The chain hash before the group.
    pub previous: ChainHash,
    /// What was durable when the frame was written.
    pub synced_lsn: Lsn,
    /// Bytes of the whole frame in the segment, padding included.
    pub bytes: usize,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAFrame {
    /// Too few bytes, or another magic.
    NoMagic,
    /// The body would end beyond the segment.
    Overlong,
    /// The checksum differs.
    Checksum,
}

impl NotAFrame {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            NotAFrame::NoMagic => "there is no frame",
            NotAFrame::Overlong => "the frame ends beyond the segment",
            NotAFrame::Checksum => "the frame's checksum does not hold",
        }
    }
}

/// Bytes that a frame with this body takes.
pub(crate) fn frame_bytes(body: usize) -> usize {
    (HEADER_BYTES + body).next_multiple_of(ALIGN)
}

/// Encodes a frame for `offset` of a segment with this `salt` into `out` (cleared first); returns the chain hash after it.
/// `stored` is the body of the group.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    group: &NewGroup<'_>,
    stored: Stored<'_>,
    previous: &ChainHash,
    synced: Lsn,
    salt: u64,
    offset: u64,
) -> ChainHash {
    out.clear();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FRAME_VERSION.to_le_bytes());
    out.extend_from_slice(&stored.unpacked.map_or(0, |_| PACKED).to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    out.extend_from_slice(&group.count.to_le_bytes());
    out.extend_from_slice(&group.epoch.to_le_bytes());
    out.extend_from_slice(&group.expected_head.next().0.to_le_bytes());
    out.extend_from_slice(&synced.0.to_le_bytes());
    out.extend_from_slice(&group.time.micros().to_le_bytes());
    out.extend_from_slice(&(stored.bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(&stored.unpacked.unwrap_or_default().to_le_bytes());
    out.extend_from_slice(&previous.0);
    out.extend_from_slice(&0u32.to_le_bytes());
    let crc = checksum(salt, offset, out, stored.bytes);
    out.extend_from_slice(&crc.to_le_bytes());
    let chain = chain(previous, group.count, out, stored.bytes);
    out.extend_from_slice(stored.bytes);
    out.resize(frame_bytes(stored.bytes.len()), 0);
    chain
}

/// Decodes the frame at the start of `bytes`, which lies at `offset` of a segment with this `salt`. Any bytes may be
/// given. `None` means that there is no whole frame.
///
/// # Errors
/// [`Code::FormatTooNew`] and [`Code::UnknownCritical`] for a whole frame that this build must not read.
pub fn decode_frame(bytes: &[u8], salt: u64, offset: u64) -> Result<Option<Frame>> {
    Ok(decode(bytes, salt, offset)?.ok())
}

pub(crate) fn decode(bytes: &[u8], salt: u64, offset: u64) -> Result<Result<Frame, NotAFrame>> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(Err(NotAFrame::NoMagic)) };
    if header[..4] != MAGIC {
        return Ok(Err(NotAFrame::NoMagic));
    }
    let body_len = u32_at(header, 48) as usize;
    let Some(body) = bytes.get(HEADER_BYTES..HEADER_BYTES + body_len) else {
        return Ok(Err(NotAFrame::Overlong));
    };
    if checksum(salt, offset, &header[..92], body) != u32_at(header, 92) {
        return Ok(Err(NotAFrame::Checksum));
    }
    // The checksum holds: from here on the bytes are what some version of AgentDB wrote.
    let version = u16_at(header, 4);
    if version != FRAME_VERSION {
        return Err(Error::new(Code::FormatTooNew)
            .with("path", "a frame of the log")
            .with("actual", version)
            .with("supported", FRAME_VERSION));
    }
    let flags = u16_at(header, 6);
    let unknown = flags & CRITICAL_FLAGS & !PACKED;
    if unknown != 0 {
        return Err(Error::new(Code::UnknownCritical)
            .with("what", "a frame of the log")
            .with("field", format_args!("flags {unknown:#06x}")));
    }
    let mut previous = ChainHash::default();
    previous.0.copy_from_slice(&header[56..88]);
    let Ok(time) = Timestamp::from_micros(u64_at(header, 40) as i64) else {
        return Ok(Err(NotAFrame::Checksum));
    };
    // LSNs start at 1, and the one after the last entry must be one, too.
    let (first_lsn, count) = (u64_at(header, 24), u32_at(header, 12));
    if first_lsn == 0 || first_lsn.checked_add(u64::from(count)).is_none() {
        return Ok(Err(NotAFrame::Checksum));
    }
    let unpacked = match flags & PACKED {
        0 => Some(body.to_vec()),
        _ => body::unpack(body, u32_at(header, 52)),
    };
    let Some(unpacked) = unpacked else { return Ok(Err(NotAFrame::Checksum)) };
    Ok(Ok(Frame {
        group: Group {
            epoch: u64_at(header, 16),
            first_lsn: Lsn(first_lsn),
            count,
            time,
            body: unpacked,
            chain: chain(&previous, count, header, body),
        },
        previous,
        synced_lsn: Lsn(u64_at(header, 32)),
        bytes: frame_bytes(body_len),
    }))
}

/// The hash of the log after a frame: BLAKE3 of the header (which holds the hash before it) and the body as stored.
/// Salt, offset and CRC are not part of it: the chain is the same wherever the log is kept.
///
/// A stamp is not part of the chain: it takes no LSN, and one LSN has one chain hash.
fn chain(previous: &ChainHash, count: u32, header: &[u8], body: &[u8]) -> ChainHash {
    if count == 0 {
        return *previous;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header[..88]);
    hasher.update(body);
    ChainHash(*hasher.finalize().as_bytes())
}

pub(crate) fn checksum(salt: u64, offset: u64, header: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32c::crc32c(&salt.to_le_bytes());
    crc = crc32c::crc32c_append(crc, &offset.to_le_bytes());
    crc = crc32c::crc32c_append(crc, header);
    crc32c::crc32c_append(crc, body)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The length of the body that a header announces, if the bytes start like one.
pub(crate) fn body_len(header: &[u8]) -> Option<usize> {
    (header.len() >= HEADER_BYTES && header[..4] == MAGIC).then(|| u32_at(header, 48) as usize)
}

/// Where the next frame could start in `bytes` after `from` (both multiples of the alignment).
pub(crate) fn next_candidate(bytes: &[u8], from: usize) -> Option<usize> {
    (from.next_multiple_of(ALIGN)..bytes.len().saturating_sub(MAGIC.len()))
        .step_by(ALIGN)
        .find(|&at| bytes[at..at + 4] == MAGIC)
}
