//! Reading the whole log, frame by frame, without changing it.

use std::path::Path;

use agentdb_env::{Env, OpenMode};
use agentdb_types::{Lsn, Result};

use crate::recover;
use crate::segment::{DATA_START, Segment};
use crate::{Group, Head};

/// What a verification found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Segments read.
    pub segments: u64,
    /// Groups read, stamps left out.
    pub groups: u64,
    /// The first LSN that the log holds.
    pub first_lsn: Lsn,
    /// The end.
    pub head: Head,
}

/// Checks every frame of the log in `dir`: checksum, LSN, chain hash, time. `visit` sees each group.
///
/// # Errors
/// [`LogCorrupt`](agentdb_types::Code::LogCorrupt) names the segment, the offset and the LSN of the damage;
/// [`FormatCorrupt`](agentdb_types::Code::FormatCorrupt) a damaged segment header; errors of files and of `visit`.
pub fn verify(env: &Env, dir: &Path, visit: &mut dyn FnMut(&Group) -> Result<()>) -> Result<Verified> {
    // From LSN 0 on: the walk covers everything.
    let tail = recover::find_tail(env, dir, Lsn::ZERO, OpenMode::Read)?;
    let mut groups = 0;
    for start in &tail.segments {
        let segment = Segment::open(env, dir, start.number, OpenMode::Read)?;
        let mut offset = DATA_START;
        while let Ok(frame) = segment.frame_at(offset)? {
            offset += frame.bytes as u64;
            if frame.group.count > 0 {
                groups += 1;
                visit(&frame.group)?;
            }
        }
    }
    Ok(Verified { segments: tail.segments.len() as u64, groups, first_lsn: tail.first_lsn, head: tail.head })
}
