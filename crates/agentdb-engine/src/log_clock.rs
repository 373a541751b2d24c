//! Log time: max(previous, clock), and a refusal when the clock jumps.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use agentdb_env::Env;
use agentdb_types::{Code, Error, Result, Timestamp, limits};

/// The clock of the log. It never goes back, not even when the machine's clock does, nor after a restart.
pub(crate) struct LogClock {
    env: Env,
    last: AtomicI64,
    /// The wall clock and the monotonic clock when they were last seen to agree.
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl LogClock {
    pub(crate) fn new(env: &Env, last: Timestamp) -> Self {
        LogClock {
            env: env.clone(),
            last: AtomicI64::new(last.micros()),
            wall: AtomicI64::new(env.clock.wall().micros()),
            monotonic: AtomicU64::new(env.clock.monotonic_us()),
        }
    }

    /// The time to judge TTLs by: never earlier than what this handle has told anyone before.
    pub(crate) fn read(&self) -> Timestamp {
        match self.advance() {
            Ok(now) => now,
            // A read is answered by the last time that was believed.
            Err(_) => to_time(self.last.load(Ordering::Acquire)),
        }
    }

    /// The time of the next group.
    ///
    /// # Errors
    /// [`Code::ClockJump`] if the wall clock ran ahead of the time that passed by more than the limit.
    pub(crate) fn advance(&self) -> Result<Timestamp> {
        let wall = self.env.clock.wall().micros();
        let monotonic = self.env.clock.monotonic_us();
        let passed = monotonic.saturating_sub(self.monotonic.load(Ordering::Acquire));
        let expected = self.wall.load(Ordering::Acquire).saturating_add_unsigned(passed);
        let jump = wall.saturating_sub(expected);
        if jump > limits::CLOCK_JUMP_US {
            return Err(Error::new(Code::ClockJump).with("actual", jump).with("limit", limits::CLOCK_JUMP_US));
        }
        self.wall.store(wall, Ordering::Release);
        self.monotonic.store(monotonic, Ordering::Release);
        let last = self.last.fetch_max(wall, Ordering::AcqRel);
        Ok(to_time(last.max(wall)))
    }

}

fn to_time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros.clamp(0, limits::TIME_MAX_US)).unwrap_or_default()
}
