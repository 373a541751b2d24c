//! Every bit of a stored row of every table, flipped one at a time: none of it is silent.

use std::path::{Path, PathBuf};

use agentdb_env::sim::World;
use agentdb_types::Code;
use serde_json::json;

use super::Report;
use crate::modules::session::{self, message::Append};
use crate::modules::testing::{TestDb, open};
use crate::modules::{blob, checkpoint, collection, item, link, record, retention, state, tool_call};
use crate::read::{Page, Read};
use crate::rows::decoders::{Place, place};
use crate::{Key, NamespaceId, Row, Table, Task, WriteOptions, describe};

const RUN: &str = "/db/rows/0000000001.run";

/// A database with a row of every table in one run.
pub(crate) fn of_every_table(seed: u64) -> TestDb {
    let db = fill(seed);
    db.drain();
    db
}

fn fill(seed: u64) -> TestDb {
    let db = TestDb::new(seed);
    fill_again(&db);
    db
}

/// Writes a row of every table.
pub(crate) fn fill_again(db: &TestDb) {
    let other = crate::modules::namespace::Create { name: "other".into(), description: String::new() };
    db.write(other.clone()).unwrap();
    db.write(crate::modules::namespace::Create { name: "gone".into(), ..other }).unwrap();
    db.write(crate::modules::namespace::Delete { name: "gone".into() }).unwrap();
    let once = WriteOptions { idempotency_key: Some("once".into()), ..WriteOptions::default() };
    let put = state::Put { ttl_us: Some(60_000_000), ..state::Put::new("ann", "plan", json!({"step": 1})) };
    db.engine().write(db.namespace, put, once).unwrap().wait().unwrap();
    db.write(state::Put::new("ann", "plan", json!({"step": 2}))).unwrap();
    let forever =
        retention::Set { history_us: Some(None), ..retention::Set::new(crate::HistoryNoun::Session) };
    db.write(forever).unwrap();
    let a_day = std::num::NonZeroU64::new(86_400_000_000);
    db.write(retention::Set { max_age_us: Some(a_day), ..retention::Set::new(retention::Noun::ToolCall) })
        .unwrap();
    db.write(Append {
        owner: Some("ann".into()),
        message: Some("m".into()),
        ..Append::new("s", "user", "hi")
    })
    .unwrap();
    db.write(session::Create { session: Some("gone".into()), ..session::Create::new("ann") }).unwrap();
    db.write(session::Delete { session: "gone".into() }).unwrap();
    let create = collection::Create {
        collection: "docs".into(),
        dimension: Some(2),
        metric: None,
        encoder: None,
        description: "notes".into(),
        ..collection::Create::default()
    };
    db.write(create).unwrap();
    let note = record::Put {
        record: Some("r".into()),
        vector: Some(vec![1.0, -0.5]),
        text: Some("a note".into()),
        ..record::Put::new("docs")
    };
    db.write(note).unwrap();
    let other = record::Put { record: Some("other".into()), ..record::Put::new("docs") };
    db.write(other).unwrap();
    db.write(link::Put::new("docs", "r", "cites", "other")).unwrap();
    let gone = record::Put { record: Some("gone".into()), ..record::Put::new("docs") };
    db.write(gone).unwrap();
    db.write(link::Put::new("docs", "r", "cites", "gone")).unwrap();
    let gone = record::Delete { collection: "docs".into(), record: "gone".into(), expected_version: None };
    db.write(gone).unwrap();
    put_thread(db);
    db.write(session::Fork { to: Some("fork".into()), ..session::Fork::new("s") }).unwrap();
    db.write(tool_call::Claim::new("ann", "k", "pay", json!({"to": "bob"}))).unwrap();
    put_item(db);
    // It rests, so that those who begin other jobs need not wait for it.
    let job = db.engine().begin_compaction(&Default::default()).unwrap();
    db.write(crate::modules::job::Pause { job }).unwrap();
    crate::modules::transfer::leave_unfinished(db.engine());
    crate::modules::load::leave_unfinished(db.engine(), "docs");
    for bytes in [&b"kept"[..], b"deleted"] {
        let (put, options) = (blob::Put::default(), WriteOptions::default());
        let stored = db.engine().put_blob(db.namespace, &mut &bytes[..], put, options).unwrap();
        if bytes == b"deleted" {
            db.write(blob::Delete { blob: stored.response.blob }).unwrap();
        }
    }
}

/// An item with vectors that expires, and the index that they are in.
fn put_item(db: &TestDb) {
    db.write(item::Index { dimension: Some(2), ..item::Index::default() }).unwrap();
    let fields = json!({
        "path": ["users", "ann"], "key": "prefs", "value": {"theme": "dark"}, "ttl_us": 60_000_000,
        "vectors": {"theme": [1.0, 0.5], "other": [-1.0, 2.0]},
    });
    db.write(serde_json::from_value::<item::Put>(fields).unwrap()).unwrap();
}

/// A thread of two checkpoints, the second of which repeats a long value and adds to it, with a write.
fn put_thread(db: &TestDb) {
    let (mut said, mut parent) = (vec!["what was said in the first turn".repeat(8)], None);
    for (number, id) in ["c1", "c2"].into_iter().enumerate() {
        let fields = json!({
            "thread": "t", "checkpoint": id, "parent": parent, "versions": {"said": number}, "values": {"said": said},
            "metadata": {"run_id": "r1"},
        });
        db.write(serde_json::from_value::<checkpoint::Put>(fields).unwrap()).unwrap();
        said.push("and then".into());
        parent = Some(id);
    }
    let write = json!({
        "thread": "t", "checkpoint": "c2", "task": "task", "writes": [{"channel": "said", "value": [1]}],
    });
    db.write(serde_json::from_value::<checkpoint::PutWrites>(write).unwrap()).unwrap();
}

/// With a fork under way that has put a blob aside.
pub(crate) fn with_a_fork(db: TestDb) -> TestDb {
    let fork = crate::modules::namespace::Fork::new("default", "fork");
    db.engine().begin_fork(&fork).unwrap();
    for _ in 0..2 {
        db.engine().step(Task::Work).unwrap();
    }
    db.drain();
    db
}

/// One row of each table, with its namespace's rows in view.
fn samples(db: &TestDb) -> Vec<(Table, Key, Row)> {
    let mut found: Vec<(Table, Key, Row)> = Vec::new();
    for &table in Table::ALL {
        for namespace in [NamespaceId::DEFAULT, NamespaceId::SYSTEM, NamespaceId(4)] {
            let snapshot = db.engine().snapshot(namespace).unwrap();
            if found.last().is_some_and(|(t, ..)| *t == table) {
                continue;
            }
            let mut first = None;
            snapshot
                .scan_prefix(&snapshot.key(table), Page::Forward, &mut |key, row| {
                    first = Some((table, key, row));
                    Ok(false)
                })
                .unwrap();
            found.extend(first);
        }
    }
    found
}

/// What is told of a database with one flipped bit: why it does not open, or what verification reports.
fn told(all: &[(PathBuf, Vec<u8>)], at: usize, bit: u8) -> Vec<(u32, String)> {
    let world = World::new(1);
    all.iter().for_each(|(path, bytes)| world.write_file(path, bytes).unwrap());
    world.flip_bit(Path::new(RUN), at as u64, bit).unwrap();
    match open(&world) {
        Err(err) => vec![(err.code().number(), err.message())],
        Ok(engine) => {
            let report: Report = engine.verify(&mut |_| {}).unwrap();
            report.problems.into_iter().map(|p| (p.code, p.message)).collect()
        }
    }
}

/// Compressed bytes may be damaged so that the same comes out: the block is named then.
fn unpacks_to_the_same(told: &[(u32, String)]) -> bool {
    told.iter().any(|(_, text)| text.contains("does not hold"))
}

#[test]
fn every_flipped_bit_of_a_row_of_every_table_is_reported_and_the_row_named() {
    let mut db = with_a_fork(fill(11));
    let samples = samples(&db);
    assert_eq!(samples.iter().map(|(table, ..)| *table).collect::<Vec<_>>(), Table::ALL);
    db.world.process_kill();
    let all: Vec<_> =
        db.world.list_all().into_iter().map(|p| (p.clone(), db.world.read_file(&p).unwrap())).collect();
    let file = db.world.read_file(Path::new(RUN)).unwrap();
    let (mut named, mut blocks) = (0, 0);
    let mut packed = std::collections::BTreeMap::new();
    for (table, key, _) in &samples {
        let key = key.as_bytes();
        let Place { entry, rest, bodies } =
            place(&file, key).unwrap_or_else(|| panic!("{table:?} has no place"));
        packed.extend(bodies.map(|bodies| (bodies.start, bodies.end)));
        let name = describe(key);
        assert!(name.contains(table.name()));
        for (at, bit) in entry.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let told = told(&all, at, bit);
            assert!(told.iter().all(|(code, _)| *code == Code::RowsCorrupt.number()), "{told:?}");
            // LSN, checksum, kind, body: the row is named. Its key: under the key that it has now, or by its block.
            let is_named = told.iter().any(|(_, text)| text.contains(&name));
            assert!(
                is_named || (at < rest.end && !told.is_empty()),
                "bit {bit} of byte {at} of {name}: {told:?}"
            );
            named += usize::from(is_named);
            blocks += usize::from(!is_named);
        }
    }
    println!("{named} flips named the row, {blocks} the row under another key, or its block");
    assert!(named > blocks && blocks > 0, "{named} {blocks}");
    assert!(!packed.is_empty(), "no block is packed");
    for at in packed.into_iter().flat_map(|(start, end)| start..end) {
        let told = told(&all, at, (at % 8) as u8);
        let rows = told.iter().filter(|(_, text)| text.contains("the checksum of row"));
        assert!(rows.count() > 0 || unpacks_to_the_same(&told), "byte {at}: {told:?}");
    }
    db.reopen().unwrap();
    db.run(Task::Sweep);
}
