//! The file system: positioned reads and writes, explicit syncs, directories whose entries are synced apart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_types::Result;

/// How [`Files::open`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading only.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A file that must not exist yet, for reading and writing.
    CreateNew,
}

/// A file system.
///
/// Durability is explicit: bytes are durable after [`File::sync_data`], and a directory's entries (a created, renamed
/// or removed file) after [`Files::sync_dir`] of that directory.
///
/// Every method's errors: [`DiskFull`](agentdb_types::Code::DiskFull), [`ReadOnly`](agentdb_types::Code::ReadOnly) (a
/// read-only mount, or permission denied for a write), and [`Io`](agentdb_types::Code::Io) with `operation`, `path` and
/// `reason` for everything else.
pub trait Files: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>>;

    /// Whether a file or a directory of this name exists.
    fn exists(&self, path: &Path) -> Result<bool>;

    /// Creates a directory and those above it; no error if it exists.
    fn create_dir_all(&self, path: &Path) -> Result<()>;

    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;

    /// Gives a file another name in the same file system, atomically replacing what had that name.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives a file a second name in the same file system: the bytes are shared. What stands under a name stays until the last
    /// of its names is removed. An error if there is something of the second name.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Makes a directory's entries durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;

    /// The same place however the process's working directory changes.
    fn absolute(&self, path: &Path) -> Result<PathBuf> {
        Ok(path.to_owned())
    }

    /// Takes an exclusive lock on the file at `path` (created if it is missing) until the [`Lock`] is dropped or the
    /// process dies.
    ///
    /// # Errors
    /// [`Locked`](agentdb_types::Code::Locked) if anyone else holds it: another process, or another handle of this one.
    fn lock(&self, path: &Path) -> Result<Lock>;
}

/// An open file. Positions are bytes from the start; there is no cursor.
pub trait File: Send + Sync {
    /// Reads into `out` from `offset`; returns how many bytes were read, fewer than asked only at the end of the file.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize>;

    /// Writes all of `bytes` at `offset`, extending the file if needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Makes the written bytes, and the length needed to read them, durable (`fdatasync`).
    fn sync_data(&self) -> Result<()>;

    /// Lets the system begin to write bytes that were written, so that a later sync finds little left. It makes nothing
    /// durable.
    fn start_writeback(&self, offset: u64, len: u64) -> Result<()> {
        let _ = (offset, len);
        Ok(())
    }

    /// Sets the length; new bytes are zero.
    fn set_len(&self, len: u64) -> Result<()>;

    /// The length.
    fn len(&self) -> Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// An exclusive lock, released when dropped.
pub struct Lock {
    held: Box<dyn Held>,
}

/// What a lock is made of; its destructor releases it.
pub(crate) trait Held: Send + Sync {
    /// Whether the locked file still has its name.
    fn is_in_place(&self) -> bool;
}

impl Lock {
    pub(crate) fn new(held: impl Held + 'static) -> Self {
        Lock { held: Box::new(held) }
    }

    /// Whether the locked file still has its name. If it was removed, replaced or moved, the lock keeps nobody out who comes
    /// by that name.
    pub fn is_in_place(&self) -> bool {
        self.held.is_in_place()
    }
}
