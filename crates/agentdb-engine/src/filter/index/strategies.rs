//! Random payloads and filters, close to where mistakes are made.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::super::{Field, FieldType, Fields, Filter};

/// The fields that the payloads declare.
pub(super) fn fields() -> Fields {
    let mut fields = Fields::default();
    for (path, kind, indexed) in [
        ("t", FieldType::Time, true),
        ("g", FieldType::Geo, true),
        ("s", FieldType::String, true),
        ("n.num", FieldType::Number, true),
        ("u", FieldType::String, false),
        ("o", FieldType::Number, false),
        ("o.in", FieldType::Number, true),
    ] {
        fields.declare(path, Field { kind, indexed, inferred: false }).unwrap();
    }
    fields
}

const PATHS: [&str; 16] = [
    "a", "b", "s", "t", "g", "u", "n", "n.num", "n.x", "n.x.y", "o", "o.in", "o.out", "g.lat", "none", "a.b",
];

pub(super) fn number() -> BoxedStrategy<Value> {
    let far = vec![
        json!(9_007_199_254_740_991_i64),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992.0),
        json!(-9_007_199_254_740_993_i64),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(u64::MAX - 1),
        json!(9_223_372_036_854_775_808_u64),
        json!(9_223_372_036_854_775_808.0),
        json!(18_446_744_073_709_551_616.0),
        json!(-9_223_372_036_854_775_808.0),
        json!(-0.0),
        json!(0.0),
        json!(1e300),
        json!(-1e300),
        json!(5e-324),
    ];
    prop_oneof![
        4 => (-3i64..6).prop_map(Value::from),
        2 => (-6i64..12).prop_map(|n| json!(n as f64 / 2.0)),
        2 => select(far),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
    ]
    .boxed()
}

fn text() -> BoxedStrategy<Value> {
    const SOME: [&str; 10] =
        ["", "a", "ab", "abc", "abd", "b", "ba", "é", "\u{10ffff}", "2026-01-01T00:00:00Z"];
    let long = (0..3usize).prop_map(|n| Value::from("ab".repeat(300 + n)));
    prop_oneof![
        24 => select(&SOME[..]).prop_map(Value::from),
        6 => "[ab]{0,4}".prop_map(Value::from),
        1 => long,
    ]
    .boxed()
}

/// Few instants, each written in many ways, and what is none.
fn time() -> BoxedStrategy<Value> {
    let second = 1_767_225_600_i64;
    let written = (0..4i64, -23..24i64, 0..60i64).prop_map(move |(s, h, m)| {
        let utc =
            agentdb_types::Timestamp::from_micros((second + s + h * 3_600 + m * 60) * 1_000_000).unwrap();
        // Local time is ahead of UTC by the offset: a positive one of h:m, a negative one of -(-h:m).
        if h < 0 {
            let offset = -h * 60 - m;
            json!(utc.to_string().replace('Z', &format!("-{:02}:{:02}", offset / 60, offset % 60)))
        } else {
            json!(utc.to_string().replace('Z', &format!("+{h:02}:{m:02}")))
        }
    });
    prop_oneof![
        4 => written,
        3 => (0..4i64).prop_map(move |s| json!((second + s) * 1_000_000)),
        1 => select(vec![json!(-1), json!(1.5), json!("2026"), json!("2026-02-30T00:00:00Z"), json!(u64::MAX)]),
    ]
    .boxed()
}

fn point() -> BoxedStrategy<Value> {
    let lat =
        prop_oneof![select(vec![90.0, -90.0, 89.999, -89.99, 0.0, -0.0, 10.0]), -90.0..90.0f64, 9.0..11.0f64];
    let lon = prop_oneof![
        select(vec![180.0, -180.0, 179.999, -179.999, 0.0, 10.0]),
        -180.0..180.0f64,
        9.0..11.0f64
    ];
    prop_oneof![
        9 => (lat, lon).prop_map(|(lat, lon)| json!({"lat": lat, "lon": lon})),
        1 => select(vec![json!({"lat": 91, "lon": 0}), json!({"lat": 1}), json!({"lat": 1, "lon": 2, "of": "x"})]),
    ]
    .boxed()
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number(),
        4 => text(),
        2 => time(),
    ]
    .boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    proptest::collection::vec(of, 0..4).prop_map(Value::from).boxed()
}

fn value() -> BoxedStrategy<Value> {
    let object = || (text(), number()).prop_map(|(x, y)| json!({"x": x, "y": y}));
    prop_oneof![
        8 => scalar(),
        2 => list(scalar()),
        1 => list(prop_oneof![scalar(), object(), list(scalar())].boxed()),
        1 => object(),
        1 => point(),
    ]
    .boxed()
}

/// What a field of this path mostly has.
fn value_of(path: &str) -> BoxedStrategy<Value> {
    let typical = match path {
        "t" => time(),
        "g" => prop_oneof![3 => point(), 1 => list(point())].boxed(),
        "s" | "u" => prop_oneof![3 => text(), 1 => list(text())].boxed(),
        "n.num" | "g.lat" | "o.in" => number(),
        _ => return value(),
    };
    prop_oneof![6 => typical.clone(), 1 => list(typical), 1 => value()].boxed()
}

pub(super) fn payload() -> BoxedStrategy<Value> {
    let object = |names: &[&'static str], prefix: &'static str| {
        let members: Vec<_> = names
            .iter()
            .map(|name| {
                (Just((*name).to_owned()), proptest::option::of(value_of(&format!("{prefix}{name}"))))
            })
            .collect();
        members.prop_map(|members| {
            Value::Object(members.into_iter().filter_map(|(n, v)| Some((n, v?))).collect::<Map<_, _>>())
        })
    };
    let top = object(&["a", "b", "s", "t", "g", "u", "a.b", "", "$x"], "");
    let (n, o) = (object(&["num", "x"], "n."), object(&["in", "out"], "o."));
    let xy = object(&["y", "z"], "n.x.");
    (top, proptest::option::of(n), proptest::option::of(o), proptest::option::of(xy))
        .prop_map(|(mut top, n, o, xy)| {
            let n = n.map(|mut n| {
                xy.into_iter().for_each(|xy| n["x"] = xy);
                n
            });
            n.into_iter().for_each(|n| top["n"] = n);
            o.into_iter().for_each(|o| top["o"] = o);
            top
        })
        .boxed()
}

fn shape() -> BoxedStrategy<Value> {
    let at = |point: &Value| {
        (point["lat"].as_f64().unwrap_or(1.0).clamp(-90.0, 90.0), point["lon"].as_f64().unwrap_or(2.0))
    };
    let radius = prop_oneof![select(vec![0.0, 1.0, 1e7, 2.1e7]), 0.0..3e6f64, 0.0..2e5f64];
    let circle = (point(), radius).prop_map(move |(p, radius)| {
        let (lat, lon) = at(&p);
        json!({"circle": {"lat": lat, "lon": lon, "radius_m": radius}})
    });
    let rectangle = (point(), point()).prop_map(move |(p, q)| {
        let ((a, west), (b, east)) = (at(&p), at(&q));
        json!({"box": {"south": a.min(b), "north": a.max(b), "west": west, "east": east}})
    });
    let polygon = proptest::collection::vec(point(), 3..6).prop_map(move |points| {
        let vertices: Vec<_> = points.iter().map(|p| json!([at(p).0, at(p).1])).collect();
        json!({"polygon": vertices})
    });
    prop_oneof![circle, rectangle, polygon].boxed()
}

/// An operator and its value, for a path.
fn test(path: &'static str) -> BoxedStrategy<Value> {
    let value = || prop_oneof![3 => value_of(path), 1 => value()];
    let many = || proptest::collection::vec(value(), 0..4).prop_map(Value::from);
    let one = |name: &'static str| value().prop_map(move |v| json!({name: v}));
    prop_oneof![
        2 => one("$eq"),
        1 => one("$ne"),
        2 => one("$gt"),
        1 => one("$gte"),
        1 => one("$lt"),
        2 => one("$lte"),
        2 => (value(), value()).prop_map(|(a, b)| json!({"$gte": a, "$lt": b})),
        1 => many().prop_map(|v| json!({"$in": v})),
        1 => many().prop_map(|v| json!({"$nin": v})),
        1 => any::<bool>().prop_map(|v| json!({"$exists": v})),
        2 => one("$contains"),
        1 => many().prop_map(|v| json!({"$contains_any": v})),
        1 => many().prop_map(|v| json!({"$contains_all": v})),
        1 => "[ab]{0,2}".prop_map(|v| json!({"$starts_with": v})),
        3 => shape().prop_map(|v| json!({"$geo_within": v})),
    ]
    .boxed()
}

/// A filter as JSON, nested up to four deep; it may be malformed, where a type has no order.
pub(super) fn filter_json() -> BoxedStrategy<Value> {
    let tests: Vec<_> =
        PATHS.iter().map(|path| test(path).prop_map(move |t| json!({*path: t})).boxed()).collect();
    let term = proptest::strategy::Union::new(tests);
    let term = prop_oneof![
        9 => term,
        1 => select(&PATHS[..]).prop_flat_map(|path| value_of(path).prop_map(move |v| json!({path: v}))),
    ];
    term.prop_recursive(4, 12, 4, |inner| {
        prop_oneof![
            2 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|f| json!({"$and": f})),
            2 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|f| json!({"$or": f})),
            1 => inner.clone().prop_map(|f| json!({"$not": f})),
            1 => (inner.clone(), inner).prop_map(|(f, g)| json!({"$or": [f, {"$not": g}]})),
        ]
    })
    .boxed()
}

/// The filters that a JSON value is: over no declared fields and over [`fields`].
pub(super) fn read(json: &Value) -> Vec<Filter> {
    [Filter::parse(json), Filter::parse_typed(json, &fields())].into_iter().flatten().collect()
}
