//! The floor: 512 bytes written into a zero-filled file, and `fdatasync`; clients take turns.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::Store;

const BYTES: u64 = 16 << 20;
const PUT: usize = 512;

pub struct Fdatasync(Mutex<(File, u64)>);

impl Fdatasync {
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file =
            File::options().create(true).truncate(false).read(true).write(true).open(dir.join("zeros"))?;
        file.write_all_at(&vec![0; BYTES as usize], 0)?;
        file.sync_all()?;
        Ok(Fdatasync(Mutex::new((file, 0))))
    }

    /// Writes so many bytes, at most the whole file, and syncs them.
    pub fn write(&self, bytes: usize) -> Result<()> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, at) = &mut *guard;
        if *at + bytes as u64 > BYTES {
            *at = 0;
        }
        file.write_all_at(&vec![1; bytes.min(BYTES as usize)], *at)?;
        file.sync_data()?;
        *at += bytes as u64;
        Ok(())
    }
}

impl Store for Fdatasync {
    fn put(&self, _: usize, _: &str, _: &str) -> Result<()> {
        self.write(PUT)
    }

    fn load(&self, _: &[(String, String)]) -> Result<()> {
        bail!("a file is no store")
    }

    fn get(&self, _: &str) -> Result<Option<String>> {
        bail!("a file is no store")
    }

    fn is_store(&self) -> bool {
        false
    }
}
