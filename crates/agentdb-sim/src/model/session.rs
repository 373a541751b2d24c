//! Sessions and their messages. A session's time to live counts from its last change.

use std::collections::BTreeMap;
use std::rc::Rc;

use agentdb_types::{Code, limits};
use serde_json::{Map, Value, json};

use super::history::SESSION;
use super::retention::Policy;
use super::{
    Decision, Moment, Namespace, check_id, check_map, check_size, check_value, given_map, given_text,
    is_live, merge, text, time, with,
};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    pub(crate) owner: String,
    title: Option<String>,
    metadata: Map<String, Value>,
    created: i64,
    pub(super) updated: i64,
    ttl: Option<i64>,
    /// By sequence number.
    pub(crate) messages: BTreeMap<u64, Rc<Message>>,
    /// The sequence number that was given last.
    sequence: u64,
    /// The LSN at which it last changed by more than its messages.
    pub(super) version: u64,
    /// The LSN at which it was last without messages of its own because it was new or cleared.
    pub(super) emptied: u64,
    /// The messages that it shared with another one then.
    pub(super) start: Rc<BTreeMap<u64, Rc<Message>>>,
    /// That one, and up to which sequence number it shared them, if any.
    pub(super) base: Option<Value>,
    /// The LSN at which a message was last changed or deleted.
    pub(super) edited: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) message: String,
    role: String,
    name: Option<String>,
    content: Value,
    metadata: Map<String, Value>,
    created: i64,
    pub(crate) version: u64,
}

impl Session {
    fn new(owner: String, moment: &Moment<'_>) -> Self {
        Session {
            owner,
            title: None,
            metadata: Map::new(),
            created: moment.now,
            updated: moment.now,
            ttl: None,
            messages: BTreeMap::new(),
            sequence: 0,
            version: moment.lsn,
            emptied: moment.lsn,
            start: Rc::default(),
            base: None,
            edited: 0,
        }
    }

    fn expires(&self) -> Option<i64> {
        self.ttl.map(|ttl| self.updated.saturating_add(ttl).min(limits::TIME_MAX_US))
    }

    pub(crate) fn live(&self, now: i64) -> bool {
        is_live(self.expires(), now)
    }

    pub(crate) fn entry(&self, session: &str) -> Value {
        let entry = json!({
            "session": session, "owner": self.owner, "metadata": self.metadata,
            "created": time(self.created), "updated": time(self.updated),
            "messages": self.messages.len(), "last_sequence": self.sequence,
        });
        let expires = self.expires().map(time);
        with(
            entry,
            &[
                ("title", self.title.clone().map(Value::String)),
                ("ttl_us", self.ttl.map(Value::from)),
                ("expires", expires),
                ("base", self.base.clone()),
            ],
        )
    }

    /// The oldest messages that may go: sequence and id.
    pub(super) fn outdated(&self, policy: &Policy, now: i64) -> Vec<(u64, String)> {
        let too_many = self.messages.len().saturating_sub(policy.most());
        let of = self.messages.iter().enumerate();
        let going = of.take_while(|(n, (_, m))| *n < too_many || policy.is_over(m.created, now));
        going.map(|(_, (sequence, m))| (*sequence, m.message.clone())).collect()
    }

    fn sequence_of(&self, message: &str) -> Option<u64> {
        self.messages.iter().find(|(_, m)| m.message == message).map(|(sequence, _)| *sequence)
    }
}

impl Message {
    pub(crate) fn entry(&self, sequence: u64) -> Value {
        let entry = json!({
            "message": self.message, "sequence": sequence, "role": self.role, "content": self.content,
            "metadata": self.metadata, "created": time(self.created), "version": self.version,
        });
        with(entry, &[("name", self.name.clone().map(Value::String))])
    }
}

impl Namespace {
    /// The sessions that have not expired, by id.
    pub(crate) fn live_sessions(&self, now: i64) -> impl Iterator<Item = (&String, &Rc<Session>)> {
        self.sessions.iter().filter(move |(_, session)| session.live(now))
    }

    fn session(&self, id: &str, now: i64) -> Result<Option<Rc<Session>>, Code> {
        check_id(id)?;
        Ok(self.sessions.get(id).filter(|s| s.live(now)).cloned())
    }

    fn required(&self, id: &str, now: i64) -> Result<Session, Code> {
        let found = self.session(id, now)?.ok_or(Code::SessionNotFound)?;
        Ok(Rc::unwrap_or_clone(found))
    }

    fn keep(&mut self, id: String, session: Session) {
        Rc::make_mut(&mut self.sessions).insert(id, Rc::new(session));
    }

    pub(super) fn session_operation(
        &mut self,
        name: &str,
        fields: &Value,
        moment: &mut Moment<'_>,
    ) -> Decision {
        let now = moment.now;
        match name {
            "session.create" => {
                let id = given_text(fields, "session").unwrap_or_else(|| moment.new_id());
                if self.session(&id, now)?.is_some() {
                    return Err(Code::SessionExists);
                }
                let owner = text(fields, "owner");
                check_id(&owner)?;
                let mut session = Session::new(owner, moment);
                session.title = given_text(fields, "title");
                check_size(session.title.as_ref().map_or(0, String::len))?;
                session.metadata = given_map(fields, "metadata");
                check_map(&session.metadata)?;
                let expires = moment.expiry(&fields["ttl_us"])?;
                session.ttl = fields["ttl_us"].as_i64();
                self.keep(id.clone(), session);
                let created = json!({"session": id, "created": time(now)});
                Ok((with(created, &[("expires", expires.map(time))]), true))
            }
            "session.update" => {
                let id = text(fields, "session");
                let mut session = self.required(&id, now)?;
                if let Some(title) = fields.get("title") {
                    session.title = title.as_str().map(str::to_owned);
                    check_size(session.title.as_ref().map_or(0, String::len))?;
                }
                if let Some(patch) = fields.get("metadata").filter(|patch| !patch.is_null()) {
                    merge(&mut session.metadata, patch.as_object().ok_or(Code::InvalidPatch)?);
                    check_map(&session.metadata)?;
                }
                if let Some(ttl) = fields.get("ttl_us") {
                    moment.expiry(ttl)?;
                    session.ttl = ttl.as_i64();
                }
                session.updated = now;
                session.version = moment.lsn;
                let updated = json!({"updated": time(now)});
                let response = with(updated, &[("expires", session.expires().map(time))]);
                self.keep(id, session);
                Ok((response, true))
            }
            "session.fork" => self.fork_session(fields, moment),
            "session.restore" => self.restore_session(fields, moment),
            _ => {
                let id = text(fields, "session");
                let found = self.session(&id, now)?.is_some();
                if found {
                    Rc::make_mut(&mut self.sessions).remove(&id);
                }
                Ok((json!({"deleted": found}), found))
            }
        }
    }

    fn fork_session(&mut self, fields: &Value, moment: &mut Moment<'_>) -> Decision {
        let to = given_text(fields, "to").unwrap_or_else(|| moment.new_id());
        if self.session(&to, moment.now)?.is_some() {
            return Err(Code::SessionExists);
        }
        let id = text(fields, "session");
        let (then, at) = match fields.get("at").filter(|at| !at.is_null()) {
            None => (self.required(&id, moment.now)?, moment.lsn),
            Some(at) => {
                let (then, time_then) = moment.then(at, SESSION, &id)?;
                (then.required(&id, time_then)?, moment.resolve(at)?.0)
            }
        };
        let through = fields["through_sequence"].as_u64().unwrap_or(u64::MAX).min(then.sequence);
        let (created, updated, version, emptied) = (moment.now, moment.now, moment.lsn, moment.lsn);
        let now = self.session(&id, moment.now)?.filter(|now| now.emptied == then.emptied);
        let shares = now.is_some_and(|now| {
            let mut messages = now.messages.range(..=through);
            now.edited <= at
                && now.edited != moment.lsn
                && messages.all(|(_, message)| message.version != moment.lsn)
        });
        let mut fork = Session {
            created,
            updated,
            version,
            emptied,
            base: None,
            edited: 0,
            start: Rc::default(),
            ..then
        };
        fork.sequence = through;
        fork.messages.retain(|sequence, _| *sequence <= through);
        if shares {
            fork.start = Rc::new(fork.messages.clone());
            let lsn = if fields["at"].is_null() { moment.lsn - 1 } else { at };
            let base = json!({"session": id, "through_sequence": through, "lsn": lsn});
            fork.base = (!fork.messages.is_empty()).then_some(base);
        } else {
            fork.messages.values_mut().for_each(|message| Rc::make_mut(message).version = moment.lsn);
        }
        let answer = json!({"session": to, "created": time(moment.now), "messages": fork.messages.len()});
        let answer = with(answer, &[("expires", fork.expires().map(time))]);
        self.keep(to, fork);
        Ok((answer, true))
    }

    fn restore_session(&mut self, fields: &Value, moment: &mut Moment<'_>) -> Decision {
        let id = text(fields, "session");
        let (then, time_then) = moment.then(&fields["at"], SESSION, &id)?;
        let mut session = then.required(&id, time_then)?;
        let now = self.session(&id, moment.now)?;
        let same = now.as_ref().is_some_and(|now| now.emptied == session.emptied);
        session.emptied = now.as_ref().map_or(moment.lsn, |now| now.emptied);
        session.version = moment.lsn;
        session.start = now.as_ref().map_or_else(Rc::default, |now| now.start.clone());
        session.base = now.as_ref().filter(|_| same).and_then(|now| now.base.clone());
        session.edited = now.as_ref().map_or(0, |now| now.edited);
        let (there, sequence) = now.map_or_else(Default::default, |now| (now.messages.clone(), now.sequence));
        let deleted = there.keys().filter(|sequence| !session.messages.contains_key(sequence)).count();
        let mut restored = 0;
        for (sequence, message) in &mut session.messages {
            if there.get(sequence).is_none_or(|there| there.version != message.version) {
                Rc::make_mut(message).version = moment.lsn;
                restored += 1;
            }
        }
        if restored + deleted > 0 {
            session.edited = moment.lsn;
        }
        session.updated = moment.now;
        session.sequence = session.sequence.max(sequence);
        let answer = json!({"messages": session.messages.len(), "restored": restored, "deleted": deleted});
        let answer = with(answer, &[("expires", session.expires().map(time))]);
        self.keep(id, session);
        Ok((answer, true))
    }

    pub(super) fn message_operation(
        &mut self,
        name: &str,
        fields: &Value,
        moment: &mut Moment<'_>,
    ) -> Decision {
        let id = text(fields, "session");
        match name {
            "message.append" => self.append(id, fields, moment),
            "message.update" => self.update_message(id, fields, moment),
            "message.clear" => {
                let mut session = self.required(&id, moment.now)?;
                let deleted = std::mem::take(&mut session.messages).len();
                session.updated = moment.now;
                (session.version, session.emptied) = (moment.lsn, moment.lsn);
                (session.start, session.base, session.edited) = (Rc::default(), None, 0);
                self.keep(id, session);
                Ok((json!({"deleted": deleted}), true))
            }
            _ => {
                let mut session = self.required(&id, moment.now)?;
                let message = text(fields, "message");
                check_id(&message)?;
                let Some(sequence) = session.sequence_of(&message) else {
                    return Ok((json!({"deleted": false}), false));
                };
                session.messages.remove(&sequence);
                (session.updated, session.edited) = (moment.now, moment.lsn);
                self.keep(id, session);
                Ok((json!({"deleted": true}), true))
            }
        }
    }

    fn update_message(&mut self, id: String, fields: &Value, moment: &Moment<'_>) -> Decision {
        let mut session = self.required(&id, moment.now)?;
        let called = text(fields, "message");
        check_id(&called)?;
        let sequence = session.sequence_of(&called).ok_or(Code::MessageNotFound)?;
        let mut message = Message::clone(&session.messages[&sequence]);
        if fields["expected_version"].as_u64().is_some_and(|expected| expected != message.version) {
            return Err(Code::VersionMismatch);
        }
        if let Some(content) = fields.get("content") {
            check_value(content)?;
            message.content = content.clone();
        }
        if let Some(name) = fields.get("name") {
            name.as_str().map_or(Ok(()), check_id)?;
            message.name = name.as_str().map(str::to_owned);
        }
        if let Some(patch) = fields.get("metadata").filter(|patch| !patch.is_null()) {
            merge(&mut message.metadata, patch.as_object().ok_or(Code::InvalidPatch)?);
            check_map(&message.metadata)?;
        }
        message.version = moment.lsn;
        (session.updated, session.edited) = (moment.now, moment.lsn);
        session.messages.insert(sequence, Rc::new(message));
        self.keep(id, session);
        Ok((json!({"sequence": sequence, "version": moment.lsn}), true))
    }

    fn append(&mut self, id: String, fields: &Value, moment: &mut Moment<'_>) -> Decision {
        let (role, name) = (text(fields, "role"), given_text(fields, "name"));
        check_id(&role)?;
        name.as_deref().map_or(Ok(()), check_id)?;
        let (content, metadata) = (fields["content"].clone(), given_map(fields, "metadata"));
        check_value(&content)?;
        check_map(&metadata)?;
        let mut session = match (self.session(&id, moment.now)?, given_text(fields, "owner")) {
            (Some(found), Some(owner)) if found.owner != owner => return Err(Code::SessionMismatch),
            (Some(found), _) => Rc::unwrap_or_clone(found),
            (None, None) => return Err(Code::SessionNotFound),
            (None, Some(owner)) => {
                check_id(&owner)?;
                Session::new(owner, moment)
            }
        };
        let message = given_text(fields, "message").unwrap_or_else(|| moment.new_id());
        check_id(&message)?;
        if session.sequence_of(&message).is_some() {
            return Err(Code::MessageExists);
        }
        session.sequence += 1;
        session.updated = moment.now;
        let response = json!({"message": message, "sequence": session.sequence, "version": moment.lsn});
        let (created, version) = (moment.now, moment.lsn);
        let message = Message { message, role, name, content, metadata, created, version };
        session.messages.insert(session.sequence, Rc::new(message));
        self.keep(id, session);
        Ok((response, true))
    }
}
