//! Reading states.

use agentdb_engine::modules::state::{Count, Get, GetMany, List, Owners};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Check, View};
use crate::generate::OWNERS;

impl View<'_> {
    pub(super) fn states(&self, dice: &mut Random) -> Check {
        for owner in OWNERS {
            let expected = self.model.states_of(owner, "", self.now);
            self.lists::<List>(&json!({"owner": owner}), &expected, dice)?;
        }
        let owner = OWNERS[dice.below(OWNERS.len() as u64) as usize];
        let prefix = ["a", "", "\u{0}"][dice.below(3) as usize];
        let expected = self.model.states_of(owner, prefix, self.now);
        let request = json!({"owner": owner, "prefix": prefix});
        self.lists::<List>(&request, &expected, dice)?;
        self.expect::<Count>(&request, &json!({"count": expected.len()}))?;
        self.lists::<Owners>(&json!({}), &self.model.owners("", self.now), dice)?;
        let start = ["a", "an", "ann", "b", "b\u{0}", "none"][dice.below(6) as usize];
        self.lists::<Owners>(&json!({"prefix": start}), &self.model.owners(start, self.now), dice)?;
        for key in ["a", "counter"] {
            let request = json!({"owner": owner, "key": key});
            let all = self.model.states_of(owner, "", self.now);
            let found = all.into_iter().find(|entry| entry["key"] == key);
            let many = json!({"owner": owner, "keys": ["nothing", key]});
            self.expect::<GetMany>(&many, &json!({"items": [Value::Null, found]}))?;
            match found {
                Some(entry) => self.expect::<Get>(&request, &entry)?,
                None => self.refuses::<Get>(&request, Code::StateNotFound)?,
            }
        }
        Ok(())
    }
}
