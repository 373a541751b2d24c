//! `record.count`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode;
use crate::filter::Filter;
use crate::modules::collection;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::{Page, Read};
use crate::{Snapshot, Table};

/// Counts records.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The collection.
    pub collection: String,
    /// Only records whose payload matches (docs/filters.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
}

/// The answer to [`Count`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// How many there are.
    pub count: u64,
}

impl Request for Count {
    type Response = Counted;
    const ABOUT: About = About {
        name: "record.count",
        doc: "Counts records, by reading them: expired ones are left out.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection"],
        sensitive: &["filter"],
        errors: &[Code::CollectionNotFound],
    };
}

impl ReadRequest for Count {
    fn read(&self, snapshot: &Snapshot) -> Result<Counted> {
        let number = collection::find(snapshot, &self.collection)?.number;
        let filter = self.filter.as_ref().map(Filter::parse).transpose()?;
        let mut count = 0;
        snapshot.scan_prefix(&snapshot.key(Table::Record).u64(number), Page::Forward, &mut |_, row| {
            if let Some((_, record)) = decode(&row, snapshot.now())? {
                let payload = Value::Object(record.payload);
                count += u64::from(filter.as_ref().is_none_or(|f| f.matches(&payload)));
            }
            Ok(true)
        })?;
        Ok(Counted { count })
    }
}
