//! Errors of searches say where in the request they are, and in words of JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentdb_types::{Code, Error, Result};
use serde_json::{Value, json};

use crate::TextEncoder;
use crate::modules::collection::{Create, VectorSettings};
use crate::modules::record::{Put, Search};
use crate::modules::testing::TestDb;

/// An encoder that counts what it is asked.
#[derive(Default)]
struct Counting(AtomicUsize);

impl TextEncoder for Counting {
    fn id(&self) -> &str {
        "counting"
    }

    fn dimension(&self) -> usize {
        2
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.0.fetch_add(texts.len(), Ordering::Relaxed);
        Ok(vec![vec![1.0, 0.0]; texts.len()])
    }
}

fn db() -> TestDb {
    let db = TestDb::new(1);
    let image = VectorSettings { dimension: 3, metric: agentdb_vector::Metric::Cosine };
    let vectors = [("image".to_owned(), image)].into();
    db.write(Create { dimension: Some(2), vectors, ..Create::new("docs") }).unwrap();
    db
}

fn refused(db: &TestDb, more: Value) -> Error {
    let mut request = json!({"collection": "docs"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    crate::decode::<Search>(request).and_then(|search| db.read(search)).unwrap_err()
}

#[test]
fn an_error_of_one_of_several_queries_says_of_which() {
    let db = db();
    let fine = json!({"vector": [1, 0]});
    for (query, name, expected) in [
        (
            json!({"words": {"match": {"text": "a", "fields": ["none"]}}}),
            "path",
            "queries[2].words.match.fields",
        ),
        (json!({"words": {"syntax": {"query": "(a"}}}), "path", "queries[2].words.syntax.query"),
        (json!({"words": {"boolean": {"must_not": ["a"]}}}), "path", "queries[2].words"),
        (json!({"words": "a", "weight": -1}), "field", "queries[2].weight"),
        (json!({"words": "a", "limit": 0}), "part", "queries[2].limit"),
        (json!({"words": "a", "filter": {"$nor": []}}), "field", "queries[2].filter"),
        (json!({"vector": [1]}), "part", "queries[2]"),
        (json!({"vector": [0, 0]}), "part", "queries[2]"),
        (json!({"vector": [1, 0], "using": "none"}), "part", "queries[2]"),
        (json!({"text": "a"}), "part", "queries[2]"),
        (json!({}), "part", "queries[2]"),
        (json!({"vector": "a"}), "field", "queries[2].vector"),
    ] {
        let err = refused(&db, json!({"queries": [fine, fine, query]}));
        let place = err.value(name).unwrap_or_else(|| panic!("{query}: {err:?}"));
        assert!(place.starts_with(expected), "{query}: {place}");
        assert!(err.message().contains("queries[2]"), "{query}: {err}");
    }
    let alone = refused(&db, json!({"words": {"match": {"text": "a", "fields": ["none"]}}}));
    assert!(alone.value("path").unwrap().starts_with("words.match"), "{alone}");
}

#[test]
fn a_vector_that_does_not_fit_a_named_one_names_it() {
    let err = refused(&db(), json!({"vector": [1, 0], "using": "image"}));
    assert_eq!((err.code(), err.value("vector")), (Code::DimensionMismatch, Some("image")));
    assert!(err.message().contains("image"), "{err}");
    let vectors = [("image".to_owned(), vec![1.0])].into();
    let put = db().write(Put { vectors, ..Put::new("docs") }).unwrap_err();
    assert_eq!((put.code(), put.value("vector")), (Code::DimensionMismatch, Some("image")));
}

#[test]
fn a_text_is_encoded_for_a_collection_with_that_encoder_only() {
    let db = db();
    let encoder = Arc::new(Counting::default());
    db.engine().set_text_encoder(encoder.clone());
    for request in [json!({"text": "a"}), json!({"queries": [{"text": "a"}]})] {
        assert_eq!(refused(&db, request).code(), Code::CollectionWithoutEncoder);
    }
    let collection = json!({"collection": "none", "text": "a"});
    assert_eq!(refused(&db, collection).code(), Code::CollectionNotFound);
    assert_eq!(encoder.0.load(Ordering::Relaxed), 0);
    db.write(Create { encoder: Some("counting".into()), ..Create::new("encoded") }).unwrap();
    db.read(Search { text: Some("a".into()), ..Search::new("encoded") }).unwrap();
    assert_eq!(encoder.0.load(Ordering::Relaxed), 1);
}

#[test]
fn no_message_names_a_type_of_the_program() {
    let db = db();
    for (request, expected) in [
        (json!({"words": 1}), "a text, or an object of one key"),
        (json!({"queries": [1]}), "an object"),
        (json!({"highlight": 1}), "an object"),
        (json!({"fusion": 1}), "an object"),
        (json!({"limit": "a"}), "an integer of 0 or more"),
        (json!({"vector": {}}), "a list"),
    ] {
        let err = refused(&db, request.clone());
        assert!(err.message().contains(expected), "{request}: {err}");
        assert!(!err.message().contains("struct") && !err.message().contains("usize"), "{request}: {err}");
    }
}
