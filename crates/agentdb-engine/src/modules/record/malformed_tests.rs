//! A table of wrong schemas, records, queries and filters, with the error that each must give; none of them changes anything.

use agentdb_types::Code;
use serde_json::{Value, json};

use crate::modules::testing::TestDb;
use crate::{ReadAt, WriteOptions};

/// An operation, what its request has besides the collection, the error, and what that says.
type Row = (&'static str, Value, Code, &'static str);

fn schemas() -> Vec<Row> {
    let create = |more, code, said| ("collection.create", more, code, said);
    let alter = |more, code, said| ("collection.alter", more, code, said);
    let many = |of: Value, count| (0..count).map(|n| (format!("n{n}"), of.clone())).collect::<Value>();
    vec![
        create(json!({"collection": "two words"}), Code::InvalidName, "two words"),
        create(json!({"collection": ".hidden"}), Code::InvalidName, ".hidden"),
        create(json!({"collection": ""}), Code::IdEmpty, "collection"),
        create(json!({"collection": "x".repeat(600)}), Code::IdTooLong, "collection"),
        create(json!({"collection": "docs"}), Code::CollectionExists, "docs"),
        create(json!({"collection": "new", "dimension": 0}), Code::DimensionOutOfRange, "0"),
        create(json!({"collection": "new", "dimension": 8_193}), Code::DimensionOutOfRange, "8193"),
        create(json!({"collection": "new", "dimension": -1}), Code::InvalidValue, "dimension"),
        create(json!({"collection": "new", "dimension": 1.5}), Code::InvalidValue, "dimension"),
        create(json!({"collection": "new", "dimension": "2"}), Code::InvalidValue, "dimension"),
        create(json!({"collection": "new", "metric": "manhattan"}), Code::InvalidValue, "metric"),
        create(json!({"collection": "new", "encoder": "none"}), Code::NoEncoder, "none"),
        create(json!({"collection": "new", "dimensions": 2}), Code::UnknownField, "dimensions"),
        create(json!({"collection": "new", "vectors": {"a b": {"dimension": 2}}}), Code::InvalidName, "a b"),
        create(
            json!({"collection": "new", "vectors": {"v": {}}}),
            Code::InvalidValue,
            "vectors.v: missing field",
        ),
        create(
            json!({"collection": "new", "vectors": {"v": {"dimension": 0}}}),
            Code::DimensionOutOfRange,
            "0",
        ),
        create(
            json!({"collection": "new", "vectors": {"v": {"dimension": 2, "metric": 1}}}),
            Code::InvalidValue,
            "metric",
        ),
        create(json!({"collection": "new", "vectors": {"v": 2}}), Code::InvalidValue, "vectors.v"),
        create(
            json!({"collection": "new", "vectors": many(json!({"dimension": 1}), 65)}),
            Code::TooManyVectors,
            "65",
        ),
        create(json!({"collection": "new", "sparse": {"a b": {}}}), Code::InvalidName, "a b"),
        create(
            json!({"collection": "new", "sparse": {"t": {"metric": "dot"}}}),
            Code::InvalidValue,
            "sparse.t.metric",
        ),
        create(json!({"collection": "new", "sparse": ["t"]}), Code::InvalidValue, "sparse"),
        create(json!({"collection": "new", "sparse": many(json!({}), 65)}), Code::TooManyVectors, "65"),
        create(json!({"collection": "new", "fields": {"f": {"type": "text"}}}), Code::InvalidValue, "type"),
        create(
            json!({"collection": "new", "fields": {"f": {"kind": "string"}}}),
            Code::InvalidValue,
            "fields.f.kind",
        ),
        create(
            json!({"collection": "new", "fields": {"a..b": {"type": "string"}}}),
            Code::InvalidValue,
            "a..b",
        ),
        create(json!({"collection": "new", "fields": {"$x": {"type": "string"}}}), Code::InvalidValue, "$x"),
        create(
            json!({"collection": "new", "fields": {"a": {"type": "string"}, "a.b": {"type": "number"}}}),
            Code::InvalidName,
            "fields below it",
        ),
        create(json!({"collection": "new", "undeclared": "ignore"}), Code::InvalidValue, "undeclared"),
        create(json!({"collection": "new", "texts": {"text": {"weight": -1}}}), Code::InvalidValue, "weight"),
        create(json!({"collection": "new", "texts": {"a..b": {}}}), Code::InvalidName, "a..b"),
        create(json!({"collection": "new", "texts": {"$and": {}}}), Code::InvalidName, "$and"),
        create(
            json!({"collection": "new", "fields": {"n": {"type": "number"}}, "texts": {"n": {}}}),
            Code::InvalidName,
            "declared as number",
        ),
        create(
            json!({"collection": "new", "texts": {"text": {"weight": 1e39}}}),
            Code::InvalidValue,
            "weight",
        ),
        create(
            json!({"collection": "new", "texts": {"text": {"analyzer": "klingon"}}}),
            Code::InvalidValue,
            "analyzer",
        ),
        create(
            json!({"collection": "new", "texts": {"text": {"boost": 2}}}),
            Code::InvalidValue,
            "texts.text.boost",
        ),
        create(
            json!({"collection": "new", "description": "x".repeat(2 << 20)}),
            Code::ValueTooLarge,
            "description",
        ),
        alter(json!({"collection": "none"}), Code::CollectionNotFound, "none"),
        alter(json!({"vectors": {"image": {"dimension": 4}}}), Code::VectorExists, "image"),
        alter(json!({"vectors": {"none": null}}), Code::VectorUnknown, "none"),
        alter(json!({"vectors": {"": {"dimension": 4}}}), Code::IdEmpty, "vectors"),
        alter(json!({"sparse": {"none": null}}), Code::VectorUnknown, "none"),
        alter(json!({"fields": {"n": {"type": "string"}}}), Code::FieldDeclared, "n"),
        alter(json!({"fields": {"n.deeper": {"type": "string"}}}), Code::InvalidName, "fields below it"),
        alter(json!({"fields": {"tag": {"type": "number"}}}), Code::FieldDeclared, "tag"),
        alter(json!({"dimension": 3}), Code::UnknownField, "dimension"),
        ("collection.rename", json!({"to": "a b"}), Code::InvalidName, "a b"),
        ("collection.rename", json!({"to": "docs"}), Code::CollectionExists, "docs"),
        ("collection.rename", json!({}), Code::MissingField, "to"),
        ("collection.truncate", json!({"collection": "none"}), Code::CollectionNotFound, "none"),
    ]
}

fn records() -> Vec<Row> {
    let put = |more, code, said| ("record.put", more, code, said);
    let patch = |more, code, said| ("record.patch", more, code, said);
    let deep = (0..40).fold(json!(1), |inner, _| json!({"a": inner}));
    let sparse =
        |indices: Value, values: Value| json!({"sparse": {"terms": {"indices": indices, "values": values}}});
    vec![
        put(json!({"collection": "none"}), Code::CollectionNotFound, "none"),
        put(json!({"record": ""}), Code::IdEmpty, "record"),
        put(json!({"record": "x".repeat(513)}), Code::IdTooLong, "record"),
        put(json!({"record": 7}), Code::InvalidValue, "record"),
        put(json!({"vector": [1]}), Code::DimensionMismatch, "1"),
        put(json!({"vector": [1, 2, 3]}), Code::DimensionMismatch, "3"),
        put(json!({"vector": []}), Code::DimensionMismatch, "0"),
        put(json!({"vector": [0, 0]}), Code::VectorZero, "no length"),
        put(json!({"vector": [1e39, 0]}), Code::VectorNotFinite, "finite"),
        put(json!({"vector": ["1", 0]}), Code::InvalidValue, "vector"),
        put(json!({"vector": {"x": 1}}), Code::InvalidValue, "vector"),
        put(json!({"vectors": {"none": [1]}}), Code::VectorUnknown, "none"),
        put(json!({"vectors": {"image": [1, 2]}}), Code::DimensionMismatch, "image"),
        put(json!({"vectors": {"image": [0, 0, 0]}}), Code::VectorZero, "image"),
        put(json!({"vectors": [[1, 2, 3]]}), Code::InvalidValue, "vectors"),
        put(json!({"sparse": {"none": {"indices": [1], "values": [1]}}}), Code::VectorUnknown, "none"),
        put(sparse(json!([1]), json!([])), Code::InvalidValue, "1 indices and 0 values"),
        put(sparse(json!([]), json!([])), Code::InvalidValue, "no components"),
        put(sparse(json!([1, 1]), json!([1, 2])), Code::InvalidValue, "the index 1 twice"),
        put(sparse(json!([-1]), json!([1])), Code::InvalidValue, "indices"),
        put(sparse(json!([4_294_967_296u64]), json!([1])), Code::InvalidValue, "indices"),
        put(sparse(json!([1]), json!([1e39])), Code::VectorNotFinite, "finite"),
        put(sparse(json!([1]), json!([null])), Code::InvalidValue, "values"),
        put(json!({"payload": []}), Code::InvalidValue, "payload"),
        put(json!({"payload": {"n": "one"}}), Code::FieldTypeMismatch, "n"),
        put(json!({"payload": {"n": {"deeper": 1}}}), Code::FieldTypeMismatch, "n"),
        put(json!({"payload": {"tag": 1}}), Code::FieldTypeMismatch, "tag"),
        put(json!({"payload": deep}), Code::DepthExceeded, "32"),
        put(json!({"payload": {"x": "x".repeat(2 << 20)}}), Code::ValueTooLarge, "payload"),
        put(json!({"text": "x".repeat(2 << 20)}), Code::ValueTooLarge, "text"),
        put(json!({"text": ["a"]}), Code::InvalidValue, "text"),
        put(json!({"ttl_us": 0}), Code::TtlOutOfRange, "time to live of 0"),
        put(json!({"ttl_us": -1}), Code::TtlOutOfRange, "time to live of -1"),
        put(json!({"ttl_us": "1d"}), Code::InvalidValue, "ttl_us"),
        put(json!({"record": "a", "expected_version": 1}), Code::VersionMismatch, "1"),
        put(json!({"metadata": {}}), Code::UnknownField, "metadata"),
        (
            "record.put",
            json!({"collection": "strict", "payload": {"other": 1}}),
            Code::FieldUndeclared,
            "other",
        ),
        patch(json!({"record": "none"}), Code::RecordNotFound, "none"),
        patch(json!({"record": "a", "payload": [1]}), Code::InvalidPatch, "object"),
        patch(json!({"record": "a", "payload": {"n": "one"}}), Code::FieldTypeMismatch, "n"),
        patch(json!({"record": "a", "vectors": {"none": null}}), Code::VectorUnknown, "none"),
        patch(json!({"record": "a", "sparse": {"none": null}}), Code::VectorUnknown, "none"),
        patch(json!({"record": "a", "vector": [1, 2, 3]}), Code::DimensionMismatch, "3"),
        patch(json!({}), Code::MissingField, "record"),
        ("record.delete", json!({"record": "a", "expected_version": 1}), Code::VersionMismatch, "1"),
        ("record.get", json!({"record": "none"}), Code::RecordNotFound, "none"),
        ("record.get_many", json!({"records": "a"}), Code::InvalidValue, "records"),
        ("record.list", json!({"limit": 0}), Code::PageTooLarge, "0"),
        ("record.list", json!({"cursor": "!"}), Code::InvalidCursor, "cursor"),
        ("record.list", json!({"filter": {"n": {"$gt": "a"}}}), Code::FilterTypeMismatch, "n"),
        ("record.count", json!({"filter": {"$nor": []}}), Code::InvalidValue, "filter.$nor"),
        ("record.delete_where", json!({}), Code::MissingField, "filter"),
        ("record.delete_where", json!({"filter": {"n": {"$like": 1}}}), Code::InvalidValue, "filter.n.$like"),
        ("record.facet", json!({"field": ""}), Code::InvalidValue, "field"),
        ("record.distinct", json!({"field": "a..b"}), Code::InvalidValue, "field"),
        ("record.aggregate", json!({"field": "n", "interval": 0}), Code::InvalidValue, "interval"),
        ("record.aggregate", json!({}), Code::MissingField, "field"),
    ]
}

fn searches() -> Vec<Row> {
    let search = |more, code, said| ("record.search", more, code, said);
    let words = |words: Value, code, said| ("record.search", json!({"words": words}), code, said);
    let syntax = |text: &str, said| {
        ("record.search", json!({"words": {"syntax": {"query": text}}}), Code::TextQueryInvalid, said)
    };
    let (vector, sparse) = (json!([1, 0]), json!({"indices": [1], "values": [1]}));
    let seventeen: Vec<Value> = (0..17).map(|_| json!({"words": "a"})).collect();
    vec![
        search(json!({}), Code::SearchNeedsVector, "exactly one"),
        search(json!({"vector": vector, "words": "a"}), Code::SearchNeedsVector, "exactly one"),
        search(
            json!({"vector": vector, "queries": [{"words": "a"}]}),
            Code::SearchNeedsVector,
            "exactly one",
        ),
        search(json!({"collection": "none", "vector": vector}), Code::CollectionNotFound, "none"),
        search(json!({"vector": [1]}), Code::DimensionMismatch, "1"),
        search(json!({"vector": [0, 0]}), Code::VectorZero, "no length"),
        search(json!({"vector": [1e39, 1]}), Code::VectorNotFinite, "finite"),
        search(json!({"vector": "near"}), Code::InvalidValue, "vector"),
        search(json!({"vector": vector, "using": "none"}), Code::VectorUnknown, "none"),
        search(json!({"vector": vector, "using": "image"}), Code::DimensionMismatch, "image"),
        search(json!({"vector": vector, "limit": 0}), Code::PageTooLarge, "0"),
        search(json!({"vector": vector, "limit": 100_000}), Code::PageTooLarge, "100000"),
        search(json!({"vector": vector, "limit": -1}), Code::InvalidValue, "limit"),
        search(json!({"vector": vector, "threshold": "high"}), Code::InvalidValue, "threshold"),
        search(json!({"vector": vector, "threshold": 1e39}), Code::InvalidValue, "threshold"),
        search(json!({"vector": vector, "filter": {"n": {"$gte": "a"}}}), Code::FilterTypeMismatch, "n"),
        search(json!({"vector": vector, "filter": {"$where": 1}}), Code::InvalidValue, "filter.$where"),
        search(json!({"vector": vector, "cursor": "!"}), Code::InvalidCursor, "cursor"),
        search(json!({"vector": vector, "top_k": 3}), Code::UnknownField, "top_k"),
        search(json!({"text": "near"}), Code::CollectionWithoutEncoder, "docs"),
        search(json!({"text": "near", "using": "image"}), Code::InvalidValue, "using"),
        search(json!({"sparse": sparse}), Code::InvalidValue, "using"),
        search(json!({"sparse": sparse, "using": "none"}), Code::VectorUnknown, "none"),
        search(json!({"sparse": {"indices": [1]}, "using": "terms"}), Code::InvalidValue, "values"),
        search(json!({"sparse": [1, 0], "using": "terms"}), Code::InvalidValue, "sparse"),
        search(json!({"words": "a", "using": "image"}), Code::InvalidValue, "using"),
        words(json!(7), Code::InvalidValue, "words"),
        words(json!({}), Code::InvalidValue, "words"),
        words(json!({"term": "a"}), Code::InvalidValue, "term"),
        words(json!({"match": {}}), Code::InvalidValue, "words.match: missing field"),
        words(json!({"match": {"text": "a", "operator": "xor"}}), Code::InvalidValue, "words.match.operator"),
        words(json!({"match": {"text": "a", "fields": ["none"]}}), Code::TextQueryInvalid, "fields"),
        words(json!({"match": {"text": "a", "fields": []}}), Code::TextQueryInvalid, "fields"),
        words(json!({"match": {"text": "a", "fuzzy": 3}}), Code::TextQueryInvalid, "fuzzy"),
        words(json!({"phrase": {"text": "a b", "slop": -1}}), Code::InvalidValue, "words.phrase.slop"),
        words(json!({"prefix": {"text": ["a"]}}), Code::InvalidValue, "words.prefix.text"),
        words(json!({"fuzzy": {"term": "a", "distance": 9}}), Code::TextQueryInvalid, "distance"),
        words(json!({"boolean": {}}), Code::TextQueryInvalid, "boolean"),
        words(json!({"boolean": {"must_not": ["a"]}}), Code::TextQueryInvalid, "words"),
        words(json!({"boost": {"query": "a", "by": -1}}), Code::TextQueryInvalid, "by"),
        words(json!({"boost": {"query": "a", "by": 1e39}}), Code::TextQueryInvalid, "by"),
        words(json!("x ".repeat(70_000)), Code::TextQueryTooLarge, "words"),
        words(
            json!((0..1_025).map(|n| format!("w{n} ")).collect::<String>()),
            Code::TextQueryTooLarge,
            "1024",
        ),
        syntax("a^1e400", "`^` needs a number"),
        syntax("a~-1", "a distance of 1 or 2"),
        syntax("\"a b\"~1.5", "a whole number"),
        syntax("(a", "syntax.query"),
        syntax("a)", "syntax.query"),
        syntax("\"open", "syntax.query"),
        syntax("none:a", "none"),
        syntax("a AND", "syntax.query"),
        search(json!({"vector": vector, "feedback": {}}), Code::InvalidValue, "feedback"),
        search(
            json!({"queries": [{"words": "a"}], "feedback": {"records": 0}}),
            Code::InvalidValue,
            "feedback.records",
        ),
        search(json!({"words": "a", "fusion": {"method": "reciprocal_rank"}}), Code::InvalidValue, "fusion"),
        search(
            json!({"queries": [{"words": "a", "weight": 3e38}, {"words": "a", "weight": 3e38}], "fusion": {"method": "weighted", "normalize": "min_max"}}),
            Code::ScoreNotFinite,
            "record b",
        ),
        search(json!({"queries": seventeen}), Code::InvalidValue, "16"),
        search(json!({"queries": [{}]}), Code::SearchNeedsVector, "queries[0]"),
        search(json!({"queries": [{"words": "a"}, {"vector": [1]}]}), Code::DimensionMismatch, "queries[1]"),
        search(json!({"queries": [{"words": "a", "weight": 0}]}), Code::InvalidValue, "queries[0].weight"),
        search(json!({"queries": [{"words": "a", "limit": 0}]}), Code::PageTooLarge, "queries[0]"),
        search(json!({"queries": [{"words": "a", "filter": {"$x": 1}}]}), Code::InvalidValue, "queries[0]"),
        search(json!({"queries": [{"words": "a"}], "using": "image"}), Code::InvalidValue, "using"),
        search(
            json!({"queries": [{"words": "a"}], "fusion": {"method": "sum"}}),
            Code::InvalidValue,
            "fusion",
        ),
        search(
            json!({"queries": [{"words": "a"}], "fusion": {"method": "reciprocal_rank", "k": -1}}),
            Code::InvalidValue,
            "k",
        ),
        search(json!({"vector": vector, "rerank": {}}), Code::RerankNeedsOne, "exactly one"),
        search(
            json!({"vector": vector, "rerank": {"words": "a", "candidates": 0}}),
            Code::CandidatesOutOfRange,
            "0",
        ),
        search(
            json!({"vector": vector, "rerank": {"words": "a", "weight": -1}}),
            Code::InvalidValue,
            "weight",
        ),
        search(json!({"vector": vector, "diversity": {"lambda": 2}}), Code::InvalidValue, "lambda"),
        search(json!({"vector": vector, "diversity": {"candidates": 0}}), Code::CandidatesOutOfRange, "0"),
        search(json!({"vector": vector, "group_by": {}}), Code::InvalidValue, "group_by: missing field"),
        search(
            json!({"vector": vector, "group_by": {"field": "a..b"}}),
            Code::InvalidValue,
            "group_by.field",
        ),
        search(
            json!({"vector": vector, "group_by": {"field": "n", "size": 0}}),
            Code::PageTooLarge,
            "group_by.size",
        ),
        search(json!({"words": "a", "highlight": {"fields": ["none"]}}), Code::InvalidValue, "none"),
        search(json!({"words": "a", "highlight": {"fragments": "many"}}), Code::InvalidValue, "fragments"),
    ]
}

fn database() -> TestDb {
    let db = TestDb::new(1);
    let requests = [
        (
            "collection.create",
            json!({
                "collection": "docs", "dimension": 2, "vectors": {"image": {"dimension": 3}}, "sparse": {"terms": {}},
                "fields": {"n": {"type": "number"}, "plain": {"type": "string", "indexed": false}},
            }),
        ),
        ("collection.create", json!({"collection": "strict", "undeclared": "refuse"})),
        (
            "record.put",
            json!({"collection": "docs", "record": "a", "vector": [1, 0], "payload": {"n": 1, "tag": "x"}}),
        ),
        ("record.put", json!({"collection": "docs", "record": "b", "text": "a b", "payload": {"n": 900}})),
    ];
    for (operation, request) in requests {
        call(&db, operation, request).unwrap();
    }
    db
}

fn call(db: &TestDb, operation: &str, request: Value) -> agentdb_types::Result<Value> {
    let (options, at) = (WriteOptions::default(), ReadAt::default());
    Ok(db.engine().call_json(db.namespace, operation, request, options, at)?.response)
}

#[test]
fn each_of_many_wrong_inputs_gives_its_error_and_changes_nothing() {
    let db = database();
    let before = db.engine().digest(db.namespace).unwrap();
    let rows = [schemas(), records(), searches()].concat();
    assert!(rows.len() >= 170, "{}", rows.len());
    let mut wrong = Vec::new();
    for (operation, more, code, said) in rows {
        let mut request = json!({"collection": "docs"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let shown: String = format!("{operation} {more}").chars().take(160).collect();
        match call(&db, operation, request) {
            Ok(answer) => wrong.push(format!("{shown}: answered {answer}")),
            Err(err) if err.code() != code => wrong.push(format!("{shown}: {err}, not {code}")),
            Err(err) if !err.to_string().contains(said) => {
                wrong.push(format!("{shown}: {err} says nothing of {said:?}"))
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(db.engine().digest(db.namespace).unwrap(), before);
}
