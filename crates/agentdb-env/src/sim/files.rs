//! The simulated world as [`Files`] and [`File`] see it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_types::{Code, Error, Result};

use super::Shared;
use super::disk::EXISTS;
use super::state::Call;
use crate::files::Held;
use crate::{File, Files, Lock, OpenMode};

pub(super) struct SimFiles {
    pub(super) shared: Arc<Shared>,
}

struct SimFile {
    shared: Arc<Shared>,
    path: PathBuf,
    id: u64,
    epoch: u64,
    mode: OpenMode,
}

/// Releases a lock of the process that took it.
struct SimLock {
    shared: Arc<Shared>,
    path: PathBuf,
    file: u64,
    holder: u64,
}

impl Files for SimFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let call = on(path, "open");
        let mut state = self.shared.state();
        state.admit(call, mode as u64, 0)?;
        let id = match mode {
            OpenMode::Read => state.disk.find_file(path),
            OpenMode::Write => {
                state.check_writable(call)?;
                state.disk.find_file(path)
            }
            OpenMode::CreateNew if matches!(state.disk.find(path), Ok(Some(_))) => Err(EXISTS),
            OpenMode::CreateNew => {
                Ok(state.change(call, |s| s.disk.create(path).map_err(|r| call.refused(r)))?)
            }
        };
        let id = id.map_err(|r| call.refused(r))?;
        state.disk.file_mut(id).map_err(|r| call.refused(r))?.opens += 1;
        let epoch = state.epoch();
        Ok(Arc::new(SimFile { shared: self.shared.clone(), path: path.to_owned(), id, epoch, mode }))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let mut state = self.shared.state();
        state.admit(on(path, "lookup"), 0, 0)?;
        Ok(matches!(state.disk.find(path), Ok(Some(_))))
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        let call = on(path, "creation");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        if state.disk.find_dir(path).is_ok() {
            return Ok(());
        }
        state.change(call, |s| s.disk.create_dir_all(path).map_err(|r| call.refused(r)))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let call = on(dir, "listing");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        let id = state.disk.find_dir(dir).map_err(|r| call.refused(r))?;
        state.disk.list(id).map_err(|r| call.refused(r))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let call = on(from, "rename");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        state.trace.bytes(to.as_os_str().as_encoded_bytes());
        state.change(call, |s| s.disk.rename(from, to).map_err(|r| call.refused(r)))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        let call = on(from, "link");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        state.trace.bytes(to.as_os_str().as_encoded_bytes());
        state.change(call, |s| s.disk.link(from, to).map_err(|r| call.refused(r)))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let call = on(path, "removal");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        state.change(call, |s| s.disk.remove(path).map_err(|r| call.refused(r)))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let call = on(dir, "sync");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        let id = state.disk.find_dir(dir).map_err(|r| call.refused(r))?;
        if state.plan.read_only && state.disk.is_synced(id) {
            return Ok(());
        }
        state.change(call, |s| s.sync_dir(call, id))
    }

    fn lock(&self, path: &Path) -> Result<Lock> {
        let call = on(path, "lock");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        state.check_writable(call)?;
        let found = state.disk.find(path).map_err(|r| call.refused(r))?;
        let file = match found {
            Some(_) => state.disk.find_file(path).map_err(|r| call.refused(r))?,
            None => state.change(call, |s| s.disk.create(path).map_err(|r| call.refused(r)))?,
        };
        let Some(holder) = state.disk.lock(file) else {
            return Err(Error::new(Code::Locked).with("path", path.display()));
        };
        Ok(Lock::new(SimLock { shared: self.shared.clone(), path: path.to_owned(), file, holder }))
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let call = self.call("read");
        let mut state = self.shared.state();
        state.admit(call, offset, out.len() as u64)?;
        state.counters.add("reads");
        let count = state.disk.file(self.id).map_err(|r| call.refused(r))?.pages().read(offset, out);
        state.trace_content(&out[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let call = self.call("write");
        let mut state = self.shared.state();
        state.admit(call, offset, bytes.len() as u64)?;
        state.trace_content(bytes);
        self.check_mode(call)?;
        state.change(call, |s| s.write(call, self.id, offset, bytes))
    }

    fn sync_data(&self) -> Result<()> {
        let call = self.call("sync");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        if state.plan.read_only && !state.disk.file(self.id).map_err(|r| call.refused(r))?.has_unsynced() {
            return Ok(());
        }
        state.change(call, |s| s.sync(call, self.id))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let call = self.call("resize");
        let mut state = self.shared.state();
        state.admit(call, len, 0)?;
        self.check_mode(call)?;
        state.change(call, |s| s.set_len(call, self.id, len))
    }

    fn len(&self) -> Result<u64> {
        let call = self.call("lookup");
        let mut state = self.shared.state();
        state.admit(call, 0, 0)?;
        Ok(state.disk.file(self.id).map_err(|r| call.refused(r))?.pages().len())
    }
}

impl SimFile {
    fn call(&self, operation: &'static str) -> Call<'_> {
        Call { operation, path: &self.path, epoch: Some(self.epoch) }
    }

    fn check_mode(&self, call: Call<'_>) -> Result<()> {
        if self.mode == OpenMode::Read { Err(call.refused("Bad file descriptor")) } else { Ok(()) }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.epoch() == self.epoch
            && let Ok(file) = state.disk.file_mut(self.id)
        {
            file.opens = file.opens.saturating_sub(1);
        }
    }
}

impl Held for SimLock {
    fn is_in_place(&self) -> bool {
        matches!(self.shared.state().disk.find_file(&self.path), Ok(file) if file == self.file)
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.shared.state().disk.unlock(self.file, self.holder);
    }
}

/// An operation on a path, which belongs to whoever asks.
fn on<'a>(path: &'a Path, operation: &'static str) -> Call<'a> {
    Call { operation, path, epoch: None }
}
