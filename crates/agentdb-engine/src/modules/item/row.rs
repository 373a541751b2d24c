//! The rows of items.
//!
//! An item's row, format version 1: a version byte, created and updated as little-endian `i64` microseconds, a byte that is 1
//! if the item expires, the number of the index of its vectors (0: it has none), how many there are, their slots (all
//! LEB128), then the value as JSON. The row of an expiry: a version byte, the time, and the time to live, both `i64`.

use agentdb_types::{Code, Duration, Error, Lsn, Result, Timestamp};
use serde_json::{Map, Value};

use crate::codec::{self, Reader};
use crate::key::Key;
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::{Row, Table};

const ROW_VERSION: u8 = 1;

fn malformed() -> Error {
    Error::new(Code::RowsCorrupt).with("reason", "an item's row is malformed")
}

fn check_row_version(version: Option<u8>) -> Result<()> {
    match version {
        Some(ROW_VERSION) => Ok(()),
        None => Err(malformed()),
        Some(version) => Err(Error::new(Code::FormatTooNew)
            .with("path", "an item's row")
            .with("actual", version)
            .with("supported", ROW_VERSION)),
    }
}

fn time(reader: &mut Reader<'_>) -> Result<Timestamp> {
    let bytes = reader.take(8).and_then(|bytes| bytes.try_into().ok()).ok_or_else(malformed)?;
    Timestamp::from_micros(i64::from_le_bytes(bytes)).map_err(|_| malformed())
}

/// What an item's row holds beside the value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Whether there is a row that tells when it expires.
    pub(super) expiring: bool,
    /// The number of the index that holds its vectors; 0 without any.
    pub(super) index: u64,
    pub(super) slots: Vec<u64>,
}

impl Head {
    /// A row of this, and of a value as JSON.
    pub(super) fn encode(&self, json: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(24 + 4 * self.slots.len() + json.len());
        body.push(ROW_VERSION);
        body.extend_from_slice(&self.created.micros().to_le_bytes());
        body.extend_from_slice(&self.updated.micros().to_le_bytes());
        body.push(u8::from(self.expiring));
        codec::put_varint(&mut body, self.index);
        codec::put_varint(&mut body, self.slots.len() as u64);
        self.slots.iter().for_each(|slot| codec::put_varint(&mut body, *slot));
        body.extend_from_slice(json);
        body
    }

    /// What a row holds beside the value, and the value as JSON, which is not read.
    pub(super) fn split(row: &Row) -> Result<(Head, &[u8])> {
        let mut reader = Reader(&row.body);
        check_row_version(reader.byte())?;
        let (created, updated) = (time(&mut reader)?, time(&mut reader)?);
        let expiring = match reader.byte() {
            Some(0) => false,
            Some(1) => true,
            _ => return Err(malformed()),
        };
        let (index, count) = (reader.varint(), reader.varint());
        let (index, count) = index.zip(count).ok_or_else(malformed)?;
        let slots = (0..count).map(|_| reader.varint().ok_or_else(malformed)).collect::<Result<_>>()?;
        Ok((Head { created, updated, expiring, index, slots }, reader.0))
    }

    /// Whether the item can be found by its vectors in this index.
    pub(super) fn is_in(&self, index: u64) -> bool {
        self.index == index && !self.slots.is_empty()
    }
}

/// When an item expires.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expiry {
    pub(super) ends: Timestamp,
    /// By how long it is renewed.
    pub(super) ttl: Duration,
}

impl Expiry {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut body = vec![ROW_VERSION];
        body.extend_from_slice(&self.ends.micros().to_le_bytes());
        body.extend_from_slice(&self.ttl.to_le_bytes());
        body
    }

    fn decode(body: &[u8]) -> Result<Self> {
        let mut reader = Reader(body);
        check_row_version(reader.byte())?;
        let ends = time(&mut reader)?;
        let ttl = Duration::from_le_bytes(reader.0.try_into().map_err(|_| malformed())?);
        Ok(Expiry { ends, ttl })
    }

    /// When the item with this key and head expires, if it does.
    pub(super) fn find(rows: &dyn Read, key: &Key, head: &Head) -> Result<Option<Expiry>> {
        if !head.expiring {
            return Ok(None);
        }
        let row = rows.get(&key.in_table(Table::ItemExpiry))?.ok_or_else(malformed)?;
        Expiry::decode(&row.body).map(Some)
    }
}

/// An item.
pub(super) struct Item {
    pub(super) version: Lsn,
    pub(super) head: Head,
    pub(super) expiry: Option<Expiry>,
    pub(super) value: Map<String, Value>,
}

impl Item {
    /// The item of a row, unless its time to live has passed.
    pub(super) fn read(rows: &dyn Read, key: &Key, row: &Row) -> Result<Option<Item>> {
        let (head, json) = Head::split(row)?;
        let expiry = Expiry::find(rows, key, &head)?;
        if has_ended(rows, expiry) {
            return Ok(None);
        }
        Ok(Some(Item { version: row.lsn, head, expiry, value: value(json)? }))
    }
}

/// What the row of an item that is there holds beside the value, which is not read.
pub(super) fn live_head(rows: &dyn Read, key: &Key, row: &Row) -> Result<Option<Head>> {
    let (head, _) = Head::split(row)?;
    let expiry = Expiry::find(rows, key, &head)?;
    Ok((!has_ended(rows, expiry)).then_some(head))
}

/// Whether the item of a row is there: its time to live has not passed. Its value is not read.
pub(super) fn is_live(rows: &dyn Read, key: &Key, row: &Row) -> Result<bool> {
    let expiry = Expiry::find(rows, key, &Head::split(row)?.0)?;
    Ok(!has_ended(rows, expiry) || planted::is(Bug::PathsOfTheDead))
}

fn has_ended(rows: &dyn Read, expiry: Option<Expiry>) -> bool {
    expiry.is_some_and(|expiry| expiry.ends <= rows.now())
}

fn value(json: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(json).map_err(|e| Error::new(Code::RowsCorrupt).with("reason", e))
}

/// What a row of these tables decodes to, encoded again.
#[cfg(any(test, feature = "decoders"))]
pub(crate) fn recode(table: Table, row: &Row) -> Result<Vec<u8>> {
    match table {
        Table::Item => {
            let (head, json) = Head::split(row)?;
            Ok(head.encode(&crate::modules::encode_value("value", &Value::Object(value(json)?))?))
        }
        Table::ItemExpiry => Expiry::decode(&row.body).map(Expiry::encode),
        _ => crate::row_json::encode(&crate::row_json::decode::<super::index::Settings>(row)?),
    }
}
