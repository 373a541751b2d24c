//! The ways into the engine: a typed request, a batch, a request in JSON form.

use std::sync::Arc;

use agentdb_types::{Code, Error, Lsn, Result};
use serde_json::Value;

use crate::completion::Promise;
use crate::engine::Core;
use crate::history::Point;
use crate::key::NamespaceId;
use crate::modules;
use crate::operation::{AnyWrite, Call, Effect, Operation, ReadRequest, Scope, WriteRequest, encode_json};
use crate::request::{Committed, Origin, Queued, QueuedWrite, Ticket, WriteOptions, typed, untyped};
use crate::{Engine, Snapshot};

/// At which point a read in JSON form is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAt {
    /// At the newest LSN, which must be this one or a later one.
    Least(Lsn),
    /// As of an earlier point, for nouns that have a history.
    AsOf(Point),
}

impl Default for ReadAt {
    fn default() -> Self {
        ReadAt::Least(Lsn::ZERO)
    }
}

impl From<Lsn> for ReadAt {
    fn from(min_lsn: Lsn) -> Self {
        ReadAt::Least(min_lsn)
    }
}

/// Writes of one namespace that are committed together, or not at all.
#[derive(Default)]
pub struct Batch {
    writes: Vec<Box<dyn AnyWrite>>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write. It is decided after those before it, and sees what they do.
    ///
    /// # Errors
    /// [`Code::NotBatchable`], and those of preparing the request; each says which operation of the batch it is about.
    pub fn push<R: WriteRequest>(&mut self, engine: &Engine, mut request: R) -> Result<()> {
        let name = R::ABOUT.name;
        let prepared = match R::ABOUT.effect {
            Effect::Batchable => request.prepare(engine),
            Effect::Read | Effect::Write => Err(Error::new(Code::NotBatchable).with("operation", name)),
        };
        prepared.map_err(|err| err.in_batch(self.len(), name))?;
        self.writes.push(Box::new(request));
        Ok(())
    }

    /// Adds a write in JSON form.
    ///
    /// # Errors
    /// Those of [`Batch::push`], [`Code::UnknownOperation`], and those of a malformed request.
    pub fn push_json(&mut self, engine: &Engine, operation: &str, request: Value) -> Result<()> {
        let write =
            batchable(engine, operation, request).map_err(|err| err.in_batch(self.len(), operation))?;
        self.writes.push(write);
        Ok(())
    }

    /// How many writes it has.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// The write that an operation in JSON form is, for a batch.
fn batchable(engine: &Engine, operation: &str, request: Value) -> Result<Box<dyn AnyWrite>> {
    let operation = modules::operation(operation)?;
    operation.check(&request)?;
    match operation.call {
        Call::Write(make) if operation.about.effect == Effect::Batchable => make(engine, request),
        _ => Err(Error::new(Code::NotBatchable).with("operation", operation.about.name)),
    }
}

impl Engine {
    /// The namespace of this name.
    ///
    /// # Errors
    /// [`Code::NamespaceNotFound`].
    pub fn namespace(&self, name: &str) -> Result<NamespaceId> {
        self.core.find_namespace(name)
    }

    /// Queues a write.
    ///
    /// # Errors
    /// [`Code::QueueFull`], [`Code::RowsBehind`], [`Code::Poisoned`], [`Code::Closed`]; those of preparing the request.
    /// Nothing has happened then.
    pub fn write<R: WriteRequest>(
        &self,
        namespace: NamespaceId,
        mut request: R,
        options: WriteOptions,
    ) -> Result<Ticket<R::Response>> {
        request.prepare(self)?;
        let namespace = scoped(&R::ABOUT.scope, namespace);
        request.prepare_in(self, namespace)?;
        let queued = self.core.enqueue(namespace, vec![Box::new(request)], options, Origin::Call)?;
        Ok(typed::<R>(self.core.clone(), queued))
    }

    /// Queues a batch. Its responses come in the order of its writes, in JSON form.
    ///
    /// # Errors
    /// Those of [`Engine::write`].
    pub fn write_batch(
        &self,
        namespace: NamespaceId,
        mut batch: Batch,
        options: WriteOptions,
    ) -> Result<Ticket<Vec<Value>>> {
        for (position, write) in batch.writes.iter_mut().enumerate() {
            let name = write.name();
            write.prepare_in(self, namespace).map_err(|err| err.in_batch(position, name))?;
        }
        let queued = self.core.enqueue(namespace, batch.writes, options, Origin::Batch)?;
        Ok(untyped(self.core.clone(), queued))
    }

    /// Answers a read from a snapshot.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn read<R: ReadRequest>(&self, snapshot: &Snapshot, mut request: R) -> Result<R::Response> {
        request.prepare(self)?;
        snapshot.check_operation(R::ABOUT.name)?;
        match R::ABOUT.scope {
            Scope::Namespace => request.read(snapshot),
            Scope::Database => request.read(&snapshot.in_namespace(NamespaceId::SYSTEM)),
        }
    }

    /// Calls an operation by name, with its request and response in JSON form. A write waits for its answer; a read is
    /// answered at the newest LSN, or as of an earlier point.
    ///
    /// # Errors
    /// [`Code::UnknownOperation`], [`Code::NotUnary`], those of a malformed request, those of the operation;
    /// [`Code::InvalidValue`] for a write as of an earlier point; those of [`Engine::snapshot_as_of`].
    pub fn call_json(
        &self,
        namespace: NamespaceId,
        operation: &str,
        request: Value,
        options: WriteOptions,
        at: impl Into<ReadAt>,
    ) -> Result<Committed<Value>> {
        let operation = modules::operation(operation)?;
        operation.check_unary()?;
        operation.check(&request)?;
        let namespace = scoped(&operation.about.scope, namespace);
        match operation.call {
            Call::Read(read) => {
                let snapshot = match at.into() {
                    ReadAt::Least(min_lsn) => self.snapshot_at_least(namespace, min_lsn)?,
                    ReadAt::AsOf(point) => self.snapshot_as_of(namespace, point)?,
                };
                Ok(Committed { lsn: snapshot.lsn(), response: read(self, &snapshot, request)? })
            }
            Call::Write(make) => {
                if matches!(at.into(), ReadAt::AsOf(_)) {
                    return Err(Error::new(Code::InvalidValue)
                        .with("field", "as_of")
                        .with("reason", "it is for reads: what was cannot be written"));
                }
                let mut write = make(self, request)?;
                write.prepare_in(self, namespace)?;
                let queued = self.core.enqueue(namespace, vec![write], options, Origin::Call)?;
                let committed = untyped(self.core.clone(), queued).wait()?;
                let response = committed.response.into_iter().next().map_or_else(|| encode_json(&()), Ok)?;
                Ok(Committed { lsn: committed.lsn, response })
            }
            // None that is unary is.
            Call::Shaped => Err(Error::new(Code::UnknownOperation).with("name", operation.about.name)),
        }
    }

    /// The operation table.
    pub fn operations() -> &'static [Operation] {
        modules::operations()
    }
}

fn scoped(scope: &Scope, namespace: NamespaceId) -> NamespaceId {
    match scope {
        Scope::Namespace => namespace,
        Scope::Database => NamespaceId::SYSTEM,
    }
}

impl Core {
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        namespace: NamespaceId,
        writes: Vec<Box<dyn AnyWrite>>,
        options: WriteOptions,
        origin: Origin,
    ) -> Result<Queued> {
        self.check_failed()?;
        if origin != Origin::Engine {
            self.check_room()?;
        }
        if let Some(subject) = &options.subject {
            self.keyring.ensure(subject)?;
        }
        let weight = 256 + writes.iter().map(|w| w.weight()).sum::<usize>();
        let (promise, completion) = Promise::new();
        let write = QueuedWrite { namespace, writes, options, completion: promise, weight, origin, round: 0 };
        let round = self.queue.push(write)?;
        Ok(Queued { completion, round })
    }
}
