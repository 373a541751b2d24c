//! Exports, and imports of them, of random content, damaged, stopped and refused.

mod content;
mod damage;
mod policies;
mod refusals;
mod resume;
mod round_trip;

use agentdb_types::Result;
use serde_json::{Value, json};

use super::{Existing, Export, Exported, Import, ImportJob, Imported, Line};
use crate::modules::namespace;
use crate::modules::testing::TestDb;
use crate::{Engine, NamespaceId, WriteOptions};

/// What the default namespace, or another, holds.
fn export(db: &TestDb, name: &str) -> Vec<u8> {
    exported(db, name, false).unwrap().0
}

fn exported(db: &TestDb, name: &str, versions: bool) -> Result<(Vec<u8>, Exported)> {
    let mut job = db.engine().begin_export(&Export { name: name.to_owned(), versions })?;
    let mut all = Vec::new();
    while let Some(piece) = job.next_piece()? {
        assert!(piece.ends_with(b"\n"), "a piece ends with a line");
        all.extend_from_slice(&piece);
    }
    assert_eq!(job.next_piece()?, None);
    Ok((all, job.exported().unwrap().clone()))
}

fn begin<'a>(db: &TestDb, name: &str, existing: Existing, lines: &'a [u8]) -> Result<ImportJob<'a>> {
    let import = Import { name: name.to_owned(), existing };
    db.engine().begin_import(&import, Box::new(lines), WriteOptions::default())
}

fn import_with(db: &TestDb, name: &str, existing: Existing, lines: &[u8]) -> Result<Imported> {
    let mut job = begin(db, name, existing, lines)?;
    loop {
        if let Some(imported) = job.step()? {
            return Ok(imported);
        }
    }
}

fn import(db: &TestDb, name: &str, lines: &[u8]) -> Result<Imported> {
    import_with(db, name, Existing::Refuse, lines)
}

/// The lines of nouns: what two exports of the same content have in common.
fn nouns(lines: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(lines).unwrap();
    let bookkeeping = |line: &&str| {
        ["{\"noun\":\"export\"", "{\"noun\":\"check\"", "{\"noun\":\"end\""]
            .iter()
            .any(|start| line.starts_with(start))
    };
    text.lines().filter(|line| !bookkeeping(line)).map(str::to_owned).collect()
}

/// Lines of another program: no hashes.
fn by_hand(lines: &[Value]) -> Vec<u8> {
    let first = [json!({"noun": "export", "format": 1})];
    let last = [json!({"noun": "end"})];
    let all = first.iter().chain(lines).chain(&last);
    all.flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

/// A namespace beside `default`.
fn namespace(db: &mut TestDb, name: &str) {
    let create = namespace::Create { name: name.to_owned(), description: "for a test".to_owned() };
    let engine = db.engine();
    engine.write(NamespaceId::SYSTEM, create, WriteOptions::default()).unwrap().wait().unwrap();
}

fn parsed(lines: &[u8]) -> Vec<Line> {
    let numbered = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).zip(1..);
    numbered.map(|(text, number)| Line::parse(number, text).unwrap()).collect()
}

/// Begins an import into `default` that is not gone on with.
pub(crate) fn leave_unfinished(engine: &Engine) {
    let mut lines = String::from("{\"noun\":\"export\",\"format\":1}\n");
    let time = "2026-01-31T12:00:00Z";
    let session = json!({
        "noun": "session", "session": "imported", "owner": "ann", "created": time, "updated": time, "last_sequence": 1,
    });
    lines += &format!("{session}\n");
    lines += &format!("{{\"noun\":\"check\",\"blake3\":\"{}\"}}\n", blake3::hash(lines.as_bytes()).to_hex());
    let (existing, options) = (Existing::Refuse, WriteOptions::default());
    let source = Box::new(lines.as_bytes());
    let mut job = engine.begin_import_into(NamespaceId::DEFAULT, existing, source, options).unwrap();
    assert!(job.step().unwrap().is_none());
}
