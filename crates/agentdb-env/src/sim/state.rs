//! Everything that a simulated world consists of, and the gate that each file operation passes.

use std::path::Path;

use agentdb_types::{Code, Error, Result};

use super::clock::Time;
use super::counters::Counters;
use super::disk::{Disk, Refusal};
use super::faults::Plan;
use super::inode::Mood;
use super::pages::{self, PAGE};
use super::random::Random;
use super::trace::Trace;

const POWER_LOST: &str = "the simulated machine lost power";
const KILLED: &str = "the simulated process was killed";
const BROKEN: &str = "Input/output error";
const READ_ONLY: &str = "Read-only file system";
/// The greatest length of a file, so that a wild offset is an error and not an allocation.
const MAX_LEN: u64 = 1 << 34;

pub(super) struct State {
    pub(super) time: Time,
    pub(super) entropy: Random,
    pub(super) disk: Disk,
    pub(super) plan: Plan,
    pub(super) counters: Counters,
    pub(super) trace: Trace,
    /// Decides what faults do in part; apart from `entropy`, so that arming one does not change the ids of a run.
    dice: Random,
    /// Counts processes: a handle of an earlier one is dead.
    epoch: u64,
    /// How the last process ended.
    ended: &'static str,
    /// A fault stopped the machine, and nobody has restarted it yet.
    off: bool,
}

/// One operation: what it is called in errors, on what, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    pub(super) path: &'a Path,
    /// The process that the handle belongs to.
    pub(super) epoch: Option<u64>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        State {
            time: Time::new(),
            entropy: Random::new(seed),
            disk: Disk::new(),
            plan: Plan::default(),
            counters: Counters::new(),
            trace: Trace::new(seed),
            dice: Random::new(!seed),
            epoch: 0,
            ended: POWER_LOST,
            off: false,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn is_off(&self) -> bool {
        self.off
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        self.disk.crash(random, &mut self.counters);
        self.end("crashes", POWER_LOST);
    }

    pub(super) fn kill(&mut self) {
        self.disk.restart();
        self.end("kills", KILLED);
    }

    /// Lets an operation that changes nothing begin.
    pub(super) fn admit(&mut self, call: Call<'_>, a: u64, b: u64) -> Result<()> {
        self.counters.add("operations");
        self.trace.bytes(call.operation.as_bytes());
        self.trace.bytes(call.path.as_os_str().as_encoded_bytes());
        self.trace.word(a);
        self.trace.word(b);
        if call.epoch.is_some_and(|epoch| epoch != self.epoch) {
            return Err(call.refused(self.ended));
        }
        if self.off { Err(call.refused(POWER_LOST)) } else { Ok(()) }
    }

    /// Does a changing operation, if it was admitted and the machine does not stop in the middle of it.
    pub(super) fn change<T>(
        &mut self,
        call: Call<'_>,
        act: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        self.check_writable(call)?;
        if !self.plan.stops_now() {
            return act(self);
        }
        self.counters.add("interrupted");
        self.off = true;
        if self.dice.chance(1, 2) {
            // Done or refused: nobody will ever hear.
            let _ = act(self);
        }
        Err(call.refused(POWER_LOST))
    }

    pub(super) fn check_writable(&self, call: Call<'_>) -> Result<()> {
        if self.plan.read_only {
            return Err(Error::new(Code::ReadOnly)
                .with("path", call.path.display())
                .with("reason", READ_ONLY));
        }
        Ok(())
    }

    pub(super) fn write(&mut self, call: Call<'_>, file: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check_len(call, offset.checked_add(bytes.len() as u64))?;
        self.counters.add("writes");
        let fails = self.plan.write_fails_now();
        let fits = self.fitting(call, file, offset, bytes.len() as u64)?;
        let wanted = if fails || self.off { self.dice.below(bytes.len() as u64 + 1) } else { fits };
        let done = wanted.min(fits);
        self.disk.file_mut(file).map_err(|r| call.refused(r))?.write(offset, &bytes[..done as usize]);
        if fails {
            self.counters.add("failed_writes");
            return Err(call.refused(BROKEN));
        }
        if fits < bytes.len() as u64 {
            self.counters.add("disk_full");
            let full = Error::new(Code::DiskFull).with("operation", call.operation);
            return Err(full.with("path", call.path.display()));
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, call: Call<'_>, file: u64, len: u64) -> Result<()> {
        self.check_len(call, Some(len))?;
        self.disk.file_mut(file).map_err(|r| call.refused(r))?.set_len(len);
        Ok(())
    }

    pub(super) fn sync(&mut self, call: Call<'_>, file: u64) -> Result<()> {
        self.counters.add("syncs");
        let fails = self.plan.sync_fails_now();
        let inode = self.disk.file_mut(file).map_err(|r| call.refused(r))?;
        if fails {
            inode.settle(Mood::any(&mut self.dice), &mut self.dice, &mut self.counters);
            self.counters.add("failed_syncs");
            return Err(call.refused(BROKEN));
        }
        inode.sync();
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, call: Call<'_>, dir: u64) -> Result<()> {
        self.counters.add("dir_syncs");
        if self.plan.dir_sync_fails_now() {
            self.disk.fail_sync_dir(dir, &mut self.dice).map_err(|r| call.refused(r))?;
            self.counters.add("failed_syncs");
            return Err(call.refused(BROKEN));
        }
        self.disk.sync_dir(dir).map_err(|r| call.refused(r))
    }

    /// Records the bytes that an operation wrote or read.
    pub(super) fn trace_content(&mut self, bytes: &[u8]) {
        if pages::is_zero(bytes) {
            self.trace.word(0);
        } else {
            self.trace.bytes(bytes);
        }
    }

    fn end(&mut self, count: &'static str, reason: &'static str) {
        self.counters.add(count);
        self.trace.bytes(reason.as_bytes());
        self.counters.all().values().for_each(|count| self.trace.word(*count));
        self.epoch += 1;
        self.ended = reason;
        self.off = false;
    }

    fn check_len(&self, call: Call<'_>, end: Option<u64>) -> Result<()> {
        match end {
            Some(end) if end <= MAX_LEN => Ok(()),
            _ => Err(call.refused("File too large")),
        }
    }

    /// How many bytes of a write the disk has room for.
    fn fitting(&self, call: Call<'_>, file: u64, offset: u64, len: u64) -> Result<u64> {
        let Some(capacity) = self.plan.capacity else { return Ok(len) };
        let free = (capacity / PAGE as u64).saturating_sub(self.disk.used_pages());
        Ok(self.disk.file(file).map_err(|r| call.refused(r))?.pages().fitting(offset, len, free))
    }
}

impl Call<'_> {
    pub(super) fn refused(&self, reason: Refusal) -> Error {
        Error::new(Code::Io)
            .with("operation", self.operation)
            .with("path", self.path.display())
            .with("reason", reason)
    }
}
