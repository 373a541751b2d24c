//! Paths of items, and the keys of their rows.

use agentdb_types::{Code, Error, Id, Result, limits};

use crate::Table;
use crate::key::Key;
use crate::read::Read;

/// Checks the path that an item lies under: 1 to 32 segments, each 1 to 512 bytes, kept exactly.
pub(super) fn check(path: &[String]) -> Result<()> {
    check_length("path", path, 1)
}

/// Checks the start or the end of a path, which may be empty.
pub(super) fn check_part(field: &'static str, path: &[String]) -> Result<()> {
    check_length(field, path, 0)
}

fn check_length(field: &'static str, path: &[String], least: usize) -> Result<()> {
    if !(least..=limits::PATH_SEGMENTS).contains(&path.len()) {
        return Err(Error::new(Code::PathLength)
            .with("field", field)
            .with("actual", path.len())
            .with("least", least)
            .with("limit", limits::PATH_SEGMENTS));
    }
    path.iter().try_for_each(|segment| Id::check(field, segment))
}

/// The common start of the keys of the items at a path and below it.
pub(super) fn start(rows: &dyn Read, path: &[String]) -> Key {
    path.iter().fold(rows.key(Table::Item), |key, segment| key.text(segment))
}

/// The common start of the keys of the items at a path.
pub(super) fn items_at(rows: &dyn Read, path: &[String]) -> Key {
    start(rows, path).text("")
}

/// The key of an item.
///
/// # Errors
/// [`Code::PathLength`], [`Code::IdEmpty`], [`Code::IdTooLong`].
pub(super) fn key_of(rows: &dyn Read, path: &[String], key: &str) -> Result<Key> {
    check(path)?;
    Id::check("key", key)?;
    Ok(items_at(rows, path).text(key))
}

/// The path and the key of an item, from the key of its row.
pub(super) fn parts(key: &Key) -> Result<(Vec<String>, String)> {
    let mut components = key.components();
    let mut path = Vec::new();
    loop {
        let segment = components.text()?;
        if segment.is_empty() {
            return Ok((path, components.text()?));
        }
        path.push(segment);
    }
}
