//! A segment: a zero-filled file of frames behind a small header.
//!
//! Header, format version 1 (little-endian, in a first block of 4,096 bytes): magic `ADBSEGMT`, version `u32`, zero
//! `u32`, segment number `u64`, length `u64`, salt `u64`, CRC-32C of those 40 bytes `u32`, then zeros. Once the log goes on
//! in the next segment, at offset 512 (a sector of its own): `CONTINUE`, salt `u64`, number of the next segment `u64`,
//! CRC-32C of those 24 bytes `u32`. It tells a newest segment from one whose successor was lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_env::{Env, File, OpenMode};
use agentdb_types::{Code, Error, Result};

use crate::frame::{self, NotAFrame, u32_at, u64_at};
use crate::{Frame, HEADER_BYTES};

/// The version of segment headers that this build writes.
pub const SEGMENT_VERSION: u32 = 1;

/// Where the first frame starts.
pub(crate) const DATA_START: u64 = 4096;

const MAGIC: &[u8; 8] = b"ADBSEGMT";
const HEADER: usize = 44;
pub(crate) const CONTINUED_AT: u64 = 512;
const CONTINUED: &[u8; 8] = b"CONTINUE";
pub(crate) const CONTINUED_BYTES: usize = 28;
const ZERO_PIECE: usize = 64 << 10;
/// Zeros that are synced at once: seldom, since a sync has the file system's journal written and the disk's cache flushed,
/// which syncs of the log wait for.
const SYNCED_AT_ONCE: u64 = 4 << 20;
static ZEROS: [u8; ZERO_PIECE] = [0; ZERO_PIECE];

/// An open segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) salt: u64,
    pub(crate) len: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
}

pub(crate) fn file_name(number: u64) -> String {
    format!("{number:010}.log")
}

/// The number in a segment's file name, if it is one.
pub(crate) fn parse_name(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".log")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// What the header of a segment tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) salt: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// The header in the first bytes of the file at `path`.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let corrupt = |reason: &str| {
            Error::new(Code::FormatCorrupt).with("path", path.display()).with("reason", reason)
        };
        let header =
            bytes.first_chunk::<HEADER>().ok_or_else(|| corrupt("the segment is shorter than its header"))?;
        if header[..8] != *MAGIC {
            return Err(corrupt("the segment's magic is wrong"));
        }
        if crc32c::crc32c(&header[..HEADER - 4]) != u32_at(header, HEADER - 4) {
            return Err(corrupt("the segment header's checksum does not hold"));
        }
        let version = u32_at(header, 8);
        if version != SEGMENT_VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", path.display())
                .with("actual", version)
                .with("supported", SEGMENT_VERSION));
        }
        let len = u64_at(header, 24);
        if len < DATA_START {
            return Err(corrupt("the segment's header says that it has no room for frames"));
        }
        Ok(Header { number: u64_at(header, 16), len, salt: u64_at(header, 32) })
    }
}

impl Segment {
    /// Creates a zero-filled segment in one go.
    pub(crate) fn create(env: &Env, dir: &Path, number: u64, len: u64) -> Result<Self> {
        NewSegment::begin(env, dir, number, len)?.finish()
    }

    pub(crate) fn open(env: &Env, dir: &Path, number: u64, mode: OpenMode) -> Result<Self> {
        let path = dir.join(file_name(number));
        let file = env.files.open(&path, mode)?;
        let corrupt = |reason: &str| {
            Error::new(Code::FormatCorrupt).with("path", path.display()).with("reason", reason)
        };
        let mut header = [0u8; HEADER];
        let read = file.read_at(0, &mut header)?;
        let Header { number: named, len, salt } = Header::decode(&header[..read], &path)?;
        if named != number {
            return Err(corrupt("the segment's number is not that of its name"));
        }
        if file.len()? < len {
            return Err(corrupt("the segment is shorter than its header says"));
        }
        Ok(Segment { number, salt, len, path, file })
    }

    /// Makes room up to here in a copy that nobody has opened.
    pub(crate) fn lengthen(&mut self, len: u64) -> Result<()> {
        if len <= self.len {
            return Ok(());
        }
        self.file.set_len(len)?;
        self.len = len;
        let Segment { number, salt, .. } = *self;
        self.file.write_at(0, &Header { number, len, salt }.encode())
    }

    /// Notes that the log goes on in the next segment, which is durable already. This becomes so with the next sync.
    pub(crate) fn set_continued(&self) -> Result<()> {
        self.file.write_at(CONTINUED_AT, &self.continued())
    }

    /// Takes that back, durably, before the next segment is removed. It is written even if it is not there: an earlier
    /// attempt may have changed what is read and not what is on the disk.
    pub(crate) fn clear_continued(&self) -> Result<()> {
        self.file.write_at(CONTINUED_AT, &[0; CONTINUED_BYTES])?;
        self.file.sync_data()
    }

    /// Whether the log goes on in the next segment.
    pub(crate) fn is_continued(&self) -> Result<bool> {
        let mut bytes = [0; CONTINUED_BYTES];
        self.read_exact(CONTINUED_AT, &mut bytes)?;
        match bytes {
            [0, ..] if bytes.iter().all(|b| *b == 0) => Ok(false),
            _ if bytes == self.continued() => Ok(true),
            _ => Err(Error::new(Code::FormatCorrupt)
                .with("path", self.path.display())
                .with("reason", "the note of where the log goes on is damaged")),
        }
    }

    fn continued(&self) -> [u8; CONTINUED_BYTES] {
        let mut out = [0; CONTINUED_BYTES];
        out[..8].copy_from_slice(CONTINUED);
        out[8..16].copy_from_slice(&self.salt.to_le_bytes());
        out[16..24].copy_from_slice(&(self.number + 1).to_le_bytes());
        let sum = crc32c::crc32c(&out[..24]);
        out[24..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// The frame at `offset`, or why there is none.
    pub(crate) fn frame_at(&self, offset: u64) -> Result<Result<Frame, NotAFrame>> {
        if offset + HEADER_BYTES as u64 > self.len {
            return Ok(Err(NotAFrame::NoMagic));
        }
        let mut bytes = vec![0u8; HEADER_BYTES];
        self.read_exact(offset, &mut bytes)?;
        let body = frame::body_len(&bytes);
        if let Some(body) = body {
            if offset + (HEADER_BYTES + body) as u64 > self.len {
                return Ok(Err(NotAFrame::Overlong));
            }
            bytes.resize(HEADER_BYTES + body, 0);
            self.read_exact(offset + HEADER_BYTES as u64, &mut bytes[HEADER_BYTES..])?;
        }
        frame::decode(&bytes, self.salt, offset)
    }

    pub(crate) fn read_exact(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        if self.file.read_at(offset, out)? == out.len() {
            return Ok(());
        }
        Err(Error::new(Code::FormatCorrupt)
            .with("path", self.path.display())
            .with("reason", "the segment ended while it was read"))
    }
}

/// A segment in the making: zeros are written piece by piece, and the disk gets each at once, so that a sync of the log
/// meanwhile never waits for many of them. It appears under its name only when it is whole and durable.
pub(crate) struct NewSegment {
    env: Env,
    dir: PathBuf,
    new: PathBuf,
    segment: Segment,
    filled: u64,
}

impl NewSegment {
    pub(crate) fn begin(env: &Env, dir: &Path, number: u64, len: u64) -> Result<Self> {
        let new = dir.join(format!("{number:010}.new"));
        if env.files.exists(&new)? {
            env.files.remove(&new)?;
        }
        let mut salt = [0u8; 8];
        env.entropy.fill(&mut salt);
        let file = env.files.open(&new, OpenMode::CreateNew)?;
        let segment =
            Segment { number, salt: u64::from_le_bytes(salt), len, path: dir.join(file_name(number)), file };
        Ok(NewSegment { env: env.clone(), dir: dir.to_owned(), new, segment, filled: 0 })
    }

    /// The length that the segment will have.
    pub(crate) fn len(&self) -> u64 {
        self.segment.len
    }

    /// Writes the next piece; returns whether the segment is filled.
    pub(crate) fn fill(&mut self) -> Result<bool> {
        let piece = (self.segment.len - self.filled).min(ZERO_PIECE as u64);
        self.segment.file.write_at(self.filled, &ZEROS[..piece as usize])?;
        self.segment.file.start_writeback(self.filled, piece)?;
        self.filled += piece;
        if self.filled.is_multiple_of(SYNCED_AT_ONCE) {
            self.segment.file.sync_data()?;
        }
        Ok(self.filled == self.segment.len)
    }

    /// Writes what is left, then the header, and gives the segment its name.
    pub(crate) fn finish(mut self) -> Result<Segment> {
        while self.filled < self.segment.len {
            self.fill()?;
        }
        let Segment { number, salt, len, .. } = self.segment;
        let header = Header { number, len, salt }.encode();
        self.segment.file.write_at(0, &header)?;
        self.segment.file.sync_data()?;
        self.env.files.rename(&self.new, &self.segment.path)?;
        self.env.files.sync_dir(&self.dir)?;
        Ok(self.segment)
    }

    /// Gives up.
    pub(crate) fn abandon(self) -> Result<()> {
        self.env.files.remove(&self.new)
    }
}
