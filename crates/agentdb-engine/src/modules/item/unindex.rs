//! `item.unindex`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::index::{Settings, find, key, not_indexed};
use crate::modules::collection::slots_counter;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::sweep::{self, Remains};
use crate::tx::Tx;

/// Drops the index of the namespace's items.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unindex {}

/// The answer to [`Unindex`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unindexed {
    /// The number that it had.
    pub number: u64,
}

impl Request for Unindex {
    type Response = Unindexed;
    const ABOUT: About = About {
        name: "item.unindex",
        doc: "Drops the index of the namespace’s items with all their vectors. The items stay; under a new index those are found by vectors that are put again.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "item.manage",
        resource: &[],
        sensitive: &[],
        errors: &[Code::ItemsNotIndexed],
    };
}

impl WriteRequest for Unindex {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Unindexed> {
        let settings = find(tx)?.ok_or_else(|| not_indexed("they have no index"))?;
        drop_index(tx, &settings)?;
        Ok(Unindexed { number: settings.number })
    }
}

/// Drops an index with its vectors, which are swept later.
pub(super) fn drop_index(tx: &mut Tx<'_>, settings: &Settings) -> Result<()> {
    tx.delete_bookkeeping(key(tx))?;
    tx.delete_bookkeeping(slots_counter(tx, settings.number))?;
    sweep::discard_unnamed(tx, Remains::Collection, settings.number)
}
