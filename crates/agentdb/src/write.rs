//! Writes on their way: built, then awaited or waited for.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use agentdb_engine::{Batch, Committed, Engine, NamespaceId, Request, WriteOptions, WriteRequest};
use agentdb_types::{Code, Error, Result};
use serde_json::{Map, Value};

/// What every kind of write can be told.
macro_rules! options {
    () => {
        /// What the answer is to mean; durable if not said otherwise.
        ///
        /// ```
        /// # use agentdb::{Ack, json};
        /// # let dir = tempfile::tempdir().unwrap();
        /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
        /// let put = ns.state("agent-7").put("mood", json!("calm")).ack(Ack::Written);
        /// ns.batch().push(put).wait().expect_err("what it means is said of the batch, not of a part");
        /// let put = ns.state("agent-7").put("mood", json!("calm"));
        /// ns.batch().push(put).ack(Ack::Written).wait()?;
        /// # Ok::<(), agentdb::Error>(())
        /// ```
        pub fn ack(mut self, ack: $crate::Ack) -> Self {
            self.options.ack = ack;
            self
        }

        /// A key that makes a retry safe: the outcome is kept for 24 hours, and the same request with the same key is
        /// answered with it and changes nothing.
        ///
        /// ```
        /// # use agentdb::json;
        /// # let dir = tempfile::tempdir().unwrap();
        /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
        /// for _try in 0..2 {
        ///     let calls = ns.state("agent-7").increment("calls", 1).idempotency_key("request-1").wait()?;
        ///     assert_eq!(calls.response.value, 1);
        /// }
        /// # Ok::<(), agentdb::Error>(())
        /// ```
        pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
            self.options.idempotency_key = Some(key.into());
            self
        }

        /// Who asks, for the log.
        ///
        /// ```
        /// # use agentdb::json;
        /// # let dir = tempfile::tempdir().unwrap();
        /// # let db = agentdb::Database::open(dir.path())?;
        /// db.namespace("default")?.state("agent-7").put("plan", json!(1)).principal("ann").wait()?;
        /// db.read_log(None, &mut |entry| {
        ///     assert_eq!(entry.principal.as_deref(), Some("ann"));
        ///     Ok(true)
        /// })?;
        /// # Ok::<(), agentdb::Error>(())
        /// ```
        pub fn principal(mut self, principal: impl Into<String>) -> Self {
            self.options.principal = Some(principal.into());
            self
        }

        /// Whose data it is: sealed in the log with the subject's key.
        ///
        /// ```
        /// # use agentdb::json;
        /// # let dir = tempfile::tempdir().unwrap();
        /// # let db = agentdb::Database::open(dir.path())?;
        /// db.namespace("default")?.state("agent-7").put("birthday", json!("05-17")).subject("ann").wait()?;
        /// db.read_log(None, &mut |entry| {
        ///     assert!(entry.mutations.iter().any(|mutation| mutation.sealed));
        ///     Ok(true)
        /// })?;
        /// # Ok::<(), agentdb::Error>(())
        /// ```
        pub fn subject(mut self, subject: impl Into<String>) -> Self {
            self.options.subject = Some(subject.into());
            self
        }

        /// All of the above at once, replacing what was said before.
        ///
        /// ```
        /// # use agentdb::{WriteOptions, json};
        /// # let dir = tempfile::tempdir().unwrap();
        /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
        /// let options = WriteOptions { idempotency_key: Some("request-1".into()), ..WriteOptions::default() };
        /// ns.state("agent-7").put("plan", json!(1)).options(options.clone()).wait()?;
        /// assert!(ns.state("agent-7").put("plan", json!(2)).options(options).wait().is_err());
        /// # Ok::<(), agentdb::Error>(())
        /// ```
        pub fn options(mut self, options: $crate::WriteOptions) -> Self {
            self.options = options;
            self
        }
    };
}

pub(crate) use options;

/// One write: built, then awaited or waited for. A mistake in building it is told then.
///
/// ```
/// # use agentdb::json;
/// # let dir = tempfile::tempdir().unwrap();
/// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
/// // On any runtime; here a minimal one.
/// let stored = pollster::block_on(async {
///     let state = ns.state("agent-7");
///     state.put("plan", json!({"step": 1})).await?;
///     state.patch("plan", json!({"step": 2})).await
/// })?;
/// assert_eq!(stored.response.value["step"], 2);
/// # Ok::<(), agentdb::Error>(())
/// ```
#[must_use = "a write does nothing until it is awaited or waited for"]
pub struct Write<R> {
    engine: Engine,
    namespace: NamespaceId,
    request: Result<R>,
    options: WriteOptions,
}

impl<R: WriteRequest> Write<R> {
    pub(crate) fn new(engine: Engine, namespace: NamespaceId, request: R) -> Self {
        Write { engine, namespace, request: Ok(request), options: WriteOptions::default() }
    }

    options!();

    /// Changes the request.
    pub(crate) fn with(self, change: impl FnOnce(&mut R)) -> Self {
        self.try_with(|request| {
            change(request);
            Ok(())
        })
    }

    /// Changes the request; the first mistake is kept until the write is waited for.
    pub(crate) fn try_with(mut self, change: impl FnOnce(&mut R) -> Result<()>) -> Self {
        self.request = self.request.and_then(|mut request| change(&mut request).map(|()| request));
        self
    }

    /// Queues the write and blocks until it is answered.
    ///
    /// # Errors
    /// Those of the operation and of the queue.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let answer = ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert_eq!(answer.lsn, answer.response.version);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn wait(self) -> Result<Committed<R::Response>> {
        self.engine.write(self.namespace, self.request?, self.options)?.wait()
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<Committed<T>>> + Send>>;

impl<R: WriteRequest> IntoFuture for Write<R> {
    type Output = Result<Committed<R::Response>>;
    type IntoFuture = Answer<R::Response>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.engine.write(self.namespace, self.request?, self.options)?.await })
    }
}

/// What a batch takes: a request, or a [`Write`] that a handle made.
pub trait IntoRequest {
    /// The request.
    type Request: WriteRequest;

    /// The request for a batch of `namespace`.
    ///
    /// # Errors
    /// A mistake in building it; [`Code::InvalidValue`] for a write of another namespace or with options of its own, which
    /// belong to the batch.
    #[doc(hidden)]
    fn into_request(self, namespace: NamespaceId) -> Result<Self::Request>;
}

impl<R: WriteRequest> IntoRequest for R {
    type Request = R;

    fn into_request(self, _namespace: NamespaceId) -> Result<R> {
        Ok(self)
    }
}

impl<R: WriteRequest> IntoRequest for Write<R> {
    type Request = R;

    fn into_request(self, namespace: NamespaceId) -> Result<R> {
        let refuse =
            |reason: &str| Error::new(Code::InvalidValue).with("field", "batch").with("reason", reason);
        if self.options != WriteOptions::default() {
            return Err(refuse("acknowledgement, keys, principal and subject are said of the whole batch"));
        }
        if self.namespace != namespace && self.namespace != NamespaceId::SYSTEM {
            return Err(refuse("a write of another namespace cannot be part of it"));
        }
        self.request
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
    ///
    /// ```
    /// # use agentdb::{json, modules::state::Put};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// ns.batch()
    ///     .push(state.increment("steps", 1))
    ///     .push(ns.session("s1").append("user", "hello").owner("agent-7"))
    ///     .push(Put::new("agent-7", "plan", json!({"step": 1})))
    ///     .wait()?;
    /// // Not one of them without the others.
    /// let refused = ns.batch().push(state.increment("steps", 1)).push(state.take("none")).wait().unwrap_err();
    /// assert_eq!((refused.value("batch_position"), refused.value("batch_operation")), (Some("1"), Some("state.take")));
    /// assert_eq!(state.get("steps")?.unwrap().value, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn push<I: IntoRequest>(mut self, request: I) -> Self {
        let namespace = self.namespace;
        self.batch = self.batch.and_then(|mut batch| {
            let operation = <I::Request as Request>::ABOUT.name;
            let request =
                request.into_request(namespace).map_err(|err| err.in_batch(batch.len(), operation))?;
            batch.push(&self.engine, request)?;
            Ok(batch)
        });
        self
    }

    /// Adds a write in JSON form.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let put = json!({"owner": "agent-7", "key": "plan", "value": 1});
    /// let answer = ns.batch().push_json("state.put", put).wait()?;
    /// assert_eq!(answer.response[0]["created"], true);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn push_json(mut self, operation: &str, request: Value) -> Self {
        self.batch = self
            .batch
            .and_then(|mut batch| batch.push_json(&self.engine, operation, request).map(|()| batch));
        self
    }

    /// Commits the batch and blocks until it is answered: a response for each write, in JSON form.
    ///
    /// # Errors
    /// Those of the first write that is refused, in their order, with its position (`batch_position`, from 0) and its name
    /// (`batch_operation`) among the error's values; those of the queue.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.batch().wait()?.response.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
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

/// A duration in the microseconds of requests, rounded up: what is asked to live never lives shorter. One that no request
/// can hold becomes the longest there is, which is refused as out of range.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// The fields of a JSON object.
pub(crate) fn object(field: &'static str, value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map),
        _ => {
            Err(Error::new(Code::InvalidValue).with("field", field).with("reason", "it is not a JSON object"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up_and_never_wrap() {
        for (duration, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_nanos(1_001), 2),
            (Duration::from_secs(3), 3_000_000),
            (Duration::MAX, i64::MAX),
        ] {
            assert_eq!(micros(duration), expected);
        }
    }
}
