//! Searches by words, and by several queries, of a collection that changes.

use std::collections::BTreeMap;

use agentdb_text::{Analyzer, TextIndex};
use agentdb_types::{Code, Lsn};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::modules::collection::{Alter, Create, TextSettings};
use crate::modules::namespace;
use crate::modules::record::{Delete, Found, Put, Search, SubQuery};
use crate::modules::testing::TestDb;
use crate::{Snapshot, Task};

const WORDS: [&str; 6] = ["agent", "agents", "plan", "planning", "memory", "of"];

fn put(id: u8, text: &str, title: Option<&str>) -> Put {
    let mut payload = serde_json::Map::from_iter([("n".to_owned(), json!(id % 3))]);
    payload.extend(title.map(|title| ("title".to_owned(), json!(title))));
    let vector = Some(vec![f32::from(id), 1.0]);
    Put { record: Some(format!("r{id}")), text: Some(text.into()), payload, vector, ..Put::new("docs") }
}

fn settings(analyzer: Analyzer) -> BTreeMap<String, TextSettings> {
    let (own, title) = (TextSettings { analyzer, weight: 1.0 }, TextSettings { analyzer, weight: 2.5 });
    BTreeMap::from([("text".to_owned(), own), ("title".to_owned(), title)])
}

fn ids(found: &Found) -> Vec<(String, f32)> {
    found.hits.iter().map(|hit| (hit.record.clone(), hit.score)).collect()
}

/// What an index would find that never held anything but what there is.
fn expected(
    model: &BTreeMap<String, Put>,
    analyzer: Analyzer,
    words: &str,
    n: Option<u8>,
) -> Vec<(String, f32)> {
    let fields = settings(analyzer).into_iter().map(|(name, s)| agentdb_text::Field {
        name,
        weight: s.weight,
        analyzer: s.analyzer,
    });
    let index = TextIndex::new(fields.collect()).unwrap();
    let records: Vec<&Put> = model.values().collect();
    for (slot, record) in (0..).zip(&records) {
        let texts = [record.text.as_deref(), record.payload.get("title").and_then(Value::as_str)];
        index.insert(slot, Lsn(1), &texts).unwrap();
    }
    let passes = |slot: u64| n.is_none_or(|n| records[slot as usize].payload["n"] == json!(n));
    let search = agentdb_text::Search::new(Lsn(1), 100).filter(&passes);
    let hits = index.search(&words.into(), &search).unwrap();
    hits.into_iter().map(|hit| (records[hit.slot as usize].record.clone().unwrap(), hit.score)).collect()
}

fn search(db: &TestDb, snapshot: &Snapshot, words: &str, n: Option<u8>) -> Vec<(String, f32)> {
    let filter = n.map(|n| json!({"n": n}));
    let search = Search { words: Some(words.into()), filter, limit: Some(100), ..Search::new("docs") };
    ids(&db.engine().read(snapshot, search).unwrap())
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Vec<usize>, Option<usize>),
    Delete(u8),
    Analyze(bool),
    Keep,
    Index,
    Drain,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let put = (0..12u8, prop::collection::vec(0..WORDS.len(), 0..7), prop::option::of(0..WORDS.len()));
    prop_oneof![
        12 => put.prop_map(|(id, words, title)| Step::Put(id, words, title)),
        4 => (0..12u8).prop_map(Step::Delete),
        1 => any::<bool>().prop_map(Step::Analyze),
        2 => Just(Step::Keep),
        3 => Just(Step::Index),
        2 => Just(Step::Drain),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Hits, scores to the bit and order are those of what a reader sees, whatever was written, dropped or merged before.
    #[test]
    fn words_are_found_in_what_is_there(steps in prop::collection::vec(step(), 1..60), seed in any::<u64>()) {
        let mut db = TestDb::new(seed);
        let mut analyzer = Analyzer::Standard;
        let texts = Some(settings(analyzer));
        db.write(Create { dimension: Some(2), texts, ..Create::new("docs") }).unwrap();
        let mut model: BTreeMap<String, Put> = BTreeMap::new();
        let mut kept = Vec::new();
        for step in steps {
            match step {
                Step::Put(id, words, title) => {
                    let text: Vec<&str> = words.iter().map(|at| WORDS[*at]).collect();
                    let put = put(id, &text.join(" "), title.map(|at| WORDS[at]));
                    db.write(put.clone()).unwrap();
                    model.insert(format!("r{id}"), put);
                }
                Step::Delete(id) => {
                    let record = format!("r{id}");
                    model.remove(&record);
                    db.write(Delete { collection: "docs".into(), record, expected_version: None }).unwrap();
                }
                Step::Analyze(english) => {
                    analyzer = if english { Analyzer::English } else { Analyzer::Standard };
                    let texts = Some(settings(analyzer));
                    db.write(Alter { texts, ..Alter::new("docs") }).unwrap();
                }
                Step::Keep => {
                    let snapshot = db.engine().snapshot(db.namespace).unwrap();
                    kept.push((snapshot, model.clone(), analyzer));
                }
                Step::Index => db.run(Task::Index),
                Step::Drain => db.drain(),
                Step::Reopen => {
                    kept.clear();
                    db.reopen().unwrap();
                }
            }
            let now = (db.engine().snapshot(db.namespace).unwrap(), model.clone(), analyzer);
            for (snapshot, model, analyzer) in kept.iter().rev().take(2).chain([&now]) {
                for (words, n) in [("agent", None), ("plan of memory", Some(1)), ("planning agents plan", None)] {
                    prop_assert_eq!(search(&db, snapshot, words, n), expected(model, *analyzer, words, n));
                }
            }
        }
    }
}

#[test]
fn several_queries_each_with_its_own_filter_and_weight() {
    let db = TestDb::new(1);
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    for (id, text) in [(1, "a plan"), (2, "a plan of plans"), (3, "memory"), (4, "nothing")] {
        db.write(put(id, text, None)).unwrap();
    }
    let queries = vec![
        SubQuery { weight: Some(2.0), ..SubQuery::words("plan") },
        SubQuery { filter: Some(json!({"n": {"$ne": 1}})), limit: Some(2), ..SubQuery::vector([9.0, 1.0]) },
    ];
    let hits = db.read(Search { queries, ..Search::new("docs") }).unwrap().hits;
    let shown: Vec<(&str, Vec<(usize, usize)>)> = hits
        .iter()
        .map(|hit| (&hit.record[..], hit.shares.iter().map(|share| (share.query, share.rank)).collect()))
        .collect();
    // The second one finds r3 and r2, by their direction; r1 and r4 are filtered out of it.
    assert_eq!(shown, [("r2", vec![(0, 2), (1, 2)]), ("r1", vec![(0, 1)]), ("r3", vec![(1, 1)])]);
    let shares: f64 = hits[0].shares.iter().map(|share| share.share).sum();
    assert_eq!(hits[0].score, shares as f32);
    assert_eq!(shares, 2.0 / 62.0 + 1.0 / 62.0);
    // The search's own filter and threshold hold for all.
    let queries = vec![SubQuery::words("plan"), SubQuery::words("memory")];
    let both = Search { queries, filter: Some(json!({"n": 0})), ..Search::new("docs") };
    assert_eq!(ids(&db.read(both.clone()).unwrap()), [("r3".to_owned(), (1.0 / 61.0) as f32)]);
    assert!(db.read(Search { threshold: Some(0.1), ..both }).unwrap().hits.is_empty());
}

#[test]
fn what_cannot_be_searched_for_is_refused() {
    let db = TestDb::new(1);
    db.write(Create { texts: Some(BTreeMap::new()), ..Create::new("silent") }).unwrap();
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    let with = |collection: &str, search: Value| -> Code {
        let mut request = json!({"collection": collection});
        request.as_object_mut().unwrap().extend(search.as_object().unwrap().clone());
        let shown = request.to_string();
        let answer = crate::decode(request).and_then(|search: Search| db.read(search));
        answer.map_or_else(|err| err.code(), |found| panic!("{shown}: {found:?}"))
    };
    let many: Vec<Value> = (0..17).map(|_| json!({"words": "a"})).collect();
    for (collection, search, code) in [
        ("silent", json!({"words": "a"}), Code::InvalidValue),
        ("docs", json!({}), Code::SearchNeedsVector),
        ("docs", json!({"words": "a", "vector": [1, 2]}), Code::SearchNeedsVector),
        ("docs", json!({"words": "a", "queries": [{"words": "b"}]}), Code::SearchNeedsVector),
        ("docs", json!({"words": "a", "using": "image"}), Code::InvalidValue),
        ("docs", json!({"words": {"match": {"text": "a", "fields": ["none"]}}}), Code::TextQueryInvalid),
        (
            "docs",
            json!({"words": (0..1_025).map(|n| format!("w{n} ")).collect::<String>()}),
            Code::TextQueryTooLarge,
        ),
        ("docs", json!({"words": {"boolean": {"must_not": ["a"]}}}), Code::TextQueryInvalid),
        ("docs", json!({"queries": [{}]}), Code::SearchNeedsVector),
        ("docs", json!({"queries": [{"words": "a", "vector": [1, 2]}]}), Code::SearchNeedsVector),
        ("docs", json!({"queries": [{"words": "a", "using": "image"}]}), Code::SearchNeedsVector),
        ("docs", json!({"queries": [{"vector": [1], "limit": 1}]}), Code::DimensionMismatch),
        ("docs", json!({"queries": [{"words": "a", "limit": 0}]}), Code::PageTooLarge),
        ("docs", json!({"queries": [{"words": "a", "weight": 0}]}), Code::InvalidValue),
        ("docs", json!({"queries": [{"words": "a", "weight": -1}]}), Code::InvalidValue),
        ("docs", json!({"queries": [{"words": "a", "filter": {"$nor": []}}]}), Code::InvalidValue),
        ("docs", json!({"queries": [{"text": "a"}]}), Code::CollectionWithoutEncoder),
        ("docs", json!({"queries": [{"words": "a"}], "using": "image"}), Code::InvalidValue),
        ("docs", json!({"queries": many}), Code::InvalidValue),
        (
            "docs",
            json!({"queries": [{"words": "a"}], "fusion": {"method": "reciprocal_rank", "k": -1}}),
            Code::InvalidValue,
        ),
        ("none", json!({"words": "a"}), Code::CollectionNotFound),
    ] {
        assert_eq!(with(collection, search.clone()), code, "{search}");
    }
    let texts = |weight: f32| {
        BTreeMap::from([("text".to_owned(), TextSettings { weight, ..TextSettings::default() })])
    };
    let refused = db.write(Create { texts: Some(texts(0.0)), ..Create::new("more") }).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidValue);
}

/// Statistics are a collection's own: whatever lies in other collections and namespaces, scores stay bit for bit.
#[test]
fn documents_of_other_collections_and_namespaces_change_no_score() {
    let mut db = TestDb::new(11);
    let of = |db: &TestDb| {
        let snapshot = db.engine().snapshot(db.namespace).unwrap();
        WORDS.map(|word| search(db, &snapshot, word, None))
    };
    db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
    for (id, text) in (0..).zip(["agent plan", "agents of memory", "planning", "plan plan of agents"]) {
        db.write(put(id, text, None)).unwrap();
    }
    let before = of(&db);
    assert!(before.iter().any(|hits| hits.len() > 1));
    db.write(Create { dimension: Some(2), ..Create::new("others") }).unwrap();
    let (own, other) = (db.namespace, crate::NamespaceId::SYSTEM);
    let create = namespace::Create { name: "other".into(), description: String::new() };
    db.namespace = other;
    let created = db.write(create).unwrap().response.number;
    for (namespace, collection) in [(own.number(), "others"), (created, "docs")] {
        db.namespace = crate::NamespaceId(namespace);
        if collection == "docs" {
            db.write(Create { dimension: Some(2), ..Create::new("docs") }).unwrap();
        }
        for id in 0..40 {
            let stored =
                Put { collection: collection.into(), ..put(id, "agent agents plan memory of", None) };
            db.write(stored).unwrap();
        }
        let found = db.read(Search { words: Some("plan".into()), ..Search::new(collection) }).unwrap();
        assert_eq!(found.hits.len(), 10);
    }
    db.namespace = own;
    assert_eq!(of(&db), before);
}
