//! Reading threads and their checkpoints.

use agentdb_engine::modules::checkpoint::{Get, History, List, thread};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Check, View};
use crate::generate::CHANNELS;
use crate::model::checkpoint::Thread;

impl View<'_> {
    pub(super) fn threads(&self, dice: &mut Random, all: bool) -> Check {
        let entries: Vec<Value> =
            self.model.threads.iter().map(|(name, thread)| thread.entry(name)).collect();
        self.lists::<thread::List>(&json!({}), &entries, dice)?;
        for (name, thread) in self.model.threads.iter() {
            if all || dice.chance(1, 3) {
                self.thread(name, thread, dice)?;
            }
        }
        self.refuses::<Get>(&json!({"thread": "nobody's"}), Code::CheckpointNotFound)?;
        let channels = json!({"thread": "nobody's", "channels": ["said"]});
        self.refuses::<History>(&channels, Code::CheckpointNotFound)
    }

    fn thread(&self, name: &str, thread: &Thread, dice: &mut Random) -> Check {
        let newest_first = || thread.checkpoints.keys().rev();
        let entries = |brief: bool, admits: &dyn Fn(&(String, String)) -> bool| -> Vec<Value> {
            newest_first()
                .filter(|place| admits(place))
                .map(|place| thread.checkpoint(name, place, brief))
                .collect()
        };
        self.pages(&json!({"thread": name}), &entries(false, &|_| true), dice)?;
        for (part, id) in newest_first() {
            if !dice.chance(1, 3) {
                continue;
            }
            let place = (part.clone(), id.clone());
            let request = json!({"thread": name, "namespace": part, "checkpoint": id});
            self.expect::<Get>(&request, &thread.checkpoint(name, &place, false))?;
            let histories: serde_json::Map<_, _> = CHANNELS
                .iter()
                .map(|channel| ((*channel).to_owned(), thread.history(&place, channel)))
                .collect();
            let request = json!({"thread": name, "namespace": part, "checkpoint": id, "channels": CHANNELS});
            self.expect::<History>(&request, &json!({"channels": histories}))?;
            let step = thread.checkpoints[&place].metadata["step"].clone();
            let request = json!({
                "thread": name, "namespace": part, "before": id, "filter": {"step": step}, "brief": true,
            });
            let admits = |(of, other): &(String, String)| {
                let same = thread.checkpoints[&(of.clone(), other.clone())].metadata["step"] == step;
                of == part && other < id && same
            };
            self.pages(&request, &entries(true, &admits), dice)?;
            let latest = newest_first().find(|(of, _)| of == part);
            if let Some(latest) = latest {
                let request = json!({"thread": name, "namespace": part});
                self.expect::<Get>(&request, &thread.checkpoint(name, latest, false))?;
            }
        }
        let request = json!({"thread": name, "checkpoint": "none"});
        self.refuses::<Get>(&request, Code::CheckpointNotFound)
    }

    fn pages(&self, request: &Value, expected: &[Value], dice: &mut Random) -> Check {
        let (mut request, mut rest) = (request.clone(), expected);
        let limit = 1 + dice.below(9) as usize;
        request["limit"] = json!(limit);
        loop {
            let (page, after) = rest.split_at(limit.min(rest.len()));
            let found = self.must_read::<List>(&request)?;
            let ended = found.get("cursor").is_none();
            if found["items"] != json!(page) || ended != after.is_empty() {
                return Err(self.differs::<List>(&request, &found, &json!(rest)));
            }
            if ended {
                return Ok(());
            }
            request["cursor"] = found["cursor"].clone();
            rest = after;
        }
    }
}
