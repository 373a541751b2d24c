//! The decoders of this crate, for tests that feed them anything. Each tells whether the bytes were what it decodes, and
//! panics if what it decoded does not hold.

use std::path::Path;

use crate::NewGroup;
use crate::body::Packer;
use crate::frame::{self, HEADER_BYTES};
use crate::segment::Header;

const SALT: u64 = 7;
const OFFSET: u64 = 4096;

/// A frame, as read and with its checksum set right.
pub fn frame(bytes: &[u8]) -> bool {
    let mut repaired = bytes.to_vec();
    if let Some(body) = frame::body_len(bytes).and_then(|len| bytes.get(HEADER_BYTES..HEADER_BYTES + len)) {
        let crc = frame::checksum(SALT, OFFSET, &bytes[..92], body);
        repaired[92..96].copy_from_slice(&crc.to_le_bytes());
    }
    let raw = reencoded_frame(bytes, SALT, OFFSET).is_some();
    reencoded_frame(&repaired, SALT, OFFSET).is_some() || raw
}

/// The length of the frame at `offset` of a segment with this `salt`, which encodes to the same bytes again.
pub fn reencoded_frame(bytes: &[u8], salt: u64, offset: u64) -> Option<usize> {
    let Ok(Some(frame)) = crate::decode_frame(bytes, salt, offset) else { return None };
    let group = &frame.group;
    assert_eq!(group.last_lsn().next().0, group.first_lsn.0 + u64::from(group.count));
    let stored = crate::frame::body_len(bytes)?;
    assert!(frame.bytes >= HEADER_BYTES + stored);
    // What this version leaves zero: flags, shard, and the gaps. A packed body may be packed otherwise than this version does.
    let zero = [6..12, 52..56, 88..92].into_iter().all(|gap| bytes[gap].iter().all(|b| *b == 0));
    if zero && !Packer::is_for(group.count, &group.body) {
        let again = NewGroup {
            epoch: group.epoch,
            expected_head: agentdb_types::Lsn(group.first_lsn.0 - 1),
            count: group.count,
            time: group.time,
            body: &group.body,
        };
        let mut out = Vec::new();
        let (mut packed, synced) = (Vec::new(), frame.synced_lsn);
        let stored = Packer::default().pack(&again, &mut packed);
        let chain = frame::encode(&mut out, &again, stored, &frame.previous, synced, salt, offset);
        assert_eq!(chain, group.chain);
        let whole = HEADER_BYTES + group.body.len();
        assert_eq!(out[..whole], bytes[..whole]);
    }
    Some(frame.bytes)
}

/// The header of a segment, as read and with its checksum set right.
pub fn segment_header(bytes: &[u8]) -> bool {
    let mut repaired = bytes.to_vec();
    if let Some((fields, crc)) = repaired.get_mut(..44).and_then(|header| header.split_last_chunk_mut::<4>())
    {
        *crc = crc32c::crc32c(fields).to_le_bytes();
    }
    let decodes = |bytes: &[u8]| {
        let Ok(header) = Header::decode(bytes, Path::new("segment")) else { return false };
        assert!(header.len >= OFFSET, "no room for a frame");
        let again = header.encode();
        assert_eq!(Header::decode(&again, Path::new("segment")), Ok(header));
        assert!(again[..] == bytes[..44] || bytes[12..16] != [0; 4]);
        true
    };
    let raw = decodes(bytes);
    decodes(&repaired) || raw
}
