//! What a change feed should tell: what differs between a namespace before a batch and after it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value, json};

use super::checkpoint::Thread;
use super::record::Collection;
use super::session::Session;
use super::{Namespace, link};

/// Changes, each as the JSON form of one in an event.
#[derive(Default)]
struct Told(Vec<Value>);

impl Told {
    fn add(&mut self, kind: &str, mut thing: Value) {
        thing["kind"] = json!(kind);
        self.0.push(thing);
    }

    /// What is in one of two maps alone or has another version there.
    fn differing<K: Ord, V>(
        &mut self,
        before: &BTreeMap<K, V>,
        after: &BTreeMap<K, V>,
        version: impl Fn(&V) -> u64,
        thing: impl Fn(&K, &V) -> Value,
    ) {
        for (key, value) in before.iter().filter(|(key, _)| !after.contains_key(key)) {
            self.add("deleted", thing(key, value));
        }
        let same = |key: &K, value: &V| before.get(key).is_some_and(|b| version(b) == version(value));
        for (key, value) in after.iter().filter(|(key, value)| !same(key, value)) {
            self.add("put", thing(key, value));
        }
    }
}

/// What a batch changed, sorted; that of the sweeper if it `sweeps`.
pub(crate) fn between(before: &Namespace, after: Option<&Namespace>, sweeps: bool) -> Vec<Value> {
    let mut told = Told::default();
    match after {
        None => told.add("deleted", json!({"noun": "namespace"})),
        Some(after) => differences(&mut told, before, after),
    }
    if sweeps {
        for change in told.0.iter_mut().filter(|change| change["kind"] == "deleted") {
            change["kind"] = json!("expired");
        }
    }
    told.0.sort_by_key(Value::to_string);
    told.0
}

fn differences(told: &mut Told, before: &Namespace, after: &Namespace) {
    if !Rc::ptr_eq(&before.states, &after.states) {
        let thing = |(owner, key): &(String, String)| json!({"noun": "state", "owner": owner, "key": key});
        told.differing(&before.states, &after.states, |s| s.version, |id, _| thing(id));
    }
    if !Rc::ptr_eq(&before.blobs, &after.blobs) {
        let thing = |blob: &String| json!({"noun": "blob", "blob": blob});
        told.differing(&before.blobs, &after.blobs, |b| b.version, |blob, _| thing(blob));
    }
    if !Rc::ptr_eq(&before.items, &after.items) {
        let thing = |(path, key): &(Vec<String>, String)| json!({"noun": "item", "path": path, "key": key});
        told.differing(&before.items, &after.items, |item| item.version, |id, _| thing(id));
    }
    if !Rc::ptr_eq(&before.calls, &after.calls) {
        let thing =
            |(owner, key): &(String, String)| json!({"noun": "tool_call", "owner": owner, "key": key});
        told.differing(&before.calls, &after.calls, |call| call.version, |id, _| thing(id));
    }
    if !Rc::ptr_eq(&before.sessions, &after.sessions) {
        let thing = |session: &String| json!({"noun": "session", "session": session});
        told.differing(&before.sessions, &after.sessions, |s| s.version, |id, _| thing(id));
        let forked = |change: &Value| {
            let id = change["session"].as_str().filter(|_| change["kind"] == "put")?;
            let (was, is) = (before.sessions.get(id), after.sessions.get(id)?);
            is.base.clone().filter(|_| was.is_none_or(|was| was.emptied != is.emptied))
        };
        for change in told.0.iter_mut().filter(|change| change["noun"] == "session") {
            if let Some(base) = forked(change) {
                change["base"] = base;
            }
        }
        for (id, session) in &*after.sessions {
            messages(told, id, before.sessions.get(id), session);
        }
    }
    if !Rc::ptr_eq(&before.collections, &after.collections) {
        let thing = |name: &String| json!({"noun": "collection", "collection": name});
        told.differing(&before.collections, &after.collections, |c| c.born, |name, _| thing(name));
        for (name, collection) in &*after.collections {
            // One that got another name is the same; its records are not told again.
            let moved = before.collections.values().find(|before| before.number == collection.number);
            records(told, name, moved.or_else(|| before.collections.get(name)), collection);
        }
    }
    links(told, before, after);
    if !Rc::ptr_eq(&before.threads, &after.threads) {
        let thing = |thread: &String| json!({"noun": "thread", "thread": thread});
        told.differing(&before.threads, &after.threads, |t| t.born, |name, _| thing(name));
        for (name, thread) in &*after.threads {
            checkpoints(told, name, before.threads.get(name), thread);
        }
    }
}

fn messages(told: &mut Told, id: &str, before: Option<&Rc<Session>>, after: &Session) {
    if before.is_some_and(|before| before.emptied != after.emptied) {
        told.add("deleted", json!({"noun": "messages", "session": id}));
    }
    let before =
        before.filter(|before| before.emptied == after.emptied).map_or(&*after.start, |b| &b.messages);
    told.differing(
        before,
        &after.messages,
        |m| m.version,
        |sequence, m| json!({"noun": "message", "session": id, "message": m.message, "sequence": sequence}),
    );
}

fn records(told: &mut Told, name: &str, before: Option<&Rc<Collection>>, after: &Collection) {
    if before.is_some_and(|before| before.number != after.number) {
        told.add("deleted", json!({"noun": "records", "collection": name}));
    }
    let none = BTreeMap::new();
    let before = before.filter(|before| before.number == after.number).map_or(&none, |b| &b.records);
    let thing = |record: &String| json!({"noun": "record", "collection": name, "record": record});
    told.differing(before, &after.records, |r| r.version, |record, _| thing(record));
}

/// Links that were put, those that were deleted while their records stay, and of which records all are gone.
fn links(told: &mut Told, before: &Namespace, after: &Namespace) {
    let same = Rc::ptr_eq(&before.collections, &after.collections);
    if same && Rc::ptr_eq(&before.links, &after.links) {
        return;
    }
    let nodes = after.nodes();
    for (key, link) in after.links_among(&nodes) {
        if before.links.get(key).is_none_or(|before| before.version != link.version) {
            told.add("put", link::told(&nodes, key));
        }
    }
    let there = |(from, _, to): &(u64, String, u64)| nodes.contains_key(from) && nodes.contains_key(to);
    for key in before.links.keys().filter(|key| !after.links.contains_key(key) && there(key)) {
        told.add("deleted", link::told(&nodes, key));
    }
    for gone in link::left(before, after) {
        told.add("deleted", gone);
    }
}

fn checkpoints(told: &mut Told, name: &str, before: Option<&Rc<Thread>>, after: &Thread) {
    if before.is_some_and(|before| before.born != after.born) {
        told.add("deleted", json!({"noun": "checkpoints", "thread": name}));
    }
    let before = before.filter(|before| before.born == after.born);
    let none = BTreeMap::new();
    told.differing(
        before.map_or(&none, |before| &before.checkpoints),
        &after.checkpoints,
        |c| c.version,
        |(part, id), _| json!({"noun": "checkpoint", "thread": name, "namespace": part, "checkpoint": id}),
    );
    let writes = |thread: &Thread| -> BTreeMap<_, u64> {
        let of = thread.writes.iter();
        let keys = of.flat_map(|(place, writes)| writes.keys().map(|write| (place.clone(), write.clone())));
        keys.map(|key| (key.clone(), thread.written[&key])).collect()
    };
    told.differing(
        &before.map(|before| writes(before)).unwrap_or_default(),
        &writes(after),
        |version| *version,
        |((part, id), (task, index)), _| {
            json!({
                "noun": "checkpoint_write", "thread": name, "namespace": part, "checkpoint": id,
                "task": task, "index": index,
            })
        },
    );
}

/// The nouns that a change is about: its own, and of a deletion those of what goes with it.
pub(crate) fn nouns(change: &Value) -> BTreeSet<&str> {
    let noun = change["noun"].as_str().unwrap_or_default();
    let gone = change["kind"] != "put";
    match noun {
        "namespace" => [
            "state",
            "session",
            "message",
            "blob",
            "item",
            "tool_call",
            "collection",
            "record",
            "link",
            "thread",
            "checkpoint",
            "checkpoint_write",
        ]
        .into(),
        "session" if gone => ["session", "message"].into(),
        "collection" if gone => ["collection", "record", "link"].into(),
        "thread" if gone => ["thread", "checkpoint", "checkpoint_write"].into(),
        "messages" => ["message"].into(),
        "records" => ["record", "link"].into(),
        "links" => ["link"].into(),
        "checkpoints" => ["checkpoint", "checkpoint_write"].into(),
        _ => [noun].into(),
    }
}

/// The key of what changed, from the outside in.
pub(crate) fn key(change: &Value) -> Vec<String> {
    const COMPONENTS: [&str; 17] = [
        "owner",
        "path",
        "key",
        "session",
        "message",
        "sequence",
        "blob",
        "collection",
        "record",
        "type",
        "to_collection",
        "to",
        "thread",
        "namespace",
        "checkpoint",
        "task",
        "index",
    ];
    let given = COMPONENTS.iter().filter_map(|name| change.get(name));
    let texts =
        given.flat_map(|part| part.as_array().map_or_else(|| std::slice::from_ref(part), Vec::as_slice));
    texts.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect()
}

/// Where an item is.
pub(super) fn item_place(change: &Value) -> super::item::Place {
    let segments = change["path"].as_array().into_iter().flatten().filter_map(Value::as_str);
    (segments.map(str::to_owned).collect(), change["key"].as_str().unwrap_or_default().to_owned())
}

impl Namespace {
    /// Forgets what a feed says to have expired and been swept, if it has.
    pub(crate) fn forget(&mut self, change: &Value, now: i64) -> bool {
        let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        if change["kind"] != "expired" {
            return false;
        }
        match change["noun"].as_str() {
            Some("state") => {
                let states = Rc::make_mut(&mut self.states);
                states.remove(&(text("owner"), text("key"))).is_some_and(|state| !state.live(now))
            }
            Some("item") => {
                let items = Rc::make_mut(&mut self.items);
                items.remove(&item_place(change)).is_some_and(|item| !item.live(now))
            }
            Some("tool_call") => {
                let calls = Rc::make_mut(&mut self.calls);
                calls.remove(&(text("owner"), text("key"))).is_some_and(|call| !call.live(now))
            }
            Some("session") => {
                let sessions = Rc::make_mut(&mut self.sessions);
                sessions.remove(&text("session")).is_some_and(|session| !session.live(now))
            }
            Some("record") => {
                let collections = Rc::make_mut(&mut self.collections);
                let Some(collection) = collections.get_mut(&text("collection")) else { return false };
                let record = Rc::make_mut(collection).records.remove(&text("record"));
                record.is_some_and(|record| !record.live(now))
            }
            // They go with their record, which is told next.
            Some("links") => {
                let record =
                    self.collections.get(&text("collection")).and_then(|of| of.records.get(&text("record")));
                record.is_some_and(|record| record.node.is_some() && !record.live(now))
            }
            _ => false,
        }
    }

    /// What was put at an LSN, if it is there as it was put and has not expired.
    pub(crate) fn value(&self, change: &Value, lsn: u64, now: i64) -> Option<Value> {
        let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        let place = (text("namespace"), text("checkpoint"));
        let thread = || self.threads.get(&text("thread"));
        let (value, without): (Value, &[&str]) = match change["noun"].as_str()? {
            "state" => {
                let state = self.states.get(&(text("owner"), text("key")));
                let state = state.filter(|s| s.version == lsn && s.live(now))?;
                (state.entry(&text("key")), &[])
            }
            "item" => {
                let place = item_place(change);
                let item = self.items.get(&place).filter(|item| item.version == lsn && item.live(now))?;
                (item.entry(&place, None), &["expires"])
            }
            "tool_call" => {
                let place = (text("owner"), text("key"));
                let call = self.calls.get(&place).filter(|call| call.version == lsn && call.live(now))?;
                (call.entry(&place, now), &["state"])
            }
            "blob" => (self.blobs.get(&text("blob")).filter(|b| b.version == lsn)?.entry(), &[]),
            "session" => {
                let session = self.sessions.get(&text("session"));
                let session = session.filter(|s| s.version == lsn && s.live(now))?;
                (session.entry(&text("session")), &["updated", "expires", "messages", "last_sequence"])
            }
            "message" => {
                let session = self.sessions.get(&text("session")).filter(|s| s.live(now))?;
                let sequence = change["sequence"].as_u64()?;
                let found = session.messages.get(&sequence)?;
                (found.version == lsn && found.message == text("message"))
                    .then(|| (found.entry(sequence), &[][..]))?
            }
            "collection" => {
                let collection = self.collections.get(&text("collection")).filter(|c| c.born == lsn)?;
                (collection.entry(&text("collection")), &[])
            }
            "record" => {
                let collection = self.collections.get(&text("collection"))?;
                let record = collection.records.get(&text("record"));
                let record = record.filter(|r| r.version == lsn && r.live(now))?;
                (collection.record_entry(&text("record"), record, true), &[])
            }
            "link" => (self.link(change, now).filter(|link| link.version == lsn)?.entry(), &[]),
            "thread" => (thread().filter(|t| t.born == lsn)?.entry(&text("thread")), &[]),
            "checkpoint" => {
                let thread = thread()?;
                thread.checkpoints.get(&place).filter(|c| c.version == lsn)?;
                (thread.checkpoint(&text("thread"), &place, false), &["writes"])
            }
            _ => {
                let (thread, write) = (thread()?, (text("task"), change["index"].as_i64()?));
                let value = thread.writes.get(&place)?.get(&write)?;
                thread.written.get(&(place, write)).filter(|version| **version == lsn)?;
                (value.clone(), &[])
            }
        };
        let mut value = value;
        if let Value::Object(fields) = &mut value {
            without.iter().for_each(|name| drop(fields.remove(*name)));
        }
        Some(value)
    }
}
