//! Files and directories, as the benchmarks need them.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// A file of zeros that are really on the disk: an `fdatasync` after a write into it journals no metadata.
pub fn zero_filled(path: &Path, bytes: u64) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path);
    let file = file.with_context(|| format!("creating {}", path.display()))?;
    let zeros = vec![0_u8; 1 << 20];
    let mut at = 0;
    while at < bytes {
        let part = zeros.len().min((bytes - at) as usize);
        file.write_all_at(&zeros[..part], at)?;
        at += part as u64;
    }
    file.sync_all()?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(file)
}

/// Bytes that a file or everything under a directory occupies on the disk.
pub fn usage(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.blocks() * 512);
    }
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        sum += usage(&entry?.path())?;
    }
    Ok(sum)
}

/// Drops what the kernel has cached of a file or of everything under a directory, so that the next open reads the disk.
pub fn forget_cached(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            forget_cached(&entry?.path())?;
        }
        return Ok(());
    }
    let file = File::open(path)?;
    file.sync_all()?;
    // SAFETY: the descriptor is open for the whole call, which touches no memory of ours.
    let failed = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    if failed != 0 {
        bail!("posix_fadvise: {}", std::io::Error::from_raw_os_error(failed));
    }
    Ok(())
}

/// Starts writing back a range of a file without waiting for it.
pub fn start_write_back(file: &File, offset: u64, bytes: u64) -> std::io::Result<()> {
    // SAFETY: the descriptor is open for the whole call, which touches no memory of ours.
    let failed = unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset as i64, bytes as i64, libc::SYNC_FILE_RANGE_WRITE)
    };
    if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Empties a directory, creating it if need be.
pub fn fresh_dir(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()))?;
    }
    fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))
}
