//! `namespace.list`.

use agentdb_types::{Code, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Entry;
use crate::modules::{Paging, check_page, page};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Snapshot, Table, cursor, row_json};

/// Lists namespaces by name, `default` first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct List {
    /// How many at most; 100 if not given.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The namespaces.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "namespace.list",
        doc: "Lists namespaces by name, `default` first.",
        effect: Effect::Read,
        scope: Scope::Database,
        permission: "namespace.read",
        resource: &[],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let table = snapshot.key(Table::Namespace);
        let rows = |limit: usize| {
            let paging = Paging {
                prefix: &table,
                limit: Some(limit),
                cursor: self.cursor.as_deref(),
                backward: false,
            };
            page(snapshot, &paging, &mut |key, row| {
                let name = key.components().text()?;
                Ok(Some(Entry::new(name, row_json::decode(&row)?)))
            })
        };
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        if self.cursor.is_some() {
            let (items, cursor) = rows(limit)?;
            return Ok(Listed { items, cursor });
        }
        // `default` has no row. It is the first item of the first page, as if its name were the empty one.
        let (mut items, mut cursor) = rows((limit - 1).max(1))?;
        if limit == 1 && !items.is_empty() {
            items.clear();
            cursor = Some(cursor::encode(&table, &table.clone().text("")));
        }
        items.insert(0, Entry::default_namespace());
        Ok(Listed { items, cursor })
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::namespace::{Create, List};
    use crate::modules::testing::TestDb;

    #[test]
    fn pages_of_any_size_hold_no_more_than_was_asked_for_and_every_namespace_once() {
        for count in 0..5 {
            let db = TestDb::new(1);
            let names: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
            for name in &names {
                db.write(Create { name: name.clone(), description: String::new() }).unwrap();
            }
            for limit in 1..8 {
                let (mut listed, mut cursor) = (Vec::new(), None);
                loop {
                    let page = db.read(List { limit: Some(limit), cursor }).unwrap();
                    assert!((1..=limit).contains(&page.items.len()), "{} of {limit}", page.items.len());
                    listed.extend(page.items.into_iter().map(|entry| entry.name));
                    cursor = page.cursor;
                    if cursor.is_none() {
                        break;
                    }
                }
                assert_eq!(listed[0], "default");
                assert_eq!(listed[1..], names, "{count} by {limit}");
            }
        }
        assert!(TestDb::new(1).read(List { limit: Some(0), cursor: None }).is_err());
    }
}
