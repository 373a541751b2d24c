//! Reading and searching collections.

use std::collections::BTreeMap;

use agentdb_engine::modules::collection;
use agentdb_engine::modules::record::{Aggregate, Count, Distinct, Facet, Get, GetMany, List, Search};
use agentdb_env::sim::Random;
use agentdb_types::Code;
use serde_json::{Map, Value, json};

use super::{Check, View};
use crate::generate;
use crate::model::record::Collection;
use crate::model::sparse;

/// How much a score may differ.
const TOLERANCE: f64 = 1e-4;

impl View<'_> {
    pub(super) fn records(&self, dice: &mut Random, all: bool) -> Check {
        self.refuses::<collection::Get>(&json!({"collection": "none"}), Code::CollectionNotFound)?;
        self.collection_list()?;
        for (name, collection) in self.model.collections.iter() {
            if all || dice.chance(1, 2) {
                self.collection(name, collection)?;
                self.record_lists(name, collection, dice)?;
            }
            for _ in 0..2 {
                self.search(name, collection, dice)?;
            }
            if all || dice.chance(1, 2) {
                self.words(name, collection, dice)?;
            }
            self.sparse(name, collection, dice)?;
        }
        Ok(())
    }

    fn collection_list(&self) -> Check {
        let found = self.must_read::<collection::List>(&json!({}))?;
        let names: Vec<&Value> =
            found["items"].as_array().into_iter().flatten().map(|e| &e["collection"]).collect();
        let expected: Vec<&String> = self.model.collections.keys().collect();
        if names == expected {
            Ok(())
        } else {
            Err(format!("the collections are {names:?}, not {expected:?}"))
        }
    }

    /// Compares what is told of a collection. Expired records count until they are swept.
    fn collection(&self, name: &str, collection: &Collection) -> Check {
        let request = json!({"collection": name});
        let mut found = self.must_read::<collection::Get>(&request)?;
        let records = found.as_object_mut().and_then(|entry| entry.remove("records"));
        let expected = collection.entry(name);
        if found != expected {
            return Err(self.differs::<collection::Get>(&request, &found, &expected));
        }
        let records = records.as_ref().and_then(Value::as_u64).unwrap_or(u64::MAX) as usize;
        let (live, stored) = (collection.live(self.now).count(), collection.records.len());
        if (live..=stored).contains(&records) {
            return Ok(());
        }
        Err(format!("{name} has {records} records, not {live}, nor up to {stored} with the expired ones"))
    }

    fn record_lists(&self, name: &str, collection: &Collection, dice: &mut Random) -> Check {
        let include_vector = dice.chance(1, 2);
        let filter = generate::filter(dice);
        for filter in [&json!({}), &filter] {
            let matching = collection.matching(filter, self.now);
            let expected: Vec<Value> = matching
                .iter()
                .map(|(id, record)| collection.record_entry(id, record, include_vector))
                .collect();
            let list = json!({"collection": name, "filter": filter, "include_vector": include_vector});
            self.lists::<List>(&list, &expected, dice)?;
            let count = json!({"collection": name, "filter": filter});
            self.expect::<Count>(&count, &json!({"count": expected.len()}))?;
            let payloads: Vec<&Map<String, Value>> = matching.iter().map(|(_, r)| r.payload()).collect();
            self.values(name, filter, &payloads)?;
        }
        for id in ["r1", "r\u{0}"] {
            let request = json!({"collection": name, "record": id, "include_vector": true});
            let live = collection.records.get(id).filter(|r| r.live(self.now));
            let record = live.map(|record| collection.record_entry(id, record, true));
            let many = json!({"collection": name, "records": [id, "none"], "include_vector": true});
            self.expect::<GetMany>(&many, &json!({"items": [record, Value::Null]}))?;
            match record {
                Some(entry) => self.expect::<Get>(&request, &entry)?,
                None => self.refuses::<Get>(&request, Code::RecordNotFound)?,
            }
        }
        Ok(())
    }

    /// What the values of fields are, by looking at each payload.
    fn values(&self, name: &str, filter: &Value, payloads: &[&Map<String, Value>]) -> Check {
        for field in ["kind", "n", "tags"] {
            let mut counts: BTreeMap<String, (Value, u64)> = BTreeMap::new();
            for payload in payloads {
                let value = payload.get(field).unwrap_or(&Value::Null);
                let members = value.as_array().map_or(std::slice::from_ref(value), |items| &items[..]);
                let members: BTreeMap<String, &Value> =
                    members.iter().filter(|m| !m.is_null()).map(|m| (m.to_string(), m)).collect();
                for (shown, member) in members {
                    counts.entry(shown).or_insert_with(|| (member.clone(), 0)).1 += 1;
                }
            }
            let mut request = json!({"collection": name, "filter": filter, "field": field});
            let distinct: Vec<&Value> = counts.values().map(|(value, _)| value).collect();
            self.expect::<Distinct>(&request, &json!({"values": distinct}))?;
            let mut counted: Vec<&(Value, u64)> = counts.values().collect();
            counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            counted.truncate(2);
            let values: Vec<Value> =
                counted.iter().map(|(value, count)| json!({"value": value, "count": count})).collect();
            request["limit"] = json!(2);
            self.expect::<Facet>(&request, &json!({"values": values, "records": payloads.len()}))?;
        }
        self.numbers(name, filter, payloads)
    }

    fn numbers(&self, name: &str, filter: &Value, payloads: &[&Map<String, Value>]) -> Check {
        let numbers: Vec<i64> = payloads.iter().filter_map(|payload| payload.get("n")?.as_i64()).collect();
        let mut expected = json!({"count": numbers.len(), "missing": payloads.len() - numbers.len()});
        if let (Some(min), Some(max)) = (numbers.iter().min(), numbers.iter().max()) {
            let sum: i64 = numbers.iter().sum();
            let stats = json!({
                "kind": "number", "min": min, "max": max, "sum": sum, "mean": sum as f64 / numbers.len() as f64,
            });
            expected.as_object_mut().into_iter().for_each(|e| {
                e.extend(stats.as_object().cloned().unwrap_or_default());
            });
        }
        let mut buckets: BTreeMap<i64, u64> = BTreeMap::new();
        for number in numbers {
            *buckets.entry(number.div_euclid(4) * 4).or_default() += 1;
        }
        let buckets: Vec<Value> =
            buckets.into_iter().map(|(start, count)| json!({"start": start, "count": count})).collect();
        expected["buckets"] = json!(buckets);
        let request = json!({"collection": name, "filter": filter, "field": "n", "interval": 4});
        self.expect::<Aggregate>(&request, &expected)
    }

    /// Searches by words, and by words and a vector together.
    fn words(&self, name: &str, collection: &Collection, dice: &mut Random) -> Check {
        // Expired records that are not swept yet count in the statistics.
        if collection.live(self.now).count() < collection.records.len() {
            return Ok(());
        }
        let words = generate::sentence(dice, 3);
        let filter = if dice.chance(1, 2) { json!({}) } else { generate::filter(dice) };
        let expected = collection.by_words(&words, &filter, self.now);
        let request = json!({"collection": name, "words": words, "filter": filter, "limit": 100});
        self.ranked(&request, &expected, 0.0)?;
        let Some(dimension) = collection.dimension else { return Ok(()) };
        let vector: Vec<f64> = (0..dimension).map(|n| 1.0 + n as f64).collect();
        let search = crate::model::Search {
            vector: vector.clone(),
            using: None,
            limit: Some(100),
            filter: Some(filter.clone()),
            threshold: None,
            include_vector: false,
        };
        let nearest = collection.search(&search, self.now).map_err(|code| format!("{code}"))?;
        let mut scores: BTreeMap<&str, f64> = BTreeMap::new();
        for (rank, (id, _)) in (1..).zip(&expected) {
            *scores.entry(id).or_default() += 1.0 / (60.0 + f64::from(rank));
        }
        for (rank, hit) in (1..).zip(&nearest) {
            *scores.entry(hit["record"].as_str().unwrap_or_default()).or_default() +=
                2.0 / (60.0 + f64::from(rank));
        }
        let mut fused: Vec<(String, f64)> = scores.into_iter().map(|(id, s)| (id.to_owned(), s)).collect();
        fused.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let fused: Vec<(String, f32)> = fused.into_iter().map(|(id, score)| (id, score as f32)).collect();
        let queries = json!([{"words": words}, {"vector": vector, "weight": 2}]);
        let request = json!({"collection": name, "queries": queries, "filter": filter, "limit": 100});
        self.ranked(&request, &fused, 1e-6)
    }

    /// Searches by a sparse vector.
    fn sparse(&self, name: &str, collection: &Collection, dice: &mut Random) -> Check {
        let vector = generate::sparse(dice);
        let mut request =
            json!({"collection": name, "sparse": vector, "using": generate::SPARSE, "limit": 100});
        if !collection.sparse.contains_key(generate::SPARSE) {
            return self.refuses::<Search>(&request, Code::VectorUnknown);
        }
        let query = match sparse::read(&vector) {
            Ok(query) => query,
            Err(code) => return self.refuses::<Search>(&request, code),
        };
        let filter = if dice.chance(1, 2) { json!({}) } else { generate::filter(dice) };
        let mut expected = collection.by_sparse(generate::SPARSE, &query, &filter, self.now);
        let limit = 1 + dice.below(8) as usize;
        expected.truncate(limit);
        (request["filter"], request["limit"]) = (filter, json!(limit));
        self.ranked(&request, &expected, 0.0)
    }

    /// Compares the ids and scores of a search.
    fn ranked(&self, request: &Value, expected: &[(String, f32)], tolerance: f64) -> Check {
        let found = self.must_read::<Search>(request)?;
        let hits = found["hits"].as_array().map_or(&[][..], |hits| hits);
        let same = |hit: &Value, (id, score): &(String, f32)| {
            let difference = hit["score"].as_f64().unwrap_or(f64::NAN) - f64::from(*score);
            hit["record"] == json!(id) && difference.abs() <= tolerance
        };
        if hits.len() == expected.len() && hits.iter().zip(expected).all(|(hit, e)| same(hit, e)) {
            return Ok(());
        }
        Err(self.differs::<Search>(request, &found, &json!(expected)))
    }

    fn search(&self, name: &str, collection: &Collection, dice: &mut Random) -> Check {
        let search = generate::search(dice, collection);
        let request = search.request(name);
        let expected = match collection.search(&search, self.now) {
            Ok(hits) => hits,
            Err(code) => return self.refuses::<Search>(&request, code),
        };
        let found = self.must_read::<Search>(&request)?;
        if same_hits(&found["hits"], &expected) {
            return Ok(());
        }
        Err(self.differs::<Search>(&request, &found, &json!(expected)))
    }
}

/// Whether these are the same hits in the same order.
pub(crate) fn same_hits(found: &Value, expected: &[Value]) -> bool {
    let hits = found.as_array().map_or(&[][..], |hits| hits);
    hits.len() == expected.len() && hits.iter().zip(expected).all(|(a, b)| is_same(a, b))
}

/// Whether two hits are the same, the last digits of their scores apart.
fn is_same(found: &Value, expected: &Value) -> bool {
    let (Some(a), Some(b)) = (found["score"].as_f64(), expected["score"].as_f64()) else { return false };
    let mut found = found.clone();
    found["score"] = expected["score"].clone();
    (a - b).abs() <= TOLERANCE && found == *expected
}
