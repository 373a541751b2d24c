//! Decoders of stored rows.

use agentdb_types::{Lsn, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::SetHash;
use crate::history;
use crate::idempotency::Remembered;
use crate::key::Key;
use crate::modules::blob::row::BlobRow;
use crate::modules::{
    checkpoint as checkpoints, collection, item as items, job as jobs, link as links, namespace, record,
    session, state, tool_call as calls,
};
use crate::record_index::KeptList;
use crate::rows::decoders::repaired;
use crate::vectors::VectorRow;
use crate::{Row, Table, row_json};

fn row(bytes: &[u8]) -> Row {
    Row { lsn: Lsn(1), body: bytes.into() }
}

/// A version byte and JSON. Fields may stand in any order: what is decoded decodes again to the same.
fn of_json<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let recode = |bytes: &[u8]| row_json::decode::<T>(&row(bytes)).map(|decoded| row_json::encode(&decoded));
    let Ok(again) = recode(bytes) else { return false };
    let again = again.expect("a row has a JSON form");
    assert_eq!(recode(&again), Ok(Ok(again)));
    true
}

pub(super) fn collection(bytes: &[u8]) -> bool {
    of_json::<collection::Head>(bytes)
}

pub(super) fn idempotency(bytes: &[u8]) -> bool {
    of_json::<Remembered>(bytes)
}

pub(super) fn message(bytes: &[u8]) -> bool {
    of_json::<session::message::Body>(bytes)
}

pub(super) fn namespace(bytes: &[u8]) -> bool {
    of_json::<namespace::Head>(bytes)
}

pub(super) fn record(bytes: &[u8]) -> bool {
    of_json::<record::Record>(bytes)
}

pub(super) fn session(bytes: &[u8]) -> bool {
    of_json::<session::Head>(bytes)
}

pub(super) fn session_tally(bytes: &[u8]) -> bool {
    let Ok(tally) = session::Tally::decode(&row(bytes)) else { return false };
    assert_eq!(tally.encode(), bytes);
    true
}

pub(super) fn message_layer(bytes: &[u8]) -> bool {
    let Ok(below) = session::message::layers::decode(bytes) else { return false };
    assert_eq!(session::message::layers::encode(&below), bytes);
    true
}

pub(super) fn node_note(bytes: &[u8]) -> bool {
    let Ok(place) = links::Place::decode(1, bytes) else { return false };
    assert_eq!(place.encode(), bytes);
    true
}

pub(super) fn link(bytes: &[u8]) -> bool {
    of_json::<links::LinkRow>(bytes)
}

pub(super) fn retention(bytes: &[u8]) -> bool {
    of_json::<history::Retention>(bytes)
}

pub(super) fn policy(bytes: &[u8]) -> bool {
    of_json::<crate::retain::Policy>(bytes)
}

pub(super) fn import(bytes: &[u8]) -> bool {
    of_json::<crate::modules::transfer::Mark>(bytes)
}

pub(super) fn load(bytes: &[u8]) -> bool {
    of_json::<crate::modules::load::Mark>(bytes)
}

pub(super) fn version(bytes: &[u8]) -> bool {
    let Ok(version) = history::decode(&row(bytes)) else { return false };
    assert_eq!(history::encode(&version), bytes);
    true
}

pub(super) fn moments(bytes: &[u8]) -> bool {
    let Ok(chunk) = history::Chunk::decode(Lsn(1), bytes) else { return false };
    assert_eq!(chunk.encode(), bytes);
    true
}

pub(super) fn fork(bytes: &[u8]) -> bool {
    of_json::<namespace::ForkRow>(bytes)
}

pub(super) fn job(bytes: &[u8]) -> bool {
    of_json::<jobs::Stored>(bytes)
}

pub(super) fn tool_call(bytes: &[u8]) -> bool {
    of_json::<calls::Call>(bytes)
}

pub(super) fn state(bytes: &[u8]) -> bool {
    let Ok(again) = state::recode(&row(bytes)) else { return false };
    assert_eq!(state::recode(&row(&again)), Ok(again.clone()));
    assert_eq!(again[..25], bytes[..25]);
    true
}

pub(super) fn blob(bytes: &[u8]) -> bool {
    let recode = |bytes: &[u8]| BlobRow::decode(bytes).map(|row| row.encode());
    let Ok(again) = recode(bytes) else { return false };
    let again = again.expect("a row has a JSON form");
    assert_eq!(recode(&again), Ok(Ok(again)));
    true
}

/// What is decoded decodes again to the same.
fn recodes(recode: impl Fn(&[u8]) -> Result<Vec<u8>>, bytes: &[u8]) -> bool {
    let Ok(again) = recode(bytes) else { return false };
    assert_eq!(recode(&again), Ok(again.clone()));
    true
}

/// A row of a thread's tables.
fn of_thread(table: Table, bytes: &[u8]) -> bool {
    recodes(|bytes| checkpoints::recode(table, &row(bytes)), bytes)
}

/// A row of the tables of items.
fn of_item(table: Table, bytes: &[u8]) -> bool {
    recodes(|bytes| items::recode(table, &row(bytes)), bytes)
}

pub(super) fn item(bytes: &[u8]) -> bool {
    of_item(Table::Item, bytes)
}

pub(super) fn item_expiry(bytes: &[u8]) -> bool {
    of_item(Table::ItemExpiry, bytes)
}

pub(super) fn item_index(bytes: &[u8]) -> bool {
    of_item(Table::ItemIndex, bytes)
}

pub(super) fn thread(bytes: &[u8]) -> bool {
    of_thread(Table::Thread, bytes)
}

pub(super) fn checkpoint(bytes: &[u8]) -> bool {
    of_thread(Table::Checkpoint, bytes)
}

pub(super) fn checkpoint_write(bytes: &[u8]) -> bool {
    of_thread(Table::CheckpointWrite, bytes)
}

pub(super) fn channel_version(bytes: &[u8]) -> bool {
    of_thread(Table::ChannelVersion, bytes)
}

pub(super) fn channel_content(bytes: &[u8]) -> bool {
    of_thread(Table::ChannelContent, bytes)
}

pub(super) fn vector(bytes: &[u8]) -> bool {
    let Ok(row) = VectorRow::decode(bytes) else { return false };
    assert_eq!(row.encode(), bytes);
    true
}

/// A list of kept words, as read and with its checksum set right.
pub(super) fn kept_words(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Some(list) = KeptList::decode(bytes) else { return false };
        assert_eq!(list.encode(), bytes);
        true
    };
    let raw = decodes(bytes);
    decodes(&repaired(bytes)) || raw
}

pub(super) fn set_hash(bytes: &[u8]) -> bool {
    let Some(hash) = SetHash::from_bytes(bytes) else { return false };
    assert_eq!(hash.to_bytes(), bytes);
    true
}

/// A key: texts and integers, in whatever shape.
pub(super) fn key(bytes: &[u8]) -> bool {
    let _ = crate::describe(bytes);
    let (Some(namespace), Some(_)) = (Key::namespace_of(bytes), Key::table_of(bytes)) else { return false };
    let key = Key::from_bytes(bytes.to_vec());
    if let Some(after) = key.after_prefix() {
        assert!(after > key && !after.as_bytes().starts_with(bytes));
    }
    let head = Key::namespace(namespace).raw(&bytes[8..9]);
    let mut integers = key.components();
    if let Ok(number) = integers.u64() {
        assert_eq!(head.clone().u64(number).raw(integers.rest()), key);
    }
    let mut texts = key.components();
    let Ok(text) = texts.text() else { return false };
    assert_eq!(head.text(&text).raw(texts.rest()), key);
    true
}
