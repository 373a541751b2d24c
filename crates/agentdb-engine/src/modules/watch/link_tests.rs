//! What a feed gives of links, and of what takes them along.

use serde_json::{Value, json};

use super::tests::{all, batch, watched, write};
use super::{Noun, Watch};
use crate::modules::collection;
use crate::modules::testing::TestDb;
use crate::{Table, Task};

/// Two collections with records.
fn linked(db: &TestDb) -> impl Fn(&str, &str) -> (&'static str, Value) {
    for (collection, records) in [("docs", ["a", "b"]), ("tags", ["t", "u"])] {
        write(db, "collection.create", json!({"collection": collection}));
        for record in records {
            write(db, "record.put", json!({"collection": collection, "record": record}));
        }
    }
    |from: &str, to: &str| {
        let ((collection, record), (to_collection, to)) =
            (from.split_once('/').unwrap(), to.split_once('/').unwrap());
        let request = json!({
            "collection": collection, "record": record, "type": "x", "to_collection": to_collection, "to": to,
        });
        ("link.put", request)
    }
}

#[test]
fn links_are_told_by_names_and_once_more_when_a_record_takes_them_along() {
    let db = TestDb::new(12);
    let link = linked(&db);
    let record = |name: &str| {
        let (collection, record) = name.split_once('/').unwrap();
        json!({"collection": collection, "record": record})
    };
    let first = write(&db, "link.put", link("docs/a", "tags/t").1);
    write(&db, "link.delete", link("docs/a", "tags/t").1);
    batch(&db, &[link("docs/a", "tags/t"), link("docs/b", "docs/b"), link("tags/u", "docs/a")]);
    // What is linked and deleted in one batch was never there; what is made anew is another one.
    batch(&db, &[link("docs/b", "tags/t"), ("record.delete", record("tags/t"))]);
    batch(
        &db,
        &[("record.delete", record("docs/a")), ("record.put", record("docs/a")), link("docs/a", "docs/b")],
    );
    db.write(collection::Rename { collection: "docs".into(), to: "pages".into() }).unwrap();
    write(&db, "link.put", link("pages/a", "tags/u").1);
    batch(&db, &[link("pages/b", "tags/u"), ("collection.truncate", json!({"collection": "pages"}))]);
    write(&db, "collection.delete", json!({"collection": "tags"}));
    let expected = [
        vec!["put link docs/a/x/tags/t"],
        vec!["deleted link docs/a/x/tags/t"],
        vec!["put link docs/a/x/tags/t", "put link docs/b/x/docs/b", "put link tags/u/x/docs/a"],
        vec!["deleted links tags/t", "deleted record tags/t"],
        vec!["deleted links docs/a", "put record docs/a", "put link docs/a/x/docs/b"],
        vec!["put link pages/a/x/tags/u"],
        vec!["deleted records pages", "put collection pages"],
        vec!["deleted collection tags"],
    ];
    let told = || {
        let all = watched(&db, &Watch::from_lsn(first));
        let renamed = |event: &Vec<String>| event.iter().any(|word| word == "deleted collection docs");
        all.into_iter().filter(|event| !renamed(event)).collect::<Vec<_>>()
    };
    assert_eq!(told(), expected);
    db.run(Task::Sweep);
    assert_eq!([Table::Link, Table::LinkBack, Table::Node].map(|table| db.rows(table)), [0, 0, 0]);
    assert_eq!(told(), expected);
    let watch = |nouns: &[Noun], key: &[&str]| {
        let key = key.iter().map(|part| (*part).to_owned()).collect();
        watched(&db, &Watch { nouns: nouns.to_vec(), key, ..Watch::from_lsn(first) }).concat()
    };
    // Whoever watches the links of a record hears of whatever may have taken some away.
    assert_eq!(
        watch(&[Noun::Link], &["docs", "b"]),
        [
            "put link docs/b/x/docs/b",
            "deleted links tags/t",
            "deleted links docs/a",
            "deleted collection docs",
            "deleted records pages",
            "deleted collection tags",
        ]
    );
    assert_eq!(watch(&[Noun::Record], &["tags"]), ["deleted record tags/t", "deleted collection tags"]);
}

#[test]
fn links_that_expire_with_their_record_are_told_and_values_are_those_of_the_link() {
    let db = TestDb::new(13);
    let link = linked(&db);
    write(&db, "record.put", json!({"collection": "docs", "record": "a", "ttl_us": 1_000_000}));
    let (_, mut put) = link("docs/a", "tags/t");
    put["payload"] = json!({"page": 3});
    let first = write(&db, "link.put", put);
    let values = || {
        let watch = Watch { values: true, ..Watch::from_lsn(first) };
        let events = all(&mut db.engine().watch(db.namespace, &watch).unwrap());
        events[0].changes.iter().map(|change| (change.value.clone(), change.superseded)).collect::<Vec<_>>()
    };
    let (value, superseded) = values().remove(0);
    assert_eq!((&value.unwrap()["payload"], superseded), (&json!({"page": 3}), false));
    db.world.advance_us(2_000_000);
    assert_eq!(values(), [(None, true)]);
    // One that has expired and is not swept gives way to a new one, to which the links do not lead.
    let again = write(&db, "record.put", json!({"collection": "docs", "record": "a", "ttl_us": 1_000_000}));
    write(&db, "link.put", link("tags/u", "docs/a").1);
    db.world.advance_us(2_000_000);
    db.run(Task::Sweep);
    assert_eq!(
        watched(&db, &Watch::from_lsn(again)),
        [
            vec!["deleted links docs/a", "put record docs/a"],
            vec!["put link tags/u/x/docs/a"],
            vec!["expired links docs/a", "expired record docs/a"],
        ]
    );
}
