//! `item.search`.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::get::Entry;
use super::index::{self, Settings, not_indexed};
use super::path::{check_part, start};
use super::ranked::Ranked;
use super::row::Item;
use crate::encoder::{Encoded, no_encoder};
use crate::filter::Filter;
use crate::modules::{Paging, check_inline, check_page, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::{Engine, Snapshot};

/// How many items there are at most if the caller does not say.
const LIMIT_DEFAULT: usize = 10;

/// Finds items at a path and below it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Only items whose paths start with these segments; all if not given.
    #[serde(default)]
    pub path: Vec<String>,
    /// A text to search for, encoded by the encoder of the index of items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A vector to search for instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// Only items whose values match (docs/filters.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// How many items at most; 10 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// How many to pass over first.
    #[serde(default)]
    pub offset: usize,
    /// Where the page before ended. Only a search without query and vector has pages; others go on by `offset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The vector of the query, made on the way to the engine.
    #[serde(skip)]
    #[doc(hidden)]
    pub encoded: Option<Encoded>,
}

/// The answer to [`Search`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The items. With a query or a vector: the best first, equal ones in the order in which they were put, then those
    /// without vectors by path and key. Otherwise all by path and key.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one, and with a query or a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for Search {
    type Response = Found;
    const ABOUT: About = About {
        name: "item.search",
        doc: "Finds items at a path and below it: those that match a filter, by path and key, or by nearness to a text or a vector, exactly. An item is as near as the best of its vectors; items without vectors come last.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "item.read",
        resource: &["path"],
        sensitive: &["query", "vector", "filter", "items"],
        errors: &[
            Code::PathLength,
            Code::ItemsNotIndexed,
            Code::SearchNeedsVector,
            Code::DimensionMismatch,
            Code::VectorNotFinite,
            Code::VectorZero,
            Code::NoEncoder,
            Code::PageTooLarge,
            Code::InvalidCursor,
        ],
    };
}

impl ReadRequest for Search {
    fn prepare(&mut self, engine: &Engine) -> Result<()> {
        if let (None, Some(query)) = (&self.vector, &self.query) {
            check_inline("query", query.len())?;
            self.encoded = engine.encode(query)?;
        }
        Ok(())
    }

    fn read(&self, snapshot: &Snapshot) -> Result<Found> {
        check_part("path", &self.path)?;
        let filter = self.filter.as_ref().map(Filter::parse).transpose()?;
        if self.query.is_none() && self.vector.is_none() {
            return self.list(snapshot, filter.as_ref());
        }
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        check_page(limit)?;
        if self.cursor.is_some() {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "cursor")
                .with("reason", "a search by query or vector goes on by offset"));
        }
        let settings = index::find(snapshot)?.ok_or_else(|| not_indexed("they have no index"))?;
        let vector = self.vector(&settings)?;
        settings.dimension.check(&vector, settings.metric)?;
        let (path, filter) = (&self.path[..], filter.as_ref());
        let ranked = Ranked { snapshot, settings: &settings, path, filter, vector: &vector };
        Ok(Found { items: ranked.page(self.offset, limit)?, cursor: None })
    }
}

impl Search {
    fn list(&self, snapshot: &Snapshot, filter: Option<&Filter>) -> Result<Found> {
        let prefix = start(snapshot, &self.path);
        let paging = Paging {
            prefix: &prefix,
            limit: Some(self.limit.unwrap_or(LIMIT_DEFAULT)),
            cursor: self.cursor.as_deref(),
            backward: false,
        };
        let mut passed = 0;
        let (items, cursor) = page(snapshot, &paging, &mut |key, row| {
            let item = Item::read(snapshot, &key, &row)?;
            let Some(item) = item.and_then(|item| matching(filter, item)) else { return Ok(None) };
            if passed < self.offset {
                passed += 1;
                return Ok(None);
            }
            Entry::new(&key, item, None).map(Some)
        })?;
        Ok(Found { items, cursor })
    }

    fn vector(&self, settings: &Settings) -> Result<Vec<f32>> {
        match (&self.vector, &self.query, &settings.encoder) {
            (Some(_), Some(_), _) | (None, None, _) => Err(Error::new(Code::SearchNeedsVector)),
            (Some(vector), None, _) => Ok(vector.clone()),
            (None, Some(_), None) => Err(not_indexed("their index has no encoder")),
            (None, Some(_), Some(encoder)) => match &self.encoded {
                Some(encoded) if encoded.encoder == *encoder => Ok(encoded.vector.clone()),
                own => Err(no_encoder(encoder, own.as_ref().map(|e| &*e.encoder))),
            },
        }
    }
}

/// The item, if its value matches.
pub(super) fn matching(filter: Option<&Filter>, item: Item) -> Option<Item> {
    let Some(filter) = filter else { return Some(item) };
    let value = Value::Object(item.value);
    if !filter.matches(&value) {
        return None;
    }
    let Value::Object(value) = value else { return None };
    Some(Item { value, ..item })
}
