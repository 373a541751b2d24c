//! Reading, searching and listing items.

use agentdb_engine::modules::item::{Get, GetIndex, ListPaths, Search};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Check, View};
use crate::generate::{self, ITEM_KEYS, PATHS};
use crate::model::item::encode;

/// How much a score may differ.
const TOLERANCE: f64 = 1e-4;

impl View<'_> {
    pub(super) fn items(&self, dice: &mut Random, all: bool) -> Check {
        let index = self.model.item_index.as_ref().map(|index| index.entry());
        self.expect::<GetIndex>(&json!({}), &index.map_or(json!({}), |index| json!({"index": index})))?;
        for path in PATHS.iter().filter(|_| all || dice.chance(1, 3)).collect::<Vec<_>>() {
            for key in ITEM_KEYS {
                self.item(path, key)?;
            }
        }
        for _ in 0..if all { 6 } else { 2 } {
            self.list_paths(dice)?;
            self.search_items(dice)?;
        }
        Ok(())
    }

    fn item(&self, path: &[&str], key: &str) -> Check {
        let place = (path.iter().map(|s| (*s).to_owned()).collect(), key.to_owned());
        let request = json!({"path": path, "key": key});
        match self.model.items.get(&place).filter(|item| item.live(self.now)) {
            Some(item) => self.expect::<Get>(&request, &item.entry(&place, None)),
            None => self.refuses::<Get>(&request, Code::ItemNotFound),
        }
    }

    fn list_paths(&self, dice: &mut Random) -> Check {
        let conditions = generate::conditions(dice);
        let max_depth = dice.chance(1, 2).then(|| 1 + dice.below(3) as usize);
        let expected = self.model.item_paths(&conditions, max_depth, self.now);
        let mut request = json!({"conditions": conditions});
        if let Some(max_depth) = max_depth {
            request["max_depth"] = json!(max_depth);
        }
        self.lists::<ListPaths>(&request, &expected, dice)?;
        let offset = dice.below(4) as usize;
        request["offset"] = json!(offset);
        let rest: Vec<Value> = expected.into_iter().skip(offset).collect();
        self.expect::<ListPaths>(&request, &json!({"items": rest}))
    }

    fn search_items(&self, dice: &mut Random) -> Check {
        let path: Vec<String> = match dice.below(3) {
            0 => Vec::new(),
            _ => PATHS[dice.below(6) as usize]
                .iter()
                .take(1 + dice.below(2) as usize)
                .map(|s| (*s).into())
                .collect(),
        };
        let filter = generate::filter(dice);
        let (offset, limit) = (dice.below(4) as usize, 1 + dice.below(6) as usize);
        let mut request = json!({"path": path, "filter": filter, "offset": offset, "limit": limit});
        let Some(index) = self.model.item_index.as_deref().filter(|_| dice.chance(2, 3)) else {
            let all: Vec<Value> = self
                .model
                .items_below(&path, &filter, self.now)
                .map(|(place, i)| i.entry(place, None))
                .collect();
            return self.item_pages(&mut request, &all, offset, limit);
        };
        let query = match dice.below(2) {
            0 if index.encoder.is_some() => {
                request["query"] = json!("lorem dolor");
                encode("lorem dolor")
            }
            _ => {
                let vector = generate::vector(dice, index.dimension);
                request["vector"] = json!(vector);
                vector.into_iter().map(|x| x as f32).collect()
            }
        };
        let expected: Vec<Value> = match self.model.items_near(&path, &filter, &query, self.now) {
            Ok(all) => all.into_iter().skip(offset).take(limit).collect(),
            Err(code) => return self.refuses::<Search>(&request, code),
        };
        let found = self.must_read::<Search>(&request)?;
        let items = found["items"].as_array().map_or(&[][..], |items| items);
        if items.len() == expected.len() && items.iter().zip(&expected).all(|(a, b)| is_same(a, b)) {
            return Ok(());
        }
        Err(self.differs::<Search>(&request, &found, &json!(expected)))
    }

    /// Reads what a search without a query finds, to its end.
    fn item_pages(&self, request: &mut Value, all: &[Value], offset: usize, limit: usize) -> Check {
        let mut rest = all.get(offset..).unwrap_or_default();
        loop {
            let (page, after) = rest.split_at(limit.min(rest.len()));
            let found = self.must_read::<Search>(request)?;
            if found["items"] != json!(page) || found.get("cursor").is_none() != after.is_empty() {
                return Err(self.differs::<Search>(request, &found, &json!(rest)));
            }
            if after.is_empty() {
                return Ok(());
            }
            (request["cursor"], request["offset"]) = (found["cursor"].clone(), json!(0));
            rest = after;
        }
    }
}

/// Whether two entries are the same, the last digits of their scores apart.
fn is_same(found: &Value, expected: &Value) -> bool {
    let mut found = found.clone();
    if let (Some(a), Some(b)) = (found["score"].as_f64(), expected["score"].as_f64()) {
        if (a - b).abs() > TOLERANCE {
            return false;
        }
        found["score"] = expected["score"].clone();
    }
    // Asking for what is not there makes it null.
    if found["score"].is_null() {
        found.as_object_mut().and_then(|entry| entry.remove("score"));
    }
    found == *expected
}
