//! Opening: find the end of the log, and tell a torn tail from damage.

use std::path::Path;

use agentdb_env::{Env, OpenMode};
use agentdb_types::{ChainHash, Code, Error, Lsn, Result};

use crate::frame::{self, NotAFrame};
use crate::segment::{self, DATA_START, Segment};
use crate::{Frame, Head};

/// What reading the segments found.
pub(crate) struct Tail {
    /// The segments, in order, with the LSN that each one's first frame starts at.
    pub(crate) segments: Vec<SegmentStart>,
    pub(crate) head: Head,
    /// The segment that the head is in, and where the next frame goes. `None` if there are no segments.
    pub(crate) end: Option<(Segment, u64)>,
    /// Where in the last segment the first frame starts that no surviving frame tells to be synced.
    pub(crate) unproven_from: u64,
    /// The chain hash at the LSN that was asked for, if the log holds it.
    pub(crate) chain_at: Option<ChainHash>,
    /// The earliest LSN that the log still holds.
    pub(crate) first_lsn: Lsn,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentStart {
    pub(crate) number: u64,
    pub(crate) first_lsn: Lsn,
    /// Bytes of the segment.
    pub(crate) len: u64,
}

/// The segment numbers in `dir`: those that were trimmed, then those of the log, which must follow each other without a
/// gap.
fn numbers(env: &Env, dir: &Path) -> Result<(Vec<u64>, Vec<u64>)> {
    let mut numbers: Vec<u64> =
        env.files.list(dir)?.iter().filter_map(|name| segment::parse_name(name)).collect();
    numbers.sort_unstable();
    let mut trimmed = 0;
    while trimmed + 1 < numbers.len()
        && env.files.open(&dir.join(segment::file_name(numbers[trimmed])), OpenMode::Read)?.is_empty()?
    {
        trimmed += 1;
    }
    let rest = numbers.split_off(trimmed);
    Ok((numbers, rest))
}

/// Removes what is left of segments that were trimmed. A removal that was seen, but whose sync failed, may come undone;
/// the segment was emptied before.
pub(crate) fn remove_trimmed(env: &Env, dir: &Path) -> Result<()> {
    for number in numbers(env, dir)?.0 {
        env.files.remove(&dir.join(segment::file_name(number)))?;
        env.files.sync_dir(dir)?;
    }
    Ok(())
}

/// The numbers of the log's segments in `dir`.
pub(crate) fn list(env: &Env, dir: &Path) -> Result<Vec<u64>> {
    let (_, numbers) = numbers(env, dir)?;
    for pair in numbers.windows(2) {
        if pair[0] + 1 != pair[1] {
            return Err(missing(dir, pair[0] + 1));
        }
    }
    Ok(numbers)
}

fn missing(dir: &Path, number: u64) -> Error {
    Error::new(Code::FormatCorrupt)
        .with("path", dir.join(segment::file_name(number)).display())
        .with("reason", "the segment is missing")
}

/// Reads what is needed to find the end of the log and the chain hash at `at`: the segments from the one that holds the
/// group after `at`.
pub(crate) fn find_tail(env: &Env, dir: &Path, at: Lsn, mode: OpenMode) -> Result<Tail> {
    let mut open = Vec::new();
    for number in list(env, dir)? {
        open.push(Segment::open(env, dir, number, mode)?);
    }
    if let Some(newest) = open.last()
        && newest.is_continued()?
    {
        return Err(missing(dir, newest.number + 1));
    }
    let mut firsts = Vec::with_capacity(open.len());
    for segment in &open {
        firsts.push(segment.frame_at(DATA_START)?.ok());
    }
    let start = firsts
        .iter()
        .rposition(|f| f.as_ref().is_some_and(|f| f.group.first_lsn <= at.next()))
        .unwrap_or_default();
    let mut walk = Walk::new(at, firsts.get(start).and_then(|f| f.as_ref()));
    let mut end = None;
    for index in start..open.len() {
        let segment = &open[index];
        let stop = walk.segment(segment)?;
        if walk.ended_in_earlier_segment(&stop) {
            refuse_if_durable_beyond(&open[index..], DATA_START, walk.head.lsn.next(), stop.why)?;
            break;
        }
        // Only the last non-empty segment may end in anything but zeros, and even that only above what is synced.
        end = Some((segment.clone(), stop.offset));
        let next_continues = firsts.get(index + 1).is_some_and(|f| {
            f.as_ref()
                .is_some_and(|f| f.group.first_lsn == walk.head.lsn.next() && f.previous == walk.head.chain)
        });
        if !next_continues {
            refuse_if_durable_beyond(&open[index..], stop.offset, walk.head.lsn.next(), stop.why)?;
            break;
        }
    }
    let last = end.as_ref().map(|(s, _)| s.number);
    let segments = open
        .iter()
        .zip(&firsts)
        .filter(|(s, _)| last.is_some_and(|last| s.number <= last))
        .map(|(s, f)| SegmentStart {
            number: s.number,
            first_lsn: f.as_ref().map_or(walk.head.lsn.next(), |f| f.group.first_lsn),
            len: s.len,
        })
        .collect::<Vec<_>>();
    let first_lsn = segments.first().map_or(Lsn(1), |s| s.first_lsn);
    Ok(Tail {
        segments,
        head: walk.head,
        unproven_from: if walk.unproven.map(|(n, _)| n) == last {
            walk.unproven.map_or(DATA_START, |(_, offset)| offset)
        } else {
            DATA_START
        },
        end,
        chain_at: walk.chain_at,
        first_lsn,
    })
}

/// Why and where the frames of a segment end.
struct Stop {
    offset: u64,
    why: NotAFrame,
}

struct Walk {
    at: Lsn,
    head: Head,
    chain_at: Option<ChainHash>,
    started: bool,
    /// Segment and offset of the first frame above every `synced_lsn` seen.
    unproven: Option<(u64, u64)>,
    /// Frames not yet proven synced: last LSN, segment, offset.
    pending: Vec<(Lsn, u64, u64)>,
}

impl Walk {
    /// Starts before the first frame that will be read; what lies before it is taken from that frame.
    fn new(at: Lsn, first: Option<&Frame>) -> Self {
        let mut head = Head::default();
        if let Some(first) = first {
            head.lsn = Lsn(first.group.first_lsn.0.saturating_sub(1));
            head.chain = first.previous;
            head.time = first.group.time;
        }
        let chain_at = (head.lsn == at).then_some(head.chain);
        Walk { at, head, chain_at, started: false, unproven: None, pending: Vec::new() }
    }

    fn ended_in_earlier_segment(&self, stop: &Stop) -> bool {
        self.started && stop.offset == DATA_START
    }

    fn segment(&mut self, segment: &Segment) -> Result<Stop> {
        let mut offset = DATA_START;
        loop {
            let frame = match segment.frame_at(offset)? {
                Ok(frame) => frame,
                Err(why) => {
                    self.unproven =
                        self.pending.first().map(|&(_, n, o)| (n, o)).or(Some((segment.number, offset)));
                    return Ok(Stop { offset, why });
                }
            };
            self.accept(segment, offset, &frame)?;
            offset += frame.bytes as u64;
        }
    }

    fn accept(&mut self, segment: &Segment, offset: u64, frame: &Frame) -> Result<()> {
        let group = &frame.group;
        let broken = if group.first_lsn != self.head.lsn.next() {
            Some("the LSN does not follow the one before")
        } else if frame.previous != self.head.chain {
            Some("the chain hash does not follow from what is before")
        } else if group.time < self.head.time || group.epoch < self.head.epoch {
            Some("log time or epoch goes back")
        } else {
            None
        };
        if let Some(reason) = broken {
            return Err(corrupt(segment, offset, group.first_lsn, reason));
        }
        self.started = true;
        self.pending.retain(|&(last, ..)| last > frame.synced_lsn);
        // A stamp takes no LSN: that the LSN before it is synced does not prove that the stamp is.
        let proven_by = if group.count == 0 { group.first_lsn } else { group.last_lsn() };
        self.pending.push((proven_by, segment.number, offset));
        self.head = Head { lsn: group.last_lsn(), chain: group.chain, time: group.time, epoch: group.epoch };
        if self.head.lsn == self.at {
            self.chain_at = Some(self.head.chain);
        }
        Ok(())
    }
}

pub(crate) fn corrupt(segment: &Segment, offset: u64, lsn: Lsn, reason: &str) -> Error {
    Error::new(Code::LogCorrupt)
        .with("segment", segment.path.display())
        .with("offset", offset)
        .with("lsn", lsn)
        .with("reason", reason)
}

/// Looks for frames that survived beyond the end at `offset` of the first segment. If one of them tells that `lost` had
/// been synced, the end is not a torn tail but damage.
fn refuse_if_durable_beyond(segments: &[Segment], offset: u64, lost: Lsn, why: NotAFrame) -> Result<()> {
    let Some(first) = segments.first() else { return Ok(()) };
    let mut from = offset;
    for segment in segments {
        let mut bytes = vec![0u8; (segment.len - from) as usize];
        segment.read_exact(from, &mut bytes)?;
        let mut at = 0;
        while let Some(candidate) = frame::next_candidate(&bytes, at) {
            let decoded = frame::decode(&bytes[candidate..], segment.salt, from + candidate as u64)?;
            if let Ok(frame) = decoded
                && frame.synced_lsn >= lost
            {
                return Err(corrupt(first, offset, lost, why.reason()));
            }
            at = candidate + 1;
        }
        from = DATA_START;
    }
    Ok(())
}
