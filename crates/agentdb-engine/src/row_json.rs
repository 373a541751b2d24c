//! Rows whose body is a version byte and JSON: heads and bookkeeping, where being readable beats being small.

use agentdb_types::{Code, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Row;

const VERSION: u8 = 1;

pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut out = vec![VERSION];
    serde_json::to_writer(&mut out, value)
        .map_err(|e| Error::new(Code::InvalidJson).with("field", "row").with("reason", e))?;
    Ok(out)
}

pub(crate) fn decode<T: DeserializeOwned>(row: &Row) -> Result<T> {
    match row.body.split_first() {
        Some((&VERSION, json)) => {
            serde_json::from_slice(json).map_err(|e| Error::new(Code::RowsCorrupt).with("reason", e))
        }
        Some((&version, _)) => Err(Error::new(Code::FormatTooNew)
            .with("path", "a row")
            .with("actual", version)
            .with("supported", VERSION)),
        None => Err(Error::new(Code::RowsCorrupt).with("reason", "a row has no body")),
    }
}
