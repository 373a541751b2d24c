//! The sparse vectors of a collection's records. Each name has a number of its own, so that what records have under a name that was
//! dropped does not come back with it.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Head, vectors};
use crate::modules::namespace::check_name;
use crate::tx::Tx;

/// How a sparse vector of a collection's records is: by the dot product it is compared, and there is no more to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SparseSettings {}

/// Refuses names that cannot be, and too many.
pub(super) fn check_all(sparse: &BTreeMap<String, SparseSettings>) -> Result<()> {
    vectors::check_count(sparse.len())?;
    sparse.keys().try_for_each(|name| check_name("sparse", name))
}

/// Gives each a number.
pub(super) fn allot_all(
    tx: &mut Tx<'_>,
    sparse: &BTreeMap<String, SparseSettings>,
) -> Result<BTreeMap<String, u64>> {
    sparse.keys().map(|name| Ok((name.clone(), vectors::allot_number(tx)?))).collect()
}

/// Adds the names that have settings, drops the others.
pub(super) fn alter(
    tx: &mut Tx<'_>,
    head: &mut Head,
    collection: &str,
    changes: &BTreeMap<String, Option<SparseSettings>>,
) -> Result<()> {
    for (name, settings) in changes {
        check_name("sparse", name)?;
        match settings {
            Some(SparseSettings {}) if head.sparse.contains_key(name) => {}
            Some(SparseSettings {}) => {
                head.sparse.insert(name.clone(), vectors::allot_number(tx)?);
            }
            None => {
                named(head, collection, name)?;
                head.sparse.remove(name);
            }
        }
    }
    vectors::check_count(head.sparse.len())
}

/// What is told of them.
pub(super) fn settings(sparse: &BTreeMap<String, u64>) -> BTreeMap<String, SparseSettings> {
    sparse.keys().map(|name| (name.clone(), SparseSettings {})).collect()
}

/// The number of the one of this name.
///
/// # Errors
/// [`Code::VectorUnknown`].
pub(crate) fn named(head: &Head, collection: &str, name: &str) -> Result<u64> {
    let number = head.sparse.get(name).copied();
    number.ok_or_else(|| Error::new(Code::VectorUnknown).with("collection", collection).with("name", name))
}
