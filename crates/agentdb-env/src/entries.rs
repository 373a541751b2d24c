//! Entries of directories that are durable once made, even if making them failed before.
//!
//! After a failed sync a system may go on showing an entry that it will never write (Rebello et al., "Can Applications
//! Recover from fsync Failures?", ATC 2020). Whoever finds the entry there and syncs again learns nothing. So the file
//! `NAME.unproven` stands beside an entry from before it is made until it is synced; one that is found with its mark is
//! moved away and back, which gives the system something to write. If the power fails then, the system may have written the
//! first of the two moves alone, and not the mark: what is found moved away comes back, mark or not.

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
    bring_back(files, dir, name)?;
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
    find_moved(files, dir)?;
    for name in files.list(dir)?.iter().filter_map(|name| name.strip_suffix(MARK)) {
        prove(files, dir, name)?;
    }
    Ok(())
}

/// Brings back the entries of `dir` that were moved away when the power failed. They are in doubt still.
///
/// # Errors
/// Errors of files.
pub fn find_moved(files: &dyn Files, dir: &Path) -> Result<()> {
    for name in files.list(dir)?.iter().filter_map(|name| name.strip_suffix(MOVED)) {
        bring_back(files, dir, name.as_ref())?;
    }
    Ok(())
}

fn bring_back(files: &dyn Files, dir: &Path, name: &OsStr) -> Result<()> {
    let (path, moved) = (dir.join(name), beside(dir, name, MOVED));
    if files.exists(&path)? || !files.exists(&moved)? {
        return Ok(());
    }
    let mark = beside(dir, name, MARK);
    if !files.exists(&mark)? {
        files.open(&mark, OpenMode::CreateNew)?;
    }
    files.rename(&moved, &path)
}

fn beside(dir: &Path, name: &OsStr, suffix: &str) -> PathBuf {
    let mut name = name.to_owned();
    name.push(suffix);
    dir.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Random, World};

    #[test]
    fn what_was_moved_away_when_the_power_failed_comes_back() {
        let mut moved = 0;
        for seed in 0..200 {
            let world = World::new(seed);
            let files = world.env().files;
            let (dir, file) = (Path::new("/d"), Path::new("/d/entry/file"));
            files.create_dir_all(Path::new("/d/entry")).unwrap();
            files.open(file, OpenMode::CreateNew).unwrap();
            for dir in ["/", "/d", "/d/entry"] {
                files.sync_dir(Path::new(dir)).unwrap();
            }
            // A mark from before, which was never synced.
            files.open(Path::new("/d/entry.unproven"), OpenMode::CreateNew).unwrap();
            world.faults().fail_dir_sync(1);
            prove(&*files, dir, "entry").unwrap_err();
            world.crash(&mut Random::new(seed));
            world.faults().clear();
            let files = world.env().files;
            moved += u64::from(files.exists(Path::new("/d/entry.moved")).unwrap());
            settle(&*files, dir).unwrap();
            assert!(files.exists(file).unwrap(), "seed {seed}: {:?}", world.list_all());
        }
        assert!(moved > 0, "nothing was ever moved away");
    }
}
