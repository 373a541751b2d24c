//! Times to live.

use serde_json::json;

use super::{get, path, put, with_letters};
use crate::modules::item::{ListPaths, Place, Put, Search, Touch};
use crate::modules::testing::TestDb;
use crate::{Table, Task};

fn touch(db: &TestDb, key: &str) -> Option<super::Entry> {
    let places = vec![Place { path: path(&["u"]), key: key.into() }];
    db.write(Touch { items: places }).unwrap().response.items.remove(0)
}

#[test]
fn what_has_expired_is_gone_from_everything_before_and_after_the_sweep() {
    let db = with_letters(&["t"]);
    db.write(Put { ttl_us: Some(1_000), ..put(&["u"], "k", json!({"t": "aa"})) }).unwrap();
    db.write(put(&["v"], "k", json!({"t": "bb"}))).unwrap();
    db.world.advance_us(1_000);
    for _ in 0..2 {
        assert!(get(&db, &["u"], "k").is_err());
        assert!(touch(&db, "k").is_none());
        for query in [None, Some("aa".to_owned())] {
            let found = db.read(Search { query, ..Search::default() }).unwrap().items;
            assert_eq!(found.len(), 1);
        }
        assert_eq!(db.read(ListPaths::default()).unwrap().items.len(), 1);
        db.run(Task::Sweep);
    }
    let rows = [Table::Item, Table::ItemExpiry, Table::Vector, Table::Expiry].map(|table| db.rows(table));
    assert_eq!(rows, [1, 0, 1, 0]);
}

#[test]
fn an_item_that_is_read_often_lives_on_with_one_note_for_the_sweeper_and_its_version() {
    let db = TestDb::new(1);
    db.write(Put { ttl_us: Some(1_000), ..put(&["u"], "k", json!({"n": 1})) }).unwrap();
    let first = get(&db, &["u"], "k").unwrap();
    for round in 0..20 {
        db.world.advance_us(700);
        let renewed = touch(&db, "k").unwrap();
        assert!(renewed.expires > first.expires, "round {round}");
        assert_eq!((renewed.version, renewed.updated), (first.version, first.updated));
        db.run(Task::Sweep);
        assert_eq!((db.rows(Table::Item), db.rows(Table::Expiry)), (1, 1));
    }
    db.world.advance_us(1_000);
    assert!(touch(&db, "k").is_none());
    db.run(Task::Sweep);
    assert_eq!((db.rows(Table::Item), db.rows(Table::ItemExpiry), db.rows(Table::Expiry)), (0, 0, 0));
}

#[test]
fn touching_what_lives_for_ever_writes_nothing_and_a_put_without_a_time_takes_it_away() {
    let db = TestDb::new(1);
    db.write(Put { ttl_us: Some(1_000), ..put(&["u"], "k", json!({})) }).unwrap();
    db.write(put(&["u"], "k", json!({}))).unwrap();
    let lsn = db.engine().lsn();
    assert_eq!(touch(&db, "k").unwrap().expires, None);
    assert_eq!(db.engine().lsn(), lsn);
    db.world.advance_us(5_000);
    db.run(Task::Sweep);
    assert!(get(&db, &["u"], "k").is_ok());
    assert_eq!(db.rows(Table::Expiry), 0);
}

#[test]
fn a_full_batch_of_the_sweeper_takes_items_with_all_their_vectors() {
    let db = TestDb::new(1);
    let index = crate::modules::item::Index { dimension: Some(1), ..Default::default() };
    db.write(index).unwrap();
    for key in 0..120 {
        let vectors = (0..100).map(|i| (i.to_string(), vec![1.0])).collect();
        let item = put(&["u"], &key.to_string(), json!({}));
        db.write(Put { ttl_us: Some(1_000), vectors, ..item }).unwrap();
    }
    db.world.advance_us(10_000_000);
    db.run(Task::Sweep);
    assert_eq!([Table::Item, Table::Vector, Table::Expiry].map(|table| db.rows(table)), [0, 0, 0]);
}
