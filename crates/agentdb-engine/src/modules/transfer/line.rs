//! What a line of an export is.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Lsn, Result, Timestamp, json};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Fate;
use crate::modules::{
    blob, checkpoint, collection, item, link, record, retention, session, state, tool_call,
};

/// How deep the values that the limit of depth is for lie in a line: `{"values": {"channel": …}}`.
const ENVELOPE: usize = 2;

/// The first line: where an export comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format: 1.
    pub format: u64,
    /// The id of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The name of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What the namespace is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The LSN of the snapshot that it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<Lsn>,
    /// The time of the snapshot: what had expired by then is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

/// The hash of what precedes a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// BLAKE3 of all bytes before this line, 64 hexadecimal digits.
    pub blake3: String,
}

/// The last line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many lines precede this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// How many there are of each noun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<String, u64>>,
    /// BLAKE3 of all bytes before this line, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
}

/// How many lines of a noun were imported, by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NounCounts {
    /// Those that are there now as they were exported, where nothing was before.
    pub put: u64,
    /// Those that are there now in place of something else.
    pub replaced: u64,
    /// Those that were left out: something of the name was there, or what they belong to was left out, or is gone.
    pub skipped: u64,
    /// Those whose time to live has passed since.
    pub expired: u64,
}

/// How many lines were imported, by noun.
pub type Counts = BTreeMap<String, NounCounts>;

impl NounCounts {
    pub(super) fn add(&mut self, fate: Fate) {
        *match fate {
            Fate::Put => &mut self.put,
            Fate::Replaced => &mut self.replaced,
            Fate::Skipped => &mut self.skipped,
            Fate::Expired => &mut self.expired,
        } += 1;
    }
}

macro_rules! lines {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $noun:literal,)*) => {
        /// A line.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "noun")]
        pub enum Line {
            $($(#[$doc])* #[serde(rename = $noun)] $name($type),)*
        }

        impl Line {
            /// The name of what the line is.
            pub fn noun(&self) -> &'static str {
                match self { $(Line::$name(_) => $noun,)* }
            }

            fn decode(noun: &str, fields: Map<String, Value>) -> Result<Option<Self>> {
                Ok(Some(match noun {
                    $($noun => Line::$name(decode(noun, fields)?),)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}

lines! {
    /// The first line.
    Export(Header) = "export",
    /// A hash of what precedes.
    Check(Check) = "check",
    /// The last line.
    End(End) = "end",
    /// How long history is kept.
    Retention(retention::RetentionLine) = "retention",
    /// How items are found by vectors and texts.
    ItemIndex(item::IndexLine) = "item_index",
    /// A value.
    State(state::StateLine) = "state",
    /// A session; its messages follow.
    Session(session::SessionLine) = "session",
    /// A message.
    Message(session::message::MessageLine) = "message",
    /// What is known of a blob; its bytes follow.
    Blob(blob::BlobLine) = "blob",
    /// Bytes of a blob.
    BlobBytes(blob::BytesLine) = "blob_bytes",
    /// A collection; its records follow.
    Collection(collection::CollectionLine) = "collection",
    /// A record.
    Record(record::RecordLine) = "record",
    /// A link between records that precede it.
    Link(link::LinkLine) = "link",
    /// A thread; what belongs to it follows.
    Thread(checkpoint::thread::ThreadLine) = "thread",
    /// The value of a version of a channel.
    ChannelValue(checkpoint::ChannelValueLine) = "channel_value",
    /// A checkpoint.
    Checkpoint(checkpoint::CheckpointLine) = "checkpoint",
    /// A write behind a checkpoint.
    CheckpointWrite(checkpoint::WriteLine) = "checkpoint_write",
    /// An item.
    Item(item::ItemLine) = "item",
    /// A tool call.
    ToolCall(tool_call::ToolCallLine) = "tool_call",
}

fn decode<T: DeserializeOwned>(noun: &str, fields: Map<String, Value>) -> Result<T> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|err| {
        let path = err.path().to_string();
        let reason = json::reason(&err.into_inner());
        let missing = reason.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        match missing {
            Some(field) => Error::new(Code::MissingField)
                .with("operation", format_args!("a line of the noun `{noun}`"))
                .with("field", if path == "." { field.to_owned() } else { format!("{path}.{field}") }),
            None => Error::new(Code::InvalidValue).with("field", path).with("reason", reason),
        }
    })
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// [`Code::ImportLine`] for what is no line of an export; [`Code::MissingField`]; [`Code::InvalidValue`] for a field that
    /// is unknown or of another type; [`Code::InvalidJson`], [`Code::InvalidUtf8`], [`Code::DepthExceeded`]. They name the line.
    pub fn parse(line: u64, text: &[u8]) -> Result<Self> {
        let not = |reason: &str| Error::new(Code::ImportLine).with("line", line).with("reason", reason);
        let parsed = json::parse_around("line", text, ENVELOPE);
        let Value::Object(mut fields) = parsed.map_err(|err| err.at_import_line(line))? else {
            return Err(not("it is not a JSON object"));
        };
        let Some(Value::String(noun)) = fields.remove("noun") else {
            return Err(not("its `noun`, a text, is missing"));
        };
        let decoded = Line::decode(&noun, fields).map_err(|err| err.at_import_line(line))?;
        decoded.ok_or_else(|| not(&format!("{noun:?} is no noun that an import knows")))
    }

    /// Whether it is a part of what an earlier line brings.
    pub(super) fn belongs(&self) -> bool {
        matches!(
            self,
            Line::Message(_)
                | Line::Record(_)
                | Line::ChannelValue(_)
                | Line::Checkpoint(_)
                | Line::CheckpointWrite(_)
        )
    }

    /// About how many rows it becomes.
    pub(super) fn rows(&self) -> usize {
        match self {
            Line::Item(item) => 1 + item.vectors.len(),
            Line::Record(_) | Line::ChannelValue(_) => 2,
            Line::Link(_) => 4,
            Line::Checkpoint(checkpoint) => 1 + checkpoint.values.len() + checkpoint.encoded.len(),
            Line::Session(_) | Line::Collection(_) | Line::Thread(_) => 4,
            _ => 1,
        }
    }
}
