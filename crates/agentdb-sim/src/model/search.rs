//! A search, by computing the score of every record in the plainest way.

use agentdb_text::{Analyzer, Field, TextIndex};
use agentdb_types::{Code, Lsn};
use serde_json::{Value, json};

use super::filter::matches;
use super::record::{Collection, Record, check_vector};
use super::with;

/// What is searched for.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// As it stands in JSON, which has no number for what is not finite.
    pub(crate) vector: Vec<f64>,
    /// Which named vector to compare with.
    pub(crate) using: Option<String>,
    pub(crate) limit: Option<usize>,
    pub(crate) filter: Option<Value>,
    pub(crate) threshold: Option<f32>,
    pub(crate) include_vector: bool,
}

impl Search {
    /// The search as a request.
    pub(crate) fn request(&self, collection: &str) -> Value {
        let request = json!({
            "collection": collection, "vector": self.vector, "include_vector": self.include_vector,
        });
        with(
            request,
            &[
                ("using", self.using.clone().map(Value::from)),
                ("limit", self.limit.map(Value::from)),
                ("filter", self.filter.clone()),
                ("threshold", self.threshold.map(Value::from)),
            ],
        )
    }
}

impl Collection {
    /// The records that match, by id.
    pub(crate) fn matching(&self, filter: &Value, now: i64) -> Vec<(&String, &Record)> {
        let live = self.live(now).map(|(id, record)| (id, &**record));
        live.filter(|(_, record)| matches(filter, &Value::Object(record.payload.clone()))).collect()
    }

    /// The hits of a search by words, best first, equal ones by id: of an index that was never anything but what there is.
    pub(crate) fn by_words(&self, words: &str, filter: &Value, now: i64) -> Vec<(String, f32)> {
        let found: Vec<String> = self.matching(filter, now).into_iter().map(|(id, _)| id.clone()).collect();
        let Ok(index) = TextIndex::new(vec![Field::new("text", Analyzer::Standard)]) else {
            return Vec::new();
        };
        let ids: Vec<&String> = self.records.keys().collect();
        for (slot, record) in (0..).zip(self.records.values()) {
            if let Some(text) = &record.text {
                index.insert(slot, Lsn(1), &[Some(text)]).unwrap_or_default();
            }
        }
        let passes = |slot: u64| found.contains(ids[slot as usize]);
        let search = agentdb_text::Search::new(Lsn(1), 100).filter(&passes);
        let hits = index.search(&agentdb_text::Query::from(words), &search).unwrap_or_default();
        hits.into_iter().map(|hit| (ids[hit.slot as usize].clone(), hit.score)).collect()
    }

    /// The hits of a search, best first, equal ones in the order of their puts.
    pub(crate) fn search(&self, search: &Search, now: i64) -> Result<Vec<Value>, Code> {
        let query: Vec<f32> = search.vector.iter().map(|x| *x as f32).collect();
        let metric = match &search.using {
            Some(name) => {
                let space = self.spaces.get(name).ok_or(Code::VectorUnknown)?;
                check_vector(space.dimension, &space.metric, &query)?;
                &space.metric
            }
            None => {
                self.check(self.dimension.ok_or(Code::InvalidValue)?, &query)?;
                &self.metric
            }
        };
        let everything = json!({});
        let found = self.matching(search.filter.as_ref().unwrap_or(&everything), now);
        let scored = found.into_iter().filter_map(|(id, record)| {
            let (vector, slot) = self.compared(record, search.using.as_ref())?;
            Some((score(metric, &query, vector), slot, record, id))
        });
        let mut hits: Vec<(f32, u64, &Record, &String)> = scored.collect();
        let nearer = |a: f32, b: f32| if metric == "euclidean" { a < b } else { a > b };
        hits.sort_by(|a, b| {
            let order = if metric == "euclidean" { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) };
            order.then(a.1.cmp(&b.1))
        });
        hits.truncate(search.limit.unwrap_or(10));
        hits.retain(|hit| search.threshold.is_none_or(|t| hit.0 == t || nearer(hit.0, t)));
        Ok(hits
            .into_iter()
            .map(|(score, _, record, id)| {
                let vector = self.compared(record, search.using.as_ref()).map(|(vector, _)| vector);
                hit(id, score, record, vector.filter(|_| search.include_vector))
            })
            .collect())
    }

    /// The vector of a record that a search compares with, and its slot.
    fn compared<'a>(&'a self, record: &'a Record, using: Option<&String>) -> Option<(&'a [f32], u64)> {
        match using {
            None => Some((record.vector.as_deref()?, record.slot)),
            Some(name) => {
                let (_, named) = self.named(record).find(|(found, _)| *found == name)?;
                Some((&named.vector, named.slot))
            }
        }
    }
}

/// The score of a vector, in 64 bits until the end. Small integers make it exact.
pub(super) fn score(metric: &str, query: &[f32], vector: &[f32]) -> f32 {
    let pairs = || query.iter().zip(vector).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let score = match metric {
        "cosine" => (dot / (norm(query) * norm(vector))).clamp(-1.0, 1.0),
        "dot" => dot,
        _ => pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
    };
    // No score is a negative zero.
    score as f32 + 0.0
}

fn hit(id: &str, score: f32, record: &Record, vector: Option<&[f32]>) -> Value {
    let hit = json!({"record": id, "score": score, "payload": record.payload, "version": record.version});
    let vector = vector.map(|vector| json!(vector));
    with(hit, &[("text", record.text.clone().map(Value::String)), ("vector", vector)])
}
