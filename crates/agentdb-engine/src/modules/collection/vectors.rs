//! The named vectors of a collection's records. Each name has a number of its own, as a collection has, under which its rows
//! lie in the table of vectors: a name is dropped at once, and its rows are swept later.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result, limits};
use agentdb_vector::{Dimension, Metric};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::modules::namespace::check_name;
use crate::sweep::{self, Remains};
use crate::tx::Tx;

/// How a named vector of a collection's records is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorSettings {
    /// Its components, 1 to 8,192.
    pub dimension: usize,
    /// How it is compared; by the cosine if not given.
    #[serde(default = "cosine")]
    pub metric: Metric,
}

fn cosine() -> Metric {
    Metric::Cosine
}

/// A named vector as the collection's row holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VectorSpace {
    /// The number under which its rows are kept.
    pub(crate) number: u64,
    pub(crate) dimension: Dimension,
    pub(crate) metric: Metric,
}

impl VectorSpace {
    /// What is told of it.
    pub(super) fn settings(&self) -> VectorSettings {
        VectorSettings { dimension: self.dimension.get(), metric: self.metric }
    }
}

/// Refuses names and dimensions that cannot be, and too many.
pub(super) fn check_all(vectors: &BTreeMap<String, VectorSettings>) -> Result<()> {
    check_count(vectors.len())?;
    vectors.iter().try_for_each(|(name, settings)| {
        check_name("vectors", name)?;
        Dimension::new(settings.dimension).map(drop)
    })
}

pub(super) fn check_count(actual: usize) -> Result<()> {
    if actual <= limits::NAMED_VECTORS {
        return Ok(());
    }
    Err(Error::new(Code::TooManyVectors).with("actual", actual).with("limit", limits::NAMED_VECTORS))
}

/// Gives each a number.
pub(super) fn allot_all(
    tx: &mut Tx<'_>,
    vectors: &BTreeMap<String, VectorSettings>,
) -> Result<BTreeMap<String, VectorSpace>> {
    vectors.iter().map(|(name, settings)| Ok((name.clone(), allot(tx, *settings)?))).collect()
}

/// Gives one a number.
pub(super) fn allot(tx: &mut Tx<'_>, settings: VectorSettings) -> Result<VectorSpace> {
    let dimension = Dimension::new(settings.dimension)?;
    let number = allot_number(tx)?;
    Ok(VectorSpace { number, dimension, metric: settings.metric })
}

/// A number that neither a collection nor a name of vectors had.
pub(super) fn allot_number(tx: &mut Tx<'_>) -> Result<u64> {
    Ok(tx.add(tx.counter("collections"), 1)?.unsigned_abs())
}

/// Leaves the rows of one to the sweeper.
pub(super) fn discard(tx: &mut Tx<'_>, space: VectorSpace) -> Result<()> {
    sweep::discard_unnamed(tx, Remains::Collection, space.number)
}

/// The one of this name.
///
/// # Errors
/// [`Code::VectorUnknown`].
pub(crate) fn named<'a>(
    vectors: &'a BTreeMap<String, VectorSpace>,
    collection: &str,
    name: &str,
) -> Result<&'a VectorSpace> {
    vectors
        .get(name)
        .ok_or_else(|| Error::new(Code::VectorUnknown).with("collection", collection).with("name", name))
}
