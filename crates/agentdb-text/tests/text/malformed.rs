//! What is wrong with a query is said by a code and a path.

use agentdb_text::{Analyzer, Field, Query, Search, Syntax, TextIndex};
use agentdb_types::{Code, Lsn};
use proptest::prelude::*;
use serde_json::{Value, json};

fn index() -> TextIndex {
    let index = TextIndex::new(vec![
        Field::new("title", Analyzer::English),
        Field::new("body", Analyzer::Standard),
        Field::new("tag", Analyzer::Keyword),
    ])
    .unwrap();
    index.insert(1, Lsn(1), &[Some("The cats"), Some("A cat sat; foo not bar"), Some("a b")]).unwrap();
    index
}

fn run(index: &TextIndex, json: &Value) -> agentdb_types::Result<Vec<u64>> {
    let query = Query::from_json(json)?;
    index.check(&query)?;
    let hits = index.search(&query, &Search::new(Lsn(1), 10))?;
    Ok(hits.into_iter().map(|h| h.slot).collect())
}

#[test]
fn each_malformed_query_is_refused_with_its_path() {
    use Code::{TextQueryInvalid as Invalid, TextQueryTooLarge as Large};
    let syntax = |query: &str| json!({"syntax": {"query": query}});
    let deep = |levels: usize| (0..levels).fold(json!("x"), |q, _| json!({"boolean": {"must": [q]}}));
    let many = (0..1_025).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    let brackets = format!("{}x{}", "(".repeat(40), ")".repeat(40));
    let table: Vec<(Value, Code, &str)> = vec![
        (json!(7), Invalid, "query"),
        (json!(null), Invalid, "query"),
        (json!([]), Invalid, "query"),
        (json!({}), Invalid, "query"),
        (json!({"matches": {"text": "x"}}), Invalid, "query"),
        (json!({"match": {"text": "x"}, "phrase": {"text": "x"}}), Invalid, "query"),
        (json!({"match": "x"}), Invalid, "query.match"),
        (json!({"match": {}}), Invalid, "query.match"),
        (json!({"match": {"text": 1}}), Invalid, "query.match.text"),
        (json!({"match": {"text": "x", "field": "title"}}), Invalid, "query.match.field"),
        (json!({"match": {"text": "x", "fields": "title"}}), Invalid, "query.match.fields"),
        (json!({"match": {"text": "x", "fields": []}}), Invalid, "query.match.fields"),
        (json!({"match": {"text": "x", "fields": ["nope"]}}), Invalid, "query.match.fields"),
        (json!({"match": {"text": "x", "fields": ["title", "title"]}}), Invalid, "query.match.fields"),
        (json!({"match": {"text": "x", "operator": "some"}}), Invalid, "query.match.operator"),
        (json!({"match": {"text": "x", "minimum_match": 0}}), Invalid, "query.match.minimum_match"),
        (json!({"match": {"text": "x", "minimum_match": -1}}), Invalid, "query.match.minimum_match"),
        (json!({"match": {"text": "x", "fuzzy": 3}}), Invalid, "query.match.fuzzy"),
        (json!({"match": {"text": "x", "fuzzy": 300}}), Invalid, "query.match.fuzzy"),
        (json!({"phrase": {"text": "x y", "slop": 1001}}), Invalid, "query.phrase.slop"),
        (json!({"prefix": {"text": ""}}), Invalid, "query.prefix.text"),
        (json!({"fuzzy": {"term": "x"}}), Invalid, "query.fuzzy"),
        (json!({"fuzzy": {"term": "x", "distance": 0}}), Invalid, "query.fuzzy.distance"),
        (json!({"fuzzy": {"term": "x", "distance": 3}}), Invalid, "query.fuzzy.distance"),
        (json!({"fuzzy": {"term": "", "distance": 1}}), Invalid, "query.fuzzy.term"),
        (json!({"fuzzy": {"term": "x".repeat(256), "distance": 1}}), Large, "query.fuzzy"),
        (json!({"boolean": {}}), Invalid, "query.boolean"),
        (json!({"boolean": {"must_not": ["x"]}}), Invalid, "query.boolean"),
        (json!({"boolean": {"must": "x"}}), Invalid, "query.boolean.must"),
        (json!({"boolean": {"must": ["x", {"phrase": {}}]}}), Invalid, "query.boolean.must[1].phrase"),
        (json!({"boolean": {"should": ["x", {"boolean": {}}]}}), Invalid, "query.boolean.should[1].boolean"),
        (json!({"boost": {"query": "x"}}), Invalid, "query.boost"),
        (json!({"boost": {"query": "x", "by": 0}}), Invalid, "query.boost.by"),
        (json!({"boost": {"query": "x", "by": -2}}), Invalid, "query.boost.by"),
        (json!({"boost": {"query": "x", "by": 1e7}}), Invalid, "query.boost.by"),
        (
            json!({"boost": {"query": {"boost": {"query": "x", "by": 1e5}}, "by": 1e5}}),
            Invalid,
            "query.boost.query.boost.by",
        ),
        (json!({"syntax": {"query": "x", "fields": ["nope"]}}), Invalid, "query.syntax.fields"),
        (deep(16), Large, "query.boolean.must[0].boolean.must[0]"),
        (json!(many), Large, "query"),
        (json!("x".repeat((64 << 10) + 1)), Large, "query"),
        (json!({"match": {"text": "x".repeat((64 << 10) + 1)}}), Large, "query.match.text"),
        (syntax(&"x ".repeat(33_000)), Large, "query.syntax.query"),
        (syntax("(a"), Invalid, "query.syntax.query"),
        (syntax("a)"), Invalid, "query.syntax.query"),
        (syntax("()"), Invalid, "query.syntax.query"),
        (syntax("\"a"), Invalid, "query.syntax.query"),
        (syntax("\"a\"~"), Invalid, "query.syntax.query"),
        (syntax("\"a b\"~99999999999"), Invalid, "query.syntax.query"),
        (syntax("a^"), Invalid, "query.syntax.query"),
        (syntax("a^1.2.3"), Invalid, "query.syntax.query"),
        (syntax("a^0"), Invalid, "query.syntax.query.boost.by"),
        (syntax("a~3"), Invalid, "query.syntax.query.fuzzy.distance"),
        (syntax("*"), Invalid, "query.syntax.query"),
        (syntax("a*b"), Invalid, "query.syntax.query"),
        (syntax("AND a"), Invalid, "query.syntax.query"),
        (syntax("a AND"), Invalid, "query.syntax.query"),
        (syntax("a OR OR b"), Invalid, "query.syntax.query"),
        (syntax("a NOT"), Invalid, "query.syntax.query"),
        (syntax("-a"), Invalid, "query.syntax.query"),
        (syntax("title:"), Invalid, "query.syntax.query"),
        (syntax(":a"), Invalid, "query.syntax.query"),
        (syntax("nope:a"), Invalid, "query.syntax.query.match.fields"),
        (syntax("title:body:a"), Invalid, "query.syntax.query"),
        (syntax("[a TO b]"), Invalid, "query.syntax.query"),
        (syntax("a\\"), Invalid, "query.syntax.query"),
        (syntax(&brackets), Large, "query.syntax.query"),
    ];
    assert!(table.len() >= 30);
    let index = index();
    for (json, code, path) in table {
        let shown: String = json.to_string().chars().take(120).collect();
        let error = run(&index, &json).expect_err(&shown);
        assert_eq!(error.code(), code, "{shown}: {error}");
        assert!(error.value("path").is_some_and(|p| p.starts_with(path)), "{shown}: {error}, not {path}");
        if !path.ends_with("must[0]") {
            assert_eq!(error.value("path"), Some(path), "{shown}: {error}");
        }
    }
}

#[test]
fn the_syntax_becomes_the_tree() {
    let index = index();
    let finds = |query: &str| run(&index, &json!({"syntax": {"query": query}})).unwrap().len() == 1;
    for query in [
        "cat",
        "title:cats",
        "+cat +foo",
        "cat -dog",
        "dog OR cat",
        "cat AND foo",
        "(dog OR cat) AND bar",
        "ca*",
        "kat~1",
        "xat~",
        "\"cat sat\"",
        "\"sat cat\"~2",
        "body:(dog cat)",
        "tag:\"a b\"",
        "cat^2 dog",
        "title:cat~1",
        "!dog cat",
        "cat && foo",
        "dog || cat",
        "  cat\n",
        "body:\"not bar\"^3",
        "tag:a\\ b",
        "cat NOT dog",
    ] {
        assert!(finds(query), "{query}");
    }
    for query in [
        "",
        "  ",
        "dog",
        "body:cats",
        "+cat +dog",
        "cat -foo",
        "cat AND dog",
        "\"sat cat\"",
        "the",
        "title:the",
    ] {
        assert!(!finds(query), "{query}");
    }
}

#[test]
fn a_query_of_stop_words_finds_nothing_and_explain_says_so() {
    let index = index();
    let query = Query::from_json(
        &json!({"boolean": {"should": [{"match": {"text": "the of", "fields": ["title"]}}]}}),
    )
    .unwrap();
    assert_eq!(index.search(&query, &Search::new(Lsn(1), 10)).unwrap(), []);
    let explanation = index.explain(&query, 1, Lsn(1)).unwrap();
    assert_eq!(explanation.score, None);
    assert_eq!(explanation.empty, ["query.boolean.should[0].match"]);
}

#[test]
fn too_many_expansions_are_an_error() {
    let index = TextIndex::new(vec![Field::new("t", Analyzer::Whitespace)]).unwrap();
    let text = |from: u32| (from..from + 5_001).map(|n| format!("w{n:05}")).collect::<Vec<_>>().join(" ");
    index.insert(1, Lsn(1), &[Some(&text(0))]).unwrap();
    index.insert(2, Lsn(2), &[Some(&text(5_001))]).unwrap();
    let query = Query::from_json(&json!({"prefix": {"text": "w"}})).unwrap();
    assert_eq!(index.count(&query, Lsn(1), None).unwrap(), 1);
    let error = index.count(&query, Lsn(2), None).unwrap_err();
    assert_eq!((error.code(), error.value("path")), (Code::TextExpansion, Some("query.prefix")));
    index.delete(1, Lsn(3));
    assert_eq!(index.count(&query, Lsn(3), None).unwrap(), 1);
}

#[test]
fn fields_are_checked() {
    let refused = |fields| TextIndex::new(fields).unwrap_err().code();
    let field = |name: &str, weight| Field { name: name.into(), weight, analyzer: Analyzer::Standard };
    assert_eq!(refused(vec![]), Code::InvalidValue);
    assert_eq!(refused(vec![field("a", 0.0)]), Code::InvalidValue);
    assert_eq!(refused(vec![field("a", f32::NAN)]), Code::InvalidValue);
    assert_eq!(refused(vec![field("a", 1.0), field("a", 1.0)]), Code::InvalidValue);
    assert_eq!(refused(vec![field("", 1.0)]), Code::InvalidValue);
    assert_eq!(index().insert(1, Lsn(2), &[None]).unwrap_err().code(), Code::InvalidValue);
}

#[test]
fn queries_round_trip_and_have_a_schema() {
    let json = json!({"boolean": {"must": ["a", {"match": {"text": "b", "operator": "all"}}]}});
    let query = Query::from_json(&json).unwrap();
    assert_eq!(serde_json::to_value(&query).unwrap(), json);
    let schema = serde_json::to_string(&schemars::schema_for!(Query)).unwrap();
    assert!(["minimum_match", "slop", "prefix_length", "must_not"].iter().all(|name| schema.contains(name)));
}

proptest! {
    #[test]
    fn whatever_is_typed_never_panics(query in "[a-c:()\"~^*+! \\\\&|0-9ANDORT\u{301}é-]{0,24}") {
        let _ = index().check(&Query::Syntax(Syntax { query, fields: None }));
    }

    #[test]
    fn any_text_never_panics(query in any::<String>()) {
        let index = index();
        let _ = index.check(&Query::Syntax(Syntax { query: query.clone(), fields: None }));
        let found = index.search(&Query::Text(query), &Search::new(Lsn(1), 1));
        prop_assert!(found.is_ok());
    }

    #[test]
    fn any_bytes_as_json_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(json) = serde_json::from_slice::<Value>(&bytes) {
            let _ = Query::from_json(&json);
        }
    }
}
