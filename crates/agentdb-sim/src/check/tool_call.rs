//! Reading tool calls.

use agentdb_engine::modules::tool_call::{Get, List};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Check, View};
use crate::generate::{OWNERS, TOOLS};
use crate::model::tool_call::{Call, Place};

const STATES: [&str; 5] = ["claimed", "unknown", "retryable", "completed", "failed"];

impl View<'_> {
    pub(super) fn calls(&self, dice: &mut Random) -> Check {
        let live: Vec<(&Place, &Call)> =
            self.model.live_calls(self.now).map(|(place, call)| (place, &**call)).collect();
        let entries = |admits: &dyn Fn(&Place, &Call) -> bool| -> Vec<Value> {
            let found = live.iter().filter(|(place, call)| admits(place, call));
            found.map(|(place, call)| call.entry(place, self.now)).collect()
        };
        self.lists::<List>(&json!({}), &entries(&|_, _| true), dice)?;
        let (owner, tool) = (OWNERS[dice.below(4) as usize], TOOLS[dice.below(2) as usize]);
        let prefix = ["", "pa", "\u{0}"][dice.below(3) as usize];
        let expected = entries(&|(of, key), _| of == owner && key.starts_with(prefix));
        self.lists::<List>(&json!({"owner": owner, "prefix": prefix}), &expected, dice)?;
        self.lists::<List>(&json!({"tool": tool}), &entries(&|_, call| call.tool == tool), dice)?;
        for state in STATES {
            let mut found: Vec<_> = live.iter().filter(|(_, call)| call.state(self.now) == state).collect();
            found.sort_by_key(|(place, call)| (call.order(), *place));
            let found: Vec<Value> = found.iter().map(|(place, call)| call.entry(place, self.now)).collect();
            self.lists::<List>(&json!({"state": state}), &found, dice)?;
            if dice.chance(1, 3) {
                let of_tool: Vec<Value> = found.into_iter().filter(|entry| entry["tool"] == tool).collect();
                self.lists::<List>(&json!({"state": state, "tool": tool}), &of_tool, dice)?;
                let of_owner = entries(&|(of, _), call| of == owner && call.state(self.now) == state);
                self.lists::<List>(&json!({"state": state, "owner": owner}), &of_owner, dice)?;
            }
        }
        for (place, call) in self.model.calls.iter().filter(|_| dice.chance(1, 3)) {
            let request = json!({"owner": place.0, "key": place.1});
            if call.live(self.now) {
                self.expect::<Get>(&request, &call.entry(place, self.now))?;
            } else {
                self.refuses::<Get>(&request, Code::ToolCallNotFound)?;
            }
        }
        let nobody = json!({"owner": "nobody", "key": "pay"});
        self.refuses::<Get>(&nobody, Code::ToolCallNotFound)
    }
}
