//! A search, by computing the score of every record in the plainest way.

use agentdb_types::Code;
use serde_json::{Value, json};

use super::filter::matches;
use super::record::{Collection, Record};
use super::with;

/// What is searched for.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// As it stands in JSON, which has no number for what is not finite.
    pub(crate) vector: Vec<f64>,
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

    /// The hits of a search, best first, equal ones in the order of their puts.
    pub(crate) fn search(&self, search: &Search, now: i64) -> Result<Vec<Value>, Code> {
        let Some(dimension) = self.dimension else { return Err(Code::InvalidValue) };
        let query: Vec<f32> = search.vector.iter().map(|x| *x as f32).collect();
        self.check(dimension, &query)?;
        let everything = json!({});
        let found = self.matching(search.filter.as_ref().unwrap_or(&everything), now);
        let scored = found.into_iter().filter_map(|(id, record)| {
            let score = score(&self.metric, &query, record.vector.as_ref()?);
            Some((score, record, id))
        });
        let mut hits: Vec<(f32, &Record, &String)> = scored.collect();
        let nearer = |a: f32, b: f32| if self.metric == "euclidean" { a < b } else { a > b };
        hits.sort_by(|a, b| {
            let order = if self.metric == "euclidean" { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) };
            order.then(a.1.slot.cmp(&b.1.slot))
        });
        hits.truncate(search.limit.unwrap_or(10));
        hits.retain(|hit| search.threshold.is_none_or(|t| hit.0 == t || nearer(hit.0, t)));
        Ok(hits
            .into_iter()
            .map(|(score, record, id)| hit(id, score, record, search.include_vector))
            .collect())
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

fn hit(id: &str, score: f32, record: &Record, include_vector: bool) -> Value {
    let hit = json!({"record": id, "score": score, "payload": record.payload, "version": record.version});
    let vector = record.vector.as_ref().filter(|_| include_vector).map(|v| json!(v));
    with(hit, &[("text", record.text.clone().map(Value::String)), ("vector", vector)])
}
