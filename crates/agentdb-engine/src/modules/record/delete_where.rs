//! `record.delete_where`.

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{find, key, remove};
use crate::filter::Filter;
use crate::modules::collection;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::sweep::Remains;
use crate::tx::Tx;
use crate::{Engine, NamespaceId, numbers};

/// Deletes the records that match a filter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteWhere {
    /// The collection.
    pub collection: String,
    /// Only records whose payload matches (docs/filters.md); `{}` is all of them.
    pub filter: Value,
    /// How many at most; 1,000 if not given, 2,000 at most. Which ones, if more match, is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The records that matched when the request arrived, and whether there were more.
    #[serde(skip)]
    #[doc(hidden)]
    pub found: Option<(Vec<String>, bool)>,
}

/// The answer to [`DeleteWhere`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeletedWhere {
    /// How many records were deleted.
    pub deleted: u64,
    /// Whether there may be more: send the request again until there are not.
    pub more: bool,
}

/// Records of one request when the caller does not say.
const LIMIT: usize = 1_000;

impl DeleteWhere {
    /// Deletes what matches this filter.
    pub fn new(collection: impl Into<String>, filter: Value) -> Self {
        DeleteWhere { collection: collection.into(), filter, limit: None, found: None }
    }
}

impl Request for DeleteWhere {
    type Response = DeletedWhere;
    const ABOUT: About = About {
        name: "record.delete_where",
        doc: "Deletes the records that match a filter: those that match when the request arrives, and still do when it is decided. All of one request go at once; there are limits, and the answer says whether to go on.",
        effect: Effect::Write,
        scope: Scope::Namespace,
        permission: "record.write",
        resource: &["collection"],
        sensitive: &["filter"],
        errors: &[Code::CollectionNotFound, Code::PageTooLarge, Code::FilterTypeMismatch],
    };
}

impl WriteRequest for DeleteWhere {
    fn prepare_in(&mut self, engine: &Engine, namespace: NamespaceId) -> Result<()> {
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=limits::DELETE_WHERE).contains(&limit) {
            return Err(Error::new(Code::PageTooLarge)
                .with("actual", limit)
                .with("limit", limits::DELETE_WHERE));
        }
        let snapshot = engine.snapshot(namespace)?;
        let head = collection::find(&snapshot, &self.collection)?;
        let filter = Filter::parse_typed(&self.filter, &head.fields)?;
        let mut found = (Vec::new(), false);
        snapshot.core.records.read(&snapshot, &head, false, &mut |at| {
            let matching = at.matching(Some(&filter))?;
            let ids = matching.iter().take(limit).map(|ordinal| at.id(ordinal).to_owned());
            found = (ids.collect(), matching.len() > limit as u64);
            Ok(())
        })?;
        self.found = Some(found);
        Ok(())
    }

    fn decide(&self, tx: &mut Tx<'_>) -> Result<DeletedWhere> {
        let head = collection::find(tx, &self.collection)?;
        let filter = Filter::parse_typed(&self.filter, &head.fields)?;
        let Some((found, more)) = &self.found else { return Ok(DeletedWhere { deleted: 0, more: true }) };
        let mut deleted = 0;
        for id in found {
            let key = key(tx, head.number, id)?;
            if let Some((_, record)) = find(tx, &key)?
                && filter.matches(&Value::Object(record.payload))
            {
                numbers::tell(tx, Remains::Collection, head.number, &self.collection);
                remove(tx, head.number, key)?;
                deleted += 1;
            }
        }
        Ok(DeletedWhere { deleted, more: *more })
    }

    fn weight(&self) -> usize {
        let found = self.found.iter().flat_map(|(found, _)| found);
        512 + crate::modules::weigh(&self.filter) + found.map(|id| 64 + id.len()).sum::<usize>()
    }
}
