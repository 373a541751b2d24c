//! Namespaces: the isolation unit. Their list lies in the system namespace; their rows carry their number, which is
//! never used twice, so that a deleted namespace is gone at once and swept later.

mod create;
mod delete;
mod fork;
mod get;
mod list;

pub use create::{Create, Created};
pub use delete::{Delete, Deleted};
pub(crate) use fork::{
    BeginFork, Forking, Row as ForkRow, abandon as abandon_fork, at as fork_at, completed as fork_completed,
    rows_aside as fork_rows, translate as fork_key,
};
pub use fork::{Fork, Forked};
pub use get::{Entry, Get};
pub use list::{List, Listed};

use agentdb_types::{Code, Error, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key::{Key, NamespaceId};
use crate::operation::{Operation, Shape};
use crate::read::{Page, Read};
use crate::tx::Tx;
use crate::{Snapshot, Table, row_json};

/// The namespace that always exists.
pub const DEFAULT: &str = "default";
/// The first number that `namespace.create` gives.
const FIRST_NUMBER: u64 = 2;

#[derive(Serialize, Deserialize)]
pub(crate) struct Head {
    number: u64,
    created: Timestamp,
    description: String,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::write::<Create>(),
        Operation::write::<Delete>(),
        Operation::shaped::<Fork>(Shape::Long),
        Operation::read::<Get>(),
        Operation::read::<List>(),
    ]
}

/// A number that no namespace had before.
fn allot(tx: &mut Tx<'_>) -> Result<u64> {
    Ok(FIRST_NUMBER - 1 + tx.add(tx.counter("namespaces"), 1)?.unsigned_abs())
}

fn key(name: &str) -> Key {
    Key::new(NamespaceId::SYSTEM, Table::Namespace).text(name)
}

fn not_found(name: &str) -> Error {
    Error::new(Code::NamespaceNotFound).with("name", name)
}

/// Checks a name: letters, digits, `_`, `-` and `.`, not starting with a dot. It is part of paths and addresses.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<()> {
    Id::check(field, name)?;
    let invalid = |reason: &str| {
        Error::new(Code::InvalidName).with("field", field).with("value", name).with("reason", reason)
    };
    if name.starts_with('.') {
        return Err(invalid("it starts with a dot"));
    }
    match name.chars().find(|c| !(c.is_alphanumeric() || "_-.".contains(*c))) {
        Some(c) => Err(invalid(&format!("it contains {c:?}"))),
        None => Ok(()),
    }
}

fn head(rows: &dyn Read, name: &str) -> Result<Option<Head>> {
    rows.get(&key(name))?.map(|row| row_json::decode(&row)).transpose()
}

/// The number of the namespace of this name.
pub(crate) fn find(system: &Snapshot, name: &str) -> Result<NamespaceId> {
    if name == DEFAULT {
        return Ok(NamespaceId::DEFAULT);
    }
    Id::check("namespace", name)?;
    head(system, name)?.map(|h| NamespaceId(h.number)).ok_or_else(|| not_found(name))
}

/// The namespace of this number.
///
/// # Errors
/// [`Code::NamespaceNotFound`] if it was deleted.
pub(crate) fn entry(system: &Snapshot, namespace: NamespaceId) -> Result<Entry> {
    if namespace == NamespaceId::DEFAULT {
        return Ok(Entry::default_namespace());
    }
    let mut found = None;
    system.scan_prefix(&system.key(Table::Namespace), Page::Forward, &mut |key, row| {
        let head: Head = row_json::decode(&row)?;
        if head.number == namespace.number() {
            found = Some(Entry::new(key.components().text()?, head));
        }
        Ok(found.is_none())
    })?;
    found.ok_or_else(|| not_found(&format!("number {}", namespace.number())))
}

/// The numbers of all namespaces, the system's included.
pub(crate) fn all(system: &Snapshot) -> Result<Vec<NamespaceId>> {
    let mut numbers = vec![NamespaceId::SYSTEM, NamespaceId::DEFAULT];
    system.scan_prefix(&system.key(Table::Namespace), Page::Forward, &mut |_, row| {
        numbers.push(NamespaceId(row_json::decode::<Head>(&row)?.number));
        Ok(true)
    })?;
    Ok(numbers)
}
