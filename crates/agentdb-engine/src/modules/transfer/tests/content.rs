//! Content of every noun, as odd as it may be.

use std::collections::BTreeMap;

use agentdb_env::sim::Random;
use agentdb_types::limits;
use serde_json::{Map, Value, json};

use crate::modules::testing::TestDb;
use crate::modules::{
    blob, checkpoint, collection, item, link, record, retention, session, state, tool_call,
};
use crate::{HistoryNoun, Metric, WriteOptions};

pub(super) const TEXTS: [&str; 12] = [
    "a",
    "ann",
    " ",
    "\0",
    "a\0b\u{1}",
    "é\u{301}",
    "\u{10ffff}",
    "\u{feff}\u{202e}",
    "\"\\/\n\r\t\u{8}\u{7f}\u{2028}",
    "👩‍👩‍👧",
    "{\"noun\":\"end\"}\n",
    "ﷺ",
];

pub(super) fn text(random: &mut Random) -> String {
    let one = TEXTS[random.below(TEXTS.len() as u64) as usize];
    if random.chance(1, 8) { one.repeat(limits::ID_BYTES / one.len()) } else { one.to_owned() }
}

fn number(random: &mut Random) -> Value {
    match random.below(10) {
        0 => json!(u64::MAX),
        1 => json!(i64::MIN),
        2 => json!(-0.0),
        3 => json!(f64::MIN_POSITIVE / 8.0),
        4 => json!(f64::MAX),
        5 => json!(0.1 + 0.2),
        6 => json!(9_007_199_254_740_993_u64),
        7 => Value::from(f64::from_bits(random.next_u64())),
        8 => json!(1e300),
        _ => json!(random.below(100)),
    }
}

pub(super) fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.chance(1, 2)),
        2 => json!(""),
        3 => json!(text(random)),
        4 => number(random),
        5 => (0..random.below(3)).map(|_| value(random, depth - 1)).collect(),
        6 => Value::Object(object(random, depth - 1)),
        // As deep as may be.
        _ if depth > 3 => (1..limits::JSON_DEPTH - 4).fold(json!(1), |inner, _| json!([inner])),
        _ => json!([]),
    }
}

fn object(random: &mut Random, depth: usize) -> Map<String, Value> {
    let fields = ["", "noun", "a.b", "\0", "é", "value"];
    let count = random.below(4) as usize;
    fields.iter().take(count).map(|field| ((*field).to_owned(), value(random, depth))).collect()
}

/// Finite numbers of every size, subnormal ones included.
pub(super) fn component(random: &mut Random) -> f32 {
    let any = f32::from_bits(random.next_u64() as u32);
    match random.below(6) {
        0 => f32::from_bits(1 + random.below(100) as u32),
        1 => -0.0,
        2 => f32::MIN_POSITIVE / 3.0,
        3 => f32::MAX,
        _ if any.is_finite() => any,
        _ => 0.1,
    }
}

fn ttl(random: &mut Random) -> Option<i64> {
    random.chance(1, 3).then(|| 1 + random.below(20_000_000) as i64)
}

/// Does something to the content; a refusal is none of our concern.
fn act(db: &TestDb, random: &mut Random) {
    let (owner, key) = (text(random), text(random));
    match random.below(16) {
        0 | 1 => {
            let put = state::Put { ttl_us: ttl(random), ..state::Put::new(owner, key, value(random, 5)) };
            let _ = db.write(put);
        }
        2 => drop(db.write(state::Delete { owner, key, expected_version: None })),
        3 => {
            let create = session::Create {
                owner,
                session: Some(key),
                title: random.chance(1, 2).then(|| text(random)),
                metadata: object(random, 3),
                ttl_us: ttl(random),
            };
            let _ = db.write(create);
        }
        4 | 5 => {
            let append = session::message::Append {
                session: key,
                role: text(random),
                name: random.chance(1, 2).then(|| text(random)),
                content: value(random, 5),
                metadata: object(random, 3),
                message: random.chance(1, 2).then(|| text(random)),
                owner: random.chance(1, 2).then_some(owner),
            };
            let _ = db.write(append);
        }
        6 if random.chance(1, 2) => drop(db.write(session::Delete { session: key })),
        6 => drop(db.write(session::message::Delete { session: key, message: text(random) })),
        7 => put_blob(db, random),
        8 | 9 => collections(db, random),
        10 | 11 => threads(db, random),
        12 => items(db, random),
        13 | 14 => tool_calls(db, random),
        _ => {
            let noun = HistoryNoun::ALL[random.below(3) as usize];
            let history_us =
                [None, Some(0), Some(u64::MAX), Some(5), Some(limits::HISTORY_KEPT_US.unsigned_abs())]
                    [random.below(5) as usize];
            let _ = db.write(retention::Set { history_us: Some(history_us), ..retention::Set::new(noun) });
        }
    }
}

fn put_blob(db: &TestDb, random: &mut Random) {
    let len = [0, 1, 1000, 200 << 10, 600 << 10][random.below(5) as usize];
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    let put = blob::Put {
        media_type: random.chance(1, 2).then(|| text(random)),
        name: random.chance(1, 2).then(|| text(random)),
        metadata: random.chance(1, 2).then(|| object(random, 3)),
        ..blob::Put::default()
    };
    let stored = db.engine().put_blob(db.namespace, &mut &bytes[..], put, WriteOptions::default()).unwrap();
    if random.chance(1, 4) {
        db.write(blob::Delete { blob: stored.response.blob }).unwrap();
    }
}

fn collections(db: &TestDb, random: &mut Random) {
    let collection = ["c", "with-vectors", "é"][random.below(3) as usize].to_owned();
    let dimension = (collection != "c").then_some(3);
    match random.below(11) {
        8.. => links(db, random, &collection),
        0 => drop(db.write(collection::Delete { collection })),
        1 | 2 => {
            let metric = Some([Metric::Cosine, Metric::Dot][random.below(2) as usize]);
            let description = text(random);
            let create = collection::Create {
                collection,
                dimension,
                metric,
                description,
                ..collection::Create::default()
            };
            let _ = db.write(create);
        }
        _ => {
            let mut put = record::Put::new(collection);
            put.record = Some(text(random));
            put.vector = dimension.map(|d| (0..d).map(|_| component(random)).collect());
            put.text = random.chance(1, 2).then(|| text(random));
            put.payload = object(random, 4);
            put.ttl_us = ttl(random);
            let _ = db.write(put);
        }
    }
}

fn links(db: &TestDb, random: &mut Random, collection: &str) {
    let to_collection = if random.chance(1, 2) { "c" } else { collection };
    let records = |collection: &str| -> Vec<String> {
        let list = json!({"collection": collection});
        let listed = db.read(serde_json::from_value::<record::List>(list).unwrap());
        listed.map_or_else(|_| Vec::new(), |listed| listed.items.into_iter().map(|r| r.record).collect())
    };
    let (from, to) = (records(collection), records(to_collection));
    if from.is_empty() || to.is_empty() {
        return;
    }
    for _ in 0..3 {
        let pick = |of: &[String], random: &mut Random| of[random.below(of.len() as u64) as usize].clone();
        let mut put = link::Put::new(collection, pick(&from, random), text(random), pick(&to, random));
        put.to_collection = (to_collection != collection).then(|| to_collection.to_owned());
        put.payload = object(random, 3);
        db.write(put).unwrap();
    }
}

fn threads(db: &TestDb, random: &mut Random) {
    let thread = text(random);
    let namespace = ["", "sub"][random.below(2) as usize].to_owned();
    let checkpoint = format!("{}", random.below(6));
    let encoded = || checkpoint::Encoded { r#type: "msgpack".to_owned(), data: vec![0, 255, 7] };
    match random.below(8) {
        0 => drop(db.write(checkpoint::thread::Delete { thread })),
        1 => drop(db.write(checkpoint::thread::Copy { thread, to: text(random), at: None })),
        2 => {
            let prune = checkpoint::thread::Prune {
                threads: vec![thread],
                strategy: checkpoint::thread::Strategy::KeepLatest,
                limit: None,
            };
            let _ = db.write(prune);
        }
        3 | 4 => {
            let one = |random: &mut Random| checkpoint::ChannelWrite {
                channel: ["ch", "__error__"][random.below(2) as usize].to_owned(),
                value: value(random, 4),
                encoded: None,
                index: None,
            };
            let writes = vec![
                one(random),
                checkpoint::ChannelWrite {
                    channel: "raw".to_owned(),
                    encoded: Some(encoded()),
                    ..checkpoint::ChannelWrite::default()
                },
            ];
            let (task, path) = (text(random), ["", "p"][random.below(2) as usize].to_owned());
            let _ = db.write(checkpoint::PutWrites { thread, namespace, checkpoint, task, path, writes });
        }
        _ => {
            let version = || json!([json!(1.5), json!("0001.2"), json!(u64::MAX)]);
            let versions = version();
            let pick = |random: &mut Random| versions[random.below(3) as usize].clone();
            let put = checkpoint::Put {
                thread,
                namespace,
                checkpoint: Some(checkpoint),
                parent: random.chance(1, 2).then(|| format!("{}", random.below(6))),
                versions: [("a", pick(random)), ("b", pick(random)), ("é", pick(random))]
                    .map(|(channel, version)| (channel.to_owned(), version))
                    .into_iter()
                    .collect(),
                values: [("a".to_owned(), json!(vec![value(random, 3); 1 + random.below(20) as usize]))]
                    .into_iter()
                    .collect(),
                encoded: BTreeMap::from([("b".to_owned(), encoded())]),
                empty: if random.chance(1, 2) { vec!["é".to_owned()] } else { Vec::new() },
                data: object(random, 3),
                metadata: json!({"run_id": "r", "counters_since_delta_snapshot": {"é": [1, 1]}})
                    .as_object()
                    .cloned()
                    .unwrap(),
            };
            let _ = db.write(put);
        }
    }
}

fn items(db: &TestDb, random: &mut Random) {
    if random.chance(1, 5) {
        let index = item::Index {
            dimension: Some(2),
            metric: Some(Metric::Dot),
            default: Some(random.chance(1, 2)),
            ..item::Index::default()
        };
        let _ = db.write(index);
        return;
    }
    if random.chance(1, 12) {
        let _ = db.write(item::Unindex {});
        return;
    }
    let path: Vec<String> = (0..1 + random.below(3)).map(|_| text(random)).collect();
    let mut put = item::Put::new(path, text(random), object(random, 5));
    put.ttl_us = ttl(random);
    for name in ["one", "two"].iter().take(random.below(3) as usize) {
        put.vectors.insert((*name).to_owned(), vec![component(random), component(random)]);
    }
    let _ = db.write(put);
}

fn tool_calls(db: &TestDb, random: &mut Random) {
    let (owner, key) = (text(random), text(random));
    let mut claim = tool_call::Claim::new(owner.clone(), key.clone(), text(random), value(random, 4));
    // Beyond the end of the test: a lease that ends meanwhile is another state.
    claim.lease_us = Some(86_400_000_000);
    claim.worker = random.chance(1, 2).then(|| text(random));
    claim.max_attempts = random.chance(1, 2).then_some(3);
    claim.keep_us = ttl(random);
    claim.idempotent = random.chance(1, 2);
    let Ok(claimed) = db.write(claim) else { return };
    let Some(epoch) = claimed.response.epoch() else { return };
    match random.below(5) {
        0 => {
            let complete = tool_call::Complete { owner, key, epoch, result: value(random, 4) };
            db.write(complete).map(drop).unwrap();
        }
        1 | 2 => {
            let (error, retry) = (value(random, 4), random.chance(1, 2));
            db.write(tool_call::Fail { owner, key, epoch, error, retry }).map(drop).unwrap();
        }
        3 => {
            let progress = Some(value(random, 3));
            let lease_us = Some(80_000_000_000);
            db.write(tool_call::Renew { owner, key, epoch, lease_us, progress }).map(drop).unwrap();
        }
        _ => {}
    }
}

/// A database of random content, some of it deleted, put again, and expired.
pub(super) fn random_db(seed: u64, acts: u64) -> TestDb {
    let (db, mut random) = (TestDb::new(seed), Random::new(seed));
    for _ in 0..acts {
        act(&db, &mut random);
        db.world.advance_us(random.below(400_000));
        if random.chance(1, 30) {
            db.drain();
        }
        if random.chance(1, 40) {
            db.run(crate::Task::Sweep);
        }
    }
    db
}
