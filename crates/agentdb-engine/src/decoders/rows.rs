//! Decoders of stored rows.

use agentdb_types::Lsn;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Reader;
use crate::digest::SetHash;
use crate::idempotency::Remembered;
use crate::key::Key;
use crate::modules::blob::row::BlobRow;
use crate::modules::{collection, namespace, record, session, state};
use crate::rows::base;
use crate::vectors::VectorRow;
use crate::{Row, row_json};

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

pub(super) fn vector(bytes: &[u8]) -> bool {
    let Ok(row) = VectorRow::decode(bytes) else { return false };
    assert_eq!(row.encode(), bytes);
    true
}

pub(super) fn set_hash(bytes: &[u8]) -> bool {
    let Some(hash) = SetHash::from_bytes(bytes) else { return false };
    assert_eq!(hash.to_bytes(), bytes);
    true
}

/// The position of the row file, as read and with its checksum set right.
pub(super) fn position(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Some(position) = base::decode_position(bytes) else { return false };
        assert_eq!(base::encode_position(&position), bytes);
        true
    };
    let mut repaired = bytes.to_vec();
    if let Some((fields, crc)) = repaired.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c(fields).to_le_bytes();
    }
    let raw = decodes(bytes);
    decodes(&repaired) || raw
}

/// A key behind its length, then its stored row, as read and with its checksum set right.
pub(super) fn stored(bytes: &[u8]) -> bool {
    let mut reader = Reader(bytes);
    let Some(key) = reader.bytes() else { return false };
    let decodes = |stored: &[u8]| {
        let Ok(row) = base::decode_row(key, stored) else { return false };
        assert_eq!(base::encode_row(key, row.lsn, &row.body), stored);
        true
    };
    let mut repaired = reader.0.to_vec();
    if let Some((lsn, rest)) = repaired.split_first_chunk_mut::<8>()
        && let Some((crc, body)) = rest.split_first_chunk_mut::<4>()
    {
        *crc = base::row_checksum(key, lsn, body).to_le_bytes();
    }
    let raw = decodes(reader.0);
    decodes(&repaired) || raw
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
