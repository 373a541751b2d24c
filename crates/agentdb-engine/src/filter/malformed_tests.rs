//! What is refused, with which error, at which place.

use agentdb_types::Code;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Field, FieldType, Fields, Filter};

fn fields() -> Fields {
    let mut fields = Fields::default();
    for (path, kind) in [
        ("s", FieldType::String),
        ("n", FieldType::Number),
        ("b", FieldType::Boolean),
        ("t", FieldType::Time),
        ("g", FieldType::Geo),
        ("o.n", FieldType::Number),
    ] {
        fields.declare(path, Field { kind, indexed: true, inferred: false }).unwrap();
    }
    fields
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({"a": 1}), |inner, _| json!({"$not": inner}))
}

fn wide(terms: usize) -> Value {
    json!({"a": {"$in": (0..terms).collect::<Vec<_>>()}})
}

fn geo(shape: Value) -> Value {
    json!({"a": {"$geo_within": shape}})
}

fn polygon(vertices: &[[f64; 2]]) -> Value {
    geo(json!({"polygon": vertices}))
}

#[test]
fn a_malformed_filter_names_the_place() {
    let circle = |member: &str, value: Value| {
        let mut shape = json!({"circle": {"lat": 1, "lon": 2, "radius_m": 3}});
        shape["circle"][member] = value;
        geo(shape)
    };
    let rectangle = |member: &str, value: Value| {
        let mut shape = json!({"box": {"south": 1, "north": 2, "west": 3, "east": 4}});
        shape["box"][member] = value;
        geo(shape)
    };
    let around = (0..2_000).map(|i| [0.0, f64::from(i % 180)]).collect::<Vec<_>>();
    for (filter, place) in [
        (json!([]), "filter"),
        (json!(null), "filter"),
        (json!("a"), "filter"),
        (json!(1), "filter"),
        (json!({"$nor": []}), "filter.$nor"),
        (json!({"$": 1}), "filter.$"),
        (json!({"$eq": 1}), "filter.$eq"),
        (json!({"": 1}), "filter."),
        (json!({".": 1}), "filter.."),
        (json!({"a..b": 1}), "filter.a..b"),
        (json!({"a.": 1}), "filter.a."),
        (json!({"$and": {}}), "filter.$and"),
        (json!({"$and": []}), "filter.$and"),
        (json!({"$or": []}), "filter.$or"),
        (json!({"$or": [1]}), "filter.$or[0]"),
        (json!({"$or": [{"a": 1}, {"$x": 1}]}), "filter.$or[1].$x"),
        (json!({"$not": []}), "filter.$not"),
        (json!({"$not": {"$and": [{"a": {"$exists": 0}}]}}), "filter.$not.$and[0].a.$exists"),
        (json!({"a": {"$regex": "x"}}), "filter.a.$regex"),
        (json!({"a": {"$eq": 1, "b": 2}}), "filter.a.b"),
        (json!({"a": {"$and": []}}), "filter.a.$and"),
        (json!({"a": {"$gt": [1]}}), "filter.a.$gt"),
        (json!({"a": {"$gt": null}}), "filter.a.$gt"),
        (json!({"a": {"$gte": {}}}), "filter.a.$gte"),
        (json!({"a": {"$lt": null}}), "filter.a.$lt"),
        (json!({"a": {"$lte": []}}), "filter.a.$lte"),
        (json!({"a": {"$in": 1}}), "filter.a.$in"),
        (json!({"a": {"$nin": {"x": 1}}}), "filter.a.$nin"),
        (json!({"a": {"$exists": 1}}), "filter.a.$exists"),
        (json!({"a": {"$exists": null}}), "filter.a.$exists"),
        (json!({"a": {"$contains_any": "x"}}), "filter.a.$contains_any"),
        (json!({"a": {"$contains_all": null}}), "filter.a.$contains_all"),
        (json!({"a": {"$starts_with": 1}}), "filter.a.$starts_with"),
        (json!({"a": {"$starts_with": ["x"]}}), "filter.a.$starts_with"),
        (
            nested(20),
            "filter.$not.$not.$not.$not.$not.$not.$not.$not.$not.$not.$not.$not.$not.$not.$not.$not",
        ),
        (wide(2_000), "filter.a.$in"),
        (json!({"a": {"$eq": (0..2_000).collect::<Vec<_>>()}}), "filter.a.$eq"),
        (json!({"$or": (0..2_000).map(|n| json!({"a": n})).collect::<Vec<_>>()}), "filter.$or[1024].a"),
        (geo(json!(1)), "filter.a.$geo_within"),
        (geo(json!({})), "filter.a.$geo_within"),
        (geo(json!({"circle": {}, "box": {}})), "filter.a.$geo_within"),
        (geo(json!({"sphere": {}})), "filter.a.$geo_within.sphere"),
        (geo(json!({"circle": 1})), "filter.a.$geo_within.circle"),
        (geo(json!({"circle": {"lat": 1, "lon": 2}})), "filter.a.$geo_within.circle.radius_m"),
        (circle("lat", json!(91)), "filter.a.$geo_within.circle.lat"),
        (circle("lat", json!("1")), "filter.a.$geo_within.circle.lat"),
        (circle("lon", json!(-180.5)), "filter.a.$geo_within.circle.lon"),
        (circle("radius_m", json!(-1)), "filter.a.$geo_within.circle.radius_m"),
        (circle("radius_m", json!(null)), "filter.a.$geo_within.circle.radius_m"),
        (circle("radius_km", json!(1)), "filter.a.$geo_within.circle.radius_km"),
        (geo(json!({"box": []})), "filter.a.$geo_within.box"),
        (rectangle("south", json!(3)), "filter.a.$geo_within.box"),
        (rectangle("north", json!(90.5)), "filter.a.$geo_within.box.north"),
        (rectangle("west", json!(181)), "filter.a.$geo_within.box.west"),
        (rectangle("east", json!(true)), "filter.a.$geo_within.box.east"),
        (rectangle("top", json!(1)), "filter.a.$geo_within.box.top"),
        (geo(json!({"box": {"south": 1, "north": 2, "west": 3}})), "filter.a.$geo_within.box.east"),
        (geo(json!({"polygon": {}})), "filter.a.$geo_within.polygon"),
        (geo(json!({"polygon": [[0, 0], [0, 1], 1]})), "filter.a.$geo_within.polygon[2]"),
        (geo(json!({"polygon": [[0, 0], [0, 1, 2], [1, 1]]})), "filter.a.$geo_within.polygon[1]"),
        (geo(json!({"polygon": [[0, "0"], [0, 1], [1, 1]]})), "filter.a.$geo_within.polygon[0]"),
        (polygon(&[[0.0, 0.0], [0.0, 200.0], [1.0, 1.0]]), "filter.a.$geo_within.polygon[1]"),
        (polygon(&[]), "filter.a.$geo_within.polygon"),
        (polygon(&[[0.0, 0.0], [0.0, 1.0]]), "filter.a.$geo_within.polygon"),
        (polygon(&[[0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), "filter.a.$geo_within.polygon"),
        (polygon(&[[80.0, 0.0], [80.0, 120.0], [80.0, -120.0]]), "filter.a.$geo_within.polygon"),
        (polygon(&around), "filter.a.$geo_within"),
    ] {
        for err in [Filter::parse(&filter).unwrap_err(), Filter::parse_typed(&filter, &fields()).unwrap_err()]
        {
            assert_eq!((err.code(), err.value("field")), (Code::InvalidValue, Some(place)), "{filter}");
            assert!(
                err.value("reason").is_some_and(|r| !r.is_empty()) && !err.message().contains("(not given)")
            );
        }
    }
}

#[test]
fn a_comparison_that_can_never_hold_names_path_type_and_value() {
    for (filter, place, kind, value) in [
        (json!({"s": 1}), "filter.s", "string", "1"),
        (json!({"s": {"$eq": {"x": 1}}}), "filter.s.$eq", "string", r#"{"x":1}"#),
        (json!({"s": {"$gt": 1}}), "filter.s.$gt", "string", "1"),
        (json!({"s": ["a", 1]}), "filter.s", "string", "1"),
        (json!({"s": {"$contains": null}}), "filter.s.$contains", "string", "null"),
        (json!({"n": "1"}), "filter.n", "number", r#""1""#),
        (json!({"n": {"$ne": true}}), "filter.n.$ne", "number", "true"),
        (json!({"n": {"$in": [1, "2"]}}), "filter.n.$in", "number", r#""2""#),
        (json!({"n": {"$nin": [[1, "2"]]}}), "filter.n.$nin", "number", r#""2""#),
        (json!({"n": {"$starts_with": "1"}}), "filter.n.$starts_with", "number", r#""1""#),
        (json!({"n": {"$contains_any": [1, null]}}), "filter.n.$contains_any", "number", "null"),
        (json!({"n": {"$contains_all": [[1]]}}), "filter.n.$contains_all", "number", "[1]"),
        (json!({"b": {"$lte": 0}}), "filter.b.$lte", "boolean", "0"),
        (json!({"b": "true"}), "filter.b", "boolean", r#""true""#),
        (json!({"t": "2026"}), "filter.t", "time", r#""2026""#),
        (json!({"t": {"$lt": 1.5}}), "filter.t.$lt", "time", "1.5"),
        (json!({"t": {"$gte": -1}}), "filter.t.$gte", "time", "-1"),
        (json!({"t": {"$gte": true}}), "filter.t.$gte", "time", "true"),
        (json!({"t": ["2026-01-01T00:00:00Z", null]}), "filter.t", "time", "null"),
        (json!({"t": {"$contains": "2026-01"}}), "filter.t.$contains", "time", r#""2026-01""#),
        (json!({"t": {"$starts_with": "2026"}}), "filter.t.$starts_with", "time", r#""2026""#),
        (json!({"g": {"lat": 100, "lon": 1}}), "filter.g", "geo", r#"{"lat":100,"lon":1}"#),
        (json!({"g": {"$gt": 1}}), "filter.g.$gt", "geo", "1"),
        (json!({"$not": {"$or": [{"o.n": "x"}]}}), "filter.$not.$or[0].o.n", "number", r#""x""#),
        (
            json!({"n": {"$geo_within": {"box": {"south": 0, "north": 1, "west": 0, "east": 1}}}}),
            "filter.n.$geo_within",
            "number",
            r#"{"box":{"east":1,"north":1,"south":0,"west":0}}"#,
        ),
    ] {
        let err = Filter::parse_typed(&filter, &fields()).unwrap_err();
        assert_eq!((err.code(), err.value("field")), (Code::FilterTypeMismatch, Some(place)), "{filter}");
        assert_eq!((err.value("expected"), err.value("value")), (Some(kind), Some(value)), "{filter}");
        assert!(place.contains(err.value("path").unwrap()) && !err.message().contains("(not given)"));
        assert!(Filter::parse(&filter).is_ok(), "{filter}");
    }
    let long = Filter::parse_typed(&json!({"n": "é".repeat(1_000)}), &fields()).unwrap_err();
    assert!(long.value("value").unwrap().chars().count() <= 101);
}

/// Pieces of filters in any order, most of which are none.
fn pieces() -> impl Strategy<Value = Value> {
    let names = [
        "$and",
        "$or",
        "$not",
        "$eq",
        "$in",
        "$gt",
        "$contains",
        "$geo_within",
        "circle",
        "box",
        "polygon",
        "lat",
        "lon",
        "s",
        "t",
        "g.lat",
        "",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        let name = proptest::sample::select(names.to_vec());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(name.prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_a_filter_or_a_typed_error(json in pieces(), payload in pieces()) {
        for read in [Filter::parse(&json), Filter::parse_typed(&json, &fields())] {
            match read {
                Ok(filter) => drop(filter.matches(&payload)),
                Err(err) => {
                    prop_assert!(matches!(err.code(), Code::InvalidValue | Code::FilterTypeMismatch));
                    prop_assert!(err.value("field").is_some_and(|f| f.starts_with("filter")));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_a_filter_or_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(json) = agentdb_types::json::parse("filter", &bytes) {
            let _ = Filter::parse_typed(&json, &fields());
        }
    }
}
