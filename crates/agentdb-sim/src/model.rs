//! What the database should be: plain maps, no log, no files, one thread.

use std::collections::BTreeMap;
use std::rc::Rc;

use agentdb_types::{Code, Timestamp, limits};
use serde_json::{Map, Value, json};

/// A write of the simulation: operations of one namespace that go together.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) namespace: u64,
    pub(crate) operations: Vec<(&'static str, Value)>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) written: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) value: Value,
    version: u64,
    created: i64,
    updated: i64,
    expires: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Remembered {
    request: String,
    lsn: u64,
    responses: Vec<Value>,
    expires: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Namespace {
    pub(crate) states: Rc<BTreeMap<(String, String), State>>,
    idempotency: Rc<BTreeMap<String, Remembered>>,
}

/// The whole database at one LSN.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) lsn: u64,
    pub(crate) namespaces: BTreeMap<u64, Namespace>,
    pub(crate) names: BTreeMap<String, u64>,
    created: u64,
}

impl Default for Model {
    fn default() -> Self {
        Model { lsn: 0, namespaces: [(1, Namespace::default())].into(), names: BTreeMap::new(), created: 0 }
    }
}

/// What a request is answered with: the LSN and the responses, or the code of the refusal.
pub(crate) type Answer = Result<(u64, Vec<Value>), Code>;

fn time(micros: i64) -> Value {
    json!(Timestamp::from_micros(micros).map(|t| t.to_string()).unwrap_or_default())
}

impl State {
    fn live(&self, now: i64) -> bool {
        self.expires.is_none_or(|e| e > now)
    }

    pub(crate) fn entry(&self, key: &str) -> Value {
        let mut entry = json!({
            "key": key, "value": self.value, "version": self.version,
            "created": time(self.created), "updated": time(self.updated),
        });
        if let Some(expires) = self.expires {
            entry["expires"] = time(expires);
        }
        entry
    }
}

impl Model {
    /// Decides a request; the model moves on only if it changes something.
    pub(crate) fn decide(&mut self, request: &Request, now: i64) -> Answer {
        let (after, answer) = self.attempt(request, now)?;
        if let Some(after) = after {
            *self = after;
        }
        Ok(answer)
    }

    #[allow(clippy::type_complexity)]
    fn attempt(&self, request: &Request, now: i64) -> Result<(Option<Model>, (u64, Vec<Value>)), Code> {
        let mut after = self.clone();
        let lsn = self.lsn + 1;
        after.lsn = lsn;
        if let [(name @ ("namespace.create" | "namespace.delete"), fields)] = &request.operations[..] {
            let response = after.namespace_operation(name, fields)?;
            return Ok((Some(after), (lsn, vec![response])));
        }
        let namespace = after.namespaces.get_mut(&request.namespace).ok_or(Code::NamespaceNotFound)?;
        let fingerprint = format!("{:?}", request.operations);
        if let Some(key) = &request.idempotency_key
            && let Some(remembered) = namespace.idempotency.get(key).filter(|r| r.expires > now)
        {
            if remembered.request != fingerprint {
                return Err(Code::IdempotencyConflict);
            }
            return Ok((None, (remembered.lsn, remembered.responses.clone())));
        }
        let mut responses = Vec::new();
        let mut changed = false;
        for (name, fields) in &request.operations {
            let (response, wrote) = namespace.state_operation(name, fields, lsn, now)?;
            responses.push(response);
            changed |= wrote;
        }
        if let Some(key) = &request.idempotency_key {
            let expires = now + limits::IDEMPOTENCY_KEPT_US;
            let remembered = Remembered { request: fingerprint, lsn, responses: responses.clone(), expires };
            Rc::make_mut(&mut namespace.idempotency).insert(key.clone(), remembered);
            changed = true;
        }
        if changed { Ok((Some(after), (lsn, responses))) } else { Ok((None, (lsn - 1, responses))) }
    }

    fn namespace_operation(&mut self, name: &str, fields: &Value) -> Result<Value, Code> {
        let called = fields["name"].as_str().unwrap_or_default().to_owned();
        if name == "namespace.create" {
            if called == "default" || self.names.contains_key(&called) {
                return Err(Code::NamespaceExists);
            }
            self.created += 1;
            let number = 1 + self.created;
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
}

impl Namespace {
    /// The states of an owner that have not expired, in the order of their keys.
    pub(crate) fn live(&self, owner: &str, now: i64) -> Vec<Value> {
        let of_owner = self.states.iter().filter(|((o, _), state)| o == owner && state.live(now));
        of_owner.map(|((_, key), state)| state.entry(key)).collect()
    }

    fn state_operation(
        &mut self,
        name: &str,
        fields: &Value,
        lsn: u64,
        now: i64,
    ) -> Result<(Value, bool), Code> {
        let text = |field: &str| fields[field].as_str().unwrap_or_default().to_owned();
        let id = (text("owner"), text("key"));
        for part in [&id.0, &id.1] {
            if part.is_empty() {
                return Err(Code::IdEmpty);
            }
            if part.len() > limits::ID_BYTES {
                return Err(Code::IdTooLong);
            }
        }
        let before = self.states.get(&id).filter(|s| s.live(now)).cloned();
        let version = before.as_ref().map_or(0, |s| s.version);
        if fields["expected_version"].as_u64().is_some_and(|expected| expected != version) {
            return Err(Code::VersionMismatch);
        }
        let kept = before.as_ref().and_then(|s| s.expires);
        let ttl = match fields["ttl_us"].as_i64() {
            None => Ok(None),
            Some(ttl) if ttl > 0 => {
                now.checked_add(ttl).filter(|e| *e <= limits::TIME_MAX_US).map(Some).ok_or(())
            }
            Some(_) => Err(()),
        };
        let ttl = || ttl.map_err(|()| Code::TtlOutOfRange);
        let (value, expires) = match name {
            "state.put" | "state.compare_and_set" => (fields["value"].clone(), ttl()?),
            "state.delete" => {
                if before.is_some() {
                    Rc::make_mut(&mut self.states).remove(&id);
                }
                return Ok((json!({"deleted": before.is_some()}), before.is_some()));
            }
            "state.expire" => (before.as_ref().ok_or(Code::StateNotFound)?.value.clone(), ttl()?),
            "state.increment" => {
                let old = match &before {
                    Some(state) => state.value.as_i64().ok_or(Code::InvalidPatch)?,
                    None => 0,
                };
                let by = fields["by"].as_i64().unwrap_or(1);
                (json!(old.checked_add(by).ok_or(Code::InvalidPatch)?), kept)
            }
            _ => (patched(before.as_ref(), fields)?, kept),
        };
        if value.to_string().len() > limits::VALUE_BYTES {
            return Err(Code::ValueTooLarge);
        }
        let created = before.as_ref().map_or(now, |s| s.created);
        let state = State { value: value.clone(), version: lsn, created, updated: now, expires };
        Rc::make_mut(&mut self.states).insert(id, state);
        let response = match name {
            "state.increment" | "state.patch" => json!({"value": value, "version": lsn}),
            _ => {
                let mut stored = json!({"version": lsn, "created": before.is_none()});
                if let Some(expires) = expires {
                    stored["expires"] = time(expires);
                }
                stored
            }
        };
        Ok((response, true))
    }
}

/// A merge patch of objects whose fields are scalars: all that the generator makes.
fn patched(before: Option<&State>, fields: &Value) -> Result<Value, Code> {
    let mut target = match before {
        Some(state) => state.value.as_object().cloned().ok_or(Code::InvalidPatch)?,
        None if fields["create"] == true => Map::new(),
        None => return Err(Code::StateNotFound),
    };
    let patch = fields["patch"].as_object().ok_or(Code::InvalidPatch)?;
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            target.insert(name.clone(), value.clone());
        }
    }
    Ok(Value::Object(target))
}
