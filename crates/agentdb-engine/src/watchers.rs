//! Those who wait for a change feed to go on. Whoever commits looks at one number if there are none, and never waits for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

#[derive(Default)]
pub(crate) struct Watchers {
    next_id: AtomicU64,
    /// How many there are in the list.
    waiting: AtomicUsize,
    wakers: Mutex<HashMap<u64, Waker>>,
}

impl Watchers {
    /// The number of a feed that is new.
    pub(crate) fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Wakes a feed at the next change. It must look once more after this: what came before wakes nobody.
    pub(crate) fn wait(&self, id: u64, waker: &Waker) {
        let mut wakers = self.lock();
        wakers.insert(id, waker.clone());
        self.waiting.store(wakers.len(), Ordering::Relaxed);
        drop(wakers);
        // Against the fence of `call`: either it sees this feed, or this feed sees what it tells of.
        fence(Ordering::SeqCst);
    }

    /// Forgets a feed.
    pub(crate) fn forget(&self, id: u64) {
        let mut wakers = self.lock();
        wakers.remove(&id);
        self.waiting.store(wakers.len(), Ordering::Relaxed);
    }

    /// Wakes everyone: there is more to see, or there will be no more.
    pub(crate) fn call(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let wakers = {
            let mut wakers = self.lock();
            self.waiting.store(0, Ordering::Relaxed);
            std::mem::take(&mut *wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
