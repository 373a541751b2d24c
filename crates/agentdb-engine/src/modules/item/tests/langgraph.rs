//! What `InMemoryStore` of `langgraph-checkpoint` answers, recorded by `tests/langgraph/items.py`.

use std::collections::BTreeSet;
use std::sync::Arc;

use agentdb_types::Code;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Letters;
use crate::modules::item::{Delete, Get, Index, Indexing, ListPaths, Put, Search};
use crate::modules::testing::TestDb;

const RECORDED: &str = include_str!("../../../../../../tests/langgraph/items.json");

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    fields: Option<Vec<String>>,
    writes: Vec<Write>,
    paths: Vec<Question<Vec<Vec<String>>>>,
    searches: Vec<Question<Vec<Place>>>,
    #[serde(default)]
    queries: Vec<Question<Vec<Place>>>,
    gets: Vec<Gotten>,
}

#[derive(Deserialize)]
struct Write {
    path: Vec<String>,
    key: String,
    value: Option<Map<String, Value>>,
    index: Option<Indexing>,
}

#[derive(Deserialize)]
struct Question<A> {
    ask: Value,
    answer: A,
}

/// Path, key, and the value, if there is one.
type Gotten = (Vec<String>, String, Option<Map<String, Value>>);

/// Path, key and score.
type Place = (Vec<String>, String, Option<f64>);

fn filled(case: &Case) -> TestDb {
    let db = TestDb::new(1);
    if let Some(fields) = &case.fields {
        db.engine().set_text_encoder(Arc::new(Letters));
        let fields = Some(fields.clone());
        db.write(Index { encoder: Some("letters".into()), fields, ..Index::default() }).unwrap();
    }
    for Write { path, key, value, index } in &case.writes {
        match value {
            Some(value) => {
                // A store without an index ignores what a put says of one; here it would be an error.
                let index = index.clone().filter(|_| case.fields.is_some());
                db.write(Put { index, ..Put::new(path.clone(), key, value.clone()) }).map(drop).unwrap();
            }
            None => {
                let (path, key) = (path.clone(), key.clone());
                db.write(Delete { path, key, expected_version: None }).map(drop).unwrap();
            }
        }
    }
    db
}

/// A filter of LangGraph's in this one's words: an object within it is a filter of the fields of a field.
fn translated(mut ask: Value) -> Value {
    if let Some(filter) = ask["filter"].as_object_mut()
        && let Some(deep) = filter.get("deep").cloned()
    {
        filter.remove("deep");
        for (name, value) in deep.as_object().unwrap() {
            filter.insert(format!("deep.{name}"), value.clone());
        }
    }
    ask
}

fn search(db: &TestDb, ask: &Value) -> Vec<Place> {
    let search: Search = serde_json::from_value(translated(ask.clone())).unwrap();
    let found = db.read(search).unwrap().items;
    found.into_iter().map(|entry| (entry.path, entry.key, entry.score.map(f64::from))).collect()
}

#[test]
fn paths_are_listed_as_there() {
    for case in recorded() {
        let db = filled(&case);
        for Question { ask, answer } in &case.paths {
            let list: ListPaths = serde_json::from_value(ask.clone()).unwrap();
            let listed = db.read(list).unwrap().items;
            let paths: Vec<_> = listed.into_iter().map(|found| found.path).collect();
            assert_eq!(&paths, answer, "{ask}");
        }
    }
}

#[test]
fn items_are_found_by_path_and_filter_as_there() {
    for case in recorded() {
        let db = filled(&case);
        for Question { ask, answer } in &case.searches {
            assert_eq!(&search(&db, ask), answer, "{ask}");
        }
        for (path, key, value) in &case.gets {
            let found = db.read(Get { path: path.clone(), key: key.clone() });
            match value {
                Some(value) => assert_eq!(&found.unwrap().value, value),
                None => assert_eq!(found.unwrap_err().code(), Code::ItemNotFound),
            }
        }
    }
}

#[test]
fn items_are_found_by_text_with_the_scores_of_there() {
    let mut scored = 0;
    for case in recorded() {
        let db = filled(&case);
        for Question { ask, answer } in &case.queries {
            let found = search(&db, ask);
            assert_eq!(found.len(), answer.len(), "{ask}");
            // Which of equally good ones comes first is nobody's promise.
            let places = |found: &[Place]| -> BTreeSet<(Vec<String>, String)> {
                found.iter().map(|(path, key, _)| (path.clone(), key.clone())).collect()
            };
            let count = answer.iter().filter(|(_, _, score)| score.is_some()).count();
            assert_eq!(places(&found[..count]), places(&answer[..count]), "{ask}");
            for ((_, _, ours), (_, _, theirs)) in found.iter().zip(answer) {
                match (ours, theirs) {
                    (Some(ours), Some(theirs)) => {
                        assert!((ours - theirs).abs() < 1e-6, "{ask} {ours} {theirs}")
                    }
                    (ours, theirs) => assert_eq!(ours, theirs, "{ask}"),
                }
            }
            assert_eq!(found[count..], answer[count..], "{ask}");
            scored += count;
        }
    }
    assert!(scored > 500, "{scored}");
}

fn recorded() -> Vec<Case> {
    let recorded: Recorded = serde_json::from_str(RECORDED).unwrap();
    assert!(recorded.cases.len() >= 50);
    recorded.cases
}

#[test]
fn a_put_says_what_a_case_says() {
    // The forms of `index` in JSON, since the cases hang on them.
    for (json, expected) in [
        (json!(false), Indexing::Whether(false)),
        (json!(["a", "b[*].c"]), Indexing::Fields(vec!["a".into(), "b[*].c".into()])),
    ] {
        assert_eq!(serde_json::from_value::<Indexing>(json).unwrap(), expected);
    }
}
