//! The bounded queue before the sequencer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentdb_types::{Code, Error, Result, limits};

use crate::completion::Round;
use crate::request::QueuedWrite;

#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    /// Requests that were pushed and are not answered yet.
    unanswered: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    writes: VecDeque<QueuedWrite>,
    /// Bytes of what waits.
    bytes: usize,
    /// The number of the next round.
    round: Round,
    /// Why nothing is taken any more.
    shut: Option<Error>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request; returns the round that it will be taken in.
    pub(crate) fn push(&self, mut write: QueuedWrite) -> Result<Round> {
        let mut inner = self.lock();
        if let Some(err) = &inner.shut {
            return Err(err.clone());
        }
        let full = |actual: usize, limit: usize| {
            Err(Error::new(Code::QueueFull).with("actual", actual).with("limit", limit))
        };
        if inner.writes.len() >= limits::QUEUE_REQUESTS {
            return full(inner.writes.len(), limits::QUEUE_REQUESTS);
        }
        if inner.bytes + write.weight > limits::QUEUE_BYTES {
            return full(inner.bytes + write.weight, limits::QUEUE_BYTES);
        }
        inner.bytes += write.weight;
        write.round = inner.round;
        let round = write.round;
        inner.writes.push_back(write);
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        drop(inner);
        // Pairs with the fence in `is_anything_unanswered`: either the pusher finds nobody leading, or the leader finds
        // this request when it ends.
        fence(Ordering::SeqCst);
        Ok(round)
    }

    /// Bytes of what waits.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Takes everything that waits, as one round.
    pub(crate) fn take(&self) -> VecDeque<QueuedWrite> {
        let mut inner = self.lock();
        if inner.writes.is_empty() {
            return VecDeque::new();
        }
        inner.round += 1;
        inner.bytes = 0;
        std::mem::take(&mut inner.writes)
    }

    /// Notes that requests were answered.
    pub(crate) fn answered(&self, requests: usize) {
        self.unanswered.fetch_sub(requests, Ordering::Relaxed);
    }

    /// Whether anyone waits for an answer.
    pub(crate) fn is_anything_unanswered(&self) -> bool {
        fence(Ordering::SeqCst);
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// Refuses what comes from now on with `why`, and gives back what waits, to be answered.
    pub(crate) fn shut(&self, why: &Error) -> VecDeque<QueuedWrite> {
        let mut inner = self.lock();
        inner.shut.get_or_insert_with(|| why.clone());
        inner.bytes = 0;
        std::mem::take(&mut inner.writes)
    }
}
