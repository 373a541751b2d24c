//! Reading sessions and messages.

use agentdb_engine::modules::session::message;
use agentdb_engine::modules::session::{Get, List};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Check, View};
use crate::generate::{MESSAGES, OWNERS};
use crate::model::session::Session;

impl View<'_> {
    pub(super) fn sessions(&self, dice: &mut Random, all: bool) -> Check {
        let entries = |owner: Option<&str>| -> Vec<Value> {
            let live = self.model.live_sessions(self.now);
            let of_owner = live.filter(|(_, session)| owner.is_none_or(|o| o == session.owner));
            of_owner.map(|(id, session)| session.entry(id)).collect()
        };
        self.lists::<List>(&json!({}), &entries(None), dice)?;
        let owner = OWNERS[dice.below(OWNERS.len() as u64) as usize];
        self.lists::<List>(&json!({"owner": owner}), &entries(Some(owner)), dice)?;
        for (id, session) in self.model.sessions.iter() {
            if !all && !dice.chance(1, 3) {
                continue;
            }
            if session.live(self.now) {
                self.session(id, session, dice)?;
            } else {
                self.refuses::<Get>(&json!({"session": id}), Code::SessionNotFound)?;
                self.refuses::<message::List>(&json!({"session": id}), Code::SessionNotFound)?;
            }
        }
        self.refuses::<Get>(&json!({"session": "nobody's"}), Code::SessionNotFound)
    }

    fn session(&self, id: &str, session: &Session, dice: &mut Random) -> Check {
        self.expect::<Get>(&json!({"session": id}), &session.entry(id))?;
        let between = |after: u64, before: u64| -> Vec<Value> {
            let messages = session.messages.iter().filter(|(s, _)| **s > after && **s < before);
            messages.map(|(sequence, message)| message.entry(*sequence)).collect()
        };
        let everything = between(0, u64::MAX);
        self.lists::<message::List>(&json!({"session": id}), &everything, dice)?;
        let last = session.messages.keys().next_back().copied().unwrap_or_default();
        let (after, before) = (dice.below(last + 2), dice.below(last + 3));
        let bounds = json!({"session": id, "after_sequence": after, "before_sequence": before});
        self.lists::<message::List>(&bounds, &between(after, before), dice)?;
        if let Some(entry) = everything.get(dice.below(everything.len() as u64) as usize) {
            let request = json!({"session": id, "message": entry["message"]});
            self.expect::<message::Get>(&request, entry)?;
        }
        let others = MESSAGES.iter().filter(|id| session.messages.values().all(|m| m.message != **id));
        for absent in others.chain([&"never said"]) {
            let request = json!({"session": id, "message": absent});
            self.refuses::<message::Get>(&request, Code::MessageNotFound)?;
        }
        Ok(())
    }
}
