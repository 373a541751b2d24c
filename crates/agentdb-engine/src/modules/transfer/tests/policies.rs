//! What is done with what is there already.

use agentdb_types::Code;
use serde_json::json;

use super::content::random_db;
use super::{Existing, by_hand, export, import, import_with, nouns};
use crate::modules::testing::TestDb;
use crate::modules::{collection, item, record, session, state, tool_call};
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
