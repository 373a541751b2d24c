//! What the database should be: plain maps, no log, no files, one thread.
//!
//! Maps are shared between the models of successive LSNs and copied when they change.

pub(crate) mod blob;
pub(crate) mod changes;
pub(crate) mod checkpoint;
mod filter;
pub(crate) mod history;
pub(crate) mod item;
pub(crate) mod link;
pub(crate) mod record;
pub(crate) mod retention;
mod search;
pub(crate) mod session;
pub(crate) mod sparse;
pub(crate) mod state;
pub(crate) mod tool_call;

use std::collections::BTreeMap;
use std::rc::Rc;

use agentdb_env::sim::Random;
use agentdb_types::{Code, Id, Timestamp, limits};
use serde_json::{Map, Value, json};

use self::blob::Blob;
use self::checkpoint::Thread;
pub(crate) use self::history::Past;
use self::history::Retentions;
use self::item::{Item, ItemIndex};
use self::record::Collection;
pub(crate) use self::search::Search;
use self::session::Session;
use self::state::State;
use self::tool_call::{Call, Place};

/// A write of the simulation: operations of one namespace that go together.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) namespace: u64,
    pub(crate) operations: Vec<(&'static str, Value)>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) written: bool,
    /// What it is refused with before it is queued, if it is malformed.
    pub(crate) malformed: Option<Code>,
    /// The index of items that was visible when it was queued: the texts of items were encoded for that.
    pub(crate) seen: Option<Rc<ItemIndex>>,
    /// The records that a deletion by a filter found when it arrived.
    pub(crate) found: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Remembered {
    request: String,
    lsn: u64,
    responses: Vec<Value>,
    expires: i64,
}

/// One namespace. What has expired stays in it until a sweep is known to have taken it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Namespace {
    pub(crate) states: Rc<BTreeMap<(String, String), Rc<State>>>,
    pub(crate) sessions: Rc<BTreeMap<String, Rc<Session>>>,
    pub(crate) collections: Rc<BTreeMap<String, Rc<Collection>>>,
    collections_created: u64,
    pub(crate) links: Rc<link::Links>,
    nodes_created: u64,
    pub(crate) blobs: Rc<BTreeMap<String, Rc<Blob>>>,
    pub(crate) threads: Rc<BTreeMap<String, Rc<Thread>>>,
    pub(crate) calls: Rc<BTreeMap<Place, Rc<Call>>>,
    pub(crate) items: Rc<BTreeMap<item::Place, Rc<Item>>>,
    pub(crate) item_index: Option<Rc<ItemIndex>>,
    /// When the bytes of a deleted blob may go.
    pub(crate) dues: Rc<BTreeMap<String, i64>>,
    idempotency: Rc<BTreeMap<String, Rc<Remembered>>>,
    pub(crate) retention: Retentions,
    pub(crate) policies: BTreeMap<&'static str, retention::Policy>,
}

/// The whole database at one LSN.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) lsn: u64,
    pub(crate) namespaces: BTreeMap<u64, Namespace>,
    pub(crate) names: BTreeMap<String, u64>,
    created: u64,
    /// The first LSN whose time is still known.
    pub(crate) moments_from: u64,
}

impl Default for Model {
    fn default() -> Self {
        Model {
            lsn: 0,
            namespaces: [(1, Namespace::default())].into(),
            names: BTreeMap::new(),
            created: 0,
            moments_from: 1,
        }
    }
}

/// What a request is answered with: the LSN and the responses, or the code of the refusal.
pub(crate) type Answer = Result<(u64, Vec<Value>), Code>;

/// What an operation answers, and whether it wrote anything.
type Decision = Result<(Value, bool), Code>;

/// When a request is decided, and where generated ids come from.
struct Moment<'a> {
    lsn: u64,
    now: i64,
    ids: &'a mut Random,
    namespace: u64,
    past: &'a Past,
    moments_from: u64,
    seen: Option<&'a ItemIndex>,
    found: &'a [String],
}

impl Moment<'_> {
    fn new_id(&mut self) -> String {
        let mut random = [0; 10];
        self.ids.fill(&mut random);
        Id::ordered(self.now.unsigned_abs(), self.lsn, random).into()
    }

    /// When something with this field of a request expires.
    fn expiry(&self, ttl: &Value) -> Result<Option<i64>, Code> {
        match ttl.as_i64() {
            None => Ok(None),
            Some(ttl) if ttl > 0 => {
                let end = self.now.checked_add(ttl).filter(|e| *e <= limits::TIME_MAX_US);
                end.map(Some).ok_or(Code::TtlOutOfRange)
            }
            Some(_) => Err(Code::TtlOutOfRange),
        }
    }
}

pub(crate) fn time(micros: i64) -> Value {
    json!(Timestamp::from_micros(micros).map(|t| t.to_string()).unwrap_or_default())
}

fn text(fields: &Value, name: &str) -> String {
    fields[name].as_str().unwrap_or_default().to_owned()
}

fn given_text(fields: &Value, name: &str) -> Option<String> {
    fields[name].as_str().map(str::to_owned)
}

fn given_map(fields: &Value, name: &str) -> Map<String, Value> {
    fields[name].as_object().cloned().unwrap_or_default()
}

fn check_id(text: &str) -> Result<(), Code> {
    match text.len() {
        0 => Err(Code::IdEmpty),
        1..=limits::ID_BYTES => Ok(()),
        _ => Err(Code::IdTooLong),
    }
}

fn check_name(text: &str) -> Result<(), Code> {
    check_id(text)?;
    let allowed = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    if text.starts_with('.') || !text.chars().all(allowed) { Err(Code::InvalidName) } else { Ok(()) }
}

fn check_size(bytes: usize) -> Result<(), Code> {
    if bytes > limits::VALUE_BYTES { Err(Code::ValueTooLarge) } else { Ok(()) }
}

fn check_value(value: &Value) -> Result<(), Code> {
    check_size(value.to_string().len())
}

fn check_map(map: &Map<String, Value>) -> Result<(), Code> {
    if map.is_empty() { Ok(()) } else { check_value(&Value::Object(map.clone())) }
}

/// A merge patch. What it removes need not be there; an object takes the place of what is none.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(name)),
            Value::Object(inner) => {
                let mut merged = target.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
                merge(&mut merged, inner);
                target.insert(name.clone(), Value::Object(merged));
            }
            _ => drop(target.insert(name.clone(), value.clone())),
        }
    }
}

/// Adds fields that are there only if they have a value.
pub(crate) fn with(mut entry: Value, fields: &[(&str, Option<Value>)]) -> Value {
    for (name, value) in fields {
        if let Some(value) = value {
            entry[*name] = value.clone();
        }
    }
    entry
}

fn is_live(expires: Option<i64>, now: i64) -> bool {
    expires.is_none_or(|e| e > now)
}

impl Model {
    /// A number that no namespace had before.
    pub(crate) fn allot(&mut self) -> u64 {
        self.created += 1;
        1 + self.created
    }

    /// Decides a request; the model moves on only if it changes something.
    pub(crate) fn decide(&mut self, request: &Request, now: i64, ids: &mut Random, past: &Past) -> Answer {
        let (after, answer) = self.attempt(request, now, ids, past)?;
        if let Some(after) = after {
            *self = after;
        }
        Ok(answer)
    }

    #[allow(clippy::type_complexity)]
    fn attempt(
        &self,
        request: &Request,
        now: i64,
        ids: &mut Random,
        past: &Past,
    ) -> Result<(Option<Model>, (u64, Vec<Value>)), Code> {
        let mut after = self.clone();
        let lsn = self.lsn + 1;
        after.lsn = lsn;
        if let [(name @ ("namespace.create" | "namespace.delete"), fields)] = &request.operations[..] {
            let response = after.namespace_operation(name, fields)?;
            return Ok((Some(after), (lsn, vec![response])));
        }
        let namespace = after.namespaces.get_mut(&request.namespace).ok_or(Code::NamespaceNotFound)?;
        let fingerprint = format!("{:?}", request.operations);
        if let Some(key) = &request.idempotency_key {
            check_id(key)?;
            if request.operations.iter().any(|(name, _)| *name == "tool_call.claim") {
                return Err(Code::NotRepeatable);
            }
            if let Some(remembered) = namespace.idempotency.get(key).filter(|r| r.expires > now) {
                if remembered.request != fingerprint {
                    return Err(Code::IdempotencyConflict);
                }
                return Ok((None, (remembered.lsn, remembered.responses.clone())));
            }
        }
        if request.operations.len() > limits::BATCH_MUTATIONS {
            // The generator makes such a batch of puts of different keys alone.
            return Err(Code::BatchTooLarge);
        }
        let (namespace_number, moments_from) = (request.namespace, self.moments_from);
        let seen = request.seen.as_deref();
        let mut moment = Moment {
            lsn,
            now,
            ids,
            namespace: namespace_number,
            past,
            moments_from,
            seen,
            found: &request.found,
        };
        let mut responses = Vec::new();
        let mut changed = false;
        for (name, fields) in &request.operations {
            let (response, wrote) = namespace.operation(name, fields, &mut moment)?;
            responses.push(response);
            changed |= wrote;
        }
        if let Some(key) = &request.idempotency_key {
            let expires = now + limits::IDEMPOTENCY_KEPT_US;
            let remembered = Remembered { request: fingerprint, lsn, responses: responses.clone(), expires };
            Rc::make_mut(&mut namespace.idempotency).insert(key.clone(), Rc::new(remembered));
            changed = true;
        }
        if changed { Ok((Some(after), (lsn, responses))) } else { Ok((None, (lsn - 1, responses))) }
    }

    fn namespace_operation(&mut self, name: &str, fields: &Value) -> Result<Value, Code> {
        let called = text(fields, "name");
        if name == "namespace.create" {
            check_name(&called)?;
            if called == "default" || self.names.contains_key(&called) {
                return Err(Code::NamespaceExists);
            }
            let number = self.allot();
            self.names.insert(called, number);
            self.namespaces.insert(number, Namespace::default());
            return Ok(json!({"number": number}));
        }
        if called == "default" {
            return Err(Code::InvalidValue);
        }
        let number = self.names.remove(&called).ok_or(Code::NamespaceNotFound)?;
        self.namespaces.remove(&number);
        Ok(json!({"number": number}))
    }

    /// Forgets everything that has expired: a sweep found nothing more to do at this time.
    pub(crate) fn purge(&mut self, now: i64) {
        for namespace in self.namespaces.values_mut() {
            namespace.purge(now);
        }
    }
}

impl Namespace {
    fn operation(&mut self, name: &str, fields: &Value, moment: &mut Moment<'_>) -> Decision {
        match name.split('.').next() {
            Some("retention") => self.set_retention(fields, moment),
            Some("state") => self.state_operation(name, fields, moment),
            Some("session") => self.session_operation(name, fields, moment),
            Some("message") => self.message_operation(name, fields, moment),
            Some("collection") => self.collection_operation(name, fields, moment),
            Some("link") => self.link_operation(name, fields, moment),
            Some("item") => self.item_operation(name, fields, moment),
            Some("record") => self.record_operation(name, fields, moment),
            Some("tool_call") => self.call_operation(name, fields, moment),
            Some("checkpoint" | "thread") => self.thread_operation(name, fields, moment),
            _ => self.blob_operation(name, fields, moment),
        }
    }

    fn purge(&mut self, now: i64) {
        Rc::make_mut(&mut self.states).retain(|_, state| state.live(now));
        Rc::make_mut(&mut self.sessions).retain(|_, session| session.live(now));
        Rc::make_mut(&mut self.calls).retain(|_, call| call.live(now));
        Rc::make_mut(&mut self.items).retain(|_, item| item.live(now));
        Rc::make_mut(&mut self.idempotency).retain(|_, remembered| remembered.expires > now);
        for collection in Rc::make_mut(&mut self.collections).values_mut() {
            if collection.records.values().any(|record| !record.live(now)) {
                Rc::make_mut(collection).records.retain(|_, record| record.live(now));
            }
        }
        self.purge_links();
    }

    /// How many outcomes of idempotency keys are kept.
    pub(crate) fn remembered(&self) -> usize {
        self.idempotency.len()
    }
}
