//! Groups, diversity and a second stage against plain computation over everything that is found.

use std::collections::HashMap;

use agentdb_types::{Code, Result};
use agentdb_vector::Metric;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::modules::collection::{Create, Undeclared, VectorSettings};
use crate::modules::record::{Found, Hit, Put, Search};
use crate::modules::testing::TestDb;

const WORDS: [&str; 4] = ["agent", "plan", "memory", "note"];

/// A record: the values of two vectors, words, and what it is grouped by.
#[derive(Clone, Debug)]
struct Made {
    vector: Option<[i8; 2]>,
    image: Option<[i8; 2]>,
    words: Vec<usize>,
    group: Value,
    stars: Option<i64>,
}

fn made() -> impl Strategy<Value = Made> {
    let vector = || prop::option::weighted(0.9, [-3i8..4, 1i8..4]);
    let group = prop::sample::select(vec![
        json!({}),
        json!({"g": null}),
        json!({"g": [1]}),
        json!({"g": 1}),
        json!({"g": 1.0}),
        json!({"g": "1"}),
        json!({"g": true}),
        json!({"g": 2}),
        json!({"g": 2.5}),
        json!({"g": "a"}),
        json!({"g": "a"}),
    ]);
    let words = prop::collection::vec(0..WORDS.len(), 0..6);
    (vector(), vector(), words, group, prop::option::of(-3..9i64))
        .prop_map(|(vector, image, words, group, stars)| Made { vector, image, words, group, stars })
}

fn db(records: &[Made], metric: Metric) -> TestDb {
    let db = TestDb::new(1);
    let image = VectorSettings { dimension: 2, metric: Metric::Euclidean };
    let vectors = [("image".to_owned(), image)].into();
    db.write(Create {
        dimension: Some(2),
        metric: Some(metric),
        vectors,
        undeclared: Undeclared::Allow,
        ..Create::new("docs")
    })
    .unwrap();
    let floats = |v: [i8; 2]| v.map(f32::from).to_vec();
    for (n, made) in records.iter().enumerate() {
        let text: Vec<&str> = made.words.iter().map(|at| WORDS[*at]).collect();
        let mut payload = made.group.as_object().unwrap().clone();
        payload.extend(made.stars.map(|stars| ("stars".to_owned(), json!(stars))));
        db.write(Put {
            record: Some(format!("r{n:03}")),
            vector: made.vector.map(floats),
            vectors: made.image.map(|v| ("image".to_owned(), floats(v))).into_iter().collect(),
            text: Some(text.join(" ")),
            payload,
            ..Put::new("docs")
        })
        .unwrap();
    }
    db
}

fn search(db: &TestDb, request: &Value, more: Value) -> Result<Found> {
    let mut request = request.clone();
    request["collection"] = json!("docs");
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    db.read(crate::decode::<Search>(request)?)
}

/// What is searched for, in several ways.
fn firsts() -> Vec<Value> {
    vec![
        json!({"vector": [2, 1]}),
        json!({"vector": [2, 1], "using": "image"}),
        json!({"words": "plan memory agent"}),
        json!({"vector": [2, 1], "filter": {"stars": {"$gte": 1}}}),
        json!({"queries": [{"words": "note plan", "limit": 1000}, {"vector": [1, 1], "limit": 1000}]}),
    ]
}

/// Everything that is found, by id.
fn all(db: &TestDb, request: &Value) -> Vec<Hit> {
    search(db, request, json!({"limit": 10_000})).unwrap().hits
}

/// The hits of a search that is read by pages of so many.
fn paged(db: &TestDb, request: &Value, limit: usize) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut found = search(db, request, json!({"limit": limit, "pages": true})).unwrap();
    loop {
        hits.extend(found.hits);
        let Some(cursor) = found.cursor else { return hits };
        found = search(db, request, json!({"limit": limit, "cursor": cursor})).unwrap();
    }
}

/// What a record is grouped under, written so that equal numbers are equal.
fn group_of(payload: &Map<String, Value>) -> Option<String> {
    match payload.get("g")? {
        Value::Number(n) => Some(format!("{}", n.as_f64().unwrap())),
        Value::String(s) => Some(format!("{s:?}")),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

/// The groups of everything that is found: the best `size` of each, in the order of the best.
fn grouped(hits: &[Hit], size: usize, missing: &str) -> Vec<Vec<String>> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for hit in hits {
        let key = match (group_of(&hit.payload), missing) {
            (Some(key), _) => key,
            (None, "ignore") => continue,
            (None, "expand") => hit.record.clone(),
            (None, _) => "none".to_owned(),
        };
        let at = groups.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        if groups[at].1.len() < size {
            groups[at].1.push(hit.record.clone());
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

fn ids(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.record.clone()).collect()
}

fn cosine(a: [i8; 2], b: [i8; 2]) -> f64 {
    let dot = |a: [i8; 2], b: [i8; 2]| f64::from(a[0]) * f64::from(b[0]) + f64::from(a[1]) * f64::from(b[1]);
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn groups_are_those_of_everything_found(
        records in prop::collection::vec(made(), 0..40), first in 0..5usize, limit in 1..5usize, size in 1..4usize,
        missing in prop::sample::select(vec!["ignore", "expand", "collapse"]), threshold in prop::option::of(0.5..0.9f32),
    ) {
        let db = db(&records, Metric::Cosine);
        let mut request = firsts()[first].clone();
        if let Some(threshold) = threshold {
            request["threshold"] = json!(threshold);
        }
        let expected = grouped(&all(&db, &request), size, missing);
        request["group_by"] = json!({"field": "g", "size": size, "missing": missing});
        let found = search(&db, &request, json!({"limit": limit})).unwrap().hits;
        let page: Vec<String> = expected.iter().take(limit).flatten().cloned().collect();
        prop_assert_eq!(ids(&found), page);
        prop_assert_eq!(ids(&paged(&db, &request, limit)), expected.concat());
        for hit in &found {
            let lone = group_of(&hit.payload).is_none();
            let shown = match missing { "collapse" if lone => Some(Value::Null), _ if lone => None, _ => hit.group.clone() };
            prop_assert_eq!(&hit.group, &shown);
        }
    }

    #[test]
    fn diverse_hits_are_those_of_the_definition(
        records in prop::collection::vec(made(), 0..25), first in 0..5usize, lambda in 0.0..=1.0f64,
        candidates in 1..30usize, image in any::<bool>(), limit in 1..6usize,
    ) {
        let db = db(&records, Metric::Euclidean);
        let request = firsts()[first].clone();
        let mut pool = all(&db, &request);
        pool.truncate(candidates);
        let mut diversity = json!({"lambda": lambda, "candidates": candidates});
        if image {
            diversity["using"] = json!("image");
        }
        let mut diverse = request.clone();
        diverse["diversity"] = diversity;
        let hits = paged(&db, &diverse, limit);
        prop_assert_eq!(hits.len(), pool.len());
        let uses_image = image || first == 1;
        let vector = |hit: &Hit| {
            let made = &records[hit.record[1..].parse::<usize>().unwrap()];
            if uses_image { made.image } else { made.vector }
        };
        // Distances descend.
        let sign = if [0, 1, 3].contains(&first) { -1.0 } else { 1.0 };
        let scores: HashMap<&str, f64> = pool.iter().map(|h| (&*h.record, sign * f64::from(h.score))).collect();
        let low = scores.values().copied().fold(f64::MAX, f64::min);
        let high = scores.values().copied().fold(f64::MIN, f64::max);
        for (n, hit) in hits.iter().enumerate() {
            let parts = |hit: &Hit| {
                let relevance = if high > low { (scores[&*hit.record] - low) / (high - low) } else { 1.0 };
                let alike = |other: &Hit| vector(hit).zip(vector(other)).map_or(0.0, |(a, b)| cosine(a, b));
                let most = hits[..n].iter().map(alike).fold(f64::NEG_INFINITY, f64::max);
                (relevance, if n == 0 { 0.0 } else { most })
            };
            let worth = |hit: &Hit| { let (relevance, alike) = parts(hit); lambda * relevance - (1.0 - lambda) * alike };
            let told = hit.diversity.unwrap();
            prop_assert!((told.worth - worth(hit)).abs() < 1e-9);
            prop_assert!((told.relevance - parts(hit).0).abs() < 1e-9 && (told.similarity - parts(hit).1).abs() < 1e-9);
            for other in &hits[n..] {
                prop_assert!(worth(hit) >= worth(other) - 1e-9);
            }
        }
    }

    #[test]
    fn a_second_stage_orders_by_both_scores(
        records in prop::collection::vec(made(), 0..30), first in 0..5usize, second in 0..4usize,
        candidates in 1..35usize, weights in (0.0..2.0f64, 0.0..2.0f64), limit in 1..7usize,
    ) {
        let db = db(&records, Metric::Cosine);
        let request = firsts()[first].clone();
        let mut pool = all(&db, &request);
        pool.truncate(candidates);
        let by = [
            json!({"vector": [1, 3]}),
            json!({"vector": [1, 3], "using": "image"}),
            json!({"words": "note agent"}),
            json!({"formula": {"sum": ["score", {"product": [{"constant": 0.25}, {"field": {"path": "stars", "default": 1}}]}]}}),
        ][second].clone();
        let near = |distance: f32| 1.0 / (1.0 + f64::from(distance));
        let first_of = |hit: &Hit| if first == 1 { near(hit.score) } else { f64::from(hit.score) };
        let seconds: HashMap<String, f64> = match second {
            3 => pool.iter().map(|hit| {
                let stars = hit.payload.get("stars").and_then(Value::as_f64).unwrap_or(1.0);
                (hit.record.clone(), first_of(hit) + 0.25 * stars)
            }).collect(),
            1 => all(&db, &by).into_iter().map(|hit| (hit.record, near(hit.score))).collect(),
            _ => all(&db, &by).into_iter().map(|hit| (hit.record, f64::from(hit.score))).collect(),
        };
        let mut expected: Vec<(String, f64)> = pool.iter().map(|hit| {
            let second = seconds.get(&hit.record).copied().unwrap_or(0.0);
            (hit.record.clone(), weights.0 * first_of(hit) + weights.1 * second)
        }).collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut rerank = by;
        rerank["candidates"] = json!(candidates);
        rerank["first_weight"] = json!(weights.0);
        rerank["weight"] = json!(weights.1);
        let mut request = request;
        request["rerank"] = rerank;
        let hits = paged(&db, &request, limit);
        let found: Vec<(String, f32)> = hits.iter().map(|hit| (hit.record.clone(), hit.score)).collect();
        let expected: Vec<(String, f32)> = expected.into_iter().map(|(id, score)| (id, score as f32)).collect();
        prop_assert_eq!(found, expected);
        for hit in &hits {
            let stages = hit.stages.unwrap();
            prop_assert_eq!(stages.second, seconds.get(&hit.record).copied());
            prop_assert_eq!((weights.0 * stages.first + weights.1 * stages.second.unwrap_or(0.0)) as f32, hit.score);
        }
    }
}

/// The first thousand records are of one group.
#[test]
fn the_limit_counts_groups_however_deep_they_lie() {
    let db = TestDb::new(1);
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    for n in 0..1_300usize {
        let payload = json!({"deep": {"doc": n.saturating_sub(999) / 100}});
        let (record, vector) = (Some(format!("r{n:04}")), Some(vec![1_300.0 - n as f32, 1.0]));
        let Value::Object(payload) = payload else { panic!("no object") };
        db.write(Put { record, vector, payload, text: Some("plan".into()), ..Put::new("docs") }).unwrap();
    }
    let by = json!({"group_by": {"field": "deep.doc", "size": 2}, "limit": 3});
    let expected = ["r0000", "r0001", "r1099", "r1100", "r1199", "r1200"];
    // Several queries look deeper, too, unless they say how deep.
    let queries = json!([{"vector": [1, 0]}, {"words": "plan"}]);
    for first in [json!({"vector": [1, 0]}), json!({"words": "plan"}), json!({"queries": queries})] {
        let found = search(&db, &first, by.clone()).unwrap();
        assert_eq!(ids(&found.hits), expected, "{first}");
        assert_eq!(found.hits[2].group, Some(json!(1)));
    }
    let queries = json!({"queries": [{"vector": [1, 0], "limit": 1_050}]});
    assert_eq!(ids(&search(&db, &queries, by).unwrap().hits), ["r0000", "r0001"]);
}

#[test]
fn times_of_a_declared_field_are_one_group_if_they_are_one_instant() {
    let db = TestDb::new(1);
    let create = json!({"collection": "docs", "fields": {"at": {"type": "time"}}});
    db.write(crate::decode::<Create>(create).unwrap()).unwrap();
    for (n, at) in
        [json!("1970-01-01T01:00:00+01:00"), json!(0), json!("1970-01-01T00:00:01Z")].iter().enumerate()
    {
        let Value::Object(payload) = json!({"at": at}) else { panic!("no object") };
        let record = Some(format!("r{n}"));
        db.write(Put { record, payload, text: Some("plan".into()), ..Put::new("docs") }).unwrap();
    }
    let found = search(&db, &json!({"words": "plan"}), json!({"group_by": {"field": "at"}})).unwrap();
    assert_eq!(ids(&found.hits), ["r0", "r2"]);
}

/// Groups of the diverse of the best, scored anew: each stage takes what the one before leaves.
#[test]
fn stages_follow_one_another() {
    let db = TestDb::new(1);
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    for (n, (x, stars, doc)) in
        [(5, 0, "a"), (4, 9, "a"), (3, 8, "b"), (2, 1, "b"), (1, 7, "c")].iter().enumerate()
    {
        let Value::Object(payload) = json!({"stars": stars, "doc": doc}) else { panic!("no object") };
        let (record, vector) = (Some(format!("r{n}")), Some(vec![*x as f32, 1.0]));
        db.write(Put { record, vector, payload, ..Put::new("docs") }).unwrap();
    }
    let mut request =
        json!({"vector": [1, 0], "rerank": {"formula": {"field": {"path": "stars"}}, "candidates": 4}});
    assert_eq!(ids(&all(&db, &request)), ["r1", "r2", "r3", "r0"]);
    request["threshold"] = json!(1);
    assert_eq!(ids(&all(&db, &request)), ["r1", "r2", "r3"]);
    request["diversity"] = json!({"lambda": 0.0, "candidates": 3});
    assert_eq!(ids(&all(&db, &request)), ["r1", "r3", "r2"]);
    request["group_by"] = json!({"field": "doc"});
    assert_eq!(ids(&all(&db, &request)), ["r1", "r3"]);
    request["explain"] = json!(true);
    let plan = search(&db, &request, json!({})).unwrap().plan.unwrap();
    let stages = (plan.queries[0].found, plan.reranked, plan.diversified, plan.grouped);
    assert_eq!(stages, (4, Some(4), Some(3), Some(3)));
}

#[test]
fn stages_that_cannot_be_are_refused() {
    let db = db(&[], Metric::Cosine);
    db.write(Create::new("plain")).unwrap();
    db.write(Put { text: Some("plan".into()), ..Put::new("plain") }).unwrap();
    let vector = json!({"vector": [1, 0]});
    for (request, code, name, place) in [
        (json!({"rerank": {}}), Code::RerankNeedsOne, "part", "rerank"),
        (json!({"rerank": {"words": "a", "formula": "score"}}), Code::RerankNeedsOne, "part", "rerank"),
        (json!({"rerank": {"words": "a", "using": "image"}}), Code::RerankNeedsOne, "part", "rerank"),
        (
            json!({"rerank": {"words": "a", "candidates": 0}}),
            Code::CandidatesOutOfRange,
            "field",
            "rerank.candidates",
        ),
        (
            json!({"rerank": {"words": "a", "candidates": 10_001}}),
            Code::CandidatesOutOfRange,
            "field",
            "rerank.candidates",
        ),
        (json!({"rerank": {"words": "a", "weight": -1}}), Code::InvalidValue, "field", "rerank.weight"),
        (json!({"rerank": {"vector": [1]}}), Code::DimensionMismatch, "part", "rerank"),
        (json!({"rerank": {"vector": [1], "using": "image"}}), Code::DimensionMismatch, "vector", "image"),
        (json!({"rerank": {"text": "a"}}), Code::CollectionWithoutEncoder, "part", "rerank"),
        (json!({"rerank": {"formula": {"sum": []}}}), Code::InvalidValue, "field", "rerank.formula"),
        (json!({"rerank": {"formula": {"sun": []}}}), Code::InvalidValue, "field", "rerank.formula"),
        (json!({"diversity": {"lambda": 1.5}}), Code::InvalidValue, "field", "diversity.lambda"),
        (
            json!({"diversity": {"candidates": 1_001}}),
            Code::CandidatesOutOfRange,
            "field",
            "diversity.candidates",
        ),
        (json!({"diversity": {"using": "none"}}), Code::VectorUnknown, "part", "diversity"),
        (json!({"group_by": {"field": "a..b"}}), Code::InvalidValue, "field", "group_by.field"),
        (json!({"group_by": {"field": "a", "size": 0}}), Code::PageTooLarge, "part", "group_by.size"),
        (json!({"group_by": {"field": "a", "size": 1_001}}), Code::PageTooLarge, "part", "group_by.size"),
        (json!({"group_by": {}}), Code::InvalidValue, "field", "group_by"),
    ] {
        let err = search(&db, &vector, request.clone()).unwrap_err();
        assert_eq!(err.code(), code, "{request}: {err}");
        let value = err.value(name).unwrap_or_else(|| panic!("{request}: {err:?}"));
        assert!(value.starts_with(place), "{request}: {err}");
    }
    let words = json!({"words": "plan"});
    let plain = json!({"collection": "plain", "diversity": {}});
    assert_eq!(search(&db, &words, plain).unwrap_err().code(), Code::InvalidValue);
    let formula = json!({"log1p": {"constant": -2}});
    let plain = json!({"collection": "plain", "rerank": {"formula": formula}});
    assert_eq!(search(&db, &words, plain).unwrap_err().code(), Code::ScoreNotFinite);
}
