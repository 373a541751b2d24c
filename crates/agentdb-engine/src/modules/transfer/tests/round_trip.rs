//! What is exported, imported and exported again is the same.

use agentdb_env::sim::Random;
use serde_json::json;

use super::content::{component, random_db};
use super::{Line, by_hand, export, exported, import, nouns, parsed};
use crate::modules::testing::TestDb;
use crate::modules::{checkpoint, record, session, state, tool_call};
use crate::{Table, Task};

#[test]
fn random_content_comes_back_as_it_was() {
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    for seed in 0..60 {
        let db = random_db(seed, 250);
        let (first, told) = exported(&db, "default", false).unwrap();
        for (noun, count) in &told.counts {
            *seen.entry(noun.clone()).or_default() += count;
        }
        // Into a namespace beside it, and into another database.
        let other = TestDb::new(seed + 1000);
        other.world.advance_us(1);
        let imported = import(&db, "copy", &first).unwrap_or_else(|err| panic!("seed {seed}: {err:?}"));
        let told: u64 =
            told.counts.iter().filter(|(noun, _)| *noun != "blob_bytes").map(|(_, count)| count).sum();
        let put: u64 = imported.counts.values().map(|counts| counts.put).sum();
        assert_eq!(put, told, "seed {seed}: {:?}", imported.counts);
        let copy = export(&db, "copy");
        assert_eq!(nouns(&first), nouns(&copy), "seed {seed}");
        import(&other, "default", &copy).unwrap_or_else(|err| panic!("seed {seed}: {err:?}"));
        assert_eq!(nouns(&first), nouns(&export(&other, "default")), "seed {seed}");
        let copy_id = db.engine().namespace("copy").unwrap();
        assert!(db.engine().verify(&mut |_| {}).unwrap().problems.is_empty());
        let snapshot = db.engine().snapshot(copy_id).unwrap();
        let mut marks = 0;
        crate::Read::scan_prefix(
            &snapshot,
            &crate::Read::key(&snapshot, Table::Import),
            crate::Page::Forward,
            &mut |_, _| {
                marks += 1;
                Ok(true)
            },
        )
        .unwrap();
        assert_eq!(marks, 1, "a finished import is remembered for some time");
    }
    let nouns = [
        "retention",
        "item_index",
        "state",
        "session",
        "message",
        "blob",
        "blob_bytes",
        "collection",
        "record",
        "link",
        "thread",
        "channel_value",
        "checkpoint",
        "checkpoint_write",
        "item",
        "tool_call",
    ];
    for noun in nouns {
        assert!(seen.get(noun).is_some_and(|count| *count > 20), "{noun}: {seen:?}");
    }
}

#[test]
fn lines_say_what_the_reference_says() {
    let db = TestDb::new(1);
    db.write(state::Put::new("ann", "plan", json!({"step": 1}))).unwrap();
    let lines = String::from_utf8(export(&db, "default")).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].starts_with("{\"noun\":\"export\",\"format\":1,\"database\":\""), "{}", lines[0]);
    assert!(lines[0].contains("\"namespace\":\"default\",\"lsn\":1,\"time\":\""), "{}", lines[0]);
    let line: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(line["value"], json!({"step": 1}));
    assert!(lines[1].starts_with(
        "{\"noun\":\"state\",\"owner\":\"ann\",\"key\":\"plan\",\"value\":{\"step\":1},\"created\":\""
    ));
    assert!(line.get("version").is_none());
    let hash = blake3::hash(format!("{}\n{}\n", lines[0], lines[1]).as_bytes()).to_hex();
    assert_eq!(
        lines[2],
        format!("{{\"noun\":\"end\",\"lines\":2,\"counts\":{{\"state\":1}},\"blake3\":\"{hash}\"}}")
    );
    let with = exported(&db, "default", true).unwrap().0;
    assert!(std::str::from_utf8(&with).unwrap().contains("\"version\":1"));
    assert_eq!(import(&db, "copy", &with).unwrap().counts["state"].put, 1);
}

#[test]
fn an_export_shows_one_snapshot_whatever_happens_meanwhile() {
    let db = random_db(7, 200);
    let expected = export(&db, "default");
    let mut job =
        db.engine().begin_export(&super::Export { name: "default".into(), versions: false }).unwrap();
    let mut all = job.next_piece().unwrap().unwrap();
    for owner in super::content::TEXTS {
        db.write(state::Clear { owner: owner.to_owned(), prefix: String::new(), limit: None }).unwrap();
        db.write(state::Put::new(owner, "new", json!(1))).unwrap();
    }
    db.drain();
    db.run(Task::Sweep);
    while let Some(piece) = job.next_piece().unwrap() {
        all.extend(piece);
    }
    assert_eq!(nouns(&expected), nouns(&all));
}

#[test]
fn what_was_imported_is_used_like_anything_else() {
    let db = TestDb::new(3);
    db.write(session::message::Append {
        owner: Some("ann".into()),
        ..session::message::Append::new("s", "user", "hi")
    })
    .unwrap();
    db.write(session::message::Append::new("s", "user", "there")).unwrap();
    let first = session::message::List::new("s");
    let id = db.read(first.clone()).unwrap().items[1].message.clone();
    db.write(session::message::Delete { session: "s".into(), message: id }).unwrap();
    let claimed = db.write(tool_call::Claim::new("ann", "k", "pay", json!(5))).unwrap();
    for (checkpoint, parent) in [("1", None), ("2", Some("1".to_owned()))] {
        db.write(checkpoint::Put {
            checkpoint: Some(checkpoint.into()),
            parent,
            versions: json!({"m": checkpoint}).as_object().cloned().unwrap(),
            values: json!({"m": vec!["a long message"; 50 * checkpoint.parse::<usize>().unwrap()]})
                .as_object()
                .cloned()
                .unwrap(),
            ..checkpoint::Put::new("t")
        })
        .unwrap();
    }
    let original = db.read(checkpoint::Get::new("t")).unwrap();
    import(&db, "copy", &export(&db, "default")).unwrap();

    let mut db = db;
    db.namespace = db.engine().namespace("copy").unwrap();
    // A sequence number that was given is not given again, and the outcome of a claim is told where it was made.
    let appended = db.write(session::message::Append::new("s", "user", "again")).unwrap().response;
    assert_eq!((appended.sequence, db.read(session::Get::new("s")).unwrap().messages), (3, 2));
    let epoch = claimed.response.epoch().unwrap();
    let told =
        db.write(tool_call::Complete { owner: "ann".into(), key: "k".into(), epoch, result: json!(1) });
    assert_eq!(told.unwrap_err().code(), agentdb_types::Code::ToolCallFenced);
    let again = db.write(tool_call::Claim::new("ann", "k", "pay", json!(5)));
    assert_eq!(again.unwrap_err().code(), agentdb_types::Code::ToolCallRunning);
    db.world.advance_us(61_000_000);
    let unknown = db.write(tool_call::Claim::new("ann", "k", "pay", json!(5)));
    assert_eq!(unknown.unwrap_err().code(), agentdb_types::Code::ToolCallUnknown);
    // Contents are shared again: the second is a change of the first.
    let copied = db.read(checkpoint::Get::new("t")).unwrap();
    assert_eq!(
        (&copied.values, &copied.parent, copied.created),
        (&original.values, &original.parent, original.created)
    );
    assert_eq!(db.rows(Table::ChannelContent), 2);
    db.write(checkpoint::thread::Delete { thread: "t".into() }).unwrap();
    db.run(Task::Sweep);
    assert_eq!(db.rows(Table::ChannelContent) + db.rows(Table::ChannelContentCount), 0);
}

/// Whether a component is the same when it has been through a line.
fn survives(component: f32) -> bool {
    let text = serde_json::to_string(&component).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value::<f32>(value).unwrap().to_bits() == component.to_bits()
}

#[test]
fn components_of_vectors_are_exact() {
    let mut random = Random::new(1);
    for _ in 0..1_000_000 {
        let component = component(&mut random);
        assert!(survives(component), "{component:e}");
    }
    let vector: Vec<f32> = (0..64).map(|_| component(&mut random)).collect();
    let line = json!({
        "noun": "record", "collection": "c", "record": "r", "created": "2026-01-31T12:00:00Z",
        "updated": "2026-01-31T12:00:00Z", "vector": vector,
    });
    let collection = json!({
        "noun": "collection", "collection": "c", "dimension": 64, "metric": "dot", "created": "2026-01-31T12:00:00Z",
    });
    let lines = by_hand(&[collection, line]);
    let db = TestDb::new(1);
    import(&db, "default", &lines).unwrap();
    let get = record::Get { collection: "c".into(), record: "r".into(), include_vector: true };
    let bits = |vector: &[f32]| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&db.read(get).unwrap().vector.unwrap()), bits(&vector));
    let exported = parsed(&export(&db, "default"));
    let found = exported.iter().find_map(|line| match line {
        Line::Record(record) => record.vector.clone(),
        _ => None,
    });
    assert_eq!(bits(&found.unwrap()), bits(&vector));
}

/// Every finite `f32`. Takes minutes.
#[test]
#[ignore = "minutes"]
fn every_component_is_exact() {
    for bits in 0..=u32::MAX {
        let component = f32::from_bits(bits);
        assert!(!component.is_finite() || survives(component), "{component:e}");
    }
}
