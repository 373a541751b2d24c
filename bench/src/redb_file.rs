//! A storage backend for redb that can treat its file differently from redb's own.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use redb::StorageBackend;

use crate::disk;

/// What to do with the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Treatment {
    /// Fill the file with zeros to this many bytes beforehand; its growth is then a number in memory (until reopened).
    pub pre_grown: u64,
    /// Ask the kernel to start writing back whenever this many bytes have been written. Zero: at the sync only.
    pub write_back_every: u64,
}

/// redb's file.
#[derive(Debug)]
pub struct TreatedFile {
    file: File,
    treatment: Treatment,
    logical: AtomicU64,
    unsynced: AtomicU64,
}

impl TreatedFile {
    /// Opens or creates the file.
    pub fn open(path: &Path, treatment: Treatment) -> Result<Self> {
        let file = if treatment.pre_grown > 0 {
            disk::zero_filled(path, treatment.pre_grown)?
        } else {
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?
        };
        let logical = AtomicU64::new(if treatment.pre_grown > 0 { 0 } else { file.metadata()?.len() });
        Ok(TreatedFile { file, treatment, logical, unsynced: AtomicU64::new(0) })
    }
}

impl StorageBackend for TreatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.logical.load(Ordering::Acquire))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.treatment.pre_grown {
            self.file.set_len(len)?;
        }
        self.logical.store(len, Ordering::Release);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.unsynced.store(0, Ordering::Relaxed);
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)?;
        let every = self.treatment.write_back_every;
        if every > 0 && self.unsynced.fetch_add(data.len() as u64, Ordering::Relaxed) + data.len() as u64 >= every {
            self.unsynced.store(0, Ordering::Relaxed);
            // Zero bytes means: to the end of the file.
            disk::start_write_back(&self.file, 0, 0)?;
        }
        Ok(())
    }
}
