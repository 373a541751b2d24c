//! What is decoded from a set encodes to the same bytes: frames, entries, rows, key files, `FORMAT`.

use std::collections::BTreeSet;
use std::path::Path;

use agentdb_log::decoders as frames;
use agentdb_types::Lsn;

use super::{Files, load, open, versions, world_of};
use crate::decoders::by_name;
use crate::history;
use crate::mutation::{self, Body, Entry, put_entry};
use crate::rows::Direction;
use crate::{Key, Row, Table, format, keyring, row_json};

fn file<'a>(files: &'a Files, name: &str) -> &'a [u8] {
    &files.iter().find(|(path, _)| path == name).unwrap().1
}

#[test]
fn every_entry_of_the_log_encodes_to_its_bytes_and_every_kind_is_there() {
    for set in versions() {
        let files = load(&set);
        let (mut kinds, mut stamps, mut unknown) = (BTreeSet::new(), 0, 0);
        let segments: Vec<_> = files.iter().filter(|(path, _)| path.ends_with(".log")).collect();
        assert!(segments.len() > 2, "{} segments", segments.len());
        for (_, bytes) in segments {
            assert!(frames::segment_header(&bytes[..44]));
            let salt = u64::from_le_bytes(bytes[32..40].try_into().unwrap());
            let mut at = 4096;
            while let Some(len) = frames::reencoded_frame(&bytes[at..], salt, at as u64) {
                let frame = agentdb_log::decode_frame(&bytes[at..], salt, at as u64).unwrap().unwrap();
                let entries =
                    mutation::entries(&frame.group.body, frame.group.count, frame.group.first_lsn).unwrap();
                let mut again = Vec::new();
                entries.iter().for_each(|entry| put_entry(&mut again, entry));
                assert_eq!(again, frame.group.body);
                stamps += usize::from(frame.group.count == 0);
                unknown += entries.iter().map(|entry| entry.unknown.len()).sum::<usize>();
                kinds.extend(entries.iter().flat_map(kinds_of));
                at += len;
            }
            assert!(bytes[at..].iter().all(|b| *b == 0), "something is behind the last frame");
        }
        let clear: BTreeSet<_> = (1..=4).map(|kind| (kind, false)).collect();
        assert!(kinds.is_superset(&clear), "{kinds:?}");
        assert!(kinds.contains(&(1, true)) && kinds.contains(&(4, true)), "{kinds:?}");
        assert!(stamps >= 2 && unknown == 2, "{stamps} stamps, {unknown} unknown fields");
    }
}

/// The kind of each mutation, and whether it is sealed.
fn kinds_of(entry: &Entry) -> Vec<(u8, bool)> {
    let kind = |body: &Body| match body {
        Body::Clear(change) => (change.kind(), false),
        Body::Sealed(kind, _) => (*kind, true),
    };
    entry.mutations.iter().map(|mutation| kind(&mutation.body)).collect()
}

#[test]
fn every_run_and_every_row_encodes_to_its_bytes_and_every_table_is_there() {
    for set in versions() {
        let files = load(&set);
        let engine = open(&world_of(&files));
        // The rows as the base has them: what only the log holds comes later.
        let position = engine.core.rows.persisted();
        assert!(position.lsn > Lsn::ZERO && position.lsn < engine.lsn());
        let mut tables = BTreeSet::new();
        let reader = engine.core.rows.reader();
        for entry in reader.scan(&[], None, Direction::Forward) {
            let (key, row) = entry.unwrap();
            let table = Table::from_number(Key::table_of(&key).unwrap()).unwrap();
            assert_eq!(recode(table, &row).as_deref(), Some(&row.body[..]), "{}", crate::describe(&key));
            if row.lsn <= position.lsn {
                tables.insert(table);
            }
        }
        assert_eq!(tables.into_iter().collect::<Vec<_>>(), Table::ALL);
        for namespace in reader.base_namespaces().unwrap() {
            let (kept, computed, _) = reader.hash_base(namespace).unwrap();
            assert!(kept == computed);
        }
        let runs: Vec<_> = files.iter().filter(|(path, _)| path.ends_with(".run")).collect();
        assert!(!runs.is_empty());
        // The decoder writes what it read again, and compares.
        assert!(runs.iter().all(|(_, bytes)| by_name("run").unwrap()(bytes)));
        assert!(by_name("manifest").unwrap()(file(&files, "rows/MANIFEST")));
    }
}

/// A row decoded as its table's rows are, and encoded again.
fn recode(table: Table, row: &Row) -> Option<Vec<u8>> {
    use crate::modules::{
        blob::row::BlobRow, checkpoint, collection, item, job, link, namespace, record, session, state,
        tool_call,
    };
    fn of_json<T: serde::Serialize + serde::de::DeserializeOwned>(row: &Row) -> Option<Vec<u8>> {
        row_json::encode(&row_json::decode::<T>(row).ok()?).ok()
    }
    let number = || Some(u64::from_le_bytes(row.body[..].try_into().ok()?).to_le_bytes().to_vec());
    match table {
        Table::Counter | Table::MessageById | Table::BlobDue | Table::ChannelContentCount | Table::Node => {
            number()
        }
        Table::Expiry
        | Table::SessionByOwner
        | Table::BlobGarbage
        | Table::CheckpointByRun
        | Table::ToolCallByState
        | Table::ToolCallByTool
        | Table::LinkBack => Some(Vec::new()),
        // Only the note of a node says more than its key.
        Table::Garbage if row.body.is_empty() => Some(Vec::new()),
        Table::Garbage => Some(link::Place::decode(1, &row.body).ok()?.encode()),
        Table::Link => of_json::<link::LinkRow>(row),
        Table::Thread
        | Table::Checkpoint
        | Table::CheckpointWrite
        | Table::ChannelVersion
        | Table::ChannelContent => checkpoint::recode(table, row).ok(),
        Table::History => Some(history::encode(&history::decode(row).ok()?)),
        Table::Retention => of_json::<history::Retention>(row),
        Table::Policy => of_json::<crate::retain::Policy>(row),
        Table::Import => of_json::<crate::modules::transfer::Mark>(row),
        Table::Load => of_json::<crate::modules::load::Mark>(row),
        Table::Moment => Some(history::Chunk::decode(Lsn(1), &row.body).ok()?.encode()),
        Table::Item | Table::ItemExpiry | Table::ItemIndex => item::recode(table, row).ok(),
        Table::Name => crate::numbers::name(&row.body).ok().map(String::into_bytes),
        Table::Namespace => of_json::<namespace::Head>(row),
        Table::Idempotency => of_json::<crate::idempotency::Remembered>(row),
        Table::State => state::recode(row).ok(),
        Table::MessageLayer => {
            Some(session::message::layers::encode(&session::message::layers::decode(&row.body).ok()?))
        }
        // Empty, or why a session left a layer.
        Table::MessageLayerUse => (row.body.len() <= 1).then(|| row.body.to_vec()),
        Table::SessionTally => Some(session::Tally::decode(row).ok()?.encode()),
        Table::Fork => of_json::<namespace::ForkRow>(row),
        Table::Job => of_json::<job::Stored>(row),
        Table::Session => of_json::<session::Head>(row),
        Table::Message if row.body.is_empty() => Some(Vec::new()),
        Table::Message => of_json::<session::message::Body>(row),
        Table::Blob | Table::ForkBlob => BlobRow::decode(&row.body).ok()?.encode().ok(),
        Table::Collection => of_json::<collection::Head>(row),
        Table::Record => of_json::<record::Record>(row),
        Table::ToolCall => of_json::<tool_call::Call>(row),
        Table::Vector => Some(crate::vectors::VectorRow::decode(&row.body).ok()?.encode()),
    }
}

#[test]
fn key_files_and_format_encode_to_their_bytes() {
    for set in versions() {
        let files = load(&set);
        let keys: Vec<_> = files.iter().filter(|(path, _)| path.ends_with(".key")).collect();
        let mut live = Vec::new();
        for (path, bytes) in &keys {
            let (subject, key) = keyring::decode(bytes, Path::new(path)).unwrap();
            assert_eq!(keyring::encode(&subject, &key), *bytes);
            assert!(by_name("key_file").unwrap()(bytes));
            live.push((subject, bytes[8]));
        }
        live.sort();
        assert_eq!(live, [("ann".to_owned(), 1), ("bob".to_owned(), 2)], "one live, one destroyed");
        let bytes = file(&files, "FORMAT");
        let format = format::Format::decode(bytes, Path::new("FORMAT")).unwrap();
        assert_eq!(format.encode().unwrap().as_bytes(), bytes);
        assert_eq!(file(&files, "LOCK"), b"");
        assert!(files.iter().any(|(path, _)| path.starts_with("blobs/1/")));
    }
}
