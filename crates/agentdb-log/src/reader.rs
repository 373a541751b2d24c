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
/// Ends after the first error. One that has come to its end goes on where it stands once it was told how far the log has got
/// ([`LocalLog::extend`](crate::LocalLog::extend)).
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
    /// What the log has not let go of.
    pub(crate) kept: Arc<Kept>,
}

/// Where the log begins, for readers. A segment is let go of before anything happens to its file.
pub(crate) struct Kept {
    segment: AtomicU64,
    lsn: AtomicU64,
}

impl Kept {
    pub(crate) fn new(first: SegmentStart) -> Self {
        Kept { segment: AtomicU64::new(first.number), lsn: AtomicU64::new(first.first_lsn.0) }
    }

    pub(crate) fn begin_at(&self, first: SegmentStart) {
        self.lsn.store(first.first_lsn.0, Ordering::Release);
        self.segment.store(first.number, Ordering::Release);
    }

    fn has_let_go(&self, segment: u64) -> bool {
        segment < self.segment.load(Ordering::Acquire)
    }

    fn refuse(&self, from: Lsn) -> Error {
        trimmed(from, Lsn(self.lsn.load(Ordering::Acquire)))
    }
}

/// Why the log cannot be read from an LSN on.
pub(crate) fn trimmed(from: Lsn, earliest: Lsn) -> Error {
    Error::new(Code::LogTrimmed).with("from", from).with("earliest", earliest)
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
                // It may go on here.
                None if is_last => return Ok(None),
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
        let trimmed = number.is_some_and(|n| self.kept.has_let_go(n));
        let read = match read {
            Ok(group) if !trimmed => return group.map(Ok),
            _ if trimmed => Err(self.kept.refuse(self.next.max(self.from))),
            other => other,
        };
        (self.segment, self.segments) = (None, Vec::new().into_iter());
        read.transpose()
    }
}
