//! The log in a directory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentdb_env::{Env, OpenMode, entries};
use agentdb_types::{ChainHash, Code, Error, Lsn, Result};

use crate::body::{Packer, Stored};
use crate::frame::{self, Frame};
use crate::reader::{self, Kept};
use crate::recover::{self, SegmentStart, Tail};
use crate::segment::{self, DATA_START, NewSegment, Segment};
use crate::{Head, Log, LogReader, NewGroup, SyncPoint};

/// How a local log uses its directory.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of the first segment; every other one is twice as long as the one before, up to `segment_bytes`. What is made
    /// ahead and not used stays in proportion to the log.
    pub first_segment_bytes: u64,
    /// Bytes of a segment of a grown log. A group that needs more gets a segment of its own size.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { first_segment_bytes: 1 << 20, segment_bytes: 64 << 20 }
    }
}

impl Options {
    fn first(&self) -> u64 {
        self.first_segment_bytes.min(self.segment_bytes).max(2 * DATA_START)
    }

    /// Bytes of the segment after that of a number, which has `len` bytes.
    fn after(&self, number: u64, len: u64) -> u64 {
        let times = if number.is_multiple_of(2) { 2 } else { 1 };
        len.saturating_mul(times).min(self.segment_bytes).max(self.first())
    }
}

/// What opening a log gives.
pub struct Opened {
    /// The log, ready to append.
    pub log: LocalLog,
    /// The chain hash at the LSN that was asked for; `None` if the log does not hold that LSN as the end of a group.
    pub chain_at: Option<ChainHash>,
    /// The earliest LSN that the log can still give.
    pub first_lsn: Lsn,
}

/// The log in a directory of segments, written by one process.
pub struct LocalLog {
    env: Env,
    dir: PathBuf,
    options: Options,
    segments: Vec<SegmentStart>,
    current: Segment,
    offset: u64,
    head: Head,
    synced: Lsn,
    /// Groups appended since opening, and how many of them are synced.
    appends: u64,
    synced_appends: u64,
    frame: Vec<u8>,
    packer: Packer,
    packed: Vec<u8>,
    failed: Option<Error>,
    prepared: Arc<Prepared>,
    kept: Arc<Kept>,
}

/// The next segment, made ahead by a background thread.
struct Prepared {
    slot: Mutex<Slot>,
    /// Quarters of the current segment that are used.
    quarters: AtomicU8,
}

struct Slot {
    next_number: u64,
    /// Bytes that the next segment will have.
    next_len: u64,
    next: Option<Next>,
}

/// The segment after the current one.
enum Next {
    Filling(NewSegment),
    Ready(Segment),
}

/// Makes the next segment ahead of its use, off the writer's path.
#[derive(Clone)]
pub struct SegmentPreparer {
    env: Env,
    dir: PathBuf,
    prepared: Arc<Prepared>,
}

impl LocalLog {
    /// Whether `dir` holds a segment of a log.
    ///
    /// # Errors
    /// Errors of files.
    pub fn exists(env: &Env, dir: &Path) -> Result<bool> {
        Ok(env.files.exists(dir)?
            && env.files.list(dir)?.iter().any(|name| segment::parse_name(name).is_some()))
    }

    /// Opens the log in `dir` (which must exist), creating it if it is empty, and cuts a torn tail. `view` is the LSN up
    /// to which every view is durable: what lies before it is not read.
    ///
    /// # Errors
    /// [`Code::LogCorrupt`] and [`Code::FormatCorrupt`] for damage to what was durable; [`Code::FormatTooNew`],
    /// [`Code::UnknownCritical`]; errors of files.
    pub fn open(env: &Env, dir: &Path, options: Options, view: Lsn) -> Result<Opened> {
        for name in env.files.list(dir)?.iter().filter(|n| n.ends_with(".new")) {
            env.files.remove(&dir.join(name))?;
        }
        entries::settle(&*env.files, dir)?;
        recover::remove_trimmed(env, dir)?;
        let tail = recover::find_tail(env, dir, view, OpenMode::Write)?;
        let (chain_at, first_lsn) = (tail.chain_at, tail.first_lsn);
        let log = Self::from_tail(env, dir, options, tail)?;
        Ok(Opened { log, chain_at, first_lsn })
    }

    fn from_tail(env: &Env, dir: &Path, options: Options, tail: Tail) -> Result<Self> {
        let mut segments = tail.segments;
        let (current, offset) = match tail.end {
            Some((segment, offset)) => {
                remove_after(env, dir, &segment)?;
                rewrite(&segment, tail.unproven_from, offset)?;
                zero_from(&segment, offset)?;
                segment.file.sync_data()?;
                (segment, offset)
            }
            None => {
                // Later segments hold no frame, and are removed at opening, if making them fails.
                let create = || Segment::create(env, dir, 1, options.first()).map(drop);
                entries::make(&*env.files, dir, segment::file_name(1), create)?;
                let segment = Segment::open(env, dir, 1, OpenMode::Write)?;
                segments.push(SegmentStart { number: 1, first_lsn: Lsn(1), len: segment.len });
                (segment, DATA_START)
            }
        };
        let slot = Slot {
            next_number: current.number + 1,
            next_len: options.after(current.number, current.len),
            next: None,
        };
        let mut log = LocalLog {
            kept: Arc::new(Kept::new(segments[0])),
            env: env.clone(),
            dir: dir.to_owned(),
            options,
            segments,
            current,
            offset,
            head: tail.head,
            synced: tail.head.lsn,
            appends: 0,
            synced_appends: 0,
            frame: Vec::new(),
            packer: Packer::default(),
            packed: Vec::new(),
            failed: None,
            prepared: Arc::new(Prepared { slot: Mutex::new(slot), quarters: AtomicU8::new(0) }),
        };
        log.move_to(offset);
        Ok(log)
    }

    /// What makes the next segment ahead; to be stepped by a background thread.
    pub fn preparer(&self) -> SegmentPreparer {
        SegmentPreparer { env: self.env.clone(), dir: self.dir.clone(), prepared: self.prepared.clone() }
    }

    /// Bytes of the segments that hold frames, for a retention limit.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.len).sum()
    }

    /// How many quarters of the current segment are used, rounded down. When that grows, there is work for the preparer.
    pub fn quarters_used(&self) -> u8 {
        self.prepared.quarters.load(Ordering::Relaxed)
    }

    /// The first LSN of each segment, oldest first; the last one is being written.
    pub fn segment_starts(&self) -> impl Iterator<Item = Lsn> + '_ {
        self.segments.iter().map(|s| s.first_lsn)
    }

    /// The chain hash at an LSN; `None` if the log does not tell it: it was let go of, lies ahead, or no group ends there.
    ///
    /// # Errors
    /// Errors of files.
    pub fn chain_at(&self, lsn: Lsn) -> Result<Option<ChainHash>> {
        if lsn == self.head.lsn {
            return Ok(Some(self.head.chain));
        }
        let Some(start) = self.segments.iter().rfind(|s| s.first_lsn <= lsn.next()) else { return Ok(None) };
        let segment = Segment::open(&self.env, &self.dir, start.number, OpenMode::Read)?;
        let mut offset = DATA_START;
        while let Ok(Frame { group, previous, bytes, .. }) = segment.frame_at(offset)? {
            if group.count > 0 && group.last_lsn() >= lsn {
                let is_behind = group.first_lsn == lsn.next();
                let ends_there = (group.last_lsn() == lsn).then_some(group.chain);
                return Ok(if is_behind { Some(previous) } else { ends_there });
            }
            offset += bytes as u64;
        }
        Ok(None)
    }

    /// Reads every group that holds an LSN of at least `from`, which the log must still hold.
    ///
    /// # Errors
    /// [`Code::LogTrimmed`].
    pub fn reader_from(&self, from: Lsn) -> Result<LogReader> {
        match self.segments[0].first_lsn {
            earliest if from < earliest => Err(reader::trimmed(from, earliest)),
            _ => Ok(self.reader(from)),
        }
    }

    /// Lets a reader of this log that has come to its end go on, up to the end at this moment.
    pub fn extend(&self, reader: &mut LogReader) {
        let number = reader.segment.as_ref().map(|s| s.number);
        let after = |s: &&SegmentStart| number.map_or(s.first_lsn >= reader.next, |number| s.number > number);
        reader.segments = self.segments.iter().filter(after).copied().collect::<Vec<_>>().into_iter();
        reader.end = self.offset;
    }

    fn write(&mut self, group: &NewGroup<'_>) -> Result<Head> {
        if group.expected_head != self.head.lsn
            || group.epoch < self.head.epoch
            || group.time < self.head.time
        {
            return Err(Error::new(Code::Poisoned).with(
                "reason",
                "another writer appended, or this one lost track of head, epoch or log time",
            ));
        }
        let mut packed = std::mem::take(&mut self.packed);
        let stored = self.packer.pack(group, &mut packed);
        let written = self.write_stored(group, stored);
        self.packed = packed;
        written
    }

    fn write_stored(&mut self, group: &NewGroup<'_>, stored: Stored<'_>) -> Result<Head> {
        let bytes = frame::frame_bytes(stored.bytes.len()) as u64;
        if self.offset + bytes > self.current.len {
            self.roll(bytes)?;
        }
        let mut frame = std::mem::take(&mut self.frame);
        let place = (self.current.salt, self.offset);
        let chain = frame::encode(&mut frame, group, stored, &self.head.chain, self.synced, place.0, place.1);
        let written = self.current.file.write_at(self.offset, &frame);
        self.frame = frame;
        written?;
        self.move_to(self.offset + bytes);
        self.appends += 1;
        let lsn = Lsn(self.head.lsn.0 + u64::from(group.count));
        self.head = Head { lsn, chain, time: group.time, epoch: group.epoch };
        Ok(self.head)
    }

    /// Bytes of the current segment that are left.
    #[cfg(test)]
    pub(crate) fn current_room(&self) -> u64 {
        self.current.len - self.offset
    }

    /// The next frame goes to this offset of the current segment.
    fn move_to(&mut self, offset: u64) {
        self.offset = offset;
        let quarters = (offset - DATA_START) * 4 / (self.current.len - DATA_START);
        self.prepared.quarters.store(quarters as u8, Ordering::Relaxed);
    }

    /// Moves on to the next segment, which has room for a frame of so many bytes.
    fn roll(&mut self, needed: u64) -> Result<()> {
        let needed = DATA_START + needed;
        let prepared = self.prepared.clone();
        let mut slot = prepared.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let segment = match slot.next.take() {
            Some(Next::Ready(segment)) if segment.len >= needed => segment,
            Some(Next::Filling(filling)) if filling.len() >= needed => filling.finish()?,
            unfit => {
                unfit.map_or(Ok(()), |small| small.remove(&self.env))?;
                Segment::create(&self.env, &self.dir, slot.next_number, needed.max(slot.next_len))?
            }
        };
        self.go_on_in(segment, &mut slot)
    }

    /// What the old segment holds is synced before a frame is written to the new one, so that frames of a segment never
    /// survive while frames of the one before are lost.
    fn go_on_in(&mut self, segment: Segment, slot: &mut Slot) -> Result<()> {
        let (number, len) = (segment.number, segment.len);
        (slot.next_number, slot.next_len) = (number + 1, self.options.after(number, len));
        self.current.set_continued()?;
        self.current.file.sync_data()?;
        (self.synced, self.synced_appends) = (self.head.lsn, self.appends);
        self.segments.push(SegmentStart { number, first_lsn: self.head.lsn.next(), len });
        self.current = segment;
        self.move_to(DATA_START);
        Ok(())
    }

    /// Goes on in a segment that is as short as the first one, with a stamp in it, and syncs that. Everything before can then
    /// be let go of, whatever it takes: [`Log::let_go`] below the LSN after the head gives the segments one by one.
    ///
    /// # Errors
    /// Those of [`Log::append`].
    pub fn begin_anew(&mut self) -> Result<()> {
        self.check()?;
        self.begin_short_segment().inspect_err(|err| self.fail(err))?;
        let Head { lsn, time, epoch, .. } = self.head;
        self.append(NewGroup { epoch, expected_head: lsn, count: 0, time, body: &[] })?;
        self.sync().map(drop)
    }

    fn begin_short_segment(&mut self) -> Result<()> {
        let prepared = self.prepared.clone();
        let mut slot = prepared.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.next.take().map_or(Ok(()), |next| next.remove(&self.env))?;
        let segment = Segment::create(&self.env, &self.dir, slot.next_number, self.options.first())?;
        self.go_on_in(segment, &mut slot)
    }
}

impl Next {
    /// Removes it. Should the removal come undone, the next opening of the log removes it again.
    fn remove(self, env: &Env) -> Result<()> {
        match self {
            Next::Filling(filling) => filling.abandon(),
            Next::Ready(segment) => env.files.remove(&segment.path),
        }
    }
}

impl Log for LocalLog {
    fn append(&mut self, group: NewGroup<'_>) -> Result<Head> {
        self.check()?;
        self.write(&group).inspect_err(|err| self.fail(err))
    }

    fn sync_point(&self) -> Option<SyncPoint> {
        // Segments before the current one were synced when it was begun.
        (self.synced_appends < self.appends).then(|| SyncPoint {
            file: self.current.file.clone(),
            appends: self.appends,
            lsn: self.head.lsn,
        })
    }

    fn note_synced(&mut self, point: &SyncPoint) {
        self.synced_appends = self.synced_appends.max(point.appends);
        self.synced = self.synced.max(point.lsn);
    }

    fn fail(&mut self, why: &Error) {
        self.failed.get_or_insert_with(|| why.clone());
    }

    fn check(&self) -> Result<()> {
        match &self.failed {
            Some(err) => Err(Error::new(Code::Poisoned).with("reason", err)),
            None => Ok(()),
        }
    }

    fn head(&self) -> Head {
        self.head
    }

    fn synced(&self) -> Lsn {
        self.synced
    }

    fn reader(&self, from: Lsn) -> LogReader {
        let start = self.segments.iter().rposition(|s| s.first_lsn <= from).unwrap_or_default();
        let segments = self.segments[start..].to_vec();
        LogReader {
            env: self.env.clone(),
            dir: self.dir.clone(),
            next: segments[0].first_lsn,
            segments: segments.into_iter(),
            end: self.offset,
            from,
            segment: None,
            offset: DATA_START,
            kept: self.kept.clone(),
        }
    }

    fn let_go(&mut self, below: Lsn) -> Option<OldSegment> {
        // A segment lies wholly below if the one after it starts at or below.
        if self.failed.is_some() || self.segments.len() < 2 || self.segments[1].first_lsn > below {
            return None;
        }
        let number = self.segments.remove(0).number;
        self.kept.begin_at(self.segments[0]);
        Some(OldSegment { env: self.env.clone(), dir: self.dir.clone(), number })
    }
}

/// A segment that the log has let go of, and that is still on the disk.
#[must_use = "its file stays until it is removed"]
pub struct OldSegment {
    env: Env,
    dir: PathBuf,
    number: u64,
}

impl OldSegment {
    /// Removes it. One at a time, in their order: a crash must never leave a gap.
    ///
    /// # Errors
    /// Errors of files.
    pub fn remove(self) -> Result<()> {
        let path = self.dir.join(segment::file_name(self.number));
        // Emptied first: if the removal fails to reach the disk and comes undone behind a gap, this tells why.
        let file = self.env.files.open(&path, OpenMode::Write)?;
        file.set_len(0)?;
        file.sync_data()?;
        self.env.files.remove(&path)?;
        self.env.files.sync_dir(&self.dir)
    }
}

impl SegmentPreparer {
    /// Makes a piece of the next segment, once a quarter of the current one is used; returns whether there is more to do.
    /// Pausing between the pieces leaves the disk to the log.
    ///
    /// # Errors
    /// Errors of files. The log is not harmed: it makes the segment itself when it needs it.
    pub fn step(&self) -> Result<bool> {
        let mut slot = self.lock();
        if self.quarters_used() == 0 || matches!(slot.next, Some(Next::Ready(_))) {
            return Ok(false);
        }
        let mut filling = match slot.next.take() {
            Some(Next::Filling(filling)) => filling,
            _ => NewSegment::begin(&self.env, &self.dir, slot.next_number, slot.next_len)?,
        };
        let filled = match filling.fill() {
            Ok(filled) => filled,
            Err(err) => {
                // On a full disk the zeros would keep the space that the log and the rows need.
                let _ = filling.abandon();
                return Err(err);
            }
        };
        slot.next = Some(if filled { Next::Ready(filling.finish()?) } else { Next::Filling(filling) });
        Ok(!filled)
    }

    /// How many quarters of the current segment are used, rounded down: the more, the sooner the next one is needed.
    pub fn quarters_used(&self) -> u8 {
        self.prepared.quarters.load(Ordering::Relaxed)
    }

    /// Removes what was made ahead: a log that is closed takes no space that it may never need.
    ///
    /// # Errors
    /// Errors of files.
    pub fn discard(&self) -> Result<()> {
        let next = self.lock().next.take();
        next.map_or(Ok(()), |next| next.remove(&self.env))
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.prepared.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes segments that were made ahead, or that hold only what is being cut; the last one first.
fn remove_after(env: &Env, dir: &Path, current: &Segment) -> Result<()> {
    let mut later = recover::list(env, dir)?;
    later.retain(|number| *number > current.number);
    if !later.is_empty() {
        current.clear_continued()?;
    }
    for number in later.into_iter().rev() {
        env.files.remove(&dir.join(segment::file_name(number)))?;
        env.files.sync_dir(dir)?;
    }
    Ok(())
}

/// Writes the frames that nothing proves to be on the disk once more: after a failed fsync the operating system may hold
/// them in memory, believe them clean, and never write them.
fn rewrite(segment: &Segment, from: u64, to: u64) -> Result<()> {
    const PIECE: u64 = 1 << 20;
    let mut at = from;
    while at < to {
        let mut bytes = vec![0u8; (to - at).min(PIECE) as usize];
        segment.read_exact(at, &mut bytes)?;
        segment.file.write_at(at, &bytes)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

/// Zeroes what is not zero behind the end, so that remains of a torn tail are never taken for frames.
pub(crate) fn zero_from(segment: &Segment, from: u64) -> Result<()> {
    const PIECE: u64 = 64 << 10;
    let mut at = from;
    while at < segment.len {
        let mut bytes = vec![0u8; (segment.len - at).min(PIECE) as usize];
        segment.read_exact(at, &mut bytes)?;
        if bytes.iter().any(|b| *b != 0) {
            bytes.fill(0);
            segment.file.write_at(at, &bytes)?;
        }
        at += bytes.len() as u64;
    }
    Ok(())
}
