//! Rows in words, for messages and the inspector.

use crate::Table;
use crate::key::Key;

/// A key in words: namespace number, table, and the components as far as they are text.
pub fn describe(key: &[u8]) -> String {
    let namespace = Key::namespace_of(key).map_or("?".to_owned(), |n| n.number().to_string());
    let table = Key::table_of(key).and_then(Table::from_number).map_or("?", Table::name);
    let rest = key.get(9..).unwrap_or_default();
    format!("namespace {namespace} table {table} key {}", rest.escape_ascii())
}
