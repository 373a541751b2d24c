//! What a verification tells: while it works, and in the end.

use std::collections::BTreeMap;

use agentdb_types::{Error, Lsn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is being verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The log, group by group.
    Log,
    /// The runs of rows, row by row.
    Rows,
    /// The files of blobs, byte by byte.
    Blobs,
}

impl Phase {
    /// Its name in JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Log => "log",
            Phase::Rows => "rows",
            Phase::Blobs => "blobs",
        }
    }
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// What is being verified.
    pub phase: Phase,
    /// Groups, rows or bytes so far.
    pub done: u64,
    /// Problems so far.
    pub problems: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The LSN of the rows that were verified.
    pub lsn: Lsn,
    /// The log, unless it is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReport>,
    /// The namespaces that have rows, by number.
    pub namespaces: Vec<NamespaceReport>,
    /// Versions of rows in the runs whose checksum holds, replaced ones that are not merged away yet included.
    pub rows: u64,
    /// Rows that were written since the runs were, and are not in one yet: the log that was verified is what holds them.
    pub rows_in_log: u64,
    /// Blobs whose bytes hash to their address.
    pub blobs: u64,
    /// Bytes of those blobs.
    pub blob_bytes: u64,
    /// Everything that does not hold; empty if the database is whole.
    pub problems: Vec<Problem>,
}

/// The log as verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogReport {
    /// Segments read.
    pub segments: u64,
    /// Groups read.
    pub groups: u64,
    /// Batches in them.
    pub entries: u64,
    /// The first LSN that the log holds.
    pub first_lsn: Lsn,
    /// The last one.
    pub last_lsn: Lsn,
}

/// A namespace as verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceReport {
    /// Its number.
    pub number: u64,
    /// Rows in its runs.
    pub rows: u64,
    /// Rows that were written since, and that the log holds.
    pub rows_in_log: u64,
    /// The digest that the rows in its runs have.
    pub digest: String,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The number of the error.
    pub code: u32,
    /// The name of the error.
    pub name: String,
    /// What is wrong, in words.
    pub message: String,
    /// The values involved.
    pub values: BTreeMap<String, String>,
}

impl From<&Error> for Problem {
    fn from(err: &Error) -> Self {
        Problem {
            code: err.code().number(),
            name: err.code().name().to_owned(),
            message: err.message(),
            values: err.values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }
}
