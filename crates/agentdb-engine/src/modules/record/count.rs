//! `record.count`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Snapshot;
use crate::filter::Filter;
use crate::modules::collection;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};

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
        doc: "Counts records; expired ones are left out.",
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
        let head = collection::find(snapshot, &self.collection)?;
        let filter = self.filter.as_ref().map(|json| Filter::parse_typed(json, &head.fields)).transpose()?;
        if filter.is_none() && !head.expiring {
            let count = collection::counted(snapshot, &collection::records_counter(snapshot, head.number))?;
            return Ok(Counted { count });
        }
        let mut count = 0;
        snapshot.core.records.read(snapshot, &head, false, &mut |at| {
            count = at.matching(filter.as_ref())?.len();
            Ok(())
        })?;
        Ok(Counted { count })
    }
}
