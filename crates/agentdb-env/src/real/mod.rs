//! The machine itself: the one place that calls the operating system.

#![allow(clippy::disallowed_methods)]

mod files;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentdb_types::{Code, Error, Result, Timestamp, limits};

use self::files::RealFiles;
use crate::{Clock, Entropy, Env, Join, Threads};

/// How often the system's randomness is asked before the process gives up.
const ENTROPY_TRIES: u32 = 16;

pub(crate) fn env() -> Env {
    Env {
        clock: Arc::new(RealClock { start: elapsed() }),
        entropy: Arc::new(RealEntropy),
        files: Arc::new(RealFiles),
        threads: Arc::new(RealThreads),
    }
}

struct RealClock {
    start: Duration,
}

/// Time since the machine was started, the time that it slept included: after an hour of sleep an hour has passed on the
/// wall clock too, and a clock that stood still meanwhile would make of it a jump.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn elapsed() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Elsewhere the standard library's clock, which may stand still while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn elapsed() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

impl Clock for RealClock {
    /// A clock set before 1970 reads as 1970, one after the year 9999 as its last microsecond.
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX).min(limits::TIME_MAX_US);
        Timestamp::from_micros(micros).unwrap_or_default()
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(elapsed().saturating_sub(self.start).as_micros()).unwrap_or(u64::MAX)
    }
}

struct RealEntropy;

impl Entropy for RealEntropy {
    /// Keys and ids are made of these bytes, so there is no fallback: if the system keeps refusing, the process
    /// aborts rather than go on with bytes that can be guessed.
    fn fill(&self, out: &mut [u8]) {
        let mut tries = 0;
        while let Err(reason) = getrandom::fill(out) {
            tries += 1;
            if tries == ENTROPY_TRIES {
                eprintln!("agentdb: the operating system gives no randomness ({reason}); aborting");
                std::process::abort();
            }
        }
    }
}

struct RealThreads;

impl Threads for RealThreads {
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<Join> {
        // A NUL in a thread's name would panic.
        let name = name.replace('\0', "");
        let thread = std::thread::Builder::new().name(name.clone()).spawn(body).map_err(|e| {
            Error::new(Code::Io)
                .with("operation", "start")
                .with("path", format_args!("thread {name}"))
                .with("reason", e)
        })?;
        Ok(Join(Box::new(move || {
            // A panic of the thread was reported where it happened; waiting for it is not an error.
            let _ = thread.join();
        })))
    }

    #[cfg(target_os = "linux")]
    fn yield_to_others(&self) {
        // SAFETY: a zeroed `sched_param` is valid, and is read while it lives; 0 is the calling thread.
        unsafe {
            let param: libc::sched_param = std::mem::zeroed();
            // A container may forbid it: the thread then runs as the others do.
            libc::sched_setscheduler(0, libc::SCHED_IDLE, &param);
        }
    }
}
