//! The nouns, a folder each: its operations, its rows, its rules.

pub mod backup;
pub mod blob;
pub mod checkpoint;
pub mod collection;
pub mod database;
pub mod item;
pub mod job;
pub mod link;
pub mod load;
pub mod namespace;
pub mod record;
pub mod retention;
pub mod session;
pub mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod tool_call;
pub mod transfer;
pub mod watch;

use std::sync::LazyLock;

use agentdb_types::{Code, Error, Result, json, limits};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::key::Key;
use crate::operation::Operation;
use crate::read::{Page, Read};
use crate::tx::Tx;
use crate::{Row, Table, cursor};

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let mut operations = Vec::new();
    operations.extend(backup::operations());
    operations.extend(blob::operations());
    operations.extend(checkpoint::operations());
    operations.extend(collection::operations());
    operations.extend(database::operations());
    operations.extend(item::operations());
    operations.extend(job::operations());
    operations.extend(load::operations());
    operations.extend(link::operations());
    operations.extend(namespace::operations());
    operations.extend(record::operations());
    operations.extend(retention::operations());
    operations.extend(session::operations());
    operations.extend(state::operations());
    operations.extend(tool_call::operations());
    operations.extend(transfer::operations());
    operations.extend(watch::operations());
    operations.sort_by_key(|o| o.about.name);
    operations
});

/// The operation table, in the order of the names.
pub(crate) fn operations() -> &'static [Operation] {
    &OPERATIONS
}

/// The row of the operation table of this name.
pub(crate) fn operation(name: &str) -> Result<&'static Operation> {
    let found = OPERATIONS.binary_search_by_key(&name, |o| o.about.name);
    found.map(|i| &OPERATIONS[i]).map_err(|_| Error::new(Code::UnknownOperation).with("name", name))
}

/// Deletes the row of `key` if its time to live has passed; a row that was renewed or deleted is left alone.
pub(crate) fn expire(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    match Key::table_of(key.as_bytes()).and_then(Table::from_number) {
        Some(Table::State) => state::expire(tx, key),
        Some(Table::Record) => record::expire(tx, key),
        Some(Table::Session) => session::expire(tx, key),
        Some(Table::ToolCall) => tool_call::expire(tx, key),
        Some(Table::Item) => item::expire(tx, key),
        Some(Table::Job) => job::expire(tx, key),
        Some(Table::Import) => transfer::expire(tx, key),
        Some(Table::Load) => load::expire(tx, key),
        Some(Table::Idempotency) => crate::idempotency::expire(tx, key),
        _ => Err(Error::new(Code::RowsCorrupt)
            .with("reason", format_args!("an expiry of a table without expiries, at {}", tx.lsn()))),
    }
}

/// Checks the size of a value that lies in a row.
pub(crate) fn check_inline(field: &'static str, bytes: usize) -> Result<()> {
    if bytes <= limits::VALUE_BYTES {
        return Ok(());
    }
    Err(Error::new(Code::ValueTooLarge)
        .with("field", field)
        .with("actual", bytes)
        .with("limit", limits::VALUE_BYTES))
}

/// A JSON value as bytes of a row, within the limits of depth and size.
pub(crate) fn encode_value(field: &'static str, value: &Value) -> Result<Vec<u8>> {
    json::check_depth(field, value)?;
    encode_inline(field, value)
}

/// A JSON object as bytes of a row, within the limits of depth and size.
pub(crate) fn encode_fields(field: &'static str, fields: &Map<String, Value>) -> Result<Vec<u8>> {
    json::check_depth_of(field, fields)?;
    encode_inline(field, fields)
}

fn encode_inline(field: &'static str, value: &impl Serialize) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(value)
        .map_err(|e| Error::new(Code::InvalidJson).with("field", field).with("reason", e))?;
    check_inline(field, bytes.len())?;
    Ok(bytes)
}

/// About how many bytes a JSON value takes while a request waits. What is nested deeper than any value may be is not
/// looked at: it will be refused.
pub(crate) fn weigh(value: &Value) -> usize {
    fn within(value: &Value, left: usize) -> usize {
        const NODE: usize = 32;
        NODE + match value {
            _ if left == 0 => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(|item| within(item, left - 1)).sum(),
            Value::Object(fields) => {
                fields.iter().map(|(name, field)| name.len() + within(field, left - 1)).sum()
            }
            _ => 0,
        }
    }
    within(value, limits::JSON_DEPTH)
}

/// The same of a JSON object's fields.
pub(crate) fn weigh_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| name.len() + weigh(value)).sum()
}

/// A JSON value from bytes of a row.
pub(crate) fn decode_value(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|e| Error::new(Code::RowsCorrupt).with("reason", e))
}

/// Reads a field that may be absent, null or a value.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    field: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(field).map(Some)
}

/// Reads a field that may be absent or any JSON, null included.
pub(crate) fn given_json<'de, D: Deserializer<'de>>(
    field: D,
) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(field).map(Some)
}

/// Checks how many rows a page may hold.
pub(crate) fn check_page(rows: usize) -> Result<()> {
    if (1..=limits::PAGE).contains(&rows) {
        return Ok(());
    }
    Err(Error::new(Code::PageTooLarge).with("actual", rows).with("limit", limits::PAGE))
}

/// What page of which list.
pub(crate) struct Paging<'a> {
    /// The start of the keys of the list, which may narrow a text component.
    pub(crate) prefix: &'a Key,
    /// How many items at most; the default if `None`.
    pub(crate) limit: Option<usize>,
    /// Where the page before ended.
    pub(crate) cursor: Option<&'a str>,
    /// From the end to the start.
    pub(crate) backward: bool,
}

/// One page of a list: the items that `make` makes of rows (`None` leaves one out), and the cursor of the next page.
pub(crate) fn page<T>(
    rows: &dyn Read,
    paging: &Paging<'_>,
    make: &mut dyn FnMut(Key, Row) -> Result<Option<T>>,
) -> Result<(Vec<T>, Option<String>)> {
    page_between(rows, paging, paging.prefix.clone(), paging.prefix.after_prefix(), make)
}

/// The same of a list of which only the keys from `from` on, below `to`, are asked for.
pub(crate) fn page_between<T>(
    rows: &dyn Read,
    paging: &Paging<'_>,
    from: Key,
    to: Option<Key>,
    make: &mut dyn FnMut(Key, Row) -> Result<Option<T>>,
) -> Result<(Vec<T>, Option<String>)> {
    let limit = paging.limit.unwrap_or(limits::PAGE_DEFAULT);
    check_page(limit)?;
    let last = paging.cursor.map(|c| cursor::decode(paging.prefix, c)).transpose()?;
    let (direction, from, to) = match (paging.backward, last) {
        (false, None) => (Page::Forward, from, to),
        // The first key after the last one: keys are self-delimiting, so nothing lies between.
        (false, Some(last)) => (Page::Forward, last.raw(&[0]).max(from), to),
        (true, None) => (Page::Backward, from, to),
        (true, Some(last)) => (Page::Backward, from, Some(to.map_or(last.clone(), |to| to.min(last)))),
    };
    let mut items = Vec::new();
    let mut last_key = None;
    let mut more = false;
    rows.scan(&from, to.as_ref(), direction, &mut |key, row| {
        let position = key.clone();
        if let Some(item) = make(key, row)? {
            if items.len() == limit {
                more = true;
                return Ok(false);
            }
            items.push(item);
            last_key = Some(position);
        }
        Ok(true)
    })?;
    let next = last_key.filter(|_| more).map(|key| cursor::encode(paging.prefix, &key));
    Ok((items, next))
}

/// An error of what gives bytes from outside; a typed one inside it is passed on.
pub(crate) fn source_failed(what: &str, err: std::io::Error) -> Error {
    if let Some(typed) = err.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return typed.clone();
    }
    Error::new(Code::Io).with("operation", "read").with("path", what).with("reason", err)
}
