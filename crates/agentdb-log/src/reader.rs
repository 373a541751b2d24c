//! Reading the log beside its writer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentdb_env::{Env, OpenMode};
use agentdb_types::{Code, Error, Lsn, Result};

use crate::Group;
use crate::recover::{SegmentStart, corrupt};
use crate::segment::{DATA_START, Segment};

/// The groups of the log as it was when the reader was made, in order. The writer goes on meanwhile, and may let go of what
/// the reader has not reached: reading on is refused then.
///
/// Ends after the first error.
pub struct LogReader {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    /// The segments to read; the last one was being written.
    pub(crate) segments: std::vec::IntoIter<SegmentStart>,
    /// Where the frames of the last segment end.
    pub(crate) end: u64,
    /// Groups that hold nothing from here on are passed over.
    pub(crate) from: Lsn,
    /// The LSN that comes next.
    pub(crate) next: Lsn,
    pub(crate) segment: Option<Segment>,
    pub(crate) offset: u64,
    /// The number of the first segment that the log has not let go of.
    pub(crate) first_kept: Arc<AtomicU64>,
}

impl LogReader {
    /// The next group that is no stamp; none at the end.
    fn read(&mut self) -> Result<Option<Group>> {
        loop {
            let Some(segment) = &self.segment else {
                let Some(start) = self.segments.next() else { return Ok(None) };
                let segment = Segment::open(&self.env, &self.dir, start.number, OpenMode::Read)?;
                if start.first_lsn != self.next {
                    return Err(corrupt(
                        &segment,
                        DATA_START,
                        self.next,
                        "the segment before it ends too early",
                    ));
                }
                (self.segment, self.offset) = (Some(segment), DATA_START);
                continue;
            };
            let is_last = self.segments.len() == 0;
            let end = if is_last { self.end } else { segment.len };
            let frame = if self.offset < end { Some(segment.frame_at(self.offset)?) } else { None };
            match frame {
                Some(Ok(frame)) => {
                    self.offset += frame.bytes as u64;
                    if frame.group.count > 0 {
                        self.next = frame.group.last_lsn().next();
                        if frame.group.last_lsn() >= self.from {
                            return Ok(Some(frame.group));
                        }
                    }
                }
                Some(Err(why)) if is_last => {
                    return Err(corrupt(segment, self.offset, self.next, why.reason()));
                }
                // What follows the last frame is zeros; whether it was the last one, the next segment tells.
                Some(Err(_)) | None => self.segment = None,
            }
        }
    }
}

impl Iterator for LogReader {
    type Item = Result<Group>;

    fn next(&mut self) -> Option<Result<Group>> {
        let number = self.segment.as_ref().map(|s| s.number);
        let number = number.or_else(|| self.segments.as_slice().first().map(|s| s.number));
        let read = self.read();
        // Segments are let go of before anything happens to their files.
        let trimmed = number.is_some_and(|n| n < self.first_kept.load(Ordering::Acquire));
        let read = match read {
            Ok(group) if !trimmed => return group.map(Ok),
            _ if trimmed => Err(Error::new(Code::InvalidValue)
                .with("field", "from")
                .with("reason", format_args!("LSN {} was trimmed while the log was read", self.next))),
            other => other,
        };
        (self.segment, self.segments) = (None, Vec::new().into_iter());
        read.transpose()
    }
}
