//! States: an owner's keyed documents.

use std::rc::Rc;

use agentdb_types::{Code, limits};
use serde_json::{Map, Value, json};

use super::history::STATE;
use super::{Decision, Moment, Namespace, check_id, check_value, is_live, merge, text, time, with};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    value: Value,
    pub(crate) version: u64,
    created: i64,
    pub(super) updated: i64,
    expires: Option<i64>,
}

impl State {
    pub(crate) fn live(&self, now: i64) -> bool {
        is_live(self.expires, now)
    }

    /// When it expires, if it does.
    pub(crate) fn expires_at(&self) -> Option<i64> {
        self.expires
    }

    pub(crate) fn entry(&self, key: &str) -> Value {
        let entry = json!({
            "key": key, "value": self.value, "version": self.version,
            "created": time(self.created), "updated": time(self.updated),
        });
        with(entry, &[("expires", self.expires.map(time))])
    }
}

impl Namespace {
    /// The states of an owner whose keys start so and that have not expired, in the order of their keys.
    pub(crate) fn states_of(&self, owner: &str, prefix: &str, now: i64) -> Vec<Value> {
        let live = self.states.iter().filter(|(_, state)| state.live(now));
        let found = live.filter(|((o, key), _)| o == owner && key.starts_with(prefix));
        found.map(|((_, key), state)| state.entry(key)).collect()
    }

    /// The owners whose names start so and that have something that has not expired, in the order of their names.
    pub(crate) fn owners(&self, prefix: &str, now: i64) -> Vec<Value> {
        let live = self.states.iter().filter(|(_, state)| state.live(now));
        let mut owners: Vec<&String> = live.map(|((owner, _), _)| owner).collect();
        owners.dedup();
        owners.retain(|owner| owner.starts_with(prefix));
        owners.into_iter().map(|owner| json!({"owner": owner})).collect()
    }

    /// Nobody has so many rows that one call would not look at all of them.
    fn clear(&mut self, fields: &Value, now: i64) -> Decision {
        let (owner, prefix) = (text(fields, "owner"), text(fields, "prefix"));
        check_id(&owner)?;
        let limit = fields["limit"].as_u64().map_or(1_000, |limit| limit as usize);
        if limit == 0 || limit > limits::PAGE {
            return Err(Code::PageTooLarge);
        }
        let live = self.states.iter().filter(|(_, state)| state.live(now)).map(|(id, _)| id);
        let mut found: Vec<_> =
            live.filter(|(o, key)| *o == owner && key.starts_with(&prefix)).cloned().collect();
        let more = found.len() > limit;
        found.truncate(limit);
        if !found.is_empty() {
            let states = Rc::make_mut(&mut self.states);
            found.iter().for_each(|id| drop(states.remove(id)));
        }
        Ok((json!({"deleted": found.len(), "more": more}), !found.is_empty()))
    }

    fn restore_state(
        &mut self,
        id: (String, String),
        before: Option<&State>,
        fields: &Value,
        moment: &Moment<'_>,
    ) -> Decision {
        let (then, time_then) = moment.then(&fields["at"], STATE, &id.1)?;
        let Some(then) = then.states.get(&id).filter(|state| state.live(time_then)) else {
            if before.is_some() {
                Rc::make_mut(&mut self.states).remove(&id);
            }
            return Ok((json!({}), before.is_some()));
        };
        let expires = moment.expiry(&fields["ttl_us"])?;
        let (created, updated) = (before.map_or(moment.now, |state| state.created), moment.now);
        let state = State { value: then.value.clone(), version: moment.lsn, created, updated, expires };
        let answer = json!({"was": then.version, "version": moment.lsn});
        Rc::make_mut(&mut self.states).insert(id, Rc::new(state));
        Ok((with(answer, &[("expires", expires.map(time))]), true))
    }

    pub(super) fn state_operation(
        &mut self,
        name: &str,
        fields: &Value,
        moment: &mut Moment<'_>,
    ) -> Decision {
        if name == "state.clear" {
            return self.clear(fields, moment.now);
        }
        let id = (text(fields, "owner"), text(fields, "key"));
        check_id(&id.0)?;
        check_id(&id.1)?;
        let before = self.states.get(&id).filter(|s| s.live(moment.now)).cloned();
        let version = before.as_ref().map_or(0, |s| s.version);
        if fields["expected_version"].as_u64().is_some_and(|expected| expected != version) {
            return Err(Code::VersionMismatch);
        }
        let kept = before.as_ref().and_then(|s| s.expires);
        let ttl = || moment.expiry(&fields["ttl_us"]);
        if name == "state.restore" {
            return self.restore_state(id, before.as_deref(), fields, moment);
        }
        let (value, expires) = match name {
            "state.put" | "state.compare_and_set" => (fields["value"].clone(), ttl()?),
            "state.delete" => {
                if before.is_some() {
                    Rc::make_mut(&mut self.states).remove(&id);
                }
                return Ok((json!({"deleted": before.is_some()}), before.is_some()));
            }
            "state.take" => {
                let taken = before.ok_or(Code::StateNotFound)?.entry(&id.1);
                Rc::make_mut(&mut self.states).remove(&id);
                return Ok((taken, true));
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
            _ => (patched(before.as_deref(), fields)?, kept),
        };
        check_value(&value)?;
        let created = before.as_ref().map_or(moment.now, |s| s.created);
        let response = match name {
            "state.increment" | "state.patch" => json!({"value": value, "version": moment.lsn}),
            _ => {
                let stored = json!({"version": moment.lsn, "created": before.is_none()});
                with(stored, &[("expires", expires.map(time))])
            }
        };
        let state = State { value, version: moment.lsn, created, updated: moment.now, expires };
        Rc::make_mut(&mut self.states).insert(id, Rc::new(state));
        Ok((response, true))
    }
}

fn patched(before: Option<&State>, fields: &Value) -> Result<Value, Code> {
    let mut target = match before {
        Some(state) => state.value.as_object().cloned().ok_or(Code::InvalidPatch)?,
        None if fields["create"] == true => Map::new(),
        None => return Err(Code::StateNotFound),
    };
    merge(&mut target, fields["patch"].as_object().ok_or(Code::InvalidPatch)?);
    Ok(Value::Object(target))
}
