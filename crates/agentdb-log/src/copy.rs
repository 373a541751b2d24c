//! Copies of segments, for a backup, and cutting what was copied at an LSN or a time.

use std::path::Path;
use std::sync::Arc;

use agentdb_env::{Env, File, OpenMode};
use agentdb_types::{ChainHash, Error, Lsn, Result, Timestamp};

use crate::body::Packer;
use crate::local::zero_from;
use crate::recover::{self, SegmentStart, corrupt};
use crate::segment::{self, CONTINUED_AT, CONTINUED_BYTES, DATA_START, Segment};
use crate::{Frame, Group, Head, LogReader, NewGroup, frame};

/// A segment to copy: its bytes up to where its frames end. Zeros follow, up to its length.
///
/// The note that the log goes on elsewhere is left out, so that the copies of a segment that grows differ at their end
/// alone; [`cut`] writes it.
pub struct SegmentCopy {
    /// The name of its file.
    pub name: String,
    /// The first LSN that it holds, or will hold.
    pub first_lsn: Lsn,
    /// Bytes of the whole file.
    pub bytes: u64,
    /// Where the frames that are copied end.
    pub end: u64,
    file: Arc<dyn File>,
}

impl SegmentCopy {
    /// Reads into `out` from `offset`; returns how many bytes.
    ///
    /// # Errors
    /// Errors of files.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let read = self.file.read_at(offset, out)?;
        let note = CONTINUED_AT..CONTINUED_AT + CONTINUED_BYTES as u64;
        for at in note.filter(|at| (offset..offset + read as u64).contains(at)) {
            out[(at - offset) as usize] = 0;
        }
        Ok(read)
    }
}

/// A stretch of the log to copy.
pub struct Copied {
    /// The segments, in order.
    pub segments: Vec<SegmentCopy>,
    /// The chain hash at the LSN that the reader starts from, if a group ends there.
    pub chain_from: Option<ChainHash>,
    /// The chain hash at its end.
    pub chain: ChainHash,
}

/// Where a copy of the log is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// With this LSN.
    Lsn(Lsn),
    /// With the last group whose log time is not later.
    Time(Timestamp),
}

impl LogReader {
    /// The segments of this reader as they are up to the group that ends at `to`, and the chain hash there. Every frame
    /// is read: what is copied is whole. `visit` sees each group.
    ///
    /// Stamps behind the last group of a segment are left out: that an LSN is durable does not say that they are, and
    /// where they are lost, other frames come.
    ///
    /// # Errors
    /// [`LogCorrupt`](agentdb_types::Code::LogCorrupt) for a frame that does not hold, or if no group ends at `to`;
    /// errors of files and of `visit`.
    pub fn copies(self, to: Lsn, visit: &mut dyn FnMut(&Group) -> Result<()>) -> Result<Copied> {
        let (env, dir, from) = (self.env.clone(), self.dir.clone(), self.from);
        let starts: Vec<SegmentStart> = self.segments.collect();
        let mut walk = Walk { at: from, ..Walk::default() };
        let mut copies = Vec::new();
        for (index, start) in starts.iter().enumerate() {
            if index > 0 && start.first_lsn > to {
                break;
            }
            let segment = Segment::open(&env, &dir, start.number, OpenMode::Read)?;
            let limit = if index + 1 == starts.len() { self.end } else { segment.len };
            let (mut end, mut at) = (DATA_START, DATA_START);
            while at < limit
                && let Ok(frame) = segment.frame_at(at)?
                && frame.group.last_lsn() <= to
            {
                walk.accept(&segment, at, &frame)?;
                at += frame.bytes as u64;
                if frame.group.count > 0 {
                    end = at;
                    visit(&frame.group)?;
                }
            }
            let (name, bytes) = (segment::file_name(start.number), segment.len);
            copies.push(SegmentCopy { name, first_lsn: start.first_lsn, bytes, end, file: segment.file });
            if walk.head.lsn == to && walk.started {
                break;
            }
        }
        if walk.head.lsn != to {
            return Err(Error::new(agentdb_types::Code::LogCorrupt)
                .with("segment", dir.display())
                .with("offset", 0)
                .with("lsn", to)
                .with("reason", "no group of the log ends there"));
        }
        let chain_from = if from == Lsn::ZERO { Some(ChainHash::default()) } else { walk.chain_at };
        Ok(Copied { segments: copies, chain_from, chain: walk.head.chain })
    }
}

/// The chain hash at an LSN of the log in `dir`, which is read from there to its end; `None` if no group ends there.
///
/// # Errors
/// [`LogCorrupt`](agentdb_types::Code::LogCorrupt), [`FormatCorrupt`](agentdb_types::Code::FormatCorrupt); errors of files.
pub fn chain_at(env: &Env, dir: &Path, lsn: Lsn) -> Result<Option<ChainHash>> {
    Ok(recover::find_tail(env, dir, lsn, OpenMode::Read)?.chain_at)
}

/// Follows frames from one to the next.
#[derive(Default)]
struct Walk {
    head: Head,
    started: bool,
    /// Where to take note of the chain hash.
    at: Lsn,
    chain_at: Option<ChainHash>,
}

impl Walk {
    fn accept(&mut self, segment: &Segment, offset: u64, frame: &Frame) -> Result<()> {
        let group = &frame.group;
        let follows = group.first_lsn == self.head.lsn.next() && frame.previous == self.head.chain;
        if self.started && !follows {
            return Err(corrupt(
                segment,
                offset,
                group.first_lsn,
                "the frame does not follow the one before it",
            ));
        }
        if !self.started && group.first_lsn == self.at.next() {
            self.chain_at = Some(frame.previous);
        }
        self.started = true;
        self.head = Head { lsn: group.last_lsn(), chain: group.chain, time: group.time, epoch: group.epoch };
        if self.head.lsn == self.at {
            self.chain_at = Some(self.head.chain);
        }
        Ok(())
    }
}

/// Cuts the log in `dir`, a copy that nobody has opened, and returns its new end. Where the bound lies within a group,
/// `part` gives the body of its first entries; that group gets a chain hash of its own.
///
/// # Errors
/// [`LogCorrupt`](agentdb_types::Code::LogCorrupt) for frames that do not follow each other; errors of files and of `part`.
pub fn cut(
    env: &Env,
    dir: &Path,
    bound: Bound,
    part: &dyn Fn(&Group, u32) -> Result<Vec<u8>>,
) -> Result<Head> {
    let numbers = recover::list(env, dir)?;
    let mut walk = Walk::default();
    let mut last = None;
    for (index, &number) in numbers.iter().enumerate() {
        let mut segment = Segment::open(env, dir, number, OpenMode::Write)?;
        let mut offset = DATA_START;
        let mut beyond = None;
        while let Ok(frame) = segment.frame_at(offset)? {
            if is_beyond(&frame.group, bound) {
                beyond = Some(frame);
                break;
            }
            walk.accept(&segment, offset, &frame)?;
            offset += frame.bytes as u64;
        }
        if let Some(frame) = &beyond {
            offset = keep_part(&mut segment, offset, frame, bound, part, &mut walk)?;
        }
        let ends = beyond.is_some() || index + 1 == numbers.len();
        last = Some((index, segment, offset));
        if ends {
            break;
        }
    }
    let Some((index, segment, offset)) = last else { return Ok(walk.head) };
    zero_from(&segment, offset)?;
    segment.clear_continued()?;
    for number in numbers[index + 1..].iter().rev() {
        env.files.remove(&dir.join(segment::file_name(*number)))?;
    }
    for number in &numbers[..index] {
        let segment = Segment::open(env, dir, *number, OpenMode::Write)?;
        segment.set_continued()?;
        segment.file.sync_data()?;
    }
    env.files.sync_dir(dir)?;
    Ok(walk.head)
}

/// Whether the group, or the end of it, lies beyond the bound.
fn is_beyond(group: &Group, bound: Bound) -> bool {
    match bound {
        Bound::Lsn(lsn) => group.last_lsn() > lsn,
        Bound::Time(time) => group.time > time,
    }
}

/// Writes the first entries of a group in the place of all of them; returns where the frame ends.
fn keep_part(
    segment: &mut Segment,
    offset: u64,
    whole: &Frame,
    bound: Bound,
    part: &dyn Fn(&Group, u32) -> Result<Vec<u8>>,
    walk: &mut Walk,
) -> Result<u64> {
    let group = &whole.group;
    let count = match bound {
        Bound::Lsn(lsn) => (lsn.0 + 1).saturating_sub(group.first_lsn.0) as u32,
        Bound::Time(_) => 0,
    };
    if count == 0 {
        return Ok(offset);
    }
    let body = part(group, count)?;
    let expected_head = Lsn(group.first_lsn.0 - 1);
    let kept = NewGroup { epoch: group.epoch, expected_head, count, time: group.time, body: &body };
    let mut out = Vec::new();
    // What was synced when the group was written lies before it.
    let synced = whole.synced_lsn.min(expected_head);
    let mut packed = Vec::new();
    let stored = Packer::default().pack(&kept, &mut packed);
    let chain = frame::encode(&mut out, &kept, stored, &whole.previous, synced, segment.salt, offset);
    // A part may take more than the whole did, if only the whole was packed.
    segment.lengthen(offset + out.len() as u64)?;
    segment.file.write_at(offset, &out)?;
    let lsn = Lsn(expected_head.0 + u64::from(count));
    walk.head = Head { lsn, chain, time: group.time, epoch: group.epoch };
    Ok(offset + out.len() as u64)
}
