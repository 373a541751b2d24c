//! `record.list`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Entry, decode, select};
use crate::filter::Filter;
use crate::modules::{Paging, collection, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table};

/// Lists records by id.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The collection.
    pub collection: String,
    /// Only records whose payload matches (docs/filters.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last to the first.
    #[serde(default)]
    pub reverse: bool,
    /// Whether to give back the vectors.
    #[serde(default)]
    pub include_vector: bool,
    /// Which fields of the payload to give back, by their paths; all if not given, none of an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Whether to leave out the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub omit_text: bool,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The records, in the byte order of their ids.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "record.list",
        doc: "Lists records in the byte order of their ids, page by page, forwards or backwards.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection"],
        sensitive: &["items", "filter"],
        errors: &[Code::CollectionNotFound, Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let head = collection::find(snapshot, &self.collection)?;
        let filter = self.filter.as_ref().map(|json| Filter::parse_typed(json, &head.fields)).transpose()?;
        select::check(self.fields.as_deref())?;
        let prefix = snapshot.key(Table::Record).u64(head.number);
        let paging = Paging {
            prefix: &prefix,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
            backward: self.reverse,
        };
        let (items, cursor) = page(snapshot, &paging, &mut |key, row| {
            let Some((version, record)) = decode(&row, snapshot.now())? else { return Ok(None) };
            let payload = Value::Object(record.payload);
            if filter.as_ref().is_some_and(|f| !f.matches(&payload)) {
                return Ok(None);
            }
            let Value::Object(payload) = payload else { return Ok(None) };
            let payload = select::select(payload, self.fields.as_deref());
            let text = record.text.clone().filter(|_| !self.omit_text);
            let record = super::Record { payload, text, ..record };
            let mut parts = key.components();
            parts.u64()?;
            Entry::new(snapshot, &head, parts.text()?, (version, record), self.include_vector).map(Some)
        })?;
        Ok(Listed { items, cursor })
    }
}
