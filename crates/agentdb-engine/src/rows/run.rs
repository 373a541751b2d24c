//! A run: an immutable file of rows in key order, one version of each. Format version 1:
//!
//! | part | |
//! | --- | --- |
//! | header | magic `ADBRUN01`, version `u32`, zero `u32` |
//! | [blocks](super::block) | one after another, [packed](super::packed) or as they are |
//! | index | for each block the length of its first key `varint`, that key, and the block's length times two, plus one if it is packed, `varint`; then the run's last key, behind its length |
//! | filter | of the keys ([`key_filter`](super::key_filter)) |
//! | footer | rows `u64`, where the index starts `u64`, where the filter starts `u64`, blocks `u32`, CRC-32C of the index `u32`, of the filter `u32`, of the header and the footer so far `u32`, magic `ADBRUNED` |
//!
//! Integers are little-endian. The file ends behind the footer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_env::{Env, File, OpenMode};
use agentdb_types::{Code, Error, Result};

use super::block::{Block, Entry};
use super::cache::BlockCache;
use super::packed::Stored;
use super::{Row, key_filter};
use crate::codec::Reader;

/// The version of runs that this build writes.
pub(super) const RUN_VERSION: u32 = 1;
pub(super) const MAGIC: &[u8; 8] = b"ADBRUN01";
pub(super) const END_MAGIC: &[u8; 8] = b"ADBRUNED";
pub(super) const HEADER_BYTES: usize = 16;
pub(super) const FOOTER_BYTES: usize = 48;

/// An open run. It stays readable when its file is removed.
pub(super) struct Run {
    /// Its number: never used twice.
    pub(super) number: u64,
    pub(super) rows: u64,
    pub(super) file_bytes: u64,
    file: Arc<dyn File>,
    path: PathBuf,
    filter: Box<[u8]>,
    /// The first keys of all blocks, one after another.
    keys: Box<[u8]>,
    /// Where each first key starts in `keys`, and the end.
    starts: Box<[u32]>,
    /// Where each block starts in the file, and the end.
    offsets: Box<[u64]>,
    /// Which blocks are packed.
    packed: Box<[bool]>,
    last_key: Box<[u8]>,
}

/// What a run holds of a key.
pub(super) enum Found {
    Row(Row),
    Deleted,
    Nothing,
}

pub(super) fn file_name(number: u64) -> String {
    format!("{number:010}.run")
}

/// The number in a run's file name, if it is one.
pub(super) fn parse_name(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".run")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

impl Run {
    pub(super) fn open(env: &Env, dir: &Path, number: u64) -> Result<Self> {
        let path = dir.join(file_name(number));
        if !env.files.exists(&path)? {
            return Err(damaged(&path, "the file is missing"));
        }
        let file = env.files.open(&path, OpenMode::Read)?;
        let file_bytes = file.len()?;
        let corrupt = |reason: &str| damaged(&path, reason);
        if file_bytes < (HEADER_BYTES + FOOTER_BYTES) as u64 {
            return Err(corrupt("it is shorter than header and footer"));
        }
        let (mut header, mut footer) = ([0; HEADER_BYTES], [0; FOOTER_BYTES]);
        read_exact(&*file, &path, 0, &mut header)?;
        read_exact(&*file, &path, file_bytes - FOOTER_BYTES as u64, &mut footer)?;
        if header[..8] != *MAGIC || footer[40..] != *END_MAGIC {
            return Err(corrupt("its magic is wrong"));
        }
        let word =
            |at: usize| u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if crc32c::crc32c_append(crc32c::crc32c(&header), &footer[..36]) != word(36) {
            return Err(corrupt("the checksum of header and footer does not hold"));
        }
        let version = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        if version != RUN_VERSION {
            return Err(Error::new(Code::FormatTooNew)
                .with("path", path.display())
                .with("actual", version)
                .with("supported", RUN_VERSION));
        }
        if header[12..] != [0; 4] {
            return Err(corrupt("its header holds what this version does not write"));
        }
        let (rows, index_at, filter_at, blocks) = (long(0), long(8), long(16), word(24) as usize);
        let end = file_bytes - FOOTER_BYTES as u64;
        if index_at < HEADER_BYTES as u64 || filter_at < index_at || end < filter_at {
            return Err(corrupt("its parts overlap"));
        }
        let part = |from: u64, to: u64, crc: u32| -> Result<Vec<u8>> {
            let mut bytes = vec![0; (to - from) as usize];
            read_exact(&*file, &path, from, &mut bytes)?;
            if crc32c::crc32c(&bytes) != crc {
                return Err(corrupt("the checksum of index or filter does not hold"));
            }
            Ok(bytes)
        };
        let index = part(index_at, filter_at, word(28))?;
        let filter = part(filter_at, end, word(32))?.into_boxed_slice();
        let index = parse_index(&index, blocks, index_at).ok_or_else(|| corrupt("its index is malformed"))?;
        let Index { keys, starts, offsets, packed, last_key } = index;
        Ok(Run { number, rows, file_bytes, file, path, filter, keys, starts, offsets, packed, last_key })
    }

    pub(super) fn blocks(&self) -> usize {
        self.starts.len() - 1
    }

    /// The first key of a block.
    pub(super) fn block_key(&self, block: usize) -> &[u8] {
        &self.keys[self.starts[block] as usize..self.starts[block + 1] as usize]
    }

    pub(super) fn first_key(&self) -> &[u8] {
        self.block_key(0)
    }

    pub(super) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Whether any key of the run may lie from `first` to `last`, both included.
    pub(super) fn overlaps(&self, first: &[u8], last: &[u8]) -> bool {
        self.first_key() <= last && first <= self.last_key()
    }

    /// How many blocks start at or before `key`.
    pub(super) fn blocks_up_to(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = (low + high) / 2;
            if self.block_key(middle) <= key { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Where a block starts in the file, and what lies there.
    #[cfg(test)]
    pub(super) fn stored(&self, block: usize) -> Result<(u64, Stored)> {
        Ok((self.offsets[block], self.read_block(block)?))
    }

    /// What the run holds of a key whose hash this is.
    pub(super) fn get(&self, cache: &BlockCache, key: &[u8], hash: u64) -> Result<Found> {
        if key > self.last_key() || !key_filter::may_hold(&self.filter, hash) {
            return Ok(Found::Nothing);
        }
        let Some(index) = self.blocks_up_to(key).checked_sub(1) else { return Ok(Found::Nothing) };
        let block = self.block(cache, index)?;
        let (at, is_key) = block.find(key).ok_or_else(|| self.damaged_block(index))?;
        if !is_key {
            return Ok(Found::Nothing);
        }
        let Entry { lsn, body, .. } = block.entry(at).ok_or_else(|| self.damaged_block(index))?;
        Ok(body.map_or(Found::Deleted, |body| Found::Row(Row { lsn, body: body.into() })))
    }

    /// A block, from the cache or else from the disk.
    pub(super) fn block(&self, cache: &BlockCache, index: usize) -> Result<Arc<Block>> {
        if let Some(block) = cache.get(self.number, index) {
            return Ok(block);
        }
        let stored = self.read_block(index)?;
        let Some(block) = stored.clone().decode() else {
            let damaged = self.damaged_rows(stored).into_iter().next();
            return Err(damaged.unwrap_or_else(|| self.damaged_block(index)));
        };
        let block = Arc::new(block);
        cache.insert(self.number, index, block.clone());
        Ok(block)
    }

    fn read_block(&self, index: usize) -> Result<Stored> {
        let (from, to) = (self.offsets[index], self.offsets[index + 1]);
        let mut bytes = vec![0; (to - from) as usize].into_boxed_slice();
        read_exact(&*self.file, &self.path, from, &mut bytes)?;
        Ok(Stored { bytes, packed: self.packed[index] })
    }

    pub(super) fn damaged_block(&self, index: usize) -> Error {
        let key = crate::inspect::describe(self.block_key(index));
        damaged(&self.path, &format!("block {index}, which starts at {key}, does not hold"))
    }

    /// The rows of a damaged block that do not hold, as far as they can be told.
    fn damaged_rows(&self, stored: Stored) -> Vec<Error> {
        stored.damaged_keys().iter().map(|key| self.damaged_row(key)).collect()
    }

    pub(super) fn damaged_row(&self, key: &[u8]) -> Error {
        damaged(&self.path, &format!("the checksum of row {} does not hold", crate::inspect::describe(key)))
    }

    /// Reads the whole run from the disk and checks block by block, row by row: `visit` hears the key of each row that is
    /// whole, and of everything that does not hold, each row by its name.
    pub(super) fn check(
        &self,
        visit: &mut dyn FnMut(Result<&[u8]>),
        is_over: &dyn Fn() -> bool,
    ) -> Result<()> {
        let mut last: Option<Vec<u8>> = None;
        let (mut rows, mut damaged_blocks) = (0, 0);
        for index in 0..self.blocks() {
            if is_over() {
                return Ok(());
            }
            let stored = self.read_block(index)?;
            let Some(block) = stored.clone().decode() else {
                let damaged = self.damaged_rows(stored);
                damaged.iter().cloned().for_each(|err| visit(Err(err)));
                if damaged.is_empty() {
                    visit(Err(self.damaged_block(index)));
                }
                damaged_blocks += 1;
                continue;
            };
            for at in 0..block.len() {
                let key = block.key_at(at).unwrap_or_default();
                if !block.entry(at).is_some_and(|entry| block.is_whole(&entry)) {
                    visit(Err(self.damaged_row(&key)));
                } else if !self.is_in_place(index, &key, last.as_deref()) {
                    let key = crate::inspect::describe(&key);
                    visit(Err(damaged(&self.path, &format!("row {key} is out of its place"))));
                } else {
                    visit(Ok(&key));
                }
                rows += 1;
                last = Some(key);
            }
        }
        if rows != self.rows && damaged_blocks == 0 {
            visit(Err(damaged(&self.path, &format!("it has {rows} rows, its footer says {}", self.rows))));
        }
        Ok(())
    }

    fn is_in_place(&self, block: usize, key: &[u8], last: Option<&[u8]>) -> bool {
        last.is_none_or(|last| last < key)
            && self.block_key(block) <= key
            && (block + 1 == self.blocks() || key < self.block_key(block + 1))
            && key <= self.last_key()
            && key_filter::may_hold(&self.filter, key_filter::hash(key))
    }

    /// Bytes of memory that it takes beside the cache.
    pub(super) fn resident_bytes(&self) -> u64 {
        (self.filter.len() + self.keys.len() + 4 * self.starts.len() + 9 * self.offsets.len()) as u64
    }

    /// Reads bytes of the file as they are.
    pub(super) fn read_raw(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        self.file.read_at(offset, out)
    }

    /// Copies the bytes into a file that must not exist yet, and syncs it.
    pub(super) fn copy_to(&self, env: &Env, path: &Path) -> Result<()> {
        const PIECE: u64 = 1 << 20;
        let copy = env.files.open(path, OpenMode::CreateNew)?;
        let mut at = 0;
        while at < self.file_bytes {
            let mut bytes = vec![0; (self.file_bytes - at).min(PIECE) as usize];
            read_exact(&*self.file, &self.path, at, &mut bytes)?;
            copy.write_at(at, &bytes)?;
            at += bytes.len() as u64;
        }
        copy.sync_data()
    }
}

struct Index {
    keys: Box<[u8]>,
    starts: Box<[u32]>,
    offsets: Box<[u64]>,
    packed: Box<[bool]>,
    last_key: Box<[u8]>,
}

fn parse_index(bytes: &[u8], blocks: usize, end: u64) -> Option<Index> {
    let mut reader = Reader(bytes);
    let (mut keys, mut starts, mut offsets) = (Vec::new(), vec![0], vec![HEADER_BYTES as u64]);
    let mut packed = Vec::new();
    for _ in 0..blocks {
        keys.extend_from_slice(reader.bytes()?);
        starts.push(u32::try_from(keys.len()).ok()?);
        let length = reader.varint()?;
        offsets.push(offsets.last()?.checked_add(length >> 1)?);
        packed.push(length & 1 == 1);
    }
    let last_key = reader.bytes()?.into();
    let whole = reader.is_empty() && blocks > 0 && *offsets.last()? == end;
    let (keys, starts, offsets, packed) = (keys.into(), starts.into(), offsets.into(), packed.into());
    whole.then_some(Index { keys, starts, offsets, packed, last_key })
}

pub(super) fn damaged(path: &Path, reason: &str) -> Error {
    Error::new(Code::RowsCorrupt)
        .with("reason", format_args!("{}: {reason}", path.display()))
        .with("path", path.display())
}

fn read_exact(file: &dyn File, path: &Path, at: u64, out: &mut [u8]) -> Result<()> {
    if file.read_at(at, out)? == out.len() {
        return Ok(());
    }
    Err(damaged(path, "it ends early"))
}
