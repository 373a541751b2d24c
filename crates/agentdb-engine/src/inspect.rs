//! Rows in words, for messages and the inspector.

use std::collections::BTreeMap;

use agentdb_types::Result;

use crate::key::{Key, NamespaceId};
use crate::read::{Page, Read};
use crate::{Engine, Table};

/// A key in words: namespace number, table, and the components as far as they are text.
pub fn describe(key: &[u8]) -> String {
    let namespace = Key::namespace_of(key).map_or("?".to_owned(), |n| n.number().to_string());
    let table = Key::table_of(key).and_then(Table::from_number).map_or("?", Table::name);
    let rest = key.get(9..).unwrap_or_default();
    format!("namespace {namespace} table {table} key {}", rest.escape_ascii())
}

impl Engine {
    /// How many rows each table of a namespace has, by the tables' names.
    ///
    /// # Errors
    /// [`NamespaceNotFound`](agentdb_types::Code::NamespaceNotFound), errors of rows and files.
    pub fn count_rows(&self, namespace: NamespaceId) -> Result<BTreeMap<&'static str, u64>> {
        let snapshot = self.snapshot(namespace)?;
        let mut counts = BTreeMap::new();
        for &table in Table::ALL {
            let mut count = 0;
            snapshot.scan_prefix(&snapshot.key(table), Page::Forward, &mut |_, _| {
                count += 1;
                Ok(true)
            })?;
            if count > 0 {
                counts.insert(table.name(), count);
            }
        }
        Ok(counts)
    }
}
