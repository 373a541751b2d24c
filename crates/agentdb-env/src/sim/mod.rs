//! A deterministic world: the same seed and the same calls give the same bytes, errors and times, on every machine.
//!
//! ```
//! use std::path::Path;
//! use agentdb_env::{OpenMode, sim::{Random, World}};
//!
//! let world = World::new(7);
//! let files = world.env().files;
//! let file = files.open(Path::new("/a"), OpenMode::CreateNew)?;
//! file.write_at(0, b"kept")?;
//! file.sync_data()?;
//! files.sync_dir(Path::new("/"))?;
//! file.write_at(0, b"lost")?; // Perhaps: nobody synced it.
//!
//! world.crash(&mut Random::new(1));
//! assert!(file.len().is_err(), "the process that held this handle is gone");
//! let found = world.read_file(Path::new("/a"))?;
//! assert!(found == b"kept" || found == b"lost");
//! # Ok::<(), agentdb_types::Error>(())
//! ```
//!
//! What the disk promises after a power loss, and what not:
//!
//! - Bytes that a sync covered are there. Of each later write every sector of 512 bytes is there or not, whatever the
//!   order of the writes; a change of length likewise; the new length may be there without the bytes, which are zero.
//! - A directory's entries change in order: some first part of the changes since its last sync is there. A rename is
//!   atomic, between two directories too.
//! - Nothing else happens to bytes, unless a test flips a bit.

mod clock;
mod counters;
mod directory;
mod disk;
mod faults;
mod files;
mod inode;
mod pages;
mod random;
mod state;
mod survival;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentdb_types::{Code, Error, Result, Timestamp};

pub use self::faults::Faults;
use self::files::SimFiles;
pub use self::random::Random;
use self::state::{Call, State};
use crate::{Clock, Entropy, Env, Join, Threads};

/// A simulated machine. Cloning shares it.
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
}

/// What the handles of a world share.
struct Shared {
    state: Mutex<State>,
}

impl World {
    /// A machine with an empty disk, at 2026-01-01T00:00:00Z.
    pub fn new(seed: u64) -> Self {
        World { shared: Arc::new(Shared { state: Mutex::new(State::new(seed)) }) }
    }

    /// The world as code sees it. It belongs to the machine, not to a process: it stays usable after a crash, while
    /// the files and locks that it gave out before are dead.
    pub fn env(&self) -> Env {
        Env {
            clock: Arc::new(SimClock(self.shared.clone())),
            entropy: Arc::new(SimEntropy(self.shared.clone())),
            files: Arc::new(SimFiles { shared: self.shared.clone() }),
            threads: Arc::new(NoThreads),
        }
    }

    /// Lets time pass, on both clocks.
    pub fn advance_us(&self, us: u64) {
        self.shared.state().time.advance_us(us);
    }

    /// Sets the wall clock forward or back; it stays within 1970 and 9999.
    pub fn jump_wall_us(&self, us: i64) {
        self.shared.state().time.jump_wall_us(us);
    }

    /// Arms and disarms faults.
    pub fn faults(&self) -> Faults {
        Faults { shared: self.shared.clone() }
    }

    /// Power loss and restart. `random` decides what of the unsynced the disk has; see the module's documentation.
    /// Handles and locks from before are dead, armed faults stay armed.
    pub fn crash(&self, random: &mut Random) {
        self.shared.state().crash(random);
    }

    /// `kill -9` and restart of the process: all that was written stays (and stays unsynced), handles and locks from
    /// before are dead.
    pub fn process_kill(&self) {
        self.shared.state().kill();
    }

    /// Whether a [`Faults::crash_after`] has stopped the machine, so that only a crash or a kill goes on.
    pub fn is_off(&self) -> bool {
        self.shared.state().is_off()
    }

    /// The bytes of a file as a reader sees them, apart from all faults.
    ///
    /// # Errors
    /// [`Code::Io`] if there is no such file.
    pub fn read_file(&self, path: &Path) -> Result<Vec<u8>> {
        let state = self.shared.state();
        let found = state.disk.find_file(path).and_then(|id| state.disk.file(id));
        found.map(|file| file.pages().to_vec()).map_err(|r| outside("read", path).refused(r))
    }

    /// Puts a file there as if it had always been: durable, with its directories, apart from all faults. It replaces
    /// a file of that name, whose handles keep the old one.
    ///
    /// # Errors
    /// [`Code::Io`] if the path leads through a file or is a directory.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let call = outside("write", path);
        let mut state = self.shared.state();
        state.trace.bytes(path.as_os_str().as_encoded_bytes());
        state.trace_content(bytes);
        state.disk.plant(path, bytes).map_err(|r| call.refused(r))
    }

    /// Inverts bit `bit` (0 to 7) of a byte, durably: a damaged medium.
    ///
    /// # Errors
    /// [`Code::Io`] if there is no such file or it is not that long.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> Result<()> {
        let call = outside("damage", path);
        let mut state = self.shared.state();
        state.trace.word(offset);
        let flipped = state
            .disk
            .find_file(path)
            .and_then(|id| state.disk.file_mut(id))
            .map(|file| file.flip(offset, bit))
            .map_err(|r| call.refused(r))?;
        if flipped { Ok(()) } else { Err(call.refused("it lies beyond the end")) }
    }

    /// The paths of all files, sorted.
    pub fn list_all(&self) -> Vec<PathBuf> {
        let found = self.shared.state().disk.walk();
        found.iter().map(|names| Path::new("/").join(names.iter().collect::<PathBuf>())).collect()
    }

    /// How often things happened. Faults that really fired: `crashes`, `kills`, `interrupted` (stopped by
    /// [`Faults::crash_after`]), `torn_writes`, `lost_writes`, `reordered_writes` (survived in whole or part while an
    /// earlier one of the same file did not, wholly), `lost_entries` (changes of directories), `failed_syncs`,
    /// `failed_writes`, `disk_full`. And the work: `operations`, `reads`, `writes`, `syncs`, `dir_syncs`.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.shared.state().counters.all().clone()
    }

    /// A hash of every operation so far, with its path, offset, length and the bytes written or read: two runs that agree did the same.
    pub fn trace_hash(&self) -> u64 {
        self.shared.state().trace.value()
    }
}

impl Shared {
    /// A panic elsewhere leaves no half-done state: what panics is the code under test, outside the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the test does to the disk, on behalf of nobody.
fn outside<'a>(operation: &'static str, path: &'a Path) -> Call<'a> {
    Call { operation, path, epoch: None }
}

struct SimClock(Arc<Shared>);

impl Clock for SimClock {
    fn wall(&self) -> Timestamp {
        self.0.state().time.wall()
    }

    fn monotonic_us(&self) -> u64 {
        self.0.state().time.monotonic_us()
    }
}

struct SimEntropy(Arc<Shared>);

impl Entropy for SimEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.0.state();
        state.entropy.fill(out);
        state.trace.word(out.len() as u64);
    }
}

struct NoThreads;

impl Threads for NoThreads {
    fn spawn(&self, name: &str, _: Box<dyn FnOnce() + Send>) -> Result<Join> {
        Err(Error::new(Code::Io)
            .with("operation", "start")
            .with("path", format_args!("thread {name}"))
            .with("reason", "a simulated world has no threads; step the state machine instead"))
    }
}
