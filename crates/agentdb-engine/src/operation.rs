//! The operation table: what an operation is, declared once, in its module.

use std::any::Any;
use std::sync::OnceLock;

use agentdb_types::{Code, Error, Result, json};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::tx::Tx;
use crate::{Engine, NamespaceId, modules};

/// How an operation is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A request, a response.
    Unary,
    /// A request, then bytes or items one after another.
    Stream,
    /// A request and bytes, then a response.
    Upload,
    /// A request, then progress, then a response. Some of these have a row that tells of them: those are jobs.
    Long,
}

/// What an operation does to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    Read,
    /// It changes rows.
    Write,
    /// It changes rows, and may be part of a batch.
    Batchable,
}

/// Where an operation works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In one namespace.
    Namespace,
    /// In the list of namespaces, or on the whole database.
    Database,
}

/// What is said of an operation beside its types.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name: noun, dot, verb.
    pub name: &'static str,
    /// What it does, in one sentence, then more if needed.
    pub doc: &'static str,
    /// The effect.
    pub effect: Effect,
    /// Where it works.
    pub scope: Scope,
    /// The permission that it needs.
    pub permission: &'static str,
    /// The fields of the request that name the resource it touches, from the outside in.
    pub resource: &'static [&'static str],
    /// Fields of request and response that hold what users wrote, and that a log or a trace must not show.
    pub sensitive: &'static [&'static str],
    /// The errors of its own, beside those of every operation.
    pub errors: &'static [Code],
}

/// A request of an operation: its fields, and what it is answered with.
pub trait Request: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// The response.
    type Response: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// What is said of the operation.
    const ABOUT: About;
}

/// A write that the sequencer decides.
pub trait WriteRequest: Request {
    /// Whether its answer may be given a second time, to a retry with the same idempotency key.
    const REPEATABLE: bool = true;

    /// Done on the caller's thread before the request is queued: encoding, keys, whatever takes long.
    ///
    /// # Errors
    /// Any; nothing has happened then.
    fn prepare(&mut self, engine: &Engine) -> Result<()> {
        let _ = engine;
        Ok(())
    }

    /// Done next on the caller's thread, now that the namespace is known: what takes long and depends on what is stored. Nothing
    /// keeps that from changing before the decision, which must look again.
    ///
    /// # Errors
    /// Any; nothing has happened then.
    fn prepare_in(&mut self, engine: &Engine, namespace: NamespaceId) -> Result<()> {
        let _ = (engine, namespace);
        Ok(())
    }

    /// Decides: reads the latest state, collects changes. It must depend on nothing but `self` and `tx`.
    ///
    /// # Errors
    /// Any; the changes are dropped then.
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Self::Response>;

    /// About how many bytes the request holds, for back-pressure.
    fn weight(&self) -> usize {
        256
    }
}

/// A read of rows.
pub trait ReadRequest: Request {
    /// Done first, outside the snapshot.
    ///
    /// # Errors
    /// Any.
    fn prepare(&mut self, engine: &Engine) -> Result<()> {
        let _ = engine;
        Ok(())
    }

    /// Answers from one snapshot.
    ///
    /// # Errors
    /// Any.
    fn read(&self, snapshot: &crate::Snapshot) -> Result<Self::Response>;
}

/// A response whose type the queue does not know.
pub(crate) struct AnyResponse {
    pub(crate) value: Box<dyn Any + Send>,
    to_json: fn(&dyn Any) -> Result<Value>,
}

impl AnyResponse {
    fn of<T: Serialize + Send + 'static>(value: T) -> Self {
        AnyResponse { value: Box::new(value), to_json: to_json::<T> }
    }

    pub(crate) fn json(&self) -> Result<Value> {
        (self.to_json)(&*self.value)
    }
}

fn to_json<T: Serialize + 'static>(value: &dyn Any) -> Result<Value> {
    match value.downcast_ref::<T>() {
        Some(value) => encode_json(value),
        None => Err(unencodable("a response of another type")),
    }
}

/// A value as JSON.
///
/// # Errors
/// [`Code::InvalidJson`] if it has no JSON form.
pub(crate) fn encode_json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(unencodable)
}

fn unencodable(reason: impl std::fmt::Display) -> Error {
    Error::new(Code::InvalidJson).with("field", "response").with("reason", reason)
}

/// A write request whose type the queue does not know.
pub(crate) trait AnyWrite: Send {
    fn name(&self) -> &'static str;
    fn prepare_in(&mut self, engine: &Engine, namespace: NamespaceId) -> Result<()>;
    fn decide(&self, tx: &mut Tx<'_>) -> Result<AnyResponse>;
    /// The request in canonical JSON, to tell whether a retry is the same request.
    fn fingerprint(&self) -> Result<Vec<u8>>;
    /// A response that was stored as JSON.
    fn revive(&self, stored: Value) -> Result<AnyResponse>;
    /// Whether the request may have an idempotency key.
    fn repeatable(&self) -> bool;
    fn weight(&self) -> usize;
}

impl<R: WriteRequest> AnyWrite for R {
    fn name(&self) -> &'static str {
        R::ABOUT.name
    }

    fn prepare_in(&mut self, engine: &Engine, namespace: NamespaceId) -> Result<()> {
        WriteRequest::prepare_in(self, engine, namespace)
    }

    fn decide(&self, tx: &mut Tx<'_>) -> Result<AnyResponse> {
        WriteRequest::decide(self, tx).map(AnyResponse::of)
    }

    fn fingerprint(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(unencodable)
    }

    fn revive(&self, stored: Value) -> Result<AnyResponse> {
        serde_json::from_value::<R::Response>(stored).map(AnyResponse::of).map_err(unencodable)
    }

    fn repeatable(&self) -> bool {
        R::REPEATABLE
    }

    fn weight(&self) -> usize {
        WriteRequest::weight(self)
    }
}

/// What calls an operation by name.
pub(crate) enum Call {
    Read(fn(&Engine, &crate::Snapshot, Value) -> Result<Value>),
    Write(fn(&Engine, Value) -> Result<Box<dyn AnyWrite>>),
    /// Called in a way of its own shape, through the typed interface.
    Shaped,
}

/// A row of the operation table.
pub struct Operation {
    /// What is said of it.
    pub about: About,
    /// How it is called.
    pub shape: Shape,
    pub(crate) call: Call,
    decodes: fn(Value) -> Result<()>,
    schemas: fn() -> (Schema, Schema),
    fields: OnceLock<Fields>,
}

impl Operation {
    /// The row of a read.
    pub fn read<R: ReadRequest>() -> Self {
        Operation {
            about: R::ABOUT,
            shape: Shape::Unary,
            call: Call::Read(|engine, snapshot, request| {
                let mut request: R = decode(request)?;
                request.prepare(engine)?;
                snapshot.check_operation(R::ABOUT.name)?;
                encode_json(&request.read(snapshot)?)
            }),
            decodes: |request| decode::<R>(request).map(drop),
            schemas: schemas::<R>,
            fields: OnceLock::new(),
        }
    }

    /// The row of a write.
    pub fn write<R: WriteRequest>() -> Self {
        Operation {
            about: R::ABOUT,
            shape: Shape::Unary,
            call: Call::Write(|engine, request| {
                let mut request: R = decode(request)?;
                request.prepare(engine)?;
                Ok(Box::new(request))
            }),
            decodes: |request| decode::<R>(request).map(drop),
            schemas: schemas::<R>,
            fields: OnceLock::new(),
        }
    }

    /// The row of an operation of another shape.
    pub fn shaped<R: Request>(shape: Shape) -> Self {
        Operation {
            about: R::ABOUT,
            shape,
            call: Call::Shaped,
            decodes: |request| decode::<R>(request).map(drop),
            schemas: schemas::<R>,
            fields: OnceLock::new(),
        }
    }

    /// The row of the table of this name.
    ///
    /// # Errors
    /// [`Code::UnknownOperation`].
    pub fn named(name: &str) -> Result<&'static Operation> {
        modules::operation(name)
    }

    /// The row of the table in its JSON form.
    pub fn to_json(&self) -> Value {
        let about = &self.about;
        let (request, response) = self.schemas();
        let errors: Vec<Value> =
            about.errors.iter().map(|c| serde_json::json!({"code": c.number(), "name": c.name()})).collect();
        serde_json::json!({
            "name": about.name,
            "doc": about.doc,
            "shape": self.shape,
            "effect": about.effect,
            "scope": about.scope,
            "permission": about.permission,
            "resource": about.resource,
            "sensitive": about.sensitive,
            "errors": errors,
            "request": request,
            "response": response,
        })
    }

    /// The JSON schemas of request and response.
    pub fn schemas(&self) -> (Schema, Schema) {
        (self.schemas)()
    }
}

fn schemas<R: Request>() -> (Schema, Schema) {
    let generator =
        || SchemaGenerator::new(SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true));
    (generator().into_root_schema_for::<R>(), generator().into_root_schema_for::<R::Response>())
}

/// The fields of a request that has been looked at once: what there may be, what there must be.
struct Fields {
    known: Vec<String>,
    required: Vec<String>,
}

impl Operation {
    /// Checks the shape of a request in JSON form, before its fields are read.
    ///
    /// # Errors
    /// [`Code::UnknownField`], [`Code::MissingField`], [`Code::InvalidValue`], [`Code::DepthExceeded`].
    pub fn check(&self, request: &Value) -> Result<()> {
        let name = self.about.name;
        let Value::Object(given) = request else {
            return Err(Error::new(Code::InvalidValue)
                .with("field", name)
                .with("reason", "the request is not a JSON object"));
        };
        given.iter().try_for_each(|(field, value)| json::check_depth(field, value))?;
        let fields = self.fields.get_or_init(|| Fields::of(&(self.schemas)().0));
        if let Some(field) = given.keys().find(|f| !fields.known.contains(f)) {
            return Err(Error::new(Code::UnknownField).with("operation", name).with("field", field).with(
                "known",
                if fields.known.is_empty() { "none".to_owned() } else { fields.known.join(", ") },
            ));
        }
        match fields.required.iter().find(|f| !given.contains_key(*f)) {
            Some(field) => Err(Error::new(Code::MissingField).with("operation", name).with("field", field)),
            None => Ok(()),
        }
    }
}

impl Operation {
    /// Checks a request in JSON form as far as that goes without a database: its shape, and the types of its fields.
    ///
    /// # Errors
    /// Those of [`Operation::check`]; [`Code::InvalidValue`] with the path of the field.
    pub fn check_types(&self, request: &Value) -> Result<()> {
        self.check(request)?;
        (self.decodes)(request.clone())
    }

    /// Refuses an operation that takes more than a request, or answers with more than a response.
    ///
    /// # Errors
    /// [`Code::NotUnary`].
    pub fn check_unary(&self) -> Result<()> {
        let reason = match self.shape {
            Shape::Unary => return Ok(()),
            Shape::Stream => "it answers with one thing after another",
            Shape::Upload => "it takes bytes besides",
            Shape::Long => "it tells how far it is before it answers",
        };
        Err(Error::new(Code::NotUnary).with("operation", self.about.name).with("reason", reason))
    }
}

impl Fields {
    fn of(schema: &Schema) -> Self {
        let known = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        Fields {
            known: known.map(|p| p.keys().cloned().collect()).unwrap_or_default(),
            required: required.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

/// Reads the fields of a request whose shape was checked.
///
/// # Errors
/// [`Code::InvalidValue`] with the path of the field.
pub fn decode<R: Request>(request: Value) -> Result<R> {
    serde_path_to_error::deserialize(request).map_err(|err| {
        let path = err.path().to_string();
        Error::new(Code::InvalidValue).with("field", path).with("reason", json::reason(&err.into_inner()))
    })
}
