//! How long things are kept, and how many: what may go at a time, and what must be there.

use std::collections::BTreeSet;
use std::rc::Rc;

use agentdb_types::Code;
use serde_json::{Value, json};

use super::changes;
use super::history::NOUNS as WITH_HISTORY;
use super::{Decision, Moment, Namespace, Past, with};

/// The nouns that have a retention, in the order in which they are listed.
pub(crate) const NOUNS: [&str; 9] =
    ["state", "session", "message", "item", "record", "tool_call", "thread", "checkpoint", "namespace"];

/// What of a noun is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Policy {
    max_age: Option<i64>,
    keep_latest: Option<u64>,
}

impl Policy {
    /// Whether something that was written at a time is too old.
    pub(super) fn is_over(&self, written: i64, now: i64) -> bool {
        self.max_age.is_some_and(|age| written.saturating_add(age) <= now)
    }

    pub(super) fn most(&self) -> usize {
        self.keep_latest.map_or(usize::MAX, |most| most as usize)
    }
}

impl Namespace {
    /// Whether a thread is there, as a feed tells it; of other things this says no: nothing makes them older.
    pub(crate) fn holds(&self, thing: &str) -> bool {
        let mut threads = self.threads.keys().map(|id| json!({"noun": "thread", "thread": id}).to_string());
        threads.any(|told| told == thing)
    }

    /// Everything that may go, as a feed tells it.
    pub(crate) fn outdated(&self, now: i64, past: &Past) -> BTreeSet<String> {
        let mut going = Vec::new();
        let policy = |noun: &str| self.policies.get(noun);
        if let Some(policy) = policy("state") {
            let over = self.states.iter().filter(|(_, state)| policy.is_over(state.updated, now));
            going.extend(over.map(|((owner, key), _)| json!({"noun": "state", "owner": owner, "key": key})));
        }
        if let Some(policy) = policy("item") {
            let over = self.items.iter().filter(|(_, item)| policy.is_over(item.updated, now));
            going.extend(over.map(|((path, key), _)| json!({"noun": "item", "path": path, "key": key})));
        }
        if let Some(policy) = policy("tool_call") {
            let over = self.calls.iter();
            let over = over.filter(|(_, call)| call.settled().is_some_and(|at| policy.is_over(at, now)));
            going.extend(
                over.map(|((owner, key), _)| json!({"noun": "tool_call", "owner": owner, "key": key})),
            );
        }
        for (collection, of) in policy("record").map_or(Vec::new(), |_| self.collections.iter().collect()) {
            let over =
                of.records.iter().filter(|(_, record)| self.policies["record"].is_over(record.updated, now));
            for (id, record) in over {
                going.push(json!({"noun": "record", "collection": collection, "record": id}));
                if record.node.is_some() {
                    going.push(json!({"noun": "links", "collection": collection, "record": id}));
                }
            }
        }
        for (id, session) in &*self.sessions {
            if policy("session").is_some_and(|policy| policy.is_over(session.updated, now)) {
                going.push(json!({"noun": "session", "session": id}));
            }
            if let Some(policy) = policy("message") {
                let thing = |(sequence, message): &(u64, String)| json!({"noun": "message", "session": id, "message": message, "sequence": sequence});
                going.extend(session.outdated(policy, now).iter().map(thing));
            }
        }
        for (id, thread) in &*self.threads {
            let used = thread.last_used(past);
            if policy("thread").is_some_and(|policy| policy.is_over(used, now)) {
                going.push(json!({"noun": "thread", "thread": id}));
            }
            if let Some(policy) = policy("checkpoint") {
                going.extend(thread.outdated(policy, id, now));
            }
        }
        going.iter().map(Value::to_string).collect()
    }

    /// Lets go of what a feed says to have gone.
    pub(crate) fn release(&mut self, change: &Value, lsn: u64) {
        let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        match change["noun"].as_str().unwrap_or_default() {
            "state" => drop(Rc::make_mut(&mut self.states).remove(&(text("owner"), text("key")))),
            "item" => drop(Rc::make_mut(&mut self.items).remove(&changes::item_place(change))),
            "tool_call" => drop(Rc::make_mut(&mut self.calls).remove(&(text("owner"), text("key")))),
            "session" => drop(Rc::make_mut(&mut self.sessions).remove(&text("session"))),
            "thread" => drop(Rc::make_mut(&mut self.threads).remove(&text("thread"))),
            "record" => {
                if let Some(of) = Rc::make_mut(&mut self.collections).get_mut(&text("collection")) {
                    Rc::make_mut(of).records.remove(&text("record"));
                }
            }
            "message" => {
                if let Some(session) = Rc::make_mut(&mut self.sessions).get_mut(&text("session")) {
                    let sequence = change["sequence"].as_u64().unwrap_or_default();
                    let session = Rc::make_mut(session);
                    session.messages.remove(&sequence);
                    session.edited = session.edited.max(lsn);
                }
            }
            "checkpoint" => {
                if let Some(thread) = Rc::make_mut(&mut self.threads).get_mut(&text("thread")) {
                    Rc::make_mut(thread).release(&(text("namespace"), text("checkpoint")));
                }
            }
            // It goes with its checkpoint.
            _ => {}
        }
    }

    pub(super) fn set_retention(&mut self, fields: &Value, moment: &Moment<'_>) -> Decision {
        let noun = NOUNS.into_iter().find(|noun| fields["noun"] == *noun).ok_or(Code::InvalidValue)?;
        let is_part = ["message", "checkpoint"].contains(&noun);
        if fields.get("keep_latest").is_some() && !is_part {
            return Err(Code::RetentionNotApplicable);
        }
        if fields.get("max_age_us").is_some() && noun == "namespace" {
            return Err(Code::RetentionNotApplicable);
        }
        if ["max_age_us", "keep_latest", "history_us"].iter().all(|field| fields.get(*field).is_none()) {
            return Err(Code::InvalidValue);
        }
        let history = WITH_HISTORY.iter().position(|known| *known == noun);
        let mut changed = false;
        if let Some(history_us) = fields.get("history_us") {
            let history = history.ok_or(Code::RetentionNotApplicable)?;
            changed = self.set_history(history, history_us.as_u64(), moment);
        }
        let before = self.policies.get(noun).cloned().unwrap_or_default();
        let mut policy = before.clone();
        if let Some(age) = fields.get("max_age_us") {
            policy.max_age = age.as_i64();
        }
        if let Some(most) = fields.get("keep_latest") {
            policy.keep_latest = most.as_u64();
        }
        changed |= policy != before;
        match policy == Policy::default() {
            true => drop(self.policies.remove(noun)),
            false => drop(self.policies.insert(noun, policy)),
        }
        Ok((self.retention_entry(noun), changed))
    }

    /// What is told of how a noun is kept.
    pub(crate) fn retention_entry(&self, noun: &str) -> Value {
        let policy = self.policies.get(noun).cloned().unwrap_or_default();
        let history = WITH_HISTORY.iter().position(|known| *known == noun);
        let mut entry = history.map_or_else(|| json!({"noun": noun}), |at| self.retention.0[at].entry(noun));
        entry = with(entry, &[("max_age_us", policy.max_age.map(Value::from))]);
        with(entry, &[("keep_latest", policy.keep_latest.map(Value::from))])
    }
}
