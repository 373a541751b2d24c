//! Which segments are merged, and when.

use std::ops::Range;

use agentdb_types::Lsn;

use crate::part::Part;

/// Bytes of the texts of one entry, at most: a segment counts its bytes in 32 bits.
pub(crate) const ENTRY_BYTES: usize = 256 << 20;
/// How many small segments of one size become one.
const FAN: usize = 8;
/// A segment of fewer entries and bytes is small: whoever inserts merges it.
const SMALL: (usize, usize) = (512, 2 << 20);
/// What is beyond this many entries or bytes together is not merged any more.
const LARGE: (usize, usize) = (1 << 20, 512 << 20);
/// A segment is to have so many times the entries of all behind it together.
const RATIO: usize = 3;
/// A segment is written anew when one of so many entries can go.
const DEAD_SHARE: usize = 8;

/// From which part on all parts are to be merged by the writer, if any: the last [`FAN`] are small and of one size.
pub(crate) fn merge_now(parts: &[Part]) -> Option<usize> {
    let size = |p: &Part| p.segment.len().ilog2() / FAN.ilog2();
    let last = parts.last()?;
    let from = parts.len().checked_sub(FAN)?;
    let alike = |p: &Part| small(p) && size(p) <= size(last);
    parts[from..].iter().all(alike).then_some(from)
}

/// Which parts are to be merged in the background, if any. Those that the writer merges are left to it.
///
/// Each part is to be [`RATIO`] times as large as all behind it together, so that there are few; a part of which much is dead is
/// written anew.
pub(crate) fn merge_later(parts: &[Part], watermark: Lsn) -> Option<Range<usize>> {
    let end = parts.iter().rposition(|p| !small(p)).map_or(0, |at| at + 1);
    let (mut entries, mut bytes) = (0, 0);
    let mut from = None;
    for (at, part) in parts[..end].iter().enumerate().rev() {
        let (len, size) = (part.segment.len(), part.segment.bytes());
        if entries + len > LARGE.0 || bytes + size > LARGE.1 {
            break;
        }
        if at + 1 < end && entries * RATIO >= len {
            from = Some(at);
        }
        entries += len;
        bytes += size;
    }
    if let Some(from) = from {
        return Some(from..end);
    }
    let dead = |p: &Part| {
        p.dead() * DEAD_SHARE >= p.segment.len() && p.dead_by(watermark) * DEAD_SHARE >= p.segment.len()
    };
    let at = parts[..end].iter().position(dead)?;
    Some(at..at + 1)
}

/// Whether the part is left to whoever inserts.
pub(crate) fn small(part: &Part) -> bool {
    part.segment.len() < SMALL.0 && part.segment.bytes() < SMALL.1
}
