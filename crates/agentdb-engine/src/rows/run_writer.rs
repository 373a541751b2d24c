//! Writing a run: rows in key order come in, a synced file comes out.

use std::path::Path;
use std::sync::Arc;

use agentdb_env::{Env, File, OpenMode};
use agentdb_types::Result;

use super::memtable::Version;
use super::run::{END_MAGIC, MAGIC, RUN_VERSION, Run, file_name};
use super::{key_filter, packed};
use crate::codec;

/// Bytes of rows after which a block ends.
const BLOCK: usize = 4 << 10;
/// Bytes that are handed to the operating system at once, at most.
const MOST_PIECE: usize = 128 << 10;
/// What an entry takes beside key and body, about.
const ENTRY_BYTES: usize = 20;

pub(super) struct RunWriter {
    number: u64,
    file: Arc<dyn File>,
    /// Bytes that are not written yet, and where they go.
    buffer: Vec<u8>,
    piece: usize,
    written: u64,
    /// Rows of the block that is being filled.
    block: Vec<Version>,
    block_bytes: usize,
    index: Vec<u8>,
    blocks: u32,
    rows: u64,
    hashes: Vec<u64>,
    last_key: Vec<u8>,
}

fn header() -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&RUN_VERSION.to_le_bytes());
    header.extend_from_slice(&0u32.to_le_bytes());
    header
}

impl RunWriter {
    /// Begins a run, in pieces of at most `piece` bytes at once.
    pub(super) fn create(env: &Env, dir: &Path, number: u64, piece: usize) -> Result<Self> {
        let path = dir.join(file_name(number));
        if env.files.exists(&path)? {
            // What an unfinished attempt left.
            env.files.remove(&path)?;
        }
        Ok(RunWriter {
            number,
            file: env.files.open(&path, OpenMode::CreateNew)?,
            buffer: header(),
            piece: piece.min(MOST_PIECE),
            written: 0,
            block: Vec::new(),
            block_bytes: 0,
            index: Vec::new(),
            blocks: 0,
            rows: 0,
            hashes: Vec::new(),
            last_key: Vec::new(),
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes so far, about.
    pub(super) fn bytes(&self) -> u64 {
        self.written + (self.buffer.len() + self.block_bytes) as u64
    }

    /// Adds a row; its key comes after all before it.
    pub(super) fn push(&mut self, row: Version) -> Result<()> {
        self.rows += 1;
        self.hashes.push(key_filter::hash(&row.0));
        self.block_bytes += ENTRY_BYTES + row.0.len() + row.2.as_ref().map_or(0, |b| b.len());
        self.block.push(row);
        if self.block_bytes >= BLOCK { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<()> {
        let Some((first, ..)) = self.block.first() else { return Ok(()) };
        codec::put_bytes(&mut self.index, first);
        let before = self.buffer.len();
        let packed = packed::encode(&self.block, &mut self.buffer);
        let bytes = (self.buffer.len() - before) as u64;
        codec::put_varint(&mut self.index, bytes << 1 | u64::from(packed));
        if let Some((last, ..)) = self.block.pop() {
            self.last_key = last;
        }
        self.block.clear();
        self.block_bytes = 0;
        self.blocks += 1;
        if self.buffer.len() >= self.piece { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        self.file.write_at(self.written, &self.buffer)?;
        // The disk gets it bit by bit, so that the sync at the end finds little to do.
        self.file.start_writeback(self.written, self.buffer.len() as u64)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the run, of at least one row, and syncs it. Its directory entry is durable once the directory is synced.
    pub(super) fn finish(mut self, env: &Env, dir: &Path) -> Result<Run> {
        self.end_block()?;
        let index_at = self.written + self.buffer.len() as u64;
        codec::put_bytes(&mut self.index, &self.last_key);
        let filter = key_filter::build(&self.hashes);
        let mut footer = Vec::new();
        footer.extend_from_slice(&self.rows.to_le_bytes());
        footer.extend_from_slice(&index_at.to_le_bytes());
        footer.extend_from_slice(&(index_at + self.index.len() as u64).to_le_bytes());
        footer.extend_from_slice(&self.blocks.to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&self.index).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&filter).to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header()), &footer);
        footer.extend_from_slice(&crc.to_le_bytes());
        footer.extend_from_slice(END_MAGIC);
        self.buffer.extend_from_slice(&self.index);
        self.buffer.extend_from_slice(&filter);
        self.buffer.extend_from_slice(&footer);
        self.write()?;
        self.file.sync_data()?;
        Run::open(env, dir, self.number)
    }
}
