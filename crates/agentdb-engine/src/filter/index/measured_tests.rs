//! How long and how large: run by hand, `cargo test --release -p agentdb-engine --lib measured -- --ignored --nocapture`.
//! `AGENTDB_RECORDS` sets how many records; 100,000 if not given.

use agentdb_env::Env;
use agentdb_types::Timestamp;
use roaring::RoaringBitmap;
use serde_json::{Value, json};

use super::super::{Field, FieldType, Fields, Filter};
use super::PayloadIndex;

/// A number that looks random, the same for the same input (SplitMix64; Steele, Lea and Flood, Fast Splittable Pseudorandom
/// Number Generators, 2014).
fn mixed(input: u64) -> u64 {
    let z = input.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn payload(n: u32) -> Value {
    let random = |salt: u64| mixed(u64::from(n) << 8 | salt);
    let part = |salt: u64| (random(salt) >> 11) as f64 / (1u64 << 53) as f64;
    let created = Timestamp::from_micros(1_700_000_000_000_000 + i64::from(n) * 7_000_000).unwrap();
    let tags: Vec<_> = (0..random(4) % 4 + 1).map(|t| format!("tag-{}", random(10 + t) % 50)).collect();
    json!({
        "category": format!("category-{}", random(1) % 10),
        "user": format!("user-{:05}", random(2) % 10_000),
        "price": part(3) * 1_000.0,
        "created": created.to_string(),
        "tags": tags,
        "active": random(5) % 2 == 0,
        "place": {"lat": part(6) * 180.0 - 90.0, "lon": part(7) * 360.0 - 180.0},
    })
}

struct Watch(Env);

impl Watch {
    /// The median of the microseconds that it takes, and what it gives.
    fn measure<T>(&self, mut run: impl FnMut() -> T) -> (f64, T) {
        const ROUNDS: usize = 15;
        let mut last = run();
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = self.0.clock.monotonic_us();
                for _ in 0..10 {
                    last = run();
                }
                (self.0.clock.monotonic_us() - start) as f64 / 10.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        (times[ROUNDS / 2], last)
    }
}

/// Bytes of memory that the process has.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

fn build(watch: &Watch, records: u32) -> PayloadIndex {
    let mut fields = Fields::default();
    fields.declare("created", Field { kind: FieldType::Time, indexed: true, inferred: false }).unwrap();
    fields.declare("place", Field { kind: FieldType::Geo, indexed: true, inferred: false }).unwrap();
    let mut index = PayloadIndex::new(fields);
    let (before, mut inserting_us) = (resident(), 0);
    for chunk in 0..records / 1_000 {
        let payloads: Vec<_> = (0..1_000).map(|n| (chunk * 1_000 + n, payload(chunk * 1_000 + n))).collect();
        let start = watch.0.clock.monotonic_us();
        for (ordinal, payload) in &payloads {
            assert!(index.insert(*ordinal, payload));
        }
        inserting_us += watch.0.clock.monotonic_us() - start;
    }
    let per_record = |bytes: u64| bytes as f64 / f64::from(records);
    println!(
        "{records} records: {:.0} bytes a record by count, {:.0} by the process; {:.0} inserts a second",
        per_record(index.bytes() as u64),
        per_record(resident() - before),
        f64::from(records) * 1e6 / inserting_us as f64
    );
    index
}

#[test]
#[ignore = "it measures"]
fn measured() {
    let records = std::env::var("AGENTDB_RECORDS").ok().and_then(|r| r.parse().ok()).unwrap_or(100_000);
    let watch = Watch(Env::real());
    let index = build(&watch, records);
    let time = |part: f64| {
        Timestamp::from_micros(1_700_000_000_000_000 + (f64::from(records) * part) as i64 * 7_000_000)
            .unwrap()
            .to_string()
    };
    let circle =
        |radius_m: f64| json!({"$geo_within": {"circle": {"lat": 10, "lon": 20, "radius_m": radius_m}}});
    let mut filters = vec![
        json!({"user": "user-00042"}),
        json!({"category": "category-3"}),
        json!({"active": true}),
        json!({"category": {"$ne": "category-3"}}),
        json!({"tags": {"$contains": "tag-7"}}),
        json!({"tags": {"$contains_all": ["tag-7", "tag-9"]}}),
        json!({"user": {"$starts_with": "user-01"}}),
        json!({"user": {"$gte": "user-05000"}}),
        json!({"user": {"$contains": "-042"}}),
        json!({"user": {"$in": (0..100).map(|u| format!("user-{:05}", u * 7)).collect::<Vec<_>>()}}),
    ];
    for part in [0.001, 0.01, 0.1, 0.5] {
        filters.push(json!({"price": {"$gte": 200, "$lt": 200.0 + 1_000.0 * part}}));
        filters.push(json!({"created": {"$gte": time(0.2), "$lt": time(0.2 + part)}}));
        // The part of a sphere within a circle is (1 - cos(radius / R)) / 2.
        filters.push(json!({"place": circle((1.0f64 - 2.0 * part).acos() * 6_371_008.8)}));
    }
    filters.extend([
        json!({"category": "category-3", "active": true}),
        json!({"category": "category-3", "active": true, "price": {"$lt": 100}}),
        json!({"category": "category-3", "price": {"$lt": 500}, "created": {"$gte": time(0.5)}, "tags": {"$contains": "tag-7"}}),
        json!({"user": "user-00042", "price": {"$lt": 500}, "place": circle(5e6)}),
        json!({"$or": [{"category": "category-3"}, {"price": {"$lt": 10}}, {"$not": {"active": true}}]}),
    ]);
    for json in filters {
        let filter = Filter::parse_typed(&json, &index.fields).unwrap();
        let (us, found) = watch.measure(|| index.candidates(&filter, None));
        let (estimate_us, (low, high)) = watch.measure(|| index.estimate(&filter));
        let ordinals = index.evaluate(&filter, &|o| Ok(filter.matches(&payload(o)))).unwrap().ordinals;
        let percent = ordinals.len() as f64 * 100.0 / f64::from(records);
        let shown: String = json.to_string().chars().take(90).collect();
        println!(
            "{us:>8.1} us, {percent:>6.2} %, {} verified; estimate {low}..{high} in {estimate_us:.1} us: {shown}",
            found.maybe.len()
        );
    }
    aggregates(&watch, &index);
}

fn aggregates(watch: &Watch, index: &PayloadIndex) {
    for percent in [1, 100] {
        let within: RoaringBitmap =
            index.ordinals().iter().filter(|o| mixed(u64::from(*o)) % 100 < percent).collect();
        let show = |what: &str, us: f64| println!("{us:>8.1} us: {what} over {percent} %");
        for path in ["category", "user", "tags", "price"] {
            show(&format!("facet {path}"), watch.measure(|| index.facet(path, &within, 10).unwrap()).0);
            show(
                &format!("distinct {path}"),
                watch.measure(|| index.distinct(path, &within, None, 100).unwrap()).0,
            );
        }
        for path in ["price", "created", "user"] {
            show(&format!("stats {path}"), watch.measure(|| index.stats(path, &within).unwrap()).0);
            show(
                &format!("order {path}"),
                watch.measure(|| index.order(path, &within, true, None, 100).unwrap()).0,
            );
        }
        let histogram = || index.histogram("price", &within, &10.into(), &0.into()).unwrap();
        show("histogram price", watch.measure(histogram).0);
    }
}
