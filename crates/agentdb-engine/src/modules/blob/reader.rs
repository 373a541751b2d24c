//! Reading the bytes of a blob.

use std::sync::Arc;

use agentdb_env::File;
use agentdb_types::Result;

use super::row::BLOCK;
use super::{Entry, corrupt};

/// A blob, open for reading. It stays readable when the blob is deleted.
pub struct BlobReader {
    file: Arc<dyn File>,
    entry: Entry,
    sums: Vec<u32>,
    /// The block that was read last, checked.
    block: Option<(usize, Vec<u8>)>,
    position: u64,
    /// The hash of everything before `position`.
    hasher: blake3::Hasher,
}

impl BlobReader {
    pub(super) fn new(file: Arc<dyn File>, entry: Entry, sums: Vec<u32>) -> Self {
        BlobReader { file, entry, sums, block: None, position: 0, hasher: blake3::Hasher::new() }
    }

    /// What is known of the blob.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Reads from `offset` into `out`; returns how many bytes, fewer than asked only at the end. Each block of 256 KiB
    /// that is touched is checked as a whole.
    ///
    /// # Errors
    /// [`BlobCorrupt`](agentdb_types::Code::BlobCorrupt) if a block was altered; errors of files.
    pub fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < out.len() {
            let at = offset.saturating_add(done as u64);
            if at >= self.entry.bytes {
                break;
            }
            let (index, within) = ((at / BLOCK as u64) as usize, (at % BLOCK as u64) as usize);
            let block = self.block(index)?;
            let part = &block[within..block.len().min(within + out.len() - done)];
            out[done..done + part.len()].copy_from_slice(part);
            done += part.len();
        }
        Ok(done)
    }

    fn block(&mut self, index: usize) -> Result<&[u8]> {
        if self.block.as_ref().is_none_or(|(i, _)| *i != index) {
            let start = index as u64 * BLOCK as u64;
            let (_, mut bytes) = self.block.take().unwrap_or_default();
            bytes.resize((self.entry.bytes - start).min(BLOCK as u64) as usize, 0);
            let whole = self.file.read_at(start, &mut bytes)? == bytes.len();
            if !whole || self.sums.get(index) != Some(&crc32c::crc32c(&bytes)) {
                return Err(corrupt(
                    &self.entry.blob,
                    format_args!("the bytes from {start} on were altered"),
                ));
            }
            self.block = Some((index, bytes));
        }
        Ok(self.block.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    /// Reads the next bytes, from the start on; returns how many, 0 at the end. The last bytes are given only when the
    /// whole blob hashes to its address.
    ///
    /// # Errors
    /// Those of [`BlobReader::read_at`].
    pub fn read_next(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.position == self.entry.bytes && self.entry.bytes > 0 {
            return Ok(0);
        }
        let read = self.read_at(self.position, out)?;
        self.hasher.update(&out[..read]);
        self.position += read as u64;
        let ended = self.position == self.entry.bytes;
        if ended && self.hasher.finalize().to_hex().as_str() != self.entry.blob {
            self.position = 0;
            self.hasher.reset();
            return Err(corrupt(&self.entry.blob, "its bytes do not hash to its address"));
        }
        Ok(read)
    }

    /// Reads all bytes.
    ///
    /// # Errors
    /// Those of [`BlobReader::read_at`].
    pub fn read_all(mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.entry.bytes as usize];
        let mut done = 0;
        loop {
            let end = bytes.len().min(done + BLOCK);
            match self.read_next(&mut bytes[done..end])? {
                0 => return Ok(bytes),
                read => done += read,
            }
        }
    }

    /// Reads all bytes and keeps none: whether the blob is whole. `visit` hears how many were read.
    pub(crate) fn check(mut self, visit: &mut dyn FnMut(u64)) -> Result<()> {
        let mut buffer = vec![0; BLOCK];
        loop {
            match self.read_next(&mut buffer)? {
                0 => return Ok(()),
                read => visit(read as u64),
            }
        }
    }
}

/// As [`BlobReader::read_next`]; a typed error comes inside the [`std::io::Error`].
impl std::io::Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.read_next(out).map_err(std::io::Error::other)
    }
}
