//! The floor: 512 bytes written into a zero-filled file, and `fdatasync`; clients take turns.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::Store;

const BYTES: u64 = 16 << 20;

pub struct Fdatasync(Mutex<(File, u64)>);

impl Fdatasync {
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file = File::options().create(true).truncate(false).read(true).write(true).open(dir.join("zeros"))?;
        file.write_all_at(&vec![0; BYTES as usize], 0)?;
        file.sync_all()?;
        Ok(Fdatasync(Mutex::new((file, 0))))
    }
}

impl Store for Fdatasync {
    fn put(&self, _: usize, _: &str, _: &str) -> Result<()> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, at) = &mut *guard;
        file.write_all_at(&[1; 512], *at)?;
        file.sync_data()?;
        *at = (*at + 512) % BYTES;
        Ok(())
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
