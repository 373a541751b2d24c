//! Entries of directories that are durable once made, even if making them failed before.
//!
//! After a failed sync a system may go on showing an entry that it will never write (Rebello et al., "Can Applications
//! Recover from fsync Failures?", ATC 2020). Whoever finds the entry there and syncs again learns nothing. So the file
//! `NAME.unproven` stands beside an entry from before it is made until it is synced; one that is found with its mark is
//! moved away and back, which gives the system something to write.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use agentdb_types::Result;

use crate::{Files, OpenMode};

const MARK: &str = ".unproven";
const MOVED: &str = ".moved";

/// Makes the entry `name` of `dir` with `make`, durably.
///
/// # Errors
/// Those of `make`, and errors of files. The entry is in doubt then, as [`settle`] and [`ensure`] will see.
pub fn make(
    files: &dyn Files,
    dir: &Path,
    name: impl AsRef<OsStr>,
    make: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mark = beside(dir, name.as_ref(), MARK);
    if !files.exists(&mark)? {
        files.open(&mark, OpenMode::CreateNew)?;
    }
    make()?;
    files.sync_dir(dir)?;
    files.remove(&mark)
}

/// Makes sure that the directory `name` is in `dir`, durably.
///
/// # Errors
/// Errors of files.
pub fn ensure_dir(files: &dyn Files, dir: &Path, name: impl AsRef<OsStr>) -> Result<()> {
    let name = name.as_ref();
    prove(files, dir, name)?;
    let path = dir.join(name);
    if files.exists(&path)? {
        return Ok(());
    }
    make(files, dir, name, || files.create_dir_all(&path))
}

/// Makes the entry `name` of `dir` durable if it is in doubt.
///
/// # Errors
/// Errors of files. It stays in doubt then.
pub fn prove(files: &dyn Files, dir: &Path, name: impl AsRef<OsStr>) -> Result<()> {
    let name = name.as_ref();
    let mark = beside(dir, name, MARK);
    if !files.exists(&mark)? {
        return Ok(());
    }
    let (path, moved) = (dir.join(name), beside(dir, name, MOVED));
    if files.exists(&path)? {
        files.rename(&path, &moved)?;
    }
    if files.exists(&moved)? {
        files.rename(&moved, &path)?;
    }
    files.sync_dir(dir)?;
    files.remove(&mark)
}

/// Makes all entries of `dir` durable that are in doubt.
///
/// # Errors
/// Errors of files.
pub fn settle(files: &dyn Files, dir: &Path) -> Result<()> {
    for name in files.list(dir)?.iter().filter_map(|name| name.strip_suffix(MARK)) {
        prove(files, dir, name)?;
    }
    Ok(())
}

fn beside(dir: &Path, name: &OsStr, suffix: &str) -> PathBuf {
    let mut name = name.to_owned();
    name.push(suffix);
    dir.join(name)
}
