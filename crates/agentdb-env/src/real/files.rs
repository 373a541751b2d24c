//! The file system of a Unix machine.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_types::{Code, Error, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::files::Held;
use crate::{File, Files, Lock, OpenMode};

pub(super) struct RealFiles;

/// New files are their owner's alone: they hold what agents know, and keys.
const PRIVATE: u32 = 0o600;

struct RealFile {
    file: fs::File,
    path: PathBuf,
}

struct RealLock {
    file: fs::File,
    path: PathBuf,
}

impl Held for RealLock {
    fn is_in_place(&self) -> bool {
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(locked), Ok(named)) => same(&locked, &named),
            _ => false,
        }
    }
}

impl Drop for RealLock {
    /// A process that another thread is about to start has the file, too, until it becomes another program: closing it here
    /// does not give the lock back, unlocking does.
    fn drop(&mut self) {
        // If the system refuses, closing the file still does it.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// What an operation was doing: a refusal of permission means "read-only" only to a writer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Files for RealFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let access = if mode == OpenMode::Read { Access::Read } else { Access::Write };
        let fail = |e| error("open", path, access, e);
        let writes = access == Access::Write;
        let file = OpenOptions::new()
            .read(true)
            .write(writes)
            .create_new(mode == OpenMode::CreateNew)
            .mode(PRIVATE)
            .open(path)
            .map_err(fail)?;
        // The system opens a directory for reading without complaint.
        if !writes && file.metadata().map_err(fail)?.is_dir() {
            return Err(fail(Errno::ISDIR.into()));
        }
        Ok(Arc::new(RealFile { file, path: path.to_owned() }))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        match path.try_exists() {
            // Nothing can exist below something that is not a directory.
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(false),
            other => other.map_err(|e| error("lookup", path, Access::Read, e)),
        }
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path).map_err(|e| error("creation", path, Access::Write, e))
    }

    /// A name that is not UTF-8 (AgentDB writes none) is shown with replacement characters.
    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let fail = |e| error("listing", dir, Access::Read, e);
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(fail)? {
            names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|e| error("rename", from, Access::Write, e))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        fs::hard_link(from, to).map_err(|e| error("link", from, Access::Write, e))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|e| error("removal", path, Access::Write, e))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let fail = |e| error("sync", dir, Access::Read, e);
        let dir = OpenOptions::new().read(true).open(dir).map_err(fail)?;
        if !dir.metadata().map_err(fail)?.is_dir() {
            return Err(fail(Errno::NOTDIR.into()));
        }
        dir.sync_all().map_err(fail)
    }

    fn absolute(&self, path: &Path) -> Result<PathBuf> {
        std::path::absolute(path).map_err(|e| error("lookup", path, Access::Read, e))
    }

    /// `flock` belongs to the open file, so that it also excludes a second handle of this process, and the system
    /// releases it when the process dies in whatever way.
    fn lock(&self, path: &Path) -> Result<Lock> {
        let fail = |e| error("lock", path, Access::Write, e);
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(PRIVATE).open(path).map_err(fail)
        };
        let mut file = open()?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let lock = Lock::new(RealLock { file, path: path.to_owned() });
                    if lock.is_in_place() {
                        return Ok(lock);
                    }
                    // Somebody removed the file between opening and locking it.
                    file = open()?;
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(Error::new(Code::Locked).with("path", path.display()));
                }
                Err(e) => return Err(fail(e.into())),
            }
        }
    }
}

impl File for RealFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < out.len() {
            match self.file.read_at(&mut out[done..], offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(error("read", &self.path, Access::Read, e)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        // Continues after short writes and interruptions.
        self.file.write_all_at(bytes, offset).map_err(|e| self.write_error("write", e))
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| self.write_error("sync", e))
    }

    #[cfg(target_os = "linux")]
    fn start_writeback(&self, offset: u64, len: u64) -> Result<()> {
        use std::os::fd::AsRawFd;
        let (Ok(from), Ok(bytes)) = (i64::try_from(offset), i64::try_from(len)) else { return Ok(()) };
        // SAFETY: the descriptor is open as long as `self.file` is; no memory is passed.
        // It is a hint: what it cannot do, the sync does, and tells of.
        unsafe { libc::sync_file_range(self.file.as_raw_fd(), from, bytes, libc::SYNC_FILE_RANGE_WRITE) };
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|e| self.write_error("resize", e))
    }

    fn len(&self) -> Result<u64> {
        let found = self.file.metadata().map_err(|e| error("lookup", &self.path, Access::Read, e))?;
        Ok(found.len())
    }
}

impl RealFile {
    fn write_error(&self, operation: &'static str, e: io::Error) -> Error {
        error(operation, &self.path, Access::Write, e)
    }
}

pub(super) fn error(operation: &'static str, path: &Path, access: Access, e: io::Error) -> Error {
    let path = path.display();
    match e.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT) => {
            Error::new(Code::DiskFull).with("operation", operation).with("path", path)
        }
        Some(Errno::ROFS) => Error::new(Code::ReadOnly).with("path", path).with("reason", e),
        Some(Errno::ACCESS | Errno::PERM) if access == Access::Write => {
            Error::new(Code::ReadOnly).with("path", path).with("reason", e)
        }
        _ => Error::new(Code::Io).with("operation", operation).with("path", path).with("reason", e),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::BorrowedFd;

    use super::*;

    /// What a process that is about to be started has of the parent's files: the same open file.
    fn duplicate(path: &Path) -> std::os::fd::OwnedFd {
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let found = open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == path));
        let number = found.last().unwrap().file_name().to_str().unwrap().parse().unwrap();
        // SAFETY: the caller holds the file open.
        rustix::io::dup(unsafe { BorrowedFd::borrow_raw(number) }).unwrap()
    }

    #[test]
    fn a_lock_is_given_back_though_a_child_has_the_file_still() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("LOCK");
        let held = RealFiles.lock(&path).unwrap();
        let child = duplicate(&path);
        drop(held);
        RealFiles.lock(&path).unwrap();
        drop(child);
    }
}
