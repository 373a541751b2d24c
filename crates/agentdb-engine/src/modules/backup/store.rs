//! Where backups are kept: named objects that are written as a whole.

use std::path::Path;

use agentdb_types::Result;

/// A place that keeps named objects: a directory, a bucket. Names are parts of `[A-Za-z0-9._-]` joined by `/`.
///
/// Errors are those of files, or [`BackupStore`](agentdb_types::Code::BackupStore) with the operation, the object and
/// what the place said.
pub trait Store: Send + Sync {
    /// Where it is, for messages.
    fn place(&self) -> &str;

    /// Its directory, if it is one.
    fn directory(&self) -> Option<&Path> {
        None
    }

    /// Writes an object unless there is one of this name, atomically; returns whether it did. Durable when it returns.
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool>;

    /// Writes an object, whether or not there is one of this name. It may still be under way when this returns;
    /// [`Store::flush`] waits for it.
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()>;

    /// Waits until everything that was put is durable.
    fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// The bytes of an object; `None` if there is none of this name.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// The names that start with `prefix`, which ends with `/`, in order.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Removes objects, durably; no error for those that are not there.
    fn delete(&self, names: &[String]) -> Result<()>;

    /// Makes durable what was found there and may not be: what comes next relies on it.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Removes what writers that were killed left unfinished. Nobody writes meanwhile.
    fn tidy(&self) -> Result<()> {
        Ok(())
    }
}
