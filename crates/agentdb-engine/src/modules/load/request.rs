//! `collection.load`: which column is what, and what becomes of values that records cannot have.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_types::{Code, Duration, Lsn};
use agentdb_vector::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{About, Effect, Request, Scope};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Arrow's IPC, as a file or as a stream.
    Arrow,
    /// Apache Parquet.
    Parquet,
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values (RFC 4180), the names of the columns in the first line.
    Csv,
}

/// What the cells of a column of CSV are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Text, as it stands there.
    Text,
    /// An integer of 64 bits.
    Integer,
    /// A number, as in JSON.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A time as in RFC 3339, kept as it stands there.
    Time,
    /// Any JSON.
    Json,
}

/// A value that a record cannot have as it is, and what is to become of it. What is not asked for is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Convert {
    /// Bytes become text in base64.
    BinaryAsBase64,
    /// Decimals become the nearest 64-bit floats.
    DecimalsAsNumbers,
    /// Decimals become text with all their digits.
    DecimalsAsText,
    /// Components of vectors in 64 bits become the nearest 32-bit floats.
    DoublesAsFloats,
    /// Integers become ids: their decimal digits.
    IntegersAsIds,
    /// In payloads, numbers that are not finite become null.
    NanAsNull,
    /// Times lose what they have beyond microseconds.
    NanosecondsTruncated,
    /// Times without a zone are UTC.
    NaiveTimesAsUtc,
    /// Fields that are null are left out.
    NullsAsAbsent,
}

/// What a load does with a record that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfExists {
    /// It replaces it, as `record.put` does.
    #[default]
    Replace,
    /// It leaves it as it is.
    Skip,
    /// It stops before the segment with it.
    Refuse,
}

/// Loads the rows of a file into a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The collection.
    pub collection: String,
    /// How the file is written: `arrow`, `parquet`, `jsonl` or `csv`. If not given, its first bytes tell, or the ending of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The name that the load is known by when it is begun again; that of the file if not given, without its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether it begins with the first row, however far a load of this name has come.
    #[serde(default)]
    pub anew: bool,
    /// The column of ids; `id` or `record` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether records without an id get a new UUID.
    #[serde(default)]
    pub generate_ids: bool,
    /// The column of vectors; `vector` if not given and there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// Columns of further vectors, by the names that the collection has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, String>,
    /// Columns of sparse vectors, objects of `indices` and `values`, by the names that the collection has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse: BTreeMap<String, String>,
    /// The column of texts; `text` if not given and there. Without a vector, and if the collection has an encoder, they are encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The column of payloads, objects. If not given, the columns that are nothing else are fields of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Columns that are left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skip: BTreeSet<String>,
    /// Of CSV: what columns are: `text`, `integer`, `number`, `boolean`, `time` or `json`. The first rows tell if not given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, ColumnType>,
    /// Of CSV: what stands between cells, one character; a comma if not given, a tab for `.tsv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// What becomes of values that records cannot have as they are; refused if not given: `binary_as_base64`,
    /// `decimals_as_numbers`, `decimals_as_text`, `doubles_as_floats`, `integers_as_ids`, `nan_as_null`, `nanoseconds_truncated`,
    /// `naive_times_as_utc`, `nulls_as_absent`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub convert: BTreeSet<Convert>,
    /// What to do with a record that is there already: `replace`, `skip` or `refuse`.
    #[serde(default)]
    pub existing: IfExists,
    /// Microseconds until the records expire, from their batch on; they stay for ever if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<Duration>,
    /// Whether to create the collection, if there is none, with the dimensions that the first segment has.
    #[serde(default)]
    pub create: bool,
    /// How vectors of a collection that is created are compared; the cosine if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
}

impl Load {
    /// A load into this collection, with everything else as the columns tell.
    pub fn new(collection: impl Into<String>) -> Self {
        Load { collection: collection.into(), ..Self::default() }
    }
}

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Records that there were none of.
    pub created: u64,
    /// Records that are there in place of others.
    pub replaced: u64,
    /// Rows that were left out, since the record is there already.
    pub skipped: u64,
}

/// What was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loaded {
    /// The LSN of the last batch.
    pub lsn: Lsn,
    /// How many rows there were.
    pub rows: u64,
    /// Behind which row this load went on, if it was begun before; all of them if it was done before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_behind: Option<u64>,
    /// What became of the rows; those of before it went on included.
    pub counts: Counts,
}

impl Request for Load {
    type Response = Loaded;
    const ABOUT: About = About {
        name: "collection.load",
        doc: "Loads the rows of a file, Arrow, Parquet, JSON lines or CSV, into a collection, in segments that are committed whole. Begun again after it was stopped, it goes on where it ended.",
        effect: Effect::Write,
        scope: Scope::Namespace,
        permission: "record.write",
        resource: &["collection"],
        sensitive: &[],
        errors: &[
            Code::CollectionNotFound,
            Code::LoadRow,
            Code::LoadSource,
            Code::LoadChanged,
            Code::LoadMoved,
            Code::RecordExists,
            Code::DimensionMismatch,
            Code::VectorNotFinite,
            Code::VectorZero,
            Code::VectorUnknown,
            Code::NoEncoder,
            Code::ValueTooLarge,
            Code::TtlOutOfRange,
            Code::FieldTypeMismatch,
            Code::FieldUndeclared,
            Code::TooManyFields,
        ],
    };
}
