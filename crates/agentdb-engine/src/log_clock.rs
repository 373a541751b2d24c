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
    /// The furthest that the wall clock was believed, and the elapsed time then. When the clock is set back this stays,
    /// so that its return to where it was is no jump: log time has been there.
    wall_us: i64,
    elapsed_us: u64,
}

impl LogClock {
    pub(crate) fn new(env: &Env, last: Timestamp) -> Self {
        let wall_us = env.clock.wall().max(last).micros();
        let seen = Seen { last, wall_us, elapsed_us: env.clock.monotonic_us() };
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
        let elapsed_us = self.env.clock.monotonic_us();
        let passed = elapsed_us.saturating_sub(seen.elapsed_us);
        let jump = wall.micros().saturating_sub(seen.wall_us.saturating_add_unsigned(passed));
        if jump > limits::CLOCK_JUMP_US {
            return Err(Error::new(Code::ClockJump)
                .with("actual", jump)
                .with("limit", limits::CLOCK_JUMP_US));
        }
        seen.last = if planted::is(Bug::TimeGoesBack) { wall } else { seen.last.max(wall) };
        if wall.micros() >= seen.wall_us {
            (seen.wall_us, seen.elapsed_us) = (wall.micros(), elapsed_us);
        }
        Ok(seen.last)
    }
}

#[cfg(test)]
mod tests {
    use agentdb_env::sim::World;

    use super::*;

    const HOUR_US: i64 = 3_600 * 1_000_000;

    fn clock(world: &World) -> LogClock {
        LogClock::new(&world.env(), Timestamp::default())
    }

    #[test]
    fn a_clock_that_was_set_back_may_return() {
        let world = World::new(1);
        let clock = clock(&world);
        let before = clock.advance().unwrap();
        world.jump_wall_us(-5 * HOUR_US);
        world.advance_us(60_000_000);
        assert_eq!(clock.advance().unwrap(), before, "log time stands still, and does not go back");
        world.jump_wall_us(5 * HOUR_US);
        assert_eq!(clock.advance().unwrap().micros(), before.micros() + 60_000_000);
    }

    #[test]
    fn a_step_within_the_limit_is_followed_and_one_beyond_it_refused_until_it_is_corrected() {
        let world = World::new(2);
        let clock = clock(&world);
        let before = clock.advance().unwrap();
        world.jump_wall_us(HOUR_US);
        assert_eq!(clock.advance().unwrap().micros(), before.micros() + HOUR_US);
        world.jump_wall_us(HOUR_US + 1);
        assert_eq!(clock.advance().unwrap_err().code(), Code::ClockJump);
        assert_eq!(clock.read().micros(), before.micros() + HOUR_US);
        world.jump_wall_us(-1);
        assert!(clock.advance().is_ok());
        // Time that passed is no jump, however much.
        world.advance_us(100 * HOUR_US.unsigned_abs());
        assert!(clock.advance().is_ok());
    }

    #[test]
    fn after_a_restart_with_the_clock_behind_the_log_it_may_catch_up() {
        let world = World::new(3);
        let last = Timestamp::from_micros(world.env().clock.wall().micros() + 9 * HOUR_US).unwrap();
        let clock = LogClock::new(&world.env(), last);
        assert_eq!(clock.advance().unwrap(), last);
        world.jump_wall_us(9 * HOUR_US);
        assert!(clock.advance().unwrap() >= last);
        world.jump_wall_us(2 * HOUR_US);
        assert_eq!(clock.advance().unwrap_err().code(), Code::ClockJump);
    }
}
