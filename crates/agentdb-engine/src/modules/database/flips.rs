//! Every bit of a stored row of every table, flipped one at a time: none of it is silent.

use std::path::{Path, PathBuf};

use agentdb_env::sim::World;
use agentdb_types::Code;
use serde_json::json;

use super::Report;
use crate::modules::session::{self, message::Append};
use crate::modules::testing::{TestDb, open};
use crate::modules::{blob, collection, record, state};
use crate::read::{Page, Read};
use crate::{Key, NamespaceId, Row, Table, Task, WriteOptions, describe};

const ROW_FILE: &str = "/db/rows/rows.redb";
const PAGE: usize = 4096;

/// A database with a row of every table in the row file.
pub(crate) fn of_every_table(seed: u64) -> TestDb {
    let db = TestDb::new(seed);
    let other = crate::modules::namespace::Create { name: "other".into(), description: String::new() };
    db.write(other.clone()).unwrap();
    db.write(crate::modules::namespace::Create { name: "gone".into(), ..other }).unwrap();
    db.write(crate::modules::namespace::Delete { name: "gone".into() }).unwrap();
    let once = WriteOptions { idempotency_key: Some("once".into()), ..WriteOptions::default() };
    let put = state::Put { ttl_us: Some(60_000_000), ..state::Put::new("ann", "plan", json!({"step": 1})) };
    db.engine().write(db.namespace, put, once).unwrap().wait().unwrap();
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
    };
    db.write(create).unwrap();
    let note = record::Put {
        record: Some("r".into()),
        vector: Some(vec![1.0, -0.5]),
        text: Some("a note".into()),
        ..record::Put::new("docs")
    };
    db.write(note).unwrap();
    for bytes in [&b"kept"[..], b"deleted"] {
        let (put, options) = (blob::Put::default(), WriteOptions::default());
        let stored = db.engine().put_blob(db.namespace, &mut &bytes[..], put, options).unwrap();
        if bytes == b"deleted" {
            db.write(blob::Delete { blob: stored.response.blob }).unwrap();
        }
    }
    db.drain();
    db
}

/// One row of each table, with its namespace's rows in view.
fn samples(db: &TestDb) -> Vec<(Table, Key, Row)> {
    let mut found: Vec<(Table, Key, Row)> = Vec::new();
    for &table in Table::ALL {
        for namespace in [NamespaceId::DEFAULT, NamespaceId::SYSTEM] {
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

/// Where in the row file a row's key and its stored form lie: the leaf pages of its library start with the byte 1, the
/// count of pairs at 2 (`u16`), then the ends of the keys and the ends of the values (`u32` each, from the page's start).
pub(crate) fn places(file: &[u8], key: &[u8], row: &Row) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for page in (0..file.len()).step_by(PAGE).filter(|&page| file[page] == 1) {
        let count = usize::from(u16::from_le_bytes([file[page + 2], file[page + 3]]));
        let end = |index: usize| {
            let at = page + 4 + 4 * index;
            let bytes = file.get(at..at + 4)?.try_into().ok()?;
            Some(page + u32::from_le_bytes(bytes) as usize)
        };
        for pair in 0..count {
            let start =
                |from: usize, first: usize| if pair == 0 { Some(first) } else { end(from + pair - 1) };
            let keys = start(0, page + 4 + 8 * count).zip(end(pair));
            let values = start(count, end(count - 1).unwrap_or_default()).zip(end(count + pair));
            let (Some((k, k_end)), Some((v, v_end))) = (keys, values) else { break };
            let stored = file.get(v..v_end).and_then(|stored| stored.split_at_checked(12));
            let same =
                stored.is_some_and(|(head, body)| head[..8] == row.lsn.0.to_le_bytes() && *body == *row.body);
            if same && file.get(k..k_end) == Some(key) {
                found.push((k, v));
            }
        }
    }
    found
}

/// What is told of a database with one flipped bit: why it does not open, or what verification reports.
fn told(all: &[(PathBuf, Vec<u8>)], at: usize, bit: u8) -> Vec<(u32, String)> {
    let world = World::new(1);
    all.iter().for_each(|(path, bytes)| world.write_file(path, bytes).unwrap());
    world.flip_bit(Path::new(ROW_FILE), at as u64, bit).unwrap();
    match open(&world) {
        Err(err) => vec![(err.code().number(), err.message())],
        Ok(engine) => {
            let report: Report = engine.verify(&mut |_| {}).unwrap();
            report.problems.into_iter().map(|p| (p.code, p.message)).collect()
        }
    }
}

#[test]
fn every_flipped_bit_of_a_row_of_every_table_is_reported_and_the_row_named() {
    let mut db = of_every_table(11);
    let samples = samples(&db);
    assert_eq!(samples.iter().map(|(table, ..)| *table).collect::<Vec<_>>(), Table::ALL);
    db.world.process_kill();
    let all: Vec<_> =
        db.world.list_all().into_iter().map(|p| (p.clone(), db.world.read_file(&p).unwrap())).collect();
    let file = db.world.read_file(Path::new(ROW_FILE)).unwrap();
    let (mut named, mut digests) = (0, 0);
    for (table, key, row) in &samples {
        let key = key.as_bytes();
        // A page that was replaced may still hold a copy; the one in use is where a flipped checksum matters.
        let places = places(&file, key, row);
        let used: Vec<_> = places.iter().filter(|(_, value)| !told(&all, value + 8, 0).is_empty()).collect();
        let [(key_at, value_at)] = used[..] else { panic!("{table:?} is in {places:?}, used in {used:?}") };
        let name = describe(key);
        assert!(name.contains(table.name()));
        // LSN, checksum, body: the row is named.
        for at in *value_at..value_at + 12 + row.body.len() {
            for bit in 0..8 {
                let told = told(&all, at, bit);
                let rows_corrupt = Code::RowsCorrupt.number();
                let names = told.iter().any(|(code, text)| *code == rows_corrupt && text.contains(&name));
                assert!(names, "bit {bit} of byte {at} of {name}: {told:?}");
                named += 1;
            }
        }
        // The key: the row is named under the key that it has now, or the digest has changed.
        for at in *key_at..key_at + key.len() {
            for bit in 0..8 {
                let mut flipped = key.to_vec();
                flipped[at - key_at] ^= 1 << bit;
                let (flipped, told) = (describe(&flipped), told(&all, at, bit));
                let is_named = told.iter().any(|(_, text)| text.contains(&flipped));
                let is_digest = told.iter().any(|(code, _)| *code == Code::DigestMismatch.number());
                assert!(is_named || is_digest, "bit {bit} of byte {at} of the key of {name}: {told:?}");
                named += usize::from(is_named);
                digests += usize::from(!is_named);
            }
        }
    }
    println!("{named} flips named the row, {digests} changed the digest alone");
    assert!(named > digests && digests > 0, "{named} {digests}");
    db.reopen().unwrap();
    db.run(Task::Sweep);
}
