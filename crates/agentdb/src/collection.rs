//! Collections and their records.

use agentdb_engine::modules::{collection, record};
use agentdb_types::{Code, Result};
use serde_json::Value;

use crate::{Namespace, Page, Query, Write, present};

/// The collections of a namespace.
#[derive(Clone)]
pub struct Collections {
    namespace: Namespace,
}

impl Collections {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Collections { namespace }
    }

    /// A page of the collections by name.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// assert_eq!(ns.collections().list(Page::default())?.items[0].collection, "docs");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, page: Page) -> Result<collection::Listed> {
        let Page { limit, cursor, reverse, .. } = page.without_prefix()?;
        self.namespace.read(collection::List { limit, cursor, reverse })
    }
}

/// A collection: records with text, payload and one vector each. The handle names it, whether or not it exists.
///
/// Records are asked for and searched as in the vector stores that people know, with two differences: a collection is
/// created before its first record, since its dimension is, and a missing *collection* is always an error
/// ([`Code::CollectionNotFound`]), while a missing *record* is `None`.
#[derive(Clone)]
pub struct Collection {
    namespace: Namespace,
    collection: String,
}

impl Collection {
    pub(crate) fn new(namespace: Namespace, collection: String) -> Self {
        Collection { namespace, collection }
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.collection
    }

    /// Creates the collection. Its records have vectors if the write is told a [dimension](Write::dimension) or an
    /// [encoder](Write::encoder).
    ///
    /// ```
    /// # use agentdb::Metric;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).metric(Metric::Euclidean).wait()?;
    /// assert!(ns.collection("docs").create().wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn create(&self) -> Write<collection::Create> {
        self.namespace.write(collection::Create::new(self.collection.clone()))
    }

    /// What the collection is, and how many records it has; `None` if there is none of this name.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.collection("docs").info()?.is_none());
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// assert_eq!(ns.collection("docs").info()?.unwrap().records, 0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn info(&self) -> Result<Option<collection::Entry>> {
        let get = collection::Get { collection: self.collection.clone() };
        present(self.namespace.read(get), Code::CollectionNotFound)
    }

    /// Deletes the collection with its records. Refused with [`Code::CollectionNotFound`] if there is none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// ns.collection("docs").delete_collection().wait()?;
    /// assert!(ns.collection("docs").info()?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete_collection(&self) -> Write<collection::Delete> {
        self.namespace.write(collection::Delete { collection: self.collection.clone() })
    }

    /// Changes what the collection is: its description, its named vectors.
    ///
    /// ```
    /// # use agentdb::{Metric, Query};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// docs.alter().add_vector("image", 3, Metric::Dot).description("pages").wait()?;
    /// docs.put("a").vector([0.0, 1.0]).named_vector("image", [1.0, 0.0, 0.5]).wait()?;
    /// assert_eq!(docs.search(Query::vector([1.0, 0.0, 1.0]).using("image"))?[0].score, 1.5);
    /// docs.alter().drop_vector("image").wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn alter(&self) -> Write<collection::Alter> {
        self.namespace.write(collection::Alter::new(self.collection.clone()))
    }

    /// Gives the collection another name, which none may have. This handle names the old one still.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().wait()?;
    /// ns.collection("docs").put("a").text("kept").wait()?;
    /// ns.collection("docs").rename("pages").wait()?;
    /// assert!(ns.collection("docs").info()?.is_none());
    /// assert!(ns.collection("pages").get("a")?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn rename(&self, to: impl Into<String>) -> Write<collection::Rename> {
        self.namespace.write(collection::Rename { collection: self.collection.clone(), to: to.into() })
    }

    /// Deletes all records at once, and leaves the collection as it is otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().wait()?;
    /// ns.collection("docs").put("a").text("gone").wait()?;
    /// ns.collection("docs").truncate().wait()?;
    /// assert_eq!(ns.collection("docs").count(None)?, 0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn truncate(&self) -> Write<collection::Truncate> {
        self.namespace.write(collection::Truncate { collection: self.collection.clone() })
    }

    /// Stores a record under an id, replacing the one there.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).text("first").payload(json!({"kind": "note"})).wait()?;
    /// assert_eq!(docs.get("a")?.unwrap().text.as_deref(), Some("first"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn put(&self, record: impl Into<String>) -> Write<record::Put> {
        let record = Some(record.into());
        self.namespace.write(record::Put { record, ..record::Put::new(self.collection.clone()) })
    }

    /// Stores a record under a new id, a UUID of version 7, which the answer tells.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let record = ns.collection("docs").add().vector([0.0, 1.0]).wait()?.response.record;
    /// assert!(ns.collection("docs").get(record)?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn add(&self) -> Write<record::Put> {
        self.namespace.write(record::Put::new(self.collection.clone()))
    }

    /// Changes parts of a record: those that the write is told. Refused with [`Code::RecordNotFound`] if there is none.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"kind": "note", "stars": 1})).wait()?;
    /// let patched = docs.patch("a").payload(json!({"stars": 2})).wait()?.response;
    /// assert_eq!((&patched.payload["kind"], &patched.payload["stars"]), (&json!("note"), &json!(2)));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn patch(&self, record: impl Into<String>) -> Write<record::Patch> {
        self.namespace.write(record::Patch::new(self.collection.clone(), record))
    }

    /// A record without its vector; `None` if there is none.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// assert!(ns.collection("docs").get("a")?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get(&self, record: impl Into<String>) -> Result<Option<record::Entry>> {
        self.get_record(record.into(), false)
    }

    /// A record with its vector, as 32-bit floats bit for bit as given; `None` if there is none.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// ns.collection("docs").put("a").vector([0.5, 1.0]).wait()?;
    /// let found = ns.collection("docs").get_with_vector("a")?.unwrap();
    /// assert_eq!(found.vector, Some(vec![0.5, 1.0]));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get_with_vector(&self, record: impl Into<String>) -> Result<Option<record::Entry>> {
        self.get_record(record.into(), true)
    }

    fn get_record(&self, record: String, include_vector: bool) -> Result<Option<record::Entry>> {
        let get = record::Get { collection: self.collection.clone(), record, include_vector };
        present(self.namespace.read(get), Code::RecordNotFound)
    }

    /// Several records at one moment, in the order asked; `None` where there is none.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`]; [`Code::PageTooLarge`] for no ids, or more than 10,000.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// ns.collection("docs").put("a").vector([0.0, 1.0]).wait()?;
    /// let found = ns.collection("docs").get_many(["a", "b"])?;
    /// assert!(found[0].is_some() && found[1].is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get_many<I: Into<String>>(
        &self,
        records: impl IntoIterator<Item = I>,
    ) -> Result<Vec<Option<record::Entry>>> {
        let records = records.into_iter().map(Into::into).collect();
        let (collection, include_vector) = (self.collection.clone(), false);
        Ok(self.namespace.read(record::GetMany { collection, records, include_vector })?.items)
    }

    /// Loads records from a file or a stream, Arrow, Parquet, JSON lines or CSV, in segments that are committed whole. Begun again
    /// after it was stopped, it goes on where it ended.
    ///
    /// ```
    /// # use agentdb::LoadSource;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # let path = dir.path().join("docs.csv");
    /// # std::fs::write(&path, "id,text,stars,vector\na,first,3,\"[0.5, 1]\"\nb,second,4,\"[1, 0]\"\n").unwrap();
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// let loaded = docs.load(LoadSource::file(&path)?).wait(&mut |progress| eprintln!("{} rows", progress.rows))?;
    /// assert_eq!((loaded.rows, loaded.counts.created), (2, 2));
    /// assert_eq!(docs.search(vec![1.0, 0.1])?[0].record, "b");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[cfg(feature = "load")]
    pub fn load<'a>(&self, source: crate::LoadSource<'a>) -> crate::Loading<'a> {
        crate::Loading::new(self.namespace.clone(), self.collection.clone(), source)
    }

    /// Deletes a record; it is no error if there is none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// ns.collection("docs").put("a").vector([0.0, 1.0]).wait()?;
    /// assert!(ns.collection("docs").delete("a").wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self, record: impl Into<String>) -> Write<record::Delete> {
        let (collection, record) = (self.collection.clone(), record.into());
        self.namespace.write(record::Delete { collection, record, expected_version: None })
    }

    /// A page of the records whose payload matches a filter, or of all, in the byte order of their ids.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`], [`Code::PageTooLarge`], [`Code::InvalidCursor`]; [`Code::InvalidValue`] for a malformed
    /// filter.
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"stars": 3})).wait()?;
    /// assert_eq!(docs.list(None, Page::default())?.items.len(), 1);
    /// assert!(docs.list(json!({"stars": {"$gt": 3}}), Page::default())?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, filter: impl Into<Option<Value>>, page: Page) -> Result<record::Listed> {
        let Page { limit, cursor, reverse, .. } = page.without_prefix()?;
        let (collection, filter) = (self.collection.clone(), filter.into());
        self.namespace.read(record::List {
            collection,
            filter,
            limit,
            cursor,
            reverse,
            include_vector: false,
            fields: None,
            omit_text: false,
        })
    }

    /// How many records match a filter, or how many there are.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`]; [`Code::InvalidValue`] for a malformed filter.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// ns.collection("docs").put("a").vector([0.0, 1.0]).payload(json!({"kind": "note"})).wait()?;
    /// assert_eq!(ns.collection("docs").count(None)?, 1);
    /// assert_eq!(ns.collection("docs").count(json!({"kind": {"$ne": "note"}}))?, 0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn count(&self, filter: impl Into<Option<Value>>) -> Result<u64> {
        let count = record::Count { collection: self.collection.clone(), filter: filter.into() };
        Ok(self.namespace.read(count)?.count)
    }

    /// How many records have which values of a field, the ten most frequent values first. For more, or other ones, ask with
    /// [`record::Facet`].
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`], [`Code::FieldNotIndexed`], [`Code::FilterTypeMismatch`]; [`Code::InvalidValue`] for a
    /// malformed filter.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// for kind in ["note", "plan", "note"] {
    ///     docs.add().payload(json!({"kind": kind})).wait()?;
    /// }
    /// let kinds = docs.facet("kind", None)?;
    /// assert_eq!((&kinds[0].value, kinds[0].count), (&json!("note"), 2));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn facet(
        &self,
        field: impl Into<String>,
        filter: impl Into<Option<Value>>,
    ) -> Result<Vec<record::ValueCount>> {
        let (collection, field, filter) = (self.collection.clone(), field.into(), filter.into());
        Ok(self.namespace.read(record::Facet { collection, field, filter, limit: None })?.values)
    }

    /// The values that a field has, in their order, behind one of them if it is given: a hundred at most.
    ///
    /// # Errors
    /// Those of [`Collection::facet`].
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// docs.add().payload(json!({"tags": ["b", "a"]})).wait()?;
    /// assert_eq!(docs.distinct("tags", None, None)?, [json!("a"), json!("b")]);
    /// assert_eq!(docs.distinct("tags", None, json!("a"))?, [json!("b")]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn distinct(
        &self,
        field: impl Into<String>,
        filter: impl Into<Option<Value>>,
        after: impl Into<Option<Value>>,
    ) -> Result<Vec<Value>> {
        let (collection, field, filter) = (self.collection.clone(), field.into(), filter.into());
        let distinct = record::Distinct { collection, field, filter, after: after.into(), limit: None };
        Ok(self.namespace.read(distinct)?.values)
    }

    /// What the values of a field are like: how many, the least, the greatest, sum and mean. For a histogram, ask with
    /// [`record::Aggregate`].
    ///
    /// # Errors
    /// Those of [`Collection::facet`].
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// for stars in [1, 2, 6] {
    ///     docs.add().payload(json!({"stars": stars})).wait()?;
    /// }
    /// let stars = docs.stats("stars", json!({"stars": {"$gt": 1}}))?;
    /// assert_eq!((stars.count, stars.sum, stars.min), (2, Some(json!(8)), Some(json!(2))));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn stats(
        &self,
        field: impl Into<String>,
        filter: impl Into<Option<Value>>,
    ) -> Result<record::FieldStats> {
        let (collection, field, filter) = (self.collection.clone(), field.into(), filter.into());
        let aggregate = record::Aggregate { collection, field, filter, interval: None, offset: None };
        Ok(self.namespace.read(aggregate)?.stats)
    }

    /// Deletes records that match a filter, up to 1,000 at once; the answer tells whether there may be more.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// for stars in [1, 2, 6] {
    ///     docs.add().payload(json!({"stars": stars})).wait()?;
    /// }
    /// let deleted = docs.delete_where(json!({"stars": {"$gt": 1}})).wait()?.response;
    /// assert_eq!((deleted.deleted, deleted.more, docs.count(None)?), (2, false, 1));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete_where(&self, filter: Value) -> Write<record::DeleteWhere> {
        self.namespace.write(record::DeleteWhere::new(self.collection.clone(), filter))
    }

    /// The records nearest to a vector or to a text, best first: exactly, by comparing all of them. A text needs the encoder
    /// that the collection was created with.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`], [`Code::DimensionMismatch`], [`Code::VectorNotFinite`], [`Code::VectorZero`],
    /// [`Code::NoEncoder`], [`Code::CollectionWithoutEncoder`], [`Code::PageTooLarge`]; [`Code::InvalidValue`] for a malformed filter.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"kind": "note"})).wait()?;
    /// docs.put("b").vector([1.0, 0.0]).payload(json!({"kind": "plan"})).wait()?;
    /// assert_eq!(docs.search(vec![0.1, 0.9])?[0].record, "a");
    /// let plans = Query::vector([0.1, 0.9]).filter(json!({"kind": "plan"})).limit(3);
    /// assert_eq!(docs.search(plans)?[0].record, "b");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn search(&self, query: impl Into<Query>) -> Result<Vec<record::Hit>> {
        Ok(self.namespace.read(query.into().of(self.collection.clone()))?.hits)
    }

    /// A page of a search, with a cursor for the next one if there are more hits ([`Query::after`]). All pages are as of the LSN
    /// of the first, whatever is written meanwhile: its snapshot is kept for a minute after each page, and of 64 searches at a time.
    ///
    /// # Errors
    /// Those of [`Collection::search`]; [`Code::SearchCursorExpired`] for a cursor that is not kept any more,
    /// [`Code::InvalidCursor`] for one of another search.
    ///
    /// ```
    /// # use agentdb::Query;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// for (id, y) in [("a", 3.0), ("b", 2.0), ("c", 1.0)] {
    ///     docs.put(id).vector([1.0, y]).wait()?;
    /// }
    /// let query = || Query::vector([0.0, 1.0]).limit(2);
    /// let first = docs.search_page(query())?;
    /// docs.put("d").vector([0.0, 1.0]).wait()?;
    /// let second = docs.search_page(query().after(first.cursor.unwrap()))?;
    /// assert_eq!((&second.hits[0].record[..], second.lsn, second.cursor), ("c", first.lsn, None));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn search_page(&self, query: impl Into<Query>) -> Result<record::Found> {
        let search = query.into().of(self.collection.clone());
        self.namespace.read(record::Search { pages: true, ..search })
    }
}
