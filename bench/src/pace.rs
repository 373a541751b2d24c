//! Work at a fixed rate.

use std::time::{Duration, Instant};

/// A schedule of equally spaced moments. It does not shift when the caller falls behind: the late ones follow at once.
#[derive(Debug)]
pub struct Pace {
    next: Instant,
    interval: Duration,
}

impl Pace {
    /// Moments at `per_second`, the first one `offset` intervals from now.
    pub fn new(per_second: f64, offset: f64) -> Self {
        let interval = Duration::from_secs_f64(1.0 / per_second.max(0.001));
        Pace { next: Instant::now() + interval.mul_f64(offset), interval }
    }

    /// Sleeps until the next moment and returns it.
    pub fn wait(&mut self) -> Instant {
        let due = self.next;
        self.next += self.interval;
        if let Some(left) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(left);
        }
        due
    }
}
