//! What a backup is made of: bytes that are read piece by piece.

use std::path::PathBuf;
use std::sync::Arc;

use agentdb_env::{File, OpenMode};
use agentdb_log::SegmentCopy;
use agentdb_types::{Code, Error, Result};

use super::index::{Chunk, FileEntry};
use crate::engine::Core;
use crate::modules::blob;
use crate::rows::RunCopy;

/// Bytes of a chunk. Files are cut at multiples: runs never change, and segments grow at their end.
pub(super) const CHUNK_BYTES: u64 = 4 << 20;

/// A file to copy.
pub(super) enum Source {
    Bytes(Vec<u8>),
    Run(RunCopy),
    /// A segment, and the chunks in which its start was sent before.
    Segment(SegmentCopy, Vec<Chunk>),
    /// A blob's file, opened when it is its turn.
    Blob(BlobFile),
    /// A blob that an earlier backup holds.
    Known(FileEntry),
}

/// The file of a blob.
pub(super) struct BlobFile {
    pub(super) address: String,
    pub(super) bytes: u64,
    pub(super) path: PathBuf,
    pub(super) file: Option<Arc<dyn File>>,
    /// Whether a row refers to it, so that nothing is whole without it.
    pub(super) is_needed: bool,
}

impl Source {
    /// Bytes to copy.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::Run(run) => run.bytes(),
            Source::Segment(segment, _) => segment.end,
            Source::Blob(blob) => blob.bytes,
            Source::Known(entry) => entry.bytes,
        }
    }

    /// Bytes of the file that they lead to.
    pub(super) fn file_bytes(&self) -> u64 {
        match self {
            Source::Segment(segment, _) => segment.bytes,
            other => other.bytes(),
        }
    }

    /// Reads exactly these bytes.
    pub(super) fn read(&mut self, core: &Core, path: &str, at: u64, out: &mut [u8]) -> Result<()> {
        let read = match self {
            Source::Bytes(bytes) => {
                let part = bytes.get(at as usize..at as usize + out.len()).unwrap_or_default();
                out[..part.len()].copy_from_slice(part);
                part.len()
            }
            Source::Run(run) => run.read_at(at, out)?,
            Source::Segment(segment, _) => segment.read_at(at, out)?,
            Source::Known(_) => out.len(),
            Source::Blob(blob) => blob.open(core)?.read_at(at, out)?,
        };
        if read == out.len() {
            return Ok(());
        }
        Err(match self {
            Source::Blob(blob) => blob::corrupt(&blob.address, "its file ends early"),
            _ => Error::new(Code::Io)
                .with("operation", "read")
                .with("path", core.dir.join(path).display())
                .with("reason", "it ends early"),
        })
    }

    /// What was read of a blob must be the blob.
    pub(super) fn check(&self, hash: blake3::Hash) -> Result<()> {
        match self {
            Source::Blob(blob) if hash.to_hex().as_str() != blob.address => {
                Err(blob::corrupt(&blob.address, "its bytes do not hash to its address"))
            }
            _ => Ok(()),
        }
    }
}

impl BlobFile {
    fn open(&mut self, core: &Core) -> Result<&Arc<dyn File>> {
        if self.file.is_none() {
            if !core.env.files.exists(&self.path)? {
                return Err(blob::corrupt(&self.address, "its file is missing"));
            }
            self.file = Some(core.env.files.open(&self.path, OpenMode::Read)?);
        }
        self.file.as_ref().ok_or_else(|| blob::corrupt(&self.address, "its file is missing"))
    }
}

/// Which chunks of a segment, sent before, are kept when it has grown up to `end`. Full ones are; a smaller one at the end
/// is sent again with what follows if that is half as long or more, or fills it up. So a byte is sent a few times at most,
/// however little comes at a time, and few chunks of a segment are not full.
pub(super) fn kept(mut chunks: Vec<Chunk>, end: u64) -> Vec<Chunk> {
    let mut sum: u64 = chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
    while let Some(last) = chunks.last().map(|chunk| u64::from(chunk.bytes)) {
        let block_end = sum.next_multiple_of(CHUNK_BYTES);
        let follows = end.min(block_end).saturating_sub(sum);
        let is_joined = sum > end || end >= block_end || 2 * follows >= last;
        if sum == end || (sum < end && sum == block_end) || !is_joined {
            break;
        }
        sum -= last;
        chunks.pop();
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths that are kept of chunks of these lengths.
    fn lengths(chunks: &[u64], end: u64) -> Vec<u64> {
        let chunks = chunks.iter().map(|bytes| Chunk { name: [0; 32], bytes: *bytes as u32 }).collect();
        kept(chunks, end).iter().map(|chunk| u64::from(chunk.bytes)).collect()
    }

    #[test]
    fn small_chunks_at_the_end_are_joined_and_full_ones_stay() {
        const FULL: u64 = CHUNK_BYTES;
        assert!(lengths(&[], 10).is_empty());
        assert_eq!(lengths(&[FULL, 100], FULL + 100), [FULL, 100]);
        assert_eq!(lengths(&[FULL, 100], FULL + 149), [FULL, 100]);
        assert_eq!(lengths(&[FULL, 100], FULL + 150), [FULL]);
        assert_eq!(lengths(&[FULL, 100], FULL + 200), [FULL]);
        assert_eq!(lengths(&[FULL, 100, 50], FULL + 200), [FULL]);
        assert_eq!(lengths(&[FULL, 300, 50], FULL + 360), [FULL, 300, 50]);
        // What fills a chunk up makes one of it.
        assert_eq!(lengths(&[FULL, FULL - 10, 5], 2 * FULL), [FULL]);
        assert_eq!(lengths(&[FULL, FULL - 10], 3 * FULL), [FULL]);
        assert_eq!(lengths(&[FULL, FULL], 2 * FULL + 1), [FULL, FULL]);
        // What reaches beyond the end is not of this segment.
        assert_eq!(lengths(&[FULL, 100], FULL + 50), [FULL]);
        assert!(lengths(&[FULL], 50).is_empty());
    }

    #[test]
    fn however_little_comes_at_a_time_there_are_few_chunks_and_little_is_sent_again() {
        let (mut chunks, mut sent, mut end) = (Vec::new(), 0, 0);
        for step in 0..20_000u64 {
            end += 200 + step % 700;
            chunks = kept(chunks, end);
            let mut at: u64 = chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
            while at < end {
                let bytes = (end - at).min(CHUNK_BYTES - at % CHUNK_BYTES);
                chunks.push(Chunk { name: [0; 32], bytes: bytes as u32 });
                (sent, at) = (sent + bytes, at + bytes);
            }
            assert!(chunks.len() as u64 <= end / CHUNK_BYTES + 24, "{} chunks", chunks.len());
        }
        assert!(sent < 12 * end, "{sent} of {end}");
    }
}
