//! Memory tables and runs against a plain map.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use agentdb_env::Env;
use agentdb_types::{ChainHash, Lsn, Timestamp};
use proptest::prelude::*;

use super::{Base, BaseOptions, Direction, Position, Rows};
use crate::Table;
use crate::digest::SetHash;
use crate::key::{Key, NamespaceId};

const KEYS: u8 = 12;

fn open(env: &Env) -> Rows {
    let dir = Path::new("/rows");
    env.files.create_dir_all(dir).unwrap();
    // So small that a few rows make several runs on several levels.
    let options = BaseOptions { cache_bytes: 1 << 12, step_bytes: 40, run_bytes: 200, level_bytes: 400 };
    Rows::open(Base::open(env, dir, options).unwrap()).unwrap()
}

/// Keys of two namespaces.
fn key(name: u8) -> Key {
    let namespace = if name < KEYS / 2 { NamespaceId::SYSTEM } else { NamespaceId::DEFAULT };
    Key::new(namespace, Table::State).text(&char::from(b'a' + name).to_string())
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8, Option<Vec<u8>>),
    Freeze,
    Drain,
    Merge,
    Keep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..KEYS, prop::option::of(prop::collection::vec(any::<u8>(), 0..5))).prop_map(|(k, v)| Step::Write(k, v)),
        1 => Just(Step::Freeze),
        4 => Just(Step::Drain),
        4 => Just(Step::Merge),
        1 => Just(Step::Keep),
    ]
}

type Model = BTreeMap<Vec<u8>, (Lsn, Vec<u8>)>;

fn check(reader: &super::Reader, model: &Model) {
    for name in 0..KEYS {
        let found = reader.get(key(name).as_bytes()).unwrap().map(|r| (r.lsn, r.body.to_vec()));
        assert_eq!(found.as_ref(), model.get(key(name).as_bytes()));
    }
    let (from, to) = (key(1), key(KEYS - 2));
    for direction in [Direction::Forward, Direction::Backward] {
        let rows: Vec<_> = reader
            .scan(from.as_bytes(), Some(to.as_bytes()), direction)
            .map(|r| r.map(|(k, row)| (k, (row.lsn, row.body.to_vec()))).unwrap())
            .collect();
        let range = model.range(from.as_bytes().to_vec()..to.as_bytes().to_vec());
        let mut expected: Vec<_> = range.map(|(k, v)| (k.clone(), v.clone())).collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        assert_eq!(rows, expected);
    }
    for namespace in [NamespaceId::SYSTEM, NamespaceId::DEFAULT] {
        let mut hash = SetHash::default();
        let of = |key: &[u8]| Key::namespace_of(key) == Some(namespace);
        model.iter().filter(|(k, _)| of(k)).for_each(|(k, (lsn, body))| hash.add(k, *lsn, body));
        assert!(reader.hash(namespace).unwrap() == hash);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn readers_see_what_a_map_would_hold_at_their_lsn(steps in prop::collection::vec(step(), 1..160)) {
        let world = agentdb_env::sim::World::new(7);
        let rows = open(&world.env());
        let mut model = Model::new();
        let mut kept = Vec::new();
        let mut lsn = Lsn::ZERO;
        for step in steps {
            match step {
                Step::Write(name, body) => {
                    lsn = lsn.next();
                    rows.apply(key(name).as_bytes(), lsn, body.clone().map(Arc::from));
                    match body {
                        Some(body) => model.insert(key(name).as_bytes().to_vec(), (lsn, body)),
                        None => model.remove(key(name).as_bytes()),
                    };
                    rows.publish(lsn);
                }
                Step::Freeze => rows.freeze(Position { lsn, chain: ChainHash([1; 32]), time: Timestamp::default() }),
                Step::Drain => {
                    rows.drain(lsn).unwrap();
                }
                Step::Merge => {
                    rows.compact().unwrap();
                }
                Step::Keep => kept.push((rows.reader(), model.clone())),
            }
            check(&rows.reader(), &model);
        }
        // Whatever was drained and merged since, a reader stays at its LSN.
        for (reader, model) in &kept {
            check(reader, model);
        }
        // What was drained is there when the file is opened again, and its hash fits its rows.
        let persisted = rows.persisted().lsn;
        drop((kept, rows));
        let again = open(&world.env());
        prop_assert_eq!(again.persisted().lsn, persisted);
        again.reader().check_base(&mut |key| assert!(key.is_ok()), &|| false);
        for namespace in again.reader().base_namespaces().unwrap() {
            let (hash, computed, rows) = again.reader().hash_base(namespace).unwrap();
            prop_assert!(hash == computed && rows > 0);
        }
    }
}

#[test]
fn threads_that_drain_at_once_drain_each_table_once() {
    const TABLES: u64 = 8;
    let world = agentdb_env::sim::World::new(8);
    let rows = Arc::new(open(&world.env()));
    for lsn in 1..=TABLES * 20 {
        rows.apply(key((lsn % 12) as u8).as_bytes(), Lsn(lsn), Some(Arc::from([lsn as u8; 9])));
        rows.publish(Lsn(lsn));
        if lsn % 20 == 0 {
            rows.freeze(Position { lsn: Lsn(lsn), ..Position::default() });
        }
    }
    let threads = Env::real().threads;
    let drain = || {
        let rows = rows.clone();
        let body = move || while rows.drain(Lsn(u64::MAX)).unwrap() != super::Drained::Nothing {};
        threads.spawn("drainer", Box::new(body)).unwrap()
    };
    [drain(), drain(), drain()].into_iter().for_each(agentdb_env::Join::join);
    assert_eq!(
        (rows.stats().runs, rows.undrained_bytes(), rows.persisted().lsn),
        (TABLES, 0, Lsn(TABLES * 20))
    );
    assert_eq!(rows.drain(Lsn(u64::MAX)).unwrap(), super::Drained::Nothing);
}
