//! Log time: max(previous, clock), and a refusal when the clock jumps.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::planted::{self, Bug};
use agentdb_env::Env;
use agentdb_types::{Code, Error, Result, Timestamp, limits};

/// The clock of the log. It never goes back, not even when the machine's clock does, nor after a restart.
pub(crate) struct LogClock {
    env: Env,
    seen: Mutex<Seen>,
}

struct Seen {
    /// The latest time that anyone was told.
    last: Timestamp,
    /// The wall clock and the monotonic clock when they were last seen to agree.
    wall_us: i64,
    monotonic_us: u64,
}

impl LogClock {
    pub(crate) fn new(env: &Env, last: Timestamp) -> Self {
        let seen = Seen { last, wall_us: env.clock.wall().micros(), monotonic_us: env.clock.monotonic_us() };
        LogClock { env: env.clone(), seen: Mutex::new(seen) }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time to judge TTLs by: never earlier than what this handle has told anyone before. While the clock is out of
    /// order, it is the last time that was believed.
    pub(crate) fn read(&self) -> Timestamp {
        self.advance().unwrap_or_else(|_| self.lock().last)
    }

    /// The time of the next group.
    ///
    /// # Errors
    /// [`Code::ClockJump`] if the wall clock ran ahead of the time that passed by more than the limit, until it is
    /// corrected or the database is opened again.
    pub(crate) fn advance(&self) -> Result<Timestamp> {
        let mut seen = self.lock();
        let wall = self.env.clock.wall();
        let monotonic_us = self.env.clock.monotonic_us();
        let expected = seen.wall_us.saturating_add_unsigned(monotonic_us.saturating_sub(seen.monotonic_us));
        let jump = wall.micros().saturating_sub(expected);
        if jump > limits::CLOCK_JUMP_US {
            return Err(Error::new(Code::ClockJump)
                .with("actual", jump)
                .with("limit", limits::CLOCK_JUMP_US));
        }
        *seen = Seen {
            last: if planted::is(Bug::TimeGoesBack) { wall } else { seen.last.max(wall) },
            wall_us: wall.micros(),
            monotonic_us,
        };
        Ok(seen.last)
    }
}
