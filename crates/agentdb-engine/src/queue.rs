//! The bounded queue before the sequencer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentdb_types::{Code, Error, Result, limits};

use crate::request::QueuedWrite;

#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    writes: VecDeque<QueuedWrite>,
    bytes: usize,
    /// Why nothing is taken any more.
    shut: Option<Error>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, write: QueuedWrite) -> Result<()> {
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
        inner.writes.push_back(write);
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<QueuedWrite> {
        let mut inner = self.lock();
        let write = inner.writes.pop_front()?;
        inner.bytes -= write.weight;
        Some(write)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().writes.is_empty()
    }

    /// Refuses what comes from now on, and answers what waits, with `why`.
    pub(crate) fn shut(&self, why: &Error) {
        let mut inner = self.lock();
        inner.shut.get_or_insert_with(|| why.clone());
        inner.bytes = 0;
        let waiting = std::mem::take(&mut inner.writes);
        drop(inner);
        for write in waiting {
            write.completion.answer(Err(why.clone()));
        }
    }
}
