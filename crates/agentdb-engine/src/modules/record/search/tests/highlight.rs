//! Highlights: what is marked is what was found.

use std::collections::BTreeMap;

use agentdb_text::Analyzer;
use agentdb_types::{Code, Result};
use serde_json::{Value, json};

use crate::modules::collection::{Create, TextSettings};
use crate::modules::record::{Found, Put, Search};
use crate::modules::testing::TestDb;

fn db() -> TestDb {
    let db = TestDb::new(1);
    let english = TextSettings { analyzer: Analyzer::English, weight: 1.0 };
    let texts = ["text", "title", "meta.tags"].map(|name| (name.to_owned(), english));
    let texts = Some(BTreeMap::from(texts));
    db.write(Create { texts, dimension: Some(2), ..Create::new("docs") }).unwrap();
    let payload = json!({"title": "Red plans", "meta": {"tags": ["green", "a red apple"]}, "other": "red"});
    let text = "They planned a red apple tree. An apple, red and ripe, fell on Crème brûlée.";
    db.write(Put {
        record: Some("r".into()),
        text: Some(text.into()),
        vector: Some(vec![1.0, 0.0]),
        payload: payload.as_object().unwrap().clone(),
        ..Put::new("docs")
    })
    .unwrap();
    db
}

fn search(db: &TestDb, more: Value) -> Result<Found> {
    let mut request = json!({"collection": "docs"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    db.read(crate::decode::<Search>(request)?)
}

fn shown(db: &TestDb, words: Value, mut highlight: Value) -> Value {
    highlight["pre_tag"] = json!("<");
    highlight["post_tag"] = json!(">");
    let found = search(db, json!({"words": words, "highlight": highlight})).unwrap();
    json!(found.hits[0].highlights)
}

#[test]
fn every_kind_of_query_marks_what_it_finds() {
    let db = db();
    let text = |words: Value| {
        let of = json!({"fields": ["text"], "fragment_size": 500});
        shown(&db, words, of)["text"][0].as_str().map(str::to_owned).unwrap_or_default()
    };
    let all = "They planned a red apple tree. An apple, red and ripe, fell on Crème brûlée.";
    let with = |marks: &[&str]| {
        marks.iter().fold(all.to_owned(), |text, mark| text.replace(mark, &format!("<{mark}>")))
    };
    assert_eq!(text(json!("plan creme")), with(&["planned", "Crème"]));
    assert_eq!(text(json!({"prefix": {"text": "app"}})), with(&["apple"]));
    assert_eq!(text(json!({"fuzzy": {"term": "trea", "distance": 1}})), with(&["tree"]));
    assert_eq!(text(json!({"phrase": {"text": "red apple"}})), all.replace("red apple", "<red> <apple>"));
    assert_eq!(text(json!({"syntax": {"query": "+planning \"red apple\" -nothing br*"}})), {
        with(&["planned", "brûlée"]).replace("red apple", "<red> <apple>")
    });
    assert_eq!(text(json!({"boolean": {"must": ["tree"], "must_not": ["nothing"]}})), with(&["tree"]));
    assert_eq!(text(json!({"boost": {"query": "tree", "by": 2}})), with(&["tree"]));
    // What is found in one text marks nothing in another.
    assert_eq!(text(json!({"match": {"text": "red", "fields": ["title"]}})), "");
}

#[test]
fn texts_fragments_and_tags_are_as_asked() {
    let db = db();
    let found = search(&db, json!({"words": "red plan", "highlight": {}})).unwrap();
    let expected = json!({
        "text": ["They <em>planned</em> a <em>red</em> apple tree. An apple, <em>red</em> and ripe, fell on Crème brûlée."],
        "title": ["<em>Red</em> <em>plans</em>"],
        "meta.tags": ["green\na <em>red</em> apple"],
    });
    assert_eq!(json!(found.hits[0].highlights), expected);
    let short = json!({"fields": ["text"], "fragment_size": 16, "fragments": 1});
    assert_eq!(shown(&db, json!("red"), short), json!({"text": ["a <red> apple"]}));
    let two = shown(&db, json!("red"), json!({"fields": ["text"], "fragment_size": 9, "fragments": 2}));
    assert_eq!(two["text"].as_array().unwrap().len(), 2);
    // Of several queries, what any of them finds.
    let queries = json!([{"words": "tree"}, {"vector": [1, 0]}, {"words": {"prefix": {"text": "rip"}}}]);
    let several = search(&db, json!({"queries": queries, "highlight": {"fields": ["text"]}})).unwrap();
    let several = &several.hits[0].highlights["text"][0];
    assert!(several.contains("<em>tree</em>") && several.contains("<em>ripe</em>"), "{several}");
    // Nothing found, nothing shown; and nothing is shown that was not asked for.
    let queries = json!([{"words": "nothing"}, {"vector": [1, 0]}]);
    assert!(search(&db, json!({"queries": queries, "highlight": {}})).unwrap().hits[0].highlights.is_empty());
    assert!(search(&db, json!({"words": "red"})).unwrap().hits[0].highlights.is_empty());
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let db = db();
    for (highlight, field) in [
        (json!({"fields": ["text", "other"]}), "highlight.fields[1]"),
        (json!({"fragments": 0}), "highlight.fragments"),
        (json!({"fragments": 101}), "highlight.fragments"),
        (json!({"fragment_size": 0}), "highlight.fragment_size"),
        (json!({"pre_tag": "x".repeat(65)}), "highlight.pre_tag"),
        (json!({"post_tag": "x".repeat(65)}), "highlight.post_tag"),
        (json!({"size": 1}), "highlight.size"),
    ] {
        let err = search(&db, json!({"words": "red", "highlight": highlight})).unwrap_err();
        assert_eq!((err.code(), err.value("field")), (Code::InvalidValue, Some(field)), "{err}");
    }
    let err = search(&db, json!({"vector": [1, 0], "highlight": {}})).unwrap_err();
    assert_eq!(err.value("field"), Some("highlight"), "{err}");
}
