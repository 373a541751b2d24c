//! The plainest durable log: groups appended to a zero-filled file, one `fdatasync` a group.
//!
//! It gives a store without a log of its own the durability that it is compared at, and it is the log whose stalls the
//! row store candidates are judged by. It wraps around at the end of its file, as recycled segments would.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::disk;

const HEADER_BYTES: usize = 16;

/// The log of one writer.
#[derive(Debug)]
pub struct Segment {
    file: File,
    bytes: u64,
    at: u64,
    buffer: Vec<u8>,
}

impl Segment {
    /// A log of `bytes` at `path`.
    pub fn create(path: &Path, bytes: u64) -> Result<Self> {
        Ok(Segment { file: disk::zero_filled(path, bytes)?, bytes, at: 0, buffer: Vec::new() })
    }

    /// Adds a row to the group in progress.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        if self.buffer.is_empty() {
            self.buffer.resize(HEADER_BYTES, 0xFF);
        }
        self.buffer.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
    }

    /// Makes the group durable.
    pub fn commit(&mut self) -> std::io::Result<()> {
        if self.at + self.buffer.len() as u64 > self.bytes {
            self.at = 0;
        }
        self.file.write_all_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        self.file.sync_data()
    }
}

/// A log that many threads write: whoever finds no commit under way commits for all who wait (group commit).
#[derive(Debug)]
pub struct GroupLog {
    state: Mutex<State>,
    committed: Condvar,
    segment: Mutex<Segment>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    next: u64,
    durable: u64,
    committing: bool,
    failed: bool,
}

impl GroupLog {
    /// A log of `bytes` at `path`.
    pub fn create(path: &Path, bytes: u64) -> Result<Self> {
        let segment = Mutex::new(Segment::create(path, bytes)?);
        Ok(GroupLog { state: Mutex::default(), committed: Condvar::new(), segment })
    }

    /// Returns once the row is durable, with its place in the order of all rows.
    pub fn append(&self, key: &[u8], value: &[u8]) -> Result<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        let ticket = state.next;
        state.waiting.push((key.to_vec(), value.to_vec()));
        while state.durable < ticket {
            if state.failed {
                bail!("the log failed");
            }
            if state.committing {
                state = self.committed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.committing = true;
            let group = std::mem::take(&mut state.waiting);
            let end = state.next;
            drop(state);
            let result = self.write(&group);
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.committing = false;
            match result {
                Ok(()) => state.durable = end,
                Err(_) => state.failed = true,
            }
            self.committed.notify_all();
            result?;
        }
        Ok(ticket)
    }

    fn write(&self, group: &[(Vec<u8>, Vec<u8>)]) -> std::io::Result<()> {
        let mut segment = self.segment.lock().unwrap_or_else(PoisonError::into_inner);
        group.iter().for_each(|(key, value)| segment.add(key, value));
        segment.commit()
    }
}
