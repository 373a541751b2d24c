//! The language: operators, types, and what is refused.

use agentdb_types::Code;
use serde_json::{Value, json};

use super::{Field, FieldType, Fields, Filter, Point, Shape};

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

/// Fields of each type, and what is in a payload of them.
fn typed() -> (Fields, Value) {
    let mut fields = Fields::default();
    for (path, kind) in [
        ("text", FieldType::String),
        ("n", FieldType::Number),
        ("yes", FieldType::Boolean),
        ("at", FieldType::Time),
        ("times", FieldType::Time),
        ("place", FieldType::Geo),
        ("places", FieldType::Geo),
    ] {
        fields.declare(path, Field { kind, indexed: true, inferred: false }).unwrap();
    }
    let payload = json!({
        "text": "notebook", "n": 3, "yes": true, "at": "2026-01-01T01:00:00+01:00",
        "times": ["2026-01-01T00:00:00Z", 1_767_225_601_000_000_i64],
        "place": {"lat": 52.52, "lon": 13.405}, "places": [{"lat": 0, "lon": 179.5}, {"lat": 89.9, "lon": 10}],
        "tags": ["x", "xyz", 1], "none": null, "empty": [],
    });
    (fields, payload)
}

#[test]
fn typed_fields_and_new_operators() {
    let (fields, payload) = typed();
    for (filter, expected) in [
        (json!({"at": "2026-01-01T00:00:00Z"}), true),
        (json!({"at": 1_767_225_600_000_000_i64}), true),
        (json!({"at": {"$gt": "2025-12-31T23:59:59.999999Z", "$lt": "2026-01-01T00:00:00.000001Z"}}), true),
        (json!({"at": {"$in": ["2025-12-31T19:00:00-05:00"]}}), true),
        (json!({"at": {"$ne": "2026-01-01T00:00:00Z"}}), false),
        (json!({"at": null}), false),
        (json!({"times": ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"]}), true),
        (json!({"times": {"$contains": "2026-01-01T00:00:01Z"}}), true),
        (json!({"times": {"$contains_all": ["2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"]}}), true),
        (json!({"times": {"$gt": 0}}), false),
        (json!({"tags": {"$contains_any": ["y", 1.0]}}), true),
        (json!({"tags": {"$contains_any": []}}), false),
        (json!({"tags": {"$contains_all": ["x", 1]}}), true),
        (json!({"tags": {"$contains_all": ["x", "y"]}}), false),
        (json!({"empty": {"$contains_all": []}}), true),
        (json!({"text": {"$contains_all": []}}), false),
        (json!({"text": {"$contains_any": ["note"]}}), false),
        (json!({"text": {"$starts_with": "note"}}), true),
        (json!({"text": {"$starts_with": "book"}}), false),
        (json!({"tags": {"$starts_with": "xy"}}), true),
        (json!({"n": {"$in": []}}), false),
        (json!({"none": {"$exists": true}}), true),
        (json!({"none": {"$ne": 1}}), true),
        (json!({"yes": {"$gt": false}}), true),
        (
            json!({"place": {"$geo_within": {"circle": {"lat": 48.137, "lon": 11.575, "radius_m": 505_000}}}}),
            true,
        ),
        (
            json!({"place": {"$geo_within": {"circle": {"lat": 48.137, "lon": 11.575, "radius_m": 503_000}}}}),
            false,
        ),
        (
            json!({"place": {"$geo_within": {"box": {"south": 52, "north": 53, "west": 13, "east": 14}}}}),
            true,
        ),
        (
            json!({"places": {"$geo_within": {"box": {"south": -1, "north": 1, "west": 179, "east": -179}}}}),
            true,
        ),
        (
            json!({"places": {"$geo_within": {"box": {"south": -1, "north": 1, "west": -179, "east": 179}}}}),
            false,
        ),
        (
            json!({"places": {"$geo_within": {"circle": {"lat": 0, "lon": -179.5, "radius_m": 112_000}}}}),
            true,
        ),
        (
            json!({"places": {"$geo_within": {"circle": {"lat": 89.9, "lon": -170, "radius_m": 23_000}}}}),
            true,
        ),
        (json!({"places": {"$geo_within": {"polygon": [[-1, 179], [-1, -179], [1, -179], [1, 179]]}}}), true),
        (json!({"place": {"$geo_within": {"polygon": [[52, 13], [54, 13], [52, 15]]}}}), true),
        (json!({"place": {"$geo_within": {"polygon": [[54, 13], [54, 15], [52, 15]]}}}), false),
        (json!({"place.lat": {"$gt": 52}}), true),
        (json!({"n": {"$geo_within": {"circle": {"lat": 0, "lon": 0, "radius_m": 1e9}}}}), false),
    ] {
        let read = Filter::parse_typed(&filter, &fields).or_else(|_| Filter::parse(&filter));
        assert_eq!(read.unwrap().matches(&payload), expected, "{filter}");
    }
    assert!(fields.check(&payload).is_ok());
}

#[test]
fn distances_are_those_of_the_sphere() {
    let within = |a: (f64, f64), b: (f64, f64), radius_m: f64| {
        Shape::Circle { center: Point::new(a.0, a.1).unwrap(), radius_m }
            .contains(Point::new(b.0, b.1).unwrap())
    };
    let quarter = std::f64::consts::FRAC_PI_2 * 6_371_008.8;
    for (a, b, metres) in [
        ((0.0, 0.0), (0.0, 90.0), quarter),
        ((90.0, 12.0), (0.0, -77.0), quarter),
        ((90.0, 0.0), (-90.0, 0.0), 2.0 * quarter),
        ((0.0, 179.0), (0.0, -179.0), quarter / 45.0),
        ((10.0, 180.0), (10.0, -180.0), 0.0),
    ] {
        assert!(within(a, b, metres + 0.001) && !within(a, b, metres - 0.001), "{a:?} {b:?}");
    }
}

#[test]
fn types_of_values() {
    for (value, expected) in [
        (json!("2026-01-01T00:00:00Z"), Some(FieldType::String)),
        (json!(1.5), Some(FieldType::Number)),
        (json!([true, false]), Some(FieldType::Boolean)),
        (json!(["a", 1]), None),
        (json!([[1]]), None),
        (json!([]), None),
        (json!(null), None),
        (json!({"lat": 1, "lon": 2}), None),
    ] {
        assert_eq!(FieldType::infer(&value), expected, "{value}");
    }
    for (kind, value, found) in [
        (FieldType::String, json!(1), "a number"),
        (FieldType::Number, json!("1"), "a string"),
        (FieldType::Boolean, json!({}), "an object"),
        (FieldType::Time, json!("yesterday"), "a string"),
        (FieldType::Time, json!(-1), "a number"),
        (FieldType::Time, json!(1.5), "a number"),
        (FieldType::Geo, json!({"lat": 91, "lon": 0}), "an object"),
        (FieldType::Geo, json!({"lat": 1}), "an object"),
        (FieldType::Number, json!([1, null]), "a list with null at position 1"),
        (FieldType::Number, json!([[1]]), "a list with a list at position 0"),
    ] {
        let err = kind.check("a.b", &value).unwrap_err();
        assert_eq!(err.code(), Code::FieldTypeMismatch);
        let values = ["field", "expected", "found"].map(|name| err.value(name).unwrap().to_owned());
        assert_eq!(values, ["a.b".to_owned(), kind.to_string(), found.to_owned()]);
    }
    assert!(FieldType::Geo.check("a", &json!([{"lat": -90, "lon": 180.0, "name": "x"}])).is_ok());
}

#[test]
fn declared_fields_as_json() {
    let json = json!({"a.b": {"type": "time", "indexed": false}, "c": {"type": "geo"}});
    let fields: Fields = serde_json::from_value(json).unwrap();
    assert_eq!(fields.get("c"), Some(Field { kind: FieldType::Geo, indexed: true, inferred: false }));
    assert_eq!(serde_json::from_value::<Fields>(serde_json::to_value(&fields).unwrap()).unwrap(), fields);
    for wrong in [
        json!({"a..b": {"type": "time"}}),
        json!({"$a": {"type": "time"}}),
        json!({"a": {"type": "date"}}),
        json!({"a": {"type": "time", "x": 1}}),
    ] {
        assert!(serde_json::from_value::<Fields>(wrong).is_err());
    }
    let err = fields.check(&json!({"a": {"b": "now"}})).unwrap_err();
    assert_eq!((err.code(), err.value("field")), (Code::FieldTypeMismatch, Some("a.b")));
    let schema = serde_json::to_value(schemars::schema_for!(Fields)).unwrap();
    assert_eq!(schema["type"], "object");
}
