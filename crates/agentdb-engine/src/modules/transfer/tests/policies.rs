//! What is done with what is there already.

use agentdb_types::Code;
use serde_json::json;

use super::content::random_db;
use super::{Existing, by_hand, export, import, import_with, nouns};
use crate::modules::testing::TestDb;
use crate::modules::{collection, item, link, record, session, state, tool_call};
use crate::{Metric, Table, Task};

const TIME: &str = "2026-01-31T12:00:00.000000Z";

fn state_line(key: &str, value: i64) -> serde_json::Value {
    json!({"noun": "state", "owner": "ann", "key": key, "value": value, "created": TIME, "updated": TIME})
}

#[test]
fn refusing_names_what_is_there_and_the_import_goes_on_otherwise() {
    let db = TestDb::new(1);
    db.write(state::Put::new("ann", "b", json!("mine"))).unwrap();
    let lines = by_hand(&[state_line("a", 1), state_line("b", 2), state_line("c", 3)]);
    let err = import(&db, "default", &lines).unwrap_err();
    assert_eq!((err.code(), err.value("import_line")), (Code::ImportExists, Some("3")));
    assert!(
        err.message().contains("the state \"b\" of owner \"ann\"")
            && err.message().contains("(line 3 of the import)")
    );
    assert!(db.read(state::Get::new("ann", "a")).is_err(), "nothing of its batch");
    let skipped = import_with(&db, "default", Existing::Skip, &lines).unwrap();
    assert_eq!((skipped.counts["state"].put, skipped.counts["state"].skipped), (2, 1));
    assert_eq!(db.read(state::Get::new("ann", "b")).unwrap().value, json!("mine"));
    let replaced = import_with(&db, "default", Existing::Replace, &lines).unwrap();
    assert_eq!((replaced.counts["state"].put, replaced.counts["state"].replaced), (0, 3));
    let got = db.read(state::Get::new("ann", "b")).unwrap();
    assert_eq!((got.value, got.created.to_string()), (json!(2), TIME.to_owned()));
}

#[test]
fn everything_is_skipped_or_replaced_by_itself() {
    for seed in 20..40 {
        let db = random_db(seed, 250);
        let first = export(&db, "default");
        // Calls that are claimed are not replaced.
        let calm: Vec<u8> = first.clone();
        let skipped = import_with(&db, "default", Existing::Skip, &calm).unwrap();
        let put: u64 = skipped.counts.values().map(|c| c.put + c.replaced).sum();
        assert_eq!(put, 0, "seed {seed}: {:?}", skipped.counts);
        assert_eq!(nouns(&export(&db, "default")), nouns(&first), "seed {seed}");
        let other = TestDb::new(seed);
        let without: Vec<String> =
            nouns(&first).into_iter().filter(|line| !line.starts_with("{\"noun\":\"tool_call\"")).collect();
        let mut lines = b"{\"noun\":\"export\",\"format\":1}\n".to_vec();
        lines.extend(without.iter().flat_map(|line| format!("{line}\n").into_bytes()));
        lines.extend(b"{\"noun\":\"end\"}\n");
        other.world.advance_us(1);
        for (existing, name) in [(Existing::Refuse, "x"), (Existing::Replace, "x"), (Existing::Replace, "x")]
        {
            import_with(&other, name, existing, &lines).unwrap_or_else(|err| panic!("seed {seed}: {err:?}"));
            assert_eq!(nouns(&export(&other, name)), without, "seed {seed}, {existing:?}");
        }
        other.run(Task::Sweep);
        assert_eq!(nouns(&export(&other, "x")), without, "seed {seed}, swept");
        assert!(other.engine().verify(&mut |_| {}).unwrap().problems.is_empty());
    }
}

#[test]
fn sessions_and_collections_are_taken_whole() {
    let db = TestDb::new(1);
    let append = |text: &str| session::message::Append {
        owner: Some("ann".into()),
        ..session::message::Append::new("s", "user", text)
    };
    db.write(append("one")).unwrap();
    let put =
        |id: &str| record::Put { record: Some(id.into()), vector: Some(vec![1.0]), ..record::Put::new("c") };
    let create = collection::Create {
        collection: "c".into(),
        dimension: Some(1),
        metric: Some(Metric::Dot),
        encoder: None,
        description: String::new(),
        ..collection::Create::default()
    };
    db.write(create).unwrap();
    db.write(put("a")).unwrap();
    let lines = export(&db, "default");
    db.write(append("two")).unwrap();
    db.write(put("b")).unwrap();
    let skipped = import_with(&db, "default", Existing::Skip, &lines).unwrap();
    assert_eq!((skipped.counts["message"].skipped, skipped.counts["record"].skipped), (1, 1));
    let messages = || db.read(session::message::List::new("s")).unwrap().items.len();
    assert_eq!(messages(), 2);
    import_with(&db, "default", Existing::Replace, &lines).unwrap();
    assert_eq!(messages(), 1);
    let query = record::Search { vector: Some(vec![1.0]), ..record::Search::new("c") };
    let hits = db.read(query).unwrap().hits;
    assert_eq!(hits.len(), 1, "the old vectors find nothing");
    db.run(Task::Sweep);
    assert_eq!((db.rows(Table::Message), db.rows(Table::Vector)), (1, 1));
}

#[test]
fn a_call_that_runs_or_is_unknown_is_not_replaced() {
    let db = TestDb::new(1);
    db.write(tool_call::Claim::new("ann", "k", "pay", json!(5))).unwrap();
    let lines = export(&db, "default");
    let replace = || import_with(&db, "default", Existing::Replace, &lines).unwrap_err().code();
    assert_eq!(replace(), Code::ToolCallRunning);
    db.world.advance_us(61_000_000);
    assert_eq!(replace(), Code::ToolCallUnknown);
}

#[test]
fn an_index_of_another_shape_is_replaced_with_its_vectors() {
    let db = TestDb::new(1);
    let index = |dimension| item::Index { dimension: Some(dimension), ..item::Index::default() };
    let put = |vector: Vec<f32>, key: &str| {
        let mut put = item::Put::new(vec!["p".into()], key, serde_json::Map::new());
        put.vectors.insert("v".into(), vector);
        put
    };
    db.write(index(2)).unwrap();
    db.write(put(vec![1.0, 0.0], "a")).unwrap();
    let lines = export(&db, "default");
    let other = TestDb::new(2);
    other.write(index(3)).unwrap();
    other.write(put(vec![1.0, 0.0, 0.0], "mine")).unwrap();
    assert_eq!(import(&other, "default", &lines).unwrap_err().code(), Code::ImportExists);
    let err = import_with(&other, "default", Existing::Skip, &lines).unwrap_err();
    assert_eq!((err.code(), err.value("import_line")), (Code::DimensionMismatch, Some("3")));
    import_with(&other, "default", Existing::Replace, &lines).unwrap();
    other.run(Task::Sweep);
    assert_eq!(other.rows(Table::Vector), 1);
    assert_eq!(nouns(&export(&other, "default")).len(), 3, "the index, and both items");
}

fn line(noun: &str, more: serde_json::Value) -> serde_json::Value {
    let mut line = json!({"noun": noun, "collection": "c", "created": TIME});
    if noun == "record" {
        line["updated"] = json!(TIME);
    }
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn link_line(from: &str, to: &str, payload: u64) -> serde_json::Value {
    let ends =
        json!({"record": from, "type": "x", "to_collection": "c", "to": to, "payload": {"n": payload}});
    line("link", ends)
}

#[test]
fn links_are_put_between_records_that_are_there_and_taken_as_the_import_says() {
    let db = TestDb::new(8);
    let read = |from: &str, to: &str| {
        let get = json!({"collection": "c", "record": from, "type": "x", "to": to});
        db.read(serde_json::from_value::<link::Get>(get).unwrap()).map(|found| found.payload["n"].clone())
    };
    let record = |record: &str| line("record", json!({"record": record}));
    let collection = line("collection", json!({"metric": "cosine"}));
    // Putting a record once more keeps its links.
    let lines = [
        collection.clone(),
        record("a"),
        record("b"),
        link_line("a", "b", 1),
        link_line("a", "none", 1),
        record("a"),
    ];
    let imported = import_with(&db, "default", Existing::Replace, &by_hand(&lines)).unwrap();
    let counts = |links: &crate::modules::transfer::NounCounts| (links.put, links.replaced, links.skipped);
    assert_eq!(counts(&imported.counts["link"]), (1, 0, 1));
    assert_eq!((imported.counts["record"].replaced, read("a", "b").unwrap()), (1, json!(1)));
    // Links alone, of records that are there.
    let links = by_hand(&[link_line("a", "b", 2), link_line("b", "a", 2)]);
    let refused = import(&db, "default", &links).unwrap_err();
    assert_eq!((refused.code(), refused.value("import_line")), (Code::ImportExists, Some("2")));
    assert!(refused.message().contains("the link of type \"x\" from record \"a\""), "{refused}");
    let skipped = import_with(&db, "default", Existing::Skip, &links).unwrap();
    assert_eq!(counts(&skipped.counts["link"]), (1, 0, 1));
    assert_eq!((read("a", "b").unwrap(), read("b", "a").unwrap()), (json!(1), json!(2)));
    let replaced = import_with(&db, "default", Existing::Replace, &links).unwrap();
    assert_eq!(counts(&replaced.counts["link"]), (0, 2, 0));
    assert_eq!(read("a", "b").unwrap(), json!(2));
    // A collection that is replaced takes the links of its records along.
    let again = by_hand(&[collection, record("a"), record("b")]);
    import_with(&db, "default", Existing::Replace, &again).unwrap();
    assert_eq!(read("a", "b").unwrap_err().code(), Code::LinkNotFound);
    db.run(Task::Sweep);
    assert_eq!([Table::Link, Table::LinkBack, Table::Node].map(|table| db.rows(table)), [0, 0, 0]);
    // Lines that are none.
    for (wrong, code) in [
        (json!({"type": ""}), Code::IdEmpty),
        (json!({"to": ""}), Code::IdEmpty),
        (json!({"to_collection": "a b"}), Code::InvalidName),
        (json!({"payload": [1]}), Code::InvalidValue),
        (json!({"weight": 1}), Code::InvalidValue),
    ] {
        let mut line = link_line("a", "b", 1);
        line.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let refused = import(&db, "default", &by_hand(&[line])).unwrap_err();
        assert_eq!((refused.code(), refused.value("import_line")), (code, Some("2")), "{wrong}");
    }
}
