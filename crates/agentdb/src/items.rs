//! Items under hierarchical paths.

use std::time::Duration;

use agentdb_engine::modules::item;
use agentdb_types::{Code, Lsn, Result};
use serde_json::Value;

use crate::write::{micros, object};
use crate::{ItemQuery, Namespace, Page, Write, present};

/// The items at a path and below it; those of the whole namespace, until [`Items::at`] names a path.
#[derive(Clone)]
pub struct Items {
    namespace: Namespace,
    path: Vec<String>,
}

impl Items {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Items { namespace, path: Vec::new() }
    }

    /// The items at a path, whose segments go on from this one's.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let users = ns.items().at(["users"]);
    /// users.at(["ann"]).put("prefs", json!({"theme": "dark"})).wait()?;
    /// assert!(ns.items().at(["users", "ann"]).get("prefs")?.is_some());
    /// assert!(users.get("prefs")?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn at(&self, segments: impl IntoIterator<Item = impl Into<String>>) -> Items {
        let mut items = self.clone();
        items.path.extend(segments.into_iter().map(Into::into));
        items
    }

    /// Stores an item at the path, replacing the one of this key.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let prefs = ns.items().at(["users", "ann"]);
    /// assert!(prefs.put("prefs", json!({"theme": "dark"})).wait()?.response.created);
    /// assert!(prefs.put("prefs", json!("no object")).wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn put(&self, key: impl Into<String>, value: impl Into<Value>) -> Write<item::Put> {
        let put = item::Put::new(self.path.clone(), key, Default::default());
        self.namespace.write(put).try_with(|put| {
            put.value = object("value", value.into())?;
            Ok(())
        })
    }

    /// An item at the path; `None` if there is none.
    ///
    /// # Errors
    /// [`Code::PathLength`].
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let prefs = ns.items().at(["users", "ann"]);
    /// prefs.put("prefs", json!({"theme": "dark"})).wait()?;
    /// assert_eq!(prefs.get("prefs")?.unwrap().value["theme"], "dark");
    /// assert!(prefs.get("none")?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get(&self, key: impl Into<String>) -> Result<Option<item::Entry>> {
        let get = item::Get { path: self.path.clone(), key: key.into() };
        present(self.namespace.read(get), Code::ItemNotFound)
    }

    /// The same, with its time to live renewed: a write, if the item has one.
    ///
    /// # Errors
    /// Those of [`Items::get`] and of a write.
    ///
    /// ```
    /// # use agentdb::json;
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let prefs = ns.items().at(["users", "ann"]);
    /// prefs.put("prefs", json!({"theme": "dark"})).ttl(Duration::from_secs(60)).wait()?;
    /// let first = prefs.get("prefs")?.unwrap();
    /// let renewed = prefs.get_renewed("prefs")?.unwrap();
    /// assert!(renewed.expires >= first.expires && renewed.version == first.version);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get_renewed(&self, key: impl Into<String>) -> Result<Option<item::Entry>> {
        let found = self.get(key)?;
        Ok(self.renewed(found.into_iter().collect())?.pop())
    }

    /// Deletes an item at the path; no error if there is none.
    ///
    /// ```
    /// # use agentdb::{json, modules::item::ListPaths};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let prefs = ns.items().at(["users", "ann"]);
    /// prefs.put("prefs", json!({})).wait()?;
    /// assert!(prefs.delete("prefs").wait()?.response.deleted);
    /// assert!(ns.items().paths(ListPaths::default())?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self, key: impl Into<String>) -> Write<item::Delete> {
        let (path, key) = (self.path.clone(), key.into());
        self.namespace.write(item::Delete { path, key, expected_version: None })
    }

    /// Renews the time to live of items at the path, and reads them: `None` where there is none.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let prefs = ns.items().at(["users", "ann"]);
    /// prefs.put("prefs", json!({})).wait()?;
    /// let touched = prefs.touch(["prefs", "none"]).wait()?.response.items;
    /// assert!(touched[0].is_some() && touched[1].is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn touch(&self, keys: impl IntoIterator<Item = impl Into<String>>) -> Write<item::Touch> {
        let place = |key: String| item::Place { path: self.path.clone(), key };
        let items = keys.into_iter().map(Into::into).map(place).collect();
        self.namespace.write(item::Touch { items })
    }

    /// The items at the path and below it that a query is for.
    ///
    /// # Errors
    /// [`Code::ItemsNotIndexed`], [`Code::NoEncoder`], [`Code::DimensionMismatch`], [`Code::InvalidValue`],
    /// [`Code::PageTooLarge`].
    ///
    /// ```
    /// # use agentdb::{ItemQuery, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().at(["users", "ann"]).put("a", json!({"stars": 3})).wait()?;
    /// ns.items().at(["users", "bob"]).put("b", json!({"stars": 5})).wait()?;
    /// let good = ItemQuery::all().filter(json!({"stars": {"$gte": 4}}));
    /// let found = ns.items().at(["users"]).search(good)?.items;
    /// assert_eq!((found.len(), &*found[0].path), (1, &["users".to_owned(), "bob".to_owned()][..]));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn search(&self, query: impl Into<ItemQuery>) -> Result<item::Found> {
        self.namespace.read(query.into().of(self.path.clone()))
    }

    /// The same, with the times to live of what is found renewed: a write, if any of them has one. What expired in between is
    /// left out.
    ///
    /// # Errors
    /// Those of [`Items::search`] and of a write.
    ///
    /// ```
    /// # use agentdb::{ItemQuery, json};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().at(["users", "ann"]).put("a", json!({})).ttl(Duration::from_secs(60)).wait()?;
    /// assert_eq!(ns.items().search_renewed(ItemQuery::all())?.items.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn search_renewed(&self, query: impl Into<ItemQuery>) -> Result<item::Found> {
        let found = self.search(query)?;
        Ok(item::Found { items: self.renewed(found.items)?, ..found })
    }

    /// Entries with their times to live renewed, their scores as they were. What lives for ever is not asked for again.
    fn renewed(&self, entries: Vec<item::Entry>) -> Result<Vec<item::Entry>> {
        let mortal = |entry: &&item::Entry| entry.expires.is_some();
        let place = |entry: &item::Entry| item::Place { path: entry.path.clone(), key: entry.key.clone() };
        let items: Vec<_> = entries.iter().filter(mortal).map(place).collect();
        if items.is_empty() {
            return Ok(entries);
        }
        let mut touched = self.namespace.write(item::Touch { items }).wait()?.response.items.into_iter();
        let renew = |entry: item::Entry| match entry.expires {
            None => Some(entry),
            Some(_) => touched.next()?.map(|renewed| item::Entry { score: entry.score, ..renewed }),
        };
        Ok(entries.into_iter().map(renew).collect::<Vec<_>>().into_iter().flatten().collect())
    }

    /// The paths that have items, those at this one's or below it that match.
    ///
    /// # Errors
    /// [`Code::PathLength`], [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::{json, modules::item::{Condition, ListPaths}};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for (user, kind) in [("ann", "prefs"), ("ann", "facts"), ("bob", "prefs")] {
    ///     ns.items().at(["users", user, kind]).put("k", json!({})).wait()?;
    /// }
    /// let conditions = vec![Condition::Suffix(vec!["*".into(), "prefs".into()])];
    /// let with_prefs = ListPaths { conditions, max_depth: Some(2), ..ListPaths::default() };
    /// let listed = ns.items().at(["users"]).paths(with_prefs)?.items;
    /// assert_eq!(listed.iter().map(|found| found.path.join("/")).collect::<Vec<_>>(), ["users/ann", "users/bob"]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn paths(&self, mut list: item::ListPaths) -> Result<item::PathsListed> {
        if !self.path.is_empty() {
            list.conditions.push(item::Condition::Prefix(self.path.clone()));
        }
        self.namespace.read(list)
    }

    /// A page of the items at the path and below it, by path and key.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`]; [`Code::InvalidValue`] for a page of a prefix or from the end.
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for key in ["a", "b", "c"] {
    ///     ns.items().at(["users"]).put(key, json!({})).wait()?;
    /// }
    /// let first = ns.items().list(Page::first(2))?;
    /// let rest = ns.items().list(Page::first(2).after(first.cursor.unwrap()))?;
    /// assert_eq!((rest.items[0].key.as_str(), rest.cursor), ("c", None));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, page: Page) -> Result<item::Found> {
        let Page { limit, cursor, reverse, .. } = page.without_prefix()?;
        if reverse {
            let reason = "items are listed from the first to the last";
            return Err(agentdb_types::Error::new(Code::InvalidValue)
                .with("field", "reverse")
                .with("reason", reason));
        }
        let limit = Some(limit.unwrap_or(agentdb_types::limits::PAGE_DEFAULT));
        let path = self.path.clone();
        self.namespace.read(item::Search { path, limit, cursor, ..item::Search::default() })
    }

    /// Sets up how the items of the namespace, whatever the path, are found by vectors and texts: those that are put from then
    /// on. The write is told an [encoder](Write::encoder) or a [dimension](Write::dimension).
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().index().dimension(2).wait()?;
    /// let notes = ns.items().at(["notes"]);
    /// notes.put("a", json!({})).vector("text", [1.0, 0.0]).wait()?;
    /// notes.put("b", json!({})).vector("title", [1.0, 1.0]).vector("text", [0.0, 1.0]).wait()?;
    /// let found = notes.search(vec![0.0, 2.0])?.items;
    /// assert_eq!((found[0].key.as_str(), found[0].score), ("b", Some(1.0)));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn index(&self) -> Write<item::Index> {
        self.namespace.write(item::Index::default())
    }

    /// How the items of the namespace are found by vectors and texts; `None` if they are not.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.items().index_settings()?.is_none());
    /// ns.items().index().dimension(2).wait()?;
    /// assert_eq!(ns.items().index_settings()?.unwrap().dimension.get(), 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn index_settings(&self) -> Result<Option<item::Settings>> {
        Ok(self.namespace.read(item::GetIndex {})?.index)
    }

    /// Drops the index of the namespace's items with all their vectors. The items stay. Refused with
    /// [`Code::ItemsNotIndexed`] if there is none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().index().dimension(2).wait()?;
    /// ns.items().unindex().wait()?;
    /// assert!(ns.items().index_settings()?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn unindex(&self) -> Write<item::Unindex> {
        self.namespace.write(item::Unindex {})
    }
}

impl Write<item::Put> {
    /// The item expires after this time, counted in whole microseconds, rounded up, and anew whenever it is touched.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let stored = ns.items().at(["cache"]).put("a", json!({})).ttl(std::time::Duration::from_secs(60)).wait()?;
    /// assert!(stored.response.expires.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|put| put.ttl_us = Some(micros(ttl)))
    }

    /// Whether the item is found by the texts that the index names; what the index says if not told.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let stored = ns.items().at(["cache"]).put("a", json!({"text": "x"})).indexed(false).wait()?;
    /// assert_eq!(stored.response.vectors, 0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn indexed(self, indexed: bool) -> Self {
        self.with(|put| put.index = Some(item::Indexing::Whether(indexed)))
    }

    /// The texts that the item is found by: paths into the value such as `title`, `a.b`, `c[*].d`, and `$` for all of it.
    ///
    /// ```
    /// # use agentdb::{Code, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let put = ns.items().at(["notes"]).put("a", json!({"parts": [{"text": "x"}]}));
    /// // There is no index yet that an encoder belongs to.
    /// assert_eq!(put.fields(["parts[*].text"]).wait().unwrap_err().code(), Code::ItemsNotIndexed);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn fields(self, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let fields = fields.into_iter().map(Into::into).collect();
        self.with(|put| put.index = Some(item::Indexing::Fields(fields)))
    }

    /// A vector of the caller's own, under a name of the caller's choice, instead of those of texts.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().index().dimension(2).wait()?;
    /// let put = ns.items().at(["notes"]).put("a", json!({}));
    /// assert_eq!(put.vector("x", [1.0, 0.0]).vector("y", [0.0, 1.0]).wait()?.response.vectors, 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn vector(self, name: impl Into<String>, vector: impl Into<Vec<f32>>) -> Self {
        self.with(|put| drop(put.vectors.insert(name.into(), vector.into())))
    }

    /// Only inserts: refused with [`Code::VersionMismatch`] if there is an item of this path and key.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let users = ns.items().at(["users"]);
    /// users.put("a", json!({})).if_absent().wait()?;
    /// assert!(users.put("a", json!({})).if_absent().wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_absent(self) -> Self {
        self.if_version(Lsn::ZERO)
    }

    /// Only if the item has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let users = ns.items().at(["users"]);
    /// let version = users.put("a", json!({})).wait()?.lsn;
    /// users.put("a", json!({"n": 1})).if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|put| put.expected_version = Some(version))
    }
}

impl Write<item::Delete> {
    /// Only if the item has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let users = ns.items().at(["users"]);
    /// let version = users.put("a", json!({})).wait()?.lsn;
    /// users.delete("a").if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|delete| delete.expected_version = Some(version))
    }
}

impl Write<item::Index> {
    /// The id of the text encoder that makes vectors of texts. If the handle has an encoder it must be that one, and the
    /// dimension may be left out.
    ///
    /// ```
    /// # use agentdb::Code;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let refused = ns.items().index().encoder("none-of-this-handle").wait().unwrap_err();
    /// assert_eq!(refused.code(), Code::NoEncoder);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn encoder(self, encoder: impl Into<String>) -> Self {
        self.with(|index| index.encoder = Some(encoder.into()))
    }

    /// Components of the vectors.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert_eq!(ns.items().index().dimension(3).wait()?.response.dimension.get(), 3);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn dimension(self, dimension: usize) -> Self {
        self.with(|index| index.dimension = Some(dimension))
    }

    /// How vectors are compared; the cosine if not said.
    ///
    /// ```
    /// # use agentdb::Metric;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().index().dimension(2).metric(Metric::Dot).wait()?;
    /// assert_eq!(ns.items().index_settings()?.unwrap().metric, Metric::Dot);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn metric(self, metric: agentdb_engine::Metric) -> Self {
        self.with(|index| index.metric = Some(metric))
    }

    /// Which texts of a value are encoded, a vector each, where a put does not say; the whole value if not told.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().index().dimension(2).fields(["title", "parts[*].text"]).wait()?;
    /// assert_eq!(ns.items().index_settings()?.unwrap().fields[0], "title");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn fields(self, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let fields = fields.into_iter().map(Into::into).collect();
        self.with(|index| index.fields = Some(fields))
    }

    /// Whether items are encoded where a put does not say; they are if not told.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.items().index().dimension(2).by_default(false).wait()?;
    /// assert!(!ns.items().index_settings()?.unwrap().default);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn by_default(self, default: bool) -> Self {
        self.with(|index| index.default = Some(default))
    }
}
