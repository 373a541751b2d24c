//! Threads: checkpoints, the values of the versions of channels, and writes, as plain maps.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use agentdb_types::Code;
use serde_json::{Map, Value, json};

use super::retention::Policy;
use super::{
    Decision, Moment, Namespace, Past, check_id, check_map, check_value, given_map, given_text, text, time,
    with,
};

/// Part of the thread, and checkpoint.
type Place = (String, String);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thread {
    created: i64,
    /// The LSN at which it was created.
    pub(super) born: u64,
    /// By place, task and index: the LSN of the write that is there, or was.
    pub(super) written: BTreeMap<(Place, (String, i64)), u64>,
    pub(crate) checkpoints: BTreeMap<Place, Checkpoint>,
    /// By part, channel and version: an object with a `value` or an `encoded` one.
    pub(crate) versions: BTreeMap<(String, String, String), Value>,
    /// By place, then by task and index.
    pub(crate) writes: BTreeMap<Place, BTreeMap<(String, i64), Value>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    parent: Option<String>,
    versions: Map<String, Value>,
    own: BTreeMap<String, Option<Value>>,
    data: Map<String, Value>,
    pub(crate) metadata: Map<String, Value>,
    created: i64,
    pub(super) version: u64,
}

impl Checkpoint {
    pub(crate) fn run(&self) -> Option<&str> {
        self.metadata.get("run_id")?.as_str()
    }

    fn has_deltas(&self) -> bool {
        self.metadata.contains_key("counters_since_delta_snapshot")
    }
}

impl Thread {
    fn new(moment: &Moment<'_>) -> Self {
        let (written, checkpoints, versions, writes) = Default::default();
        Thread { created: moment.now, born: moment.lsn, written, checkpoints, versions, writes }
    }

    pub(crate) fn entry(&self, thread: &str) -> Value {
        json!({"thread": thread, "created": time(self.created)})
    }

    fn channel(&self, part: &str, checkpoint: &Checkpoint, channel: &str) -> Option<Value> {
        if let Some(own) = checkpoint.own.get(channel) {
            return own.clone();
        }
        let version = checkpoint.versions.get(channel)?.to_string();
        self.versions.get(&(part.to_owned(), channel.to_owned(), version)).cloned()
    }

    /// The writes behind a checkpoint in the order in which they apply.
    fn pending(&self, place: &Place) -> Vec<Value> {
        let mut writes: Vec<Value> =
            self.writes.get(place).into_iter().flat_map(|of| of.values().cloned()).collect();
        let order = |write: &Value| (text(write, "path"), text(write, "task"), write["index"].as_i64());
        writes.sort_by_key(order);
        writes
    }

    pub(crate) fn checkpoint(&self, thread: &str, place: &Place, brief: bool) -> Value {
        let (found, (part, id)) = (&self.checkpoints[place], place);
        let (mut values, mut encoded) = (Map::new(), Map::new());
        let channels: BTreeSet<&String> = found.versions.keys().chain(found.own.keys()).collect();
        for channel in channels.into_iter().filter(|_| !brief) {
            if let Some(content) = self.channel(part, found, channel) {
                match content.get("encoded") {
                    Some(coded) => drop(encoded.insert(channel.clone(), coded.clone())),
                    None => drop(values.insert(channel.clone(), content["value"].clone())),
                }
            }
        }
        let entry = json!({
            "thread": thread, "namespace": part, "checkpoint": id, "versions": found.versions, "values": values,
            "data": found.data, "metadata": found.metadata,
            "writes": if brief { Vec::new() } else { self.pending(place) },
            "created": time(found.created), "version": found.version,
        });
        let encoded = Some(Value::Object(encoded)).filter(|encoded| encoded != &json!({}));
        with(entry, &[("parent", found.parent.clone().map(Value::String)), ("encoded", encoded)])
    }

    /// The ancestors that are there, nearest first.
    fn ancestors(&self, place: &Place) -> Vec<Place> {
        let (mut line, mut seen) = (Vec::new(), BTreeSet::from([place.1.clone()]));
        let mut next = self.checkpoints[place].parent.clone();
        while let Some(id) = next.filter(|id| seen.insert(id.clone())) {
            let at = (place.0.clone(), id);
            let Some(found) = self.checkpoints.get(&at) else { break };
            next = found.parent.clone();
            line.push(at);
        }
        line
    }

    pub(crate) fn history(&self, place: &Place, channel: &str) -> Value {
        let (mut writes, mut seed) = (Vec::new(), None);
        for at in self.ancestors(place) {
            writes.extend(self.pending(&at).into_iter().rev().filter(|write| write["channel"] == channel));
            seed = self.channel(&at.0, &self.checkpoints[&at], channel);
            if seed.is_some() {
                break;
            }
        }
        writes.reverse();
        let part = |name: &str| seed.as_ref().and_then(|seed| seed.get(name)).cloned();
        with(json!({"writes": writes}), &[("seed", part("value")), ("encoded_seed", part("encoded"))])
    }

    /// What the delta channel of a checkpoint needs.
    fn needed(&self, place: &Place) -> BTreeSet<Place> {
        let mut needed = BTreeSet::from([place.clone()]);
        let found = &self.checkpoints[place];
        if !found.has_deltas() || self.channel(&place.0, found, "delta").is_some() {
            return needed;
        }
        for at in self.ancestors(place) {
            let ends = self.channel(&at.0, &self.checkpoints[&at], "delta").is_some();
            needed.insert(at);
            if ends {
                break;
            }
        }
        needed
    }

    fn put(&mut self, place: &Place, fields: &Value, mut checkpoint: Checkpoint) -> bool {
        let mut contents: BTreeMap<String, Option<Value>> = BTreeMap::new();
        for (channel, value) in given_map(fields, "values") {
            contents.insert(channel, Some(json!({"value": value})));
        }
        for (channel, value) in given_map(fields, "encoded") {
            contents.insert(channel, Some(json!({"encoded": value})));
        }
        for channel in fields["empty"].as_array().into_iter().flatten() {
            contents.insert(channel.as_str().unwrap_or_default().to_owned(), None);
        }
        for (channel, content) in contents {
            let version = checkpoint.versions.get(&channel).map(Value::to_string);
            let key = version.map(|version| (place.0.clone(), channel.clone(), version));
            match (content, key) {
                (Some(content), Some(key))
                    if self.versions.get(&key).is_none_or(|there| *there == content) =>
                {
                    self.versions.insert(key, content);
                }
                (content, _) => drop(checkpoint.own.insert(channel, content)),
            }
        }
        self.checkpoints.insert(place.clone(), checkpoint).is_none()
    }

    fn named(checkpoint: &Checkpoint, part: &str) -> BTreeSet<(String, String, String)> {
        let versions = checkpoint.versions.iter();
        versions.map(|(channel, version)| (part.to_owned(), channel.clone(), version.to_string())).collect()
    }

    fn delete(&mut self, place: &Place) {
        self.checkpoints.remove(place);
        self.writes.remove(place);
    }

    /// Leaves what a copy up to a checkpoint has.
    fn keep_up_to(&mut self, at: &str) {
        let mut needed = BTreeSet::new();
        for place in self.checkpoints.keys().filter(|(_, id)| id.as_str() <= at) {
            needed.extend(self.needed(place));
        }
        self.checkpoints.retain(|place, _| needed.contains(place));
        self.writes.retain(|place, _| needed.contains(place));
        self.written.retain(|(place, _), _| needed.contains(place));
        let used: BTreeSet<_> =
            self.checkpoints.iter().flat_map(|(place, found)| Self::named(found, &place.0)).collect();
        self.versions.retain(|key, _| used.contains(key));
    }

    /// How many checkpoints go.
    fn prune(&mut self) -> u64 {
        let parts: BTreeMap<String, String> = self.checkpoints.keys().cloned().collect();
        let mut needed = BTreeSet::new();
        for latest in parts {
            needed.extend(self.needed(&latest));
        }
        let going: Vec<Place> =
            self.checkpoints.keys().filter(|place| !needed.contains(place)).cloned().collect();
        // The writes of checkpoints that are not there stay.
        going.iter().for_each(|place| self.delete(place));
        let used: BTreeSet<_> =
            self.checkpoints.iter().flat_map(|(place, found)| Self::named(found, &place.0)).collect();
        let parts: BTreeSet<&String> = self.checkpoints.keys().map(|(part, _)| part).collect();
        self.versions.retain(|key, _| used.contains(key) || !parts.contains(&key.0));
        going.len() as u64
    }

    /// When it got its last checkpoint or write.
    pub(super) fn last_used(&self, past: &Past) -> i64 {
        let writes = self.written.iter().filter(|((place, write), _)| {
            self.writes.get(place).is_some_and(|writes| writes.contains_key(write))
        });
        let written = writes.filter_map(|(_, lsn)| past.get(lsn).map(|(_, time)| *time));
        let created = self.checkpoints.values().map(|found| found.created);
        written.chain(created).chain([self.created]).max().unwrap_or_default()
    }

    /// The checkpoints that may go, with their writes.
    pub(super) fn outdated(&self, policy: &Policy, thread: &str, now: i64) -> Vec<Value> {
        let parts: BTreeSet<&String> = self.checkpoints.keys().map(|(part, _)| part).collect();
        let mut needed = BTreeSet::new();
        for part in parts {
            let newest = self.checkpoints.iter().rev().filter(|((of, _), _)| of == part).take(policy.most());
            for (n, (place, found)) in newest.enumerate() {
                if n == 0 || !policy.is_over(found.created, now) {
                    needed.extend(self.needed(place));
                }
            }
        }
        let mut going = Vec::new();
        for place in self.checkpoints.keys().filter(|place| !needed.contains(place)) {
            let (part, id) = place;
            let of =
                |noun: &str| json!({"noun": noun, "thread": thread, "namespace": part, "checkpoint": id});
            going.push(of("checkpoint"));
            for (task, index) in self.writes.get(place).into_iter().flat_map(BTreeMap::keys) {
                let write = with(of("checkpoint_write"), &[("task", Some(json!(task)))]);
                going.push(with(write, &[("index", Some(json!(index)))]));
            }
        }
        going
    }

    /// Lets go of a checkpoint with its writes, and of the versions that no other of its part names.
    pub(super) fn release(&mut self, place: &Place) {
        let Some(found) = self.checkpoints.get(place).cloned() else { return };
        self.delete(place);
        let of_part = self.checkpoints.iter().filter(|((part, _), _)| *part == place.0);
        let used: BTreeSet<_> = of_part.flat_map(|(place, found)| Self::named(found, &place.0)).collect();
        for key in Self::named(&found, &place.0).difference(&used) {
            self.versions.remove(key);
        }
    }

    /// How many checkpoints of these runs go, and how many stay.
    fn delete_runs(&mut self, runs: &BTreeSet<String>) -> (u64, u64) {
        let is_doomed = |found: &Checkpoint| found.run().is_some_and(|run| runs.contains(run));
        let doomed: BTreeSet<Place> = self
            .checkpoints
            .iter()
            .filter(|(_, found)| is_doomed(found))
            .map(|(place, _)| place.clone())
            .collect();
        let mut needed = BTreeSet::new();
        for (place, _) in
            self.checkpoints.iter().filter(|(place, found)| !doomed.contains(*place) && found.has_deltas())
        {
            needed.extend(self.needed(place));
        }
        let going: Vec<Place> = doomed.difference(&needed).cloned().collect();
        let mut unused = BTreeSet::new();
        for place in &going {
            unused.extend(Self::named(&self.checkpoints[place], &place.0));
            self.delete(place);
        }
        for (place, found) in &self.checkpoints {
            Self::named(found, &place.0).iter().for_each(|key| {
                unused.remove(key);
            });
        }
        unused.iter().for_each(|key| drop(self.versions.remove(key)));
        (going.len() as u64, (doomed.len() - going.len()) as u64)
    }

    /// The contents that it refers to.
    pub(crate) fn contents(&self) -> BTreeSet<String> {
        let own = self.checkpoints.values().flat_map(|found| found.own.values().flatten());
        self.versions.values().chain(own).map(Value::to_string).collect()
    }
}

fn check_part(part: &str) -> Result<(), Code> {
    if part.is_empty() { Ok(()) } else { check_id(part) }
}

impl Namespace {
    fn thread(&mut self, thread: &str, moment: &Moment<'_>) -> Result<&mut Thread, Code> {
        check_id(thread)?;
        let threads = Rc::make_mut(&mut self.threads);
        let thread = threads.entry(thread.to_owned()).or_insert_with(|| Rc::new(Thread::new(moment)));
        Ok(Rc::make_mut(thread))
    }

    pub(super) fn thread_operation(
        &mut self,
        name: &str,
        fields: &Value,
        moment: &mut Moment<'_>,
    ) -> Decision {
        let thread = text(fields, "thread");
        match name {
            "checkpoint.put" => self.put_checkpoint(fields, moment),
            "checkpoint.put_writes" => self.put_writes(fields, moment),
            "checkpoint.delete_runs" => {
                let runs = fields["runs"].as_array().into_iter().flatten();
                let runs: BTreeSet<String> = runs.filter_map(|run| run.as_str().map(str::to_owned)).collect();
                runs.iter().try_for_each(|run| check_id(run))?;
                let (mut deleted, mut kept) = (0, 0);
                for thread in Rc::make_mut(&mut self.threads).values_mut() {
                    let (gone, left) = Rc::make_mut(thread).delete_runs(&runs);
                    (deleted, kept) = (deleted + gone, kept + left);
                }
                Ok((json!({"deleted": deleted, "kept": kept}), deleted > 0))
            }
            "thread.copy" => {
                let to = text(fields, "to");
                check_id(&thread)?;
                let from = self.threads.get(&thread).cloned().ok_or(Code::ThreadNotFound)?;
                check_id(&to)?;
                if self.threads.contains_key(&to) {
                    return Err(Code::ThreadExists);
                }
                let mut copy = Thread { created: moment.now, born: moment.lsn, ..Thread::clone(&from) };
                if let Some(at) = given_text(fields, "at") {
                    if !copy.checkpoints.keys().any(|(_, id)| *id == at) {
                        return Err(Code::CheckpointNotFound);
                    }
                    copy.keep_up_to(&at);
                }
                copy.written.values_mut().for_each(|version| *version = moment.lsn);
                copy.checkpoints.values_mut().for_each(|found| found.version = moment.lsn);
                let count = copy.checkpoints.len();
                Rc::make_mut(&mut self.threads).insert(to, Rc::new(copy));
                Ok((json!({"checkpoints": count}), true))
            }
            "thread.delete" => {
                check_id(&thread)?;
                let deleted = Rc::make_mut(&mut self.threads).remove(&thread).is_some();
                Ok((json!({"deleted": deleted}), deleted))
            }
            _ => {
                if fields["limit"] == 0 {
                    return Err(Code::PageTooLarge);
                }
                let (mut deleted, mut wrote) = (0, false);
                for thread in fields["threads"].as_array().into_iter().flatten() {
                    let thread = thread.as_str().unwrap_or_default();
                    check_id(thread)?;
                    let threads = Rc::make_mut(&mut self.threads);
                    if fields["strategy"] == "delete" {
                        wrote |= threads.remove(thread).is_some();
                    } else if let Some(thread) = threads.get_mut(thread) {
                        let before = thread.versions.len();
                        let thread = Rc::make_mut(thread);
                        deleted += thread.prune();
                        wrote |= thread.versions.len() < before;
                    }
                }
                Ok((json!({"deleted": deleted, "more": false}), wrote || deleted > 0))
            }
        }
    }

    fn put_checkpoint(&mut self, fields: &Value, moment: &mut Moment<'_>) -> Decision {
        let (thread, part) = (text(fields, "thread"), text(fields, "namespace"));
        check_part(&part)?;
        let (given, parent) = (given_text(fields, "checkpoint"), given_text(fields, "parent"));
        given.iter().chain(&parent).try_for_each(|id| check_id(id))?;
        let (versions, data, metadata) =
            (given_map(fields, "versions"), given_map(fields, "data"), given_map(fields, "metadata"));
        if versions.values().any(|version| !version.is_string() && !version.is_number()) {
            return Err(Code::InvalidValue);
        }
        check_map(&data)?;
        check_map(&metadata)?;
        let (values, encoded) = (given_map(fields, "values"), given_map(fields, "encoded"));
        values.values().try_for_each(check_value)?;
        let empty = fields["empty"].as_array().into_iter().flatten();
        let empty: Vec<&str> = empty.filter_map(Value::as_str).collect();
        if encoded.values().any(|coded| coded["type"] == "json")
            || empty.iter().any(|channel| values.contains_key(*channel) || encoded.contains_key(*channel))
        {
            return Err(Code::InvalidValue);
        }
        encoded.keys().try_for_each(|channel| check_id(channel))?;
        check_id(&thread)?;
        let id = given.unwrap_or_else(|| moment.new_id());
        let checkpoint = Checkpoint {
            parent,
            versions,
            own: BTreeMap::new(),
            data,
            metadata,
            created: moment.now,
            version: moment.lsn,
        };
        let place = (part.clone(), id.clone());
        let created = self.thread(&thread, moment)?.put(&place, fields, checkpoint);
        let answer = json!({
            "thread": thread, "namespace": part, "checkpoint": id, "created": created, "version": moment.lsn,
        });
        Ok((answer, true))
    }

    fn put_writes(&mut self, fields: &Value, moment: &Moment<'_>) -> Decision {
        let (part, id, task) = (text(fields, "namespace"), text(fields, "checkpoint"), text(fields, "task"));
        check_part(&part)?;
        check_id(&id)?;
        check_id(&task)?;
        let given: Vec<Value> = fields["writes"].as_array().cloned().unwrap_or_default();
        if given.is_empty() {
            return Err(Code::InvalidValue);
        }
        let new =
            check_id(&text(fields, "thread")).is_ok() && !self.threads.contains_key(&text(fields, "thread"));
        let thread = self.thread(&text(fields, "thread"), moment)?;
        let place = (part, id);
        let writes = thread.writes.entry(place.clone()).or_default();
        let (mut stored, mut changed) = (0, new);
        for (at, write) in given.iter().enumerate() {
            let special = match write["channel"].as_str() {
                Some("__error__") => Some(-1),
                Some("__resume__") => Some(-4),
                _ => None,
            };
            let index = write["index"].as_i64().or(special).unwrap_or(at as i64);
            if index >= 0 && writes.contains_key(&(task.clone(), index)) {
                continue;
            }
            let mut kept = json!({
                "task": task, "path": fields["path"], "index": index, "channel": write["channel"],
            });
            match write.get("encoded") {
                Some(encoded) => kept["encoded"] = encoded.clone(),
                None => kept["value"] = write["value"].clone(),
            }
            changed = true;
            thread.written.insert((place.clone(), (task.clone(), index)), moment.lsn);
            writes.insert((task.clone(), index), kept);
            stored += 1;
        }
        Ok((json!({"stored": stored}), changed))
    }
}
