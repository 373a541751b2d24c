//! Waking a thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Wake;
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Signal {
    set: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Signal {
    pub(crate) fn set(&self) {
        if !self.set.swap(true, Ordering::AcqRel) {
            // Taking the lock makes sure that a thread which saw no signal is waiting by now.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_one();
        }
    }

    /// Waits for the signal or the time, whichever comes first; returns whether it was the signal, and takes it back.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.set.load(Ordering::Acquire) {
            drop(self.changed.wait_timeout(guard, at_most));
        }
        self.set.swap(false, Ordering::AcqRel)
    }
}

/// For a thread that waits for what others await.
impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.set();
    }
}
