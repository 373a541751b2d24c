//! Reading links and following them.

use agentdb_engine::modules::link::{Get, List, Traverse};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::json;

use super::{Check, View};
use crate::generate::{self, LINK_TYPES};
use crate::model::link::{Asked, Nodes};
use crate::model::record::Record;

impl View<'_> {
    pub(super) fn links(&self, dice: &mut Random, all: bool) -> Check {
        let nodes = self.model.live_nodes(self.now);
        for (collection, of) in &*self.model.collections {
            for (id, record) in of.live(self.now) {
                if all || dice.chance(1, 3) {
                    self.links_of(&nodes, (collection, id), record, dice)?;
                }
            }
            self.traversal(&nodes, collection, dice)?;
        }
        for (key, link) in self.model.links_among(&nodes) {
            if all || dice.chance(1, 3) {
                let (from, to) = (nodes[&key.0], nodes[&key.2]);
                let mut request = json!({
                    "collection": from.collection, "record": from.id, "type": key.1,
                    "to_collection": to.collection, "to": to.id,
                });
                self.expect::<Get>(&request, &link.entry())?;
                request["type"] = json!("none");
                self.refuses::<Get>(&request, Code::LinkNotFound)?;
            }
        }
        Ok(())
    }

    /// Compares the links of a record, page by page.
    fn links_of(
        &self,
        nodes: &Nodes<'_>,
        (collection, id): (&str, &str),
        record: &Record,
        dice: &mut Random,
    ) -> Check {
        let (direction, types) = (direction(dice), types(dice));
        let filter = if dice.chance(1, 2) { json!({}) } else { generate::filter(dice) };
        let limit = 1 + dice.below(5) as usize;
        let expected = self.model.listed(nodes, record, (direction, &types), &filter);
        let mut request = json!({
            "collection": collection, "record": id, "direction": direction, "types": types, "filter": filter,
            "limit": limit,
        });
        let mut rest = &expected[..];
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

    fn traversal(&self, nodes: &Nodes<'_>, collection: &str, dice: &mut Random) -> Check {
        let live = self.model.collections[collection].live(self.now);
        let mut records: Vec<&str> = live.map(|(id, _)| id.as_str()).collect();
        records.retain(|_| dice.chance(1, 2));
        if records.is_empty() {
            let request = json!({"collection": collection, "records": ["nobody"]});
            return self.refuses::<Traverse>(&request, Code::RecordNotFound);
        }
        let maybe = |dice: &mut Random| dice.chance(1, 3).then(|| generate::filter(dice));
        let asked = Asked {
            collection,
            records,
            direction: direction(dice),
            types: types(dice),
            depth: 1 + dice.below(4) as usize,
            filter: maybe(dice),
            through: maybe(dice),
            limit: if dice.chance(1, 3) { 1 + dice.below(4) as usize } else { 100 },
        };
        let request = json!({
            "collection": collection, "records": asked.records, "direction": asked.direction,
            "types": asked.types, "depth": asked.depth, "limit": asked.limit,
        });
        let filters = [("filter", asked.filter.clone()), ("through", asked.through.clone())];
        let request = crate::model::with(request, &filters);
        self.expect::<Traverse>(&request, &self.model.traversed(nodes, &asked))
    }
}

fn direction(dice: &mut Random) -> &'static str {
    ["out", "in", "both"][dice.below(3) as usize]
}

fn types(dice: &mut Random) -> Vec<&'static str> {
    LINK_TYPES.into_iter().filter(|_| dice.chance(1, 4)).collect()
}
