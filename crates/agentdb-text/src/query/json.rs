//! Queries from JSON, with the path of what is wrong.

use std::fmt;

use agentdb_types::{Code, Error, Result, json};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::Query;

const KINDS: &[&str] = &["match", "phrase", "prefix", "fuzzy", "boolean", "boost", "syntax"];

impl Query {
    /// Reads a query from JSON.
    ///
    /// # Errors
    /// [`Code::TextQueryInvalid`] with the path of what is wrong. What depends on the index (the names of fields, limits)
    /// is looked at when the query is used.
    pub fn from_json(value: &Value) -> Result<Query> {
        serde_path_to_error::deserialize(value).map_err(|err| {
            let path = match err.path().to_string().as_str() {
                "." => "query".to_owned(),
                path => format!("query.{path}"),
            };
            invalid(path, json::reason(err.inner()))
        })
    }
}

/// The error of a query that is wrong at a path.
pub(crate) fn invalid(path: impl fmt::Display, reason: impl fmt::Display) -> Error {
    Error::new(Code::TextQueryInvalid).with("path", path).with("reason", reason)
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QueryVisitor)
    }
}

struct QueryVisitor;

impl<'de> Visitor<'de> for QueryVisitor {
    type Value = Query;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text, or an object of one key: {}", KINDS.join(", "))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Query, E> {
        Ok(Query::Text(text.to_owned()))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Query, M::Error> {
        let Some(kind) = map.next_key::<String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let query = match kind.as_str() {
            "match" => Query::Match(map.next_value()?),
            "phrase" => Query::Phrase(map.next_value()?),
            "prefix" => Query::Prefix(map.next_value()?),
            "fuzzy" => Query::Fuzzy(map.next_value()?),
            "boolean" => Query::Boolean(map.next_value()?),
            "boost" => Query::Boost(map.next_value()?),
            "syntax" => Query::Syntax(map.next_value()?),
            other => return Err(de::Error::unknown_variant(other, KINDS)),
        };
        match map.next_key::<String>()? {
            None => Ok(query),
            Some(second) => Err(de::Error::custom(format_args!("both {kind} and {second}: give one kind"))),
        }
    }
}
