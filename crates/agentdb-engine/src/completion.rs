//! The answer to a queued write: filled once by the sequencer, awaited or waited for by the caller.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use agentdb_types::{Code, Error, Lsn, Result};

use crate::operation::AnyResponse;

/// What a committed batch is answered with.
pub(crate) struct Outcome {
    pub(crate) lsn: Lsn,
    pub(crate) responses: Vec<AnyResponse>,
}

#[derive(Default)]
struct Slot {
    answer: Option<Result<Outcome>>,
    waker: Option<Waker>,
    waiting: bool,
}

#[derive(Default)]
pub(crate) struct Completion {
    slot: Mutex<Slot>,
    answered: Condvar,
}

impl Completion {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: Result<Outcome>) {
        let mut slot = self.lock();
        slot.answer = Some(answer);
        let (waker, waiting) = (slot.waker.take(), slot.waiting);
        drop(slot);
        if waiting {
            self.answered.notify_all();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn take(&self) -> Option<Result<Outcome>> {
        self.lock().answer.take()
    }

    pub(crate) fn wait(&self) -> Result<Outcome> {
        let mut slot = self.lock();
        loop {
            if let Some(answer) = slot.answer.take() {
                return answer;
            }
            slot.waiting = true;
            slot = self.answered.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Result<Outcome>> {
        let mut slot = self.lock();
        match slot.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                slot.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }
}

/// The sequencer's side of a completion: whoever drops it unanswered (a panic) has answered that nothing is known.
pub(crate) struct Promise(Option<Arc<Completion>>);

impl Promise {
    pub(crate) fn new() -> (Promise, Arc<Completion>) {
        let completion = Arc::<Completion>::default();
        (Promise(Some(completion.clone())), completion)
    }

    pub(crate) fn answer(mut self, answer: Result<Outcome>) {
        if let Some(completion) = self.0.take() {
            completion.answer(answer);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(completion) = self.0.take() {
            let reason = "the sequencer stopped in the middle";
            completion.answer(Err(Error::new(Code::OutcomeUnknown).with("reason", reason)));
        }
    }
}
