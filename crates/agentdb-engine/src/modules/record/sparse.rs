//! The sparse vectors of a record. They lie in its row: whoever reads the record reads them.

use std::collections::BTreeMap;

use agentdb_types::Result;

use super::Record;
use crate::SparseVector;
use crate::modules::collection::{self, Head};
use crate::sparse::SparseComponents;

/// The sparse vectors that a write gives, by the numbers of their names.
pub(super) fn of(
    head: &Head,
    collection: &str,
    given: &BTreeMap<String, SparseVector>,
) -> Result<BTreeMap<u64, SparseComponents>> {
    given.iter().map(|(name, vector)| one(head, collection, name, vector)).collect()
}

fn one(head: &Head, collection: &str, name: &str, vector: &SparseVector) -> Result<(u64, SparseComponents)> {
    let number = collection::sparse::named(head, collection, name)?;
    let components = vector.check(&format!("sparse.{name}"))?;
    Ok((number, components))
}

/// Replaces, adds and removes sparse vectors; those of names that were dropped go.
pub(super) fn patch(
    head: &Head,
    collection: &str,
    given: &BTreeMap<String, Option<SparseVector>>,
    sparse: &mut BTreeMap<u64, SparseComponents>,
) -> Result<()> {
    for (name, vector) in given {
        match vector {
            Some(vector) => sparse.extend([one(head, collection, name, vector)?]),
            None => drop(sparse.remove(&collection::sparse::named(head, collection, name)?)),
        }
    }
    sparse.retain(|number, _| head.sparse.values().any(|known| known == number));
    Ok(())
}

/// Those that the collection has names for.
pub(super) fn shown(head: &Head, record: &Record) -> BTreeMap<String, SparseVector> {
    let of = |(name, number): (&String, &u64)| Some((name.clone(), record.sparse.get(number)?.vector()));
    head.sparse.iter().filter_map(of).collect()
}

/// About how many bytes they take.
pub(super) fn weigh<'a>(given: impl IntoIterator<Item = (&'a String, Option<&'a SparseVector>)>) -> usize {
    given.into_iter().map(|(name, vector)| 64 + name.len() + 16 * vector.map_or(0, |v| v.indices.len())).sum()
}
