//! The answer to a queued write: filled once by the sequencer, awaited or waited for by the caller. Those who wait are
//! woken together, once a group: waking each alone would cost more than deciding its request.

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
}

#[derive(Default)]
pub(crate) struct Completion {
    slot: Mutex<Slot>,
}

impl Completion {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: Result<Outcome>) {
        let mut slot = self.lock();
        slot.answer = Some(answer);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn take(&self) -> Option<Result<Outcome>> {
        self.lock().answer.take()
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

/// Requests that the sequencer took from the queue together, by number: mostly those of one group.
pub(crate) type Round = u64;

const SLOTS: usize = 8;

/// Where callers wait, by round. Rounds that share a slot wake each other for nothing, which is rare and harmless.
#[derive(Default)]
pub(crate) struct WaitingRoom([WaitingSlot; SLOTS]);

#[derive(Default)]
struct WaitingSlot {
    door: Mutex<()>,
    called: Condvar,
}

impl WaitingRoom {
    fn slot(&self, round: Round) -> &WaitingSlot {
        &self.0[round as usize % SLOTS]
    }

    /// Blocks until the completion, whose request is of this round, is answered.
    pub(crate) fn wait(&self, round: Round, completion: &Completion) -> Result<Outcome> {
        let slot = self.slot(round);
        let mut door = slot.door.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(answer) = completion.take() {
                return answer;
            }
            door = slot.called.wait(door).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes those who wait for answers of this round, which have been given.
    pub(crate) fn call(&self, round: Round) {
        let slot = self.slot(round);
        // Whoever looked before the answer was there is waiting by the time the door can be taken.
        drop(slot.door.lock().unwrap_or_else(PoisonError::into_inner));
        slot.called.notify_all();
    }

    /// Wakes everyone.
    pub(crate) fn call_all(&self) {
        (0..SLOTS as Round).for_each(|round| self.call(round));
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
