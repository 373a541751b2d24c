//! The clock that moves when told to.

use agentdb_types::{Timestamp, limits};

/// 2026-01-01T00:00:00Z.
const START_US: i64 = 1_767_225_600_000_000;

pub(super) struct Time {
    wall_us: i64,
    monotonic_us: u64,
}

impl Time {
    pub(super) fn new() -> Self {
        Time { wall_us: START_US, monotonic_us: 0 }
    }

    pub(super) fn advance_us(&mut self, us: u64) {
        self.monotonic_us = self.monotonic_us.saturating_add(us);
        self.jump_wall_us(i64::try_from(us).unwrap_or(i64::MAX));
    }

    pub(super) fn jump_wall_us(&mut self, us: i64) {
        self.wall_us = self.wall_us.saturating_add(us).clamp(0, limits::TIME_MAX_US);
    }

    pub(super) fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.wall_us).unwrap_or_default()
    }

    pub(super) fn monotonic_us(&self) -> u64 {
        self.monotonic_us
    }
}
