//! A write on its way to the sequencer.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use agentdb_types::{Code, Error, Lsn, Result};
use serde_json::Value;

use crate::completion::{Completion, Outcome, Promise, Round};
use crate::engine::Core;
use crate::key::NamespaceId;
use crate::operation::{AnyWrite, WriteRequest};

/// What an answer to a write means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ack {
    /// The outcome is on the disk: it survives `kill -9` and the loss of power.
    #[default]
    Durable,
    /// The outcome was handed to the operating system: it survives `kill -9`, but not the loss of power within the next
    /// moments.
    Written,
}

/// How a write is done, whatever it writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// What the answer means.
    pub ack: Ack,
    /// A key under which the outcome is kept for 24 hours: the same request with the same key is answered with the first
    /// outcome and changes nothing.
    pub idempotency_key: Option<String>,
    /// Who asks, for the log.
    pub principal: Option<String>,
    /// Whose data this is: content is sealed in the log with the subject's key.
    pub subject: Option<String>,
}

/// What a write is answered with: the response, and the LSN of the batch for reads elsewhere (`min_lsn`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// The LSN of the batch.
    pub lsn: Lsn,
    /// The response.
    pub response: T,
}

/// Where a write comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A caller, one operation.
    Call,
    /// A caller's batch.
    Batch,
    /// The engine itself, which may write where nobody else may any more.
    Engine,
}

pub(crate) struct QueuedWrite {
    pub(crate) namespace: NamespaceId,
    pub(crate) writes: Vec<Box<dyn AnyWrite>>,
    pub(crate) options: WriteOptions,
    pub(crate) completion: Promise,
    pub(crate) weight: usize,
    pub(crate) origin: Origin,
    /// Which round of the queue it is taken in; set by the queue.
    pub(crate) round: Round,
}

/// A request that was queued, from the caller's side.
pub(crate) struct Queued {
    pub(crate) completion: Arc<Completion>,
    pub(crate) round: Round,
}

/// A write that was queued. Await it, or [`wait`](Ticket::wait) for it on this thread.
///
/// Dropping it does not take the write back.
#[must_use = "a write is acknowledged only through its ticket"]
pub struct Ticket<T> {
    core: Arc<Core>,
    queued: Queued,
    convert: fn(Outcome) -> Result<Committed<T>>,
    signalled: bool,
    _response: PhantomData<fn() -> T>,
}

impl<T> Ticket<T> {
    fn new(core: Arc<Core>, queued: Queued, convert: fn(Outcome) -> Result<Committed<T>>) -> Self {
        Ticket { core, queued, convert, signalled: false, _response: PhantomData }
    }

    /// Blocks until the answer is there. If no other thread is committing, this thread does it itself.
    ///
    /// # Errors
    /// Those of the operation; [`Code::OutcomeUnknown`], [`Code::Poisoned`], [`Code::Closed`].
    pub fn wait(self) -> Result<Committed<T>> {
        self.core.drive_until(&self.queued).and_then(self.convert)
    }

    /// The answer, if it is there. Once.
    pub fn try_take(&mut self) -> Option<Result<Committed<T>>> {
        self.queued.completion.take().map(|answer| answer.and_then(self.convert))
    }
}

impl<T> Future for Ticket<T> {
    type Output = Result<Committed<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let poll = self.queued.completion.poll(cx.waker());
        if poll.is_pending() && !self.signalled {
            self.signalled = true;
            self.core.begin_driving();
        }
        poll.map(|answer| answer.and_then(self.convert))
    }
}

pub(crate) fn typed<R: WriteRequest>(core: Arc<Core>, queued: Queued) -> Ticket<R::Response> {
    Ticket::new(core, queued, |outcome| {
        let lsn = outcome.lsn;
        let first = outcome.responses.into_iter().next();
        let response = first.and_then(|r| r.value.downcast::<R::Response>().ok());
        match response {
            Some(response) => Ok(Committed { lsn, response: *response }),
            None => Err(Error::new(Code::OutcomeUnknown).with("reason", "the response has another type")),
        }
    })
}

pub(crate) fn untyped(core: Arc<Core>, queued: Queued) -> Ticket<Vec<Value>> {
    Ticket::new(core, queued, |outcome| {
        let response = outcome.responses.iter().map(|r| r.json()).collect::<Result<_>>()?;
        Ok(Committed { lsn: outcome.lsn, response })
    })
}
