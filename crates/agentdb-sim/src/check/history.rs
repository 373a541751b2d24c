//! Reading what was: versions, differences between two points, and everything as of a point.

use std::rc::Rc;

use agentdb_engine::ReadRequest;
use agentdb_engine::modules::retention;
use agentdb_engine::modules::session::{self, message};
use agentdb_engine::modules::state::{Diff, History, List};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Check, View};
use crate::generate::OWNERS;
use crate::model::Namespace;
use crate::model::history::Past;
use crate::model::retention::NOUNS;
use crate::model::state::State;

impl View<'_> {
    /// Compares what the present tells of the past.
    pub(super) fn history(&self, dice: &mut Random) -> Check {
        let listed: Vec<Value> = NOUNS.iter().map(|noun| self.model.retention_entry(noun)).collect();
        self.expect::<retention::List>(&json!({}), &json!({"items": listed}))?;
        let owner = OWNERS[dice.below(OWNERS.len() as u64) as usize];
        let key = ["a", "plan", "counter"][dice.below(3) as usize];
        self.versions(owner, key, 1 + dice.below(5))?;
        let points = [self.point(dice), self.point(dice)];
        self.state_diff(owner, points, 1 + dice.below(3))?;
        match self.model.sessions.keys().next() {
            Some(session) => self.message_diff(session, points, 1 + dice.below(3)),
            None => Ok(()),
        }
    }

    fn lsn(&self) -> u64 {
        self.snapshot.lsn().0
    }

    fn point(&self, dice: &mut Random) -> u64 {
        let head = self.lsn();
        if dice.chance(1, 8) { dice.below(head + 1) } else { head - dice.below(head.min(30) + 1) }
    }

    /// What reading a noun as of an LSN is refused with.
    pub(crate) fn refusal_at(&self, noun: usize, lsn: u64) -> Option<Code> {
        let kept = &self.model.retention.0[noun];
        match () {
            () if lsn > 0 && lsn < self.moments_from => Some(Code::HistoryTrimmed),
            () if kept.keeps_none() => Some(Code::NoHistory),
            () if lsn < kept.since => Some(Code::HistoryTrimmed),
            () => None,
        }
    }

    /// The namespace after an LSN, and the time of that.
    fn then(&self, lsn: u64) -> (Namespace, i64) {
        let found = self.past.get(&lsn);
        let namespace = found.and_then(|(model, _)| model.namespaces.get(&self.number));
        (namespace.cloned().unwrap_or_default(), found.map_or(0, |(_, time)| *time))
    }

    /// All pages of an answer.
    fn all_pages<R: ReadRequest>(&self, request: &Value, limit: u64) -> Check<Vec<Value>> {
        let (mut request, mut items) = (request.clone(), Vec::new());
        request["limit"] = json!(limit);
        loop {
            let page = self.must_read::<R>(&request)?;
            let found = page["items"].as_array().cloned().unwrap_or_default();
            if found.len() as u64 > limit || (page.get("cursor").is_some() && found.len() as u64 != limit) {
                return Err(format!(
                    "{} {request} was answered with a page of {}",
                    R::ABOUT.name,
                    found.len()
                ));
            }
            items.extend(found);
            match page.get("cursor") {
                Some(cursor) => request["cursor"] = cursor.clone(),
                None => return Ok(items),
            }
        }
    }

    /// The versions of a value: those that the model had, newest first. Of one that expired it is not known when it was
    /// swept.
    fn versions(&self, owner: &str, key: &str, limit: u64) -> Check {
        let request = json!({"owner": owner, "key": key});
        if self.model.retention.0[0].keeps_none() {
            return self.refuses::<History>(&request, Code::NoHistory);
        }
        let found = self.all_pages::<History>(&request, limit)?;
        let mut expected = ended(self.past, self.number, &(owner.to_owned(), key.to_owned()), self.lsn());
        expected.retain(|(_, ended, _)| ended.is_none_or(|ended| ended > self.model.retention.0[0].since));
        let mut left = expected.iter();
        for item in &found {
            let matching = loop {
                match left.next() {
                    Some((state, ended, _)) if item["version"] == state.version => {
                        break Some((state, ended));
                    }
                    Some((.., true)) => {}
                    _ => break None,
                }
            };
            let same = |state: &State| {
                let entry = state.entry(key);
                ["value", "version", "created", "updated", "expires"]
                    .iter()
                    .all(|f| entry.get(f) == item.get(f))
            };
            let right = matching.is_some_and(|(state, ended)| {
                same(state)
                    && (state.expires_at().is_some() || item.get("ended") == ended.map(|e| json!(e)).as_ref())
            });
            if !right {
                return Err(self.differs::<History>(
                    &request,
                    &json!(found),
                    &json!(format!("{expected:?}")),
                ));
            }
        }
        if left.all(|(.., optional)| *optional) {
            return Ok(());
        }
        Err(self.differs::<History>(&request, &json!(found), &json!(format!("{expected:?}"))))
    }

    fn state_diff(&self, owner: &str, [from, to]: [u64; 2], limit: u64) -> Check {
        let request = json!({"owner": owner, "from": from, "to": to});
        if let Some(code) = self.refusal_at(0, from).or(self.refusal_at(0, to)) {
            return self.refuses_with_either::<Diff>(&request, code);
        }
        let entries = |lsn| {
            let (namespace, time) = self.then(lsn);
            namespace.states_of(owner, "", time)
        };
        let expected = differences(&entries(from), &entries(to), "key");
        let found = self.all_pages::<Diff>(&request, limit)?;
        if found == expected {
            Ok(())
        } else {
            Err(self.differs::<Diff>(&request, &json!(found), &json!(expected)))
        }
    }

    fn message_diff(&self, session: &str, [from, to]: [u64; 2], limit: u64) -> Check {
        let request = json!({"session": session, "from": from, "to": to});
        if let Some(code) = self.refusal_at(1, from).or(self.refusal_at(1, to)) {
            return self.refuses_with_either::<message::Diff>(&request, code);
        }
        let entries = |lsn| {
            let (namespace, time) = self.then(lsn);
            let found = namespace.sessions.get(session).filter(|session| session.live(time));
            let messages = |session: &crate::model::session::Session| {
                session
                    .messages
                    .iter()
                    .map(|(sequence, message)| message.entry(*sequence))
                    .collect::<Vec<_>>()
            };
            found.map(|session| messages(session))
        };
        let (before, after) = (entries(from), entries(to));
        if before.is_none() && after.is_none() {
            return self.refuses::<message::Diff>(&request, Code::SessionNotFound);
        }
        let expected = differences(&before.unwrap_or_default(), &after.unwrap_or_default(), "sequence");
        let found = self.all_pages::<message::Diff>(&request, limit)?;
        if found == expected {
            return Ok(());
        }
        Err(self.differs::<message::Diff>(&request, &json!(found), &json!(expected)))
    }

    /// Two points may be refused for two reasons.
    fn refuses_with_either<R: ReadRequest>(&self, request: &Value, code: Code) -> Check {
        match self.read::<R>(request) {
            Err(err) if matches!(err.code(), Code::HistoryTrimmed | Code::NoHistory) => Ok(()),
            answer => {
                Err(format!("{} {request} was answered {answer:?}, not refused with {code}", R::ABOUT.name))
            }
        }
    }

    /// Compares states and sessions with what they were, or with what reading them is refused with; the snapshot is of
    /// the past.
    pub(crate) fn as_it_was(&self, refused: [Option<Code>; 2], dice: &mut Random) -> Check {
        match refused[0] {
            Some(code) => self.refuses::<List>(&json!({"owner": "ann"}), code)?,
            None => self.states(dice)?,
        }
        match refused[1] {
            Some(code) => self.refuses::<session::List>(&json!({}), code),
            None => self.sessions(dice, true),
        }
    }
}

/// What differs between two lists of entries in the order of a field.
fn differences(before: &[Value], after: &[Value], field: &str) -> Vec<Value> {
    let find = |entries: &[Value], key: &Value| entries.iter().find(|entry| entry[field] == *key).cloned();
    let mut keys: Vec<&Value> = before.iter().chain(after).map(|entry| &entry[field]).collect();
    keys.sort_by(|a, b| (a.as_u64(), a.as_str()).cmp(&(b.as_u64(), b.as_str())));
    keys.dedup();
    let change = |key: &&Value| {
        let (then, now) = (find(before, key), find(after, key));
        let version = |entry: &Option<Value>| entry.as_ref().map(|entry| entry["version"].clone());
        let differs = version(&then) != version(&now);
        let change = json!({field: key});
        differs.then(|| crate::model::with(change, &[("before", then), ("after", now)]))
    };
    keys.iter().filter_map(change).collect()
}

/// The versions that a value had up to an LSN, newest first: when it ended, and whether it may have been swept, and so be
/// told of otherwise.
fn ended(past: &Past, number: u64, id: &(String, String), head: u64) -> Vec<(Rc<State>, Option<u64>, bool)> {
    let mut versions: Vec<(Rc<State>, Option<u64>, bool)> = Vec::new();
    let mut last: Option<Rc<State>> = None;
    for (lsn, (model, time)) in past.range(..=head) {
        let now = model.namespaces.get(&number).and_then(|namespace| namespace.states.get(id)).cloned();
        if last.as_ref().map(|state| state.version) != now.as_ref().map(|state| state.version) {
            versions.extend(last.take().map(|state| {
                let expired = !state.live(*time);
                (state, Some(*lsn), expired)
            }));
        }
        last = now;
    }
    versions.extend(last.map(|state| {
        let may_expire = state.expires_at().is_some();
        (state, None, may_expire)
    }));
    versions.reverse();
    versions
}
