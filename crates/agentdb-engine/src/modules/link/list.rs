//! `link.list`.

use agentdb_types::{Code, Lsn, Result, Timestamp, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::adjacent::{Direction, Position, Selection, Side};
use super::end::{Named, Records};
use super::{check_types, node};
use crate::Snapshot;
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

/// Lists the links of a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The collection.
    pub collection: String,
    /// The record.
    pub record: String,
    /// Which way they go: out if not given.
    #[serde(default)]
    pub direction: Direction,
    /// Only of these types, up to 100; of all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Only links to and from records whose payload matches (docs/filters.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A link of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedLink {
    /// Which way it goes.
    pub direction: Side,
    /// Its type.
    #[serde(rename = "type")]
    pub link_type: String,
    /// The collection of the record at the other end.
    pub collection: String,
    /// That record.
    pub record: String,
    /// What is known of the link.
    pub payload: Map<String, Value>,
    /// The version of the link.
    pub version: Lsn,
    /// When it was first put.
    pub created: Timestamp,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The links: those that go out before those that come in, then by type, then by the collection at the other end, the oldest
    /// first, and by the record there; types and ids in byte order.
    pub items: Vec<ListedLink>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl List {
    /// The links that go from a record.
    pub fn new(collection: impl Into<String>, record: impl Into<String>) -> Self {
        List { collection: collection.into(), record: record.into(), ..Self::default() }
    }
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "link.list",
        doc: "Lists the links of a record, those that go from it, those that go to it, or both, page by page; of some types only, and to and from records that match a filter.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "link.read",
        resource: &["collection", "record"],
        sensitive: &["items", "filter"],
        errors: &[
            Code::CollectionNotFound,
            Code::RecordNotFound,
            Code::FilterTypeMismatch,
            Code::PageTooLarge,
            Code::InvalidCursor,
        ],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        let selection = Selection { direction: self.direction, types: check_types(&self.types)? };
        let record = Named::from(&self.collection, &self.record).find(snapshot)?;
        let mut ends = Records::new(snapshot, &[self.filter.as_ref()])?;
        let node = node::of(snapshot, &record.key)?;
        // No node is 0, so that a cursor of another list is refused here, too.
        let after = self.cursor.as_deref().map(|text| Position::decode(snapshot, node.unwrap_or(0), text));
        let after = after.transpose()?;
        let mut listed = Listed { items: Vec::new(), cursor: None };
        let Some(place) = node.map(|node| record.place(node)) else { return Ok(listed) };
        let mut last = None;
        selection.scan(snapshot, place.node, after.as_ref(), &mut |link| {
            let Some(end) = ends.at(&link.other)?.filter(|end| end.matches(0)) else { return Ok(true) };
            if listed.items.len() == limit {
                listed.cursor.clone_from(&last);
                return Ok(false);
            }
            let (version, row) = link.load(snapshot, &place)?;
            last = (listed.items.len() + 1 == limit).then(|| link.cursor(snapshot, place.node));
            listed.items.push(ListedLink {
                direction: link.side,
                link_type: link.link_type,
                collection: end.collection.to_string(),
                record: link.other.record,
                payload: row.payload,
                version,
                created: row.created,
            });
            Ok(true)
        })?;
        Ok(listed)
    }
}
