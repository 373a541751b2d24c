//! Writes on their way: built, then awaited or waited for.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use agentdb_engine::{Ack, Batch, Committed, Engine, NamespaceId, WriteOptions, WriteRequest};
use agentdb_types::Result;
use serde_json::Value;

macro_rules! options {
    () => {
        /// What the answer is to mean; durable if not said otherwise.
        pub fn ack(mut self, ack: Ack) -> Self {
            self.options.ack = ack;
            self
        }

        /// A key that makes a retry safe: the outcome is kept for 24 hours.
        pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
            self.options.idempotency_key = Some(key.into());
            self
        }

        /// Who asks, for the log.
        pub fn principal(mut self, principal: impl Into<String>) -> Self {
            self.options.principal = Some(principal.into());
            self
        }

        /// Whose data it is: sealed in the log with the subject's key.
        pub fn subject(mut self, subject: impl Into<String>) -> Self {
            self.options.subject = Some(subject.into());
            self
        }
    };
}

/// One write.
#[must_use = "a write does nothing until it is awaited or waited for"]
pub struct Write<R> {
    engine: Engine,
    namespace: NamespaceId,
    request: R,
    options: WriteOptions,
}

impl<R: WriteRequest> Write<R> {
    pub(crate) fn new(engine: Engine, namespace: NamespaceId, request: R) -> Self {
        Write { engine, namespace, request, options: WriteOptions::default() }
    }

    options!();

    /// Queues the write and blocks until it is answered.
    ///
    /// # Errors
    /// Those of the operation and of the queue.
    pub fn wait(self) -> Result<Committed<R::Response>> {
        self.engine.write(self.namespace, self.request, self.options)?.wait()
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<Committed<T>>> + Send>>;

impl<R: WriteRequest> IntoFuture for Write<R> {
    type Output = Result<Committed<R::Response>>;
    type IntoFuture = Answer<R::Response>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.engine.write(self.namespace, self.request, self.options)?.await })
    }
}

/// Several writes that are committed together, or not at all.
#[must_use = "a batch does nothing until it is awaited or waited for"]
pub struct WriteBatch {
    engine: Engine,
    namespace: NamespaceId,
    batch: Result<Batch>,
    options: WriteOptions,
}

impl WriteBatch {
    pub(crate) fn new(engine: Engine, namespace: NamespaceId) -> Self {
        WriteBatch { engine, namespace, batch: Ok(Batch::new()), options: WriteOptions::default() }
    }

    options!();

    /// Adds a write; a mistake in it is told when the batch is committed.
    pub fn push<R: WriteRequest>(mut self, request: R) -> Self {
        self.batch = self.batch.and_then(|mut batch| batch.push(&self.engine, request).map(|()| batch));
        self
    }

    /// Adds a write in JSON form.
    pub fn push_json(mut self, operation: &str, request: Value) -> Self {
        self.batch = self
            .batch
            .and_then(|mut batch| batch.push_json(&self.engine, operation, request).map(|()| batch));
        self
    }

    /// Commits the batch and blocks until it is answered: a response for each write, in JSON form.
    ///
    /// # Errors
    /// Those of the first write that is refused, in their order, and those of the queue.
    pub fn wait(self) -> Result<Committed<Vec<Value>>> {
        self.engine.write_batch(self.namespace, self.batch?, self.options)?.wait()
    }
}

impl IntoFuture for WriteBatch {
    type Output = Result<Committed<Vec<Value>>>;
    type IntoFuture = Answer<Vec<Value>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.engine.write_batch(self.namespace, self.batch?, self.options)?.await })
    }
}
