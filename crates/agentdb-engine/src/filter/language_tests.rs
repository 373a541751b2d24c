//! The language: operators, types, and what is refused.

use agentdb_types::Code;
use serde_json::{Value, json};

use super::Filter;

#[test]
fn every_operator_on_every_type() {
    let payload = json!({"n": 3, "f": 2.5, "s": "note", "b": true, "tags": ["x", 1], "deep": {"er": null}});
    for (filter, expected) in [
        (json!({}), true),
        (json!({"n": 3}), true),
        (json!({"n": 3.0}), true),
        (json!({"n": "3"}), false),
        (json!({"n": {"$gt": 2.5, "$lt": 3.5}}), true),
        (json!({"f": {"$gte": 3}}), false),
        (json!({"s": {"$lte": "o"}}), true),
        (json!({"s": {"$gt": 1}}), false),
        (json!({"missing": {"$ne": 1}}), true),
        (json!({"missing": 1}), false),
        (json!({"missing": {"$exists": false}}), true),
        (json!({"deep.er": null}), true),
        (json!({"tags": {"$contains": "x"}}), true),
        (json!({"s": {"$contains": "ot"}}), true),
        (json!({"n": {"$in": [1, 3]}}), true),
        (json!({"n": {"$nin": [1, 3]}}), false),
        (json!({"$or": [{"n": 1}, {"b": true}]}), true),
        (json!({"$not": {"n": 3}}), false),
        (json!({"$and": [{"n": 3}, {"b": false}]}), false),
    ] {
        assert_eq!(Filter::parse(&filter).unwrap().matches(&payload), expected, "{filter}");
    }
}

#[test]
fn integers_beyond_the_precision_of_floats_compare_exactly() {
    let payload = json!({"n": 9_007_199_254_740_993_i64});
    let matches = |filter: Value| Filter::parse(&filter).unwrap().matches(&payload);
    assert!(!matches(json!({"n": 9_007_199_254_740_992.0})));
    assert!(matches(json!({"n": {"$gt": 9_007_199_254_740_992.0}})));
    assert!(matches(json!({"n": {"$lt": 1e300}})) && matches(json!({"n": {"$gt": -1e300}})));
}

#[test]
fn a_malformed_filter_is_an_error_that_names_the_place() {
    let nested = (0..20).fold(json!({"a": 1}), |inner, _| json!({"$not": inner}));
    let wide = json!({"a": {"$in": (0..2000).collect::<Vec<_>>()}});
    for filter in [
        json!([]),
        json!({"$nor": []}),
        json!({"a": {"$regex": "x"}}),
        json!({"a": {"$gt": [1]}}),
        json!({"a": {"$in": 1}}),
        json!({"a": {"$exists": 1}}),
        json!({"$or": []}),
        json!({"a..b": 1}),
        nested,
        wide,
    ] {
        let err = Filter::parse(&filter).unwrap_err();
        assert_eq!(err.code(), Code::InvalidValue, "{filter}");
        assert!(err.value("field").unwrap().starts_with("filter"));
    }
}
