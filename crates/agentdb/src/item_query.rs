//! What to search items for.

use agentdb_engine::modules::item::Search;
use serde_json::Value;

/// What [`Items`](crate::Items) are searched for: all, or those nearest to a text or a vector; which match, and how many. A
/// text or a vector alone is a query for the ten best.
#[derive(Clone, Debug)]
pub struct ItemQuery {
    search: Search,
}

impl ItemQuery {
    /// All items, by path and key.
    ///
    /// ```
    /// # use agentdb::{ItemQuery, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().at(["users"]).put("a", json!({})).wait()?;
    /// assert_eq!(ns.items().search(ItemQuery::all())?.items.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn all() -> Self {
        ItemQuery { search: Search::default() }
    }

    /// The items nearest to a text, which is encoded by the encoder of the index of items.
    ///
    /// ```
    /// # use agentdb::{Code, ItemQuery};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let refused = ns.items().search(ItemQuery::text("what do agents know"));
    /// assert_eq!(refused.unwrap_err().code(), Code::ItemsNotIndexed);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        ItemQuery { search: Search { query: Some(text.into()), ..Search::default() } }
    }

    /// The items nearest to a vector.
    ///
    /// ```
    /// # use agentdb::{ItemQuery, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().index().dimension(2).wait()?;
    /// ns.items().at(["users"]).put("a", json!({})).vector("v", [1.0, 0.0]).wait()?;
    /// assert_eq!(ns.items().search(ItemQuery::vector([1.0, 0.0]))?.items[0].score, Some(1.0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn vector(vector: impl Into<Vec<f32>>) -> Self {
        ItemQuery { search: Search { vector: Some(vector.into()), ..Search::default() } }
    }

    /// Only items whose values match.
    ///
    /// ```
    /// # use agentdb::{ItemQuery, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().at(["users"]).put("a", json!({"stars": 3})).wait()?;
    /// let good = ItemQuery::all().filter(json!({"stars": {"$gt": 3}}));
    /// assert!(ns.items().search(good)?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn filter(mut self, filter: impl Into<Value>) -> Self {
        self.search.filter = Some(filter.into());
        self
    }

    /// How many items at most; 10 if not said.
    ///
    /// ```
    /// # use agentdb::{ItemQuery, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for key in ["a", "b"] {
    ///     ns.items().at(["users"]).put(key, json!({})).wait()?;
    /// }
    /// assert_eq!(ns.items().search(ItemQuery::all().limit(1))?.items.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.search.limit = Some(limit);
        self
    }

    /// How many to pass over first.
    ///
    /// ```
    /// # use agentdb::{ItemQuery, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for key in ["a", "b"] {
    ///     ns.items().at(["users"]).put(key, json!({})).wait()?;
    /// }
    /// assert_eq!(ns.items().search(ItemQuery::all().offset(1))?.items[0].key, "b");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn offset(mut self, offset: usize) -> Self {
        self.search.offset = offset;
        self
    }

    pub(crate) fn of(self, path: Vec<String>) -> Search {
        Search { path, ..self.search }
    }
}

impl From<&str> for ItemQuery {
    fn from(text: &str) -> Self {
        ItemQuery::text(text)
    }
}

impl From<String> for ItemQuery {
    fn from(text: String) -> Self {
        ItemQuery::text(text)
    }
}

impl From<Vec<f32>> for ItemQuery {
    fn from(vector: Vec<f32>) -> Self {
        ItemQuery::vector(vector)
    }
}
