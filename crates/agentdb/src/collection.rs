//! Collections and their records.

use std::time::Duration;

use agentdb_engine::modules::{collection, record};
use agentdb_engine::{Field, FieldType, Metric};
use agentdb_types::{Code, Lsn, Result};
use serde_json::Value;

use crate::write::{micros, object};
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
}

impl Write<collection::Create> {
    /// Components of the vectors, 1 to 8,192.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// assert_eq!(ns.collection("docs").info()?.unwrap().dimension.unwrap().get(), 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn dimension(self, dimension: usize) -> Self {
        self.with(|create| create.dimension = Some(dimension))
    }

    /// How vectors are compared; by the cosine if not said.
    ///
    /// ```
    /// # use agentdb::Metric;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).metric(Metric::Dot).wait()?;
    /// assert_eq!(ns.collection("docs").info()?.unwrap().metric, Metric::Dot);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn metric(self, metric: Metric) -> Self {
        self.with(|create| create.metric = Some(metric))
    }

    /// The id of the text encoder that makes vectors of the records' texts. The dimension may be left out if the database was
    /// opened with that encoder.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().encoder("minilm-l6-int8").dimension(384).wait()?;
    /// assert_eq!(ns.collection("docs").info()?.unwrap().encoder.as_deref(), Some("minilm-l6-int8"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn encoder(self, encoder: impl Into<String>) -> Self {
        self.with(|create| create.encoder = Some(encoder.into()))
    }

    /// What the collection is for.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().description("passages of manuals").wait()?;
    /// assert_eq!(ns.collection("docs").info()?.unwrap().description, "passages of manuals");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn description(self, description: impl Into<String>) -> Self {
        self.with(|create| create.description = description.into())
    }
}

impl Write<collection::Create> {
    /// Texts that are searched by words: `text`, the record's own, and fields of the payload, by path.
    ///
    /// ```
    /// # use agentdb::{Analyzer, Query, json};
    /// # use agentdb::modules::collection::TextSettings;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// let title = TextSettings { weight: 2.0, analyzer: Analyzer::English };
    /// docs.create().texts([("title", title)]).wait()?;
    /// docs.put("a").payload(json!({"title": "Of planning"})).wait()?;
    /// assert_eq!(docs.search(Query::words("plans"))?[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn texts<N: Into<String>>(
        self,
        texts: impl IntoIterator<Item = (N, collection::TextSettings)>,
    ) -> Self {
        let texts = texts.into_iter().map(|(name, settings)| (name.into(), settings)).collect();
        self.with(|create| create.texts = Some(texts))
    }

    /// Gives a field of payloads a type: names joined by dots.
    ///
    /// ```
    /// # use agentdb::{FieldType, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let places = ns.collection("places");
    /// places.create().field("at", FieldType::Geo).wait()?;
    /// places.put("gate").payload(json!({"at": {"lat": 52.516, "lon": 13.378}})).wait()?;
    /// let near = json!({"at": {"$geo_within": {"circle": {"lat": 52.52, "lon": 13.38, "radius_m": 1000}}}});
    /// assert_eq!(places.count(near)?, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn field(self, path: impl Into<String>, kind: FieldType) -> Self {
        self.try_with(|create| create.fields.declare(path, Field::new(kind)))
    }

    /// What becomes of fields that are not declared: their type is inferred from the first value if not said.
    ///
    /// ```
    /// # use agentdb::{FieldType, json};
    /// # use agentdb::modules::collection::Undeclared;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().field("kind", FieldType::String).undeclared(Undeclared::Refuse).wait()?;
    /// assert!(docs.put("a").payload(json!({"knid": "note"})).wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn undeclared(self, undeclared: collection::Undeclared) -> Self {
        self.with(|create| create.undeclared = undeclared)
    }

    /// A further vector of each record, under a name: its components, and how it is compared.
    ///
    /// ```
    /// # use agentdb::Metric;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().named_vector("image", 3, Metric::Cosine).wait()?;
    /// assert_eq!(ns.collection("docs").info()?.unwrap().vectors["image"].dimension, 3);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn named_vector(self, name: impl Into<String>, dimension: usize, metric: Metric) -> Self {
        let settings = collection::VectorSettings { dimension, metric };
        self.with(|create| create.vectors.extend([(name.into(), settings)]))
    }
}

impl Write<collection::Alter> {
    /// All texts that are searched by words from now on: `text`, the record's own, and fields of the payload, by path.
    ///
    /// ```
    /// # use agentdb::{Analyzer, Query, json};
    /// # use agentdb::modules::collection::TextSettings;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// let title = TextSettings { weight: 2.0, analyzer: Analyzer::English };
    /// docs.create().wait()?;
    /// docs.alter().texts([("title", title)]).wait()?;
    /// docs.put("a").payload(json!({"title": "Of planning"})).wait()?;
    /// assert_eq!(docs.search(Query::words("plans"))?[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn texts<N: Into<String>>(
        self,
        texts: impl IntoIterator<Item = (N, collection::TextSettings)>,
    ) -> Self {
        let texts = texts.into_iter().map(|(name, settings)| (name.into(), settings)).collect();
        self.with(|alter| alter.texts = Some(texts))
    }

    /// Adds a further vector of each record, under a name: its components, and how it is compared.
    ///
    /// ```
    /// # use agentdb::Metric;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().wait()?;
    /// ns.collection("docs").alter().add_vector("image", 3, Metric::Cosine).wait()?;
    /// assert_eq!(ns.collection("docs").info()?.unwrap().vectors["image"].dimension, 3);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn add_vector(self, name: impl Into<String>, dimension: usize, metric: Metric) -> Self {
        let settings = collection::VectorSettings { dimension, metric };
        self.with(|alter| alter.vectors.extend([(name.into(), Some(settings))]))
    }

    /// Drops a named vector from all records.
    ///
    /// ```
    /// # use agentdb::Metric;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().named_vector("image", 3, Metric::Cosine).wait()?;
    /// ns.collection("docs").alter().drop_vector("image").wait()?;
    /// assert!(ns.collection("docs").info()?.unwrap().vectors.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn drop_vector(self, name: impl Into<String>) -> Self {
        self.with(|alter| alter.vectors.extend([(name.into(), None)]))
    }

    /// Gives a field of payloads a type, and says whether it is indexed.
    ///
    /// ```
    /// # use agentdb::{FieldType, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// docs.alter().field("written", FieldType::Time, true).wait()?;
    /// docs.put("a").payload(json!({"written": "2026-01-01T12:00:00+01:00"})).wait()?;
    /// assert_eq!(docs.count(json!({"written": {"$lte": "2026-01-01T11:00:00Z"}}))?, 1);
    /// assert!(docs.put("b").payload(json!({"written": "today"})).wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn field(self, path: impl Into<String>, kind: FieldType, indexed: bool) -> Self {
        self.try_with(|alter| alter.fields.declare(path, Field { indexed, ..Field::new(kind) }))
    }

    /// What it is for.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().wait()?;
    /// ns.collection("docs").alter().description("passages of manuals").wait()?;
    /// assert_eq!(ns.collection("docs").info()?.unwrap().description, "passages of manuals");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn description(self, description: impl Into<String>) -> Self {
        self.with(|alter| alter.description = Some(description.into()))
    }
}

impl Write<record::Put> {
    /// A further vector, under a name that the collection has.
    ///
    /// ```
    /// # use agentdb::Metric;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().named_vector("image", 2, Metric::Cosine).wait()?;
    /// ns.collection("docs").put("a").named_vector("image", [0.0, 1.0]).wait()?;
    /// assert_eq!(ns.collection("docs").get_with_vector("a")?.unwrap().vectors["image"], [0.0, 1.0]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn named_vector(self, name: impl Into<String>, vector: impl Into<Vec<f32>>) -> Self {
        self.with(|put| put.vectors.extend([(name.into(), vector.into())]))
    }

    /// The vector, as many components as the collection has dimensions.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// ns.collection("docs").put("a").vector([0.0, 1.0]).wait()?;
    /// assert!(ns.collection("docs").put("b").vector([0.0]).wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn vector(self, vector: impl Into<Vec<f32>>) -> Self {
        self.with(|put| put.vector = Some(vector.into()))
    }

    /// The text. Without a vector, and if the collection has an encoder, it is encoded.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// ns.collection("notes").put("a").text("a note without a vector").wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(|put| put.text = Some(text.into()))
    }

    /// Fields to filter by and to give back: a JSON object.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// ns.collection("notes").put("a").payload(json!({"stars": 3})).wait()?;
    /// assert!(ns.collection("notes").put("b").payload(json!([3])).wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn payload(self, payload: impl Into<Value>) -> Self {
        self.try_with(|put| object("payload", payload.into()).map(|map| put.payload = map))
    }

    /// The record expires after this time, counted in whole microseconds, rounded up.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// let stored = ns.collection("notes").put("a").ttl(std::time::Duration::from_secs(60)).wait()?;
    /// assert!(stored.response.expires.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|put| put.ttl_us = Some(micros(ttl)))
    }

    /// Only inserts: refused with [`Code::VersionMismatch`] if there is a record of this id.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// ns.collection("notes").put("a").if_absent().wait()?;
    /// assert!(ns.collection("notes").put("a").if_absent().wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_absent(self) -> Self {
        self.if_version(Lsn::ZERO)
    }

    /// Only if the record has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// let version = ns.collection("notes").put("a").wait()?.lsn;
    /// ns.collection("notes").put("a").text("new").if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|put| put.expected_version = Some(version))
    }
}

impl Write<record::Patch> {
    /// A named vector to replace or add, or with `None` to remove.
    ///
    /// ```
    /// # use agentdb::Metric;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().named_vector("image", 2, Metric::Cosine).wait()?;
    /// ns.collection("docs").put("a").named_vector("image", [0.0, 1.0]).wait()?;
    /// ns.collection("docs").patch("a").named_vector("image", None).wait()?;
    /// assert!(ns.collection("docs").get_with_vector("a")?.unwrap().vectors.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn named_vector(self, name: impl Into<String>, vector: impl Into<Option<Vec<f32>>>) -> Self {
        self.with(|patch| patch.vectors.extend([(name.into(), vector.into())]))
    }

    /// A JSON object, merged into the payload (RFC 7396): given fields are replaced, null removes one, the others stay.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// ns.collection("notes").put("a").payload(json!({"stars": 3, "old": true})).wait()?;
    /// let patched = ns.collection("notes").patch("a").payload(json!({"old": null})).wait()?;
    /// assert_eq!(patched.response.payload.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn payload(self, patch: impl Into<Value>) -> Self {
        self.with(|write| write.payload = Some(patch.into()))
    }

    /// The new text. Without a vector, and if the collection has an encoder, it is encoded; otherwise the vector stays.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// ns.collection("notes").put("a").text("old").wait()?;
    /// ns.collection("notes").patch("a").text("new").wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(|patch| patch.text = Some(text.into()))
    }

    /// The new vector.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// ns.collection("docs").put("a").vector([0.0, 1.0]).wait()?;
    /// ns.collection("docs").patch("a").vector([1.0, 0.0]).wait()?;
    /// assert_eq!(ns.collection("docs").search(vec![1.0, 0.0])?[0].score, 1.0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn vector(self, vector: impl Into<Vec<f32>>) -> Self {
        self.with(|patch| patch.vector = Some(vector.into()))
    }

    /// The new time to live, counted from now; `None` to keep the record for ever.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// ns.collection("notes").put("a").ttl(std::time::Duration::from_secs(60)).wait()?;
    /// assert!(ns.collection("notes").patch("a").ttl(None).wait()?.response.expires.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ttl(self, ttl: impl Into<Option<Duration>>) -> Self {
        self.with(|patch| patch.ttl_us = Some(ttl.into().map(micros)))
    }

    /// Only if the record has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// let version = ns.collection("notes").put("a").wait()?.lsn;
    /// ns.collection("notes").patch("a").text("new").if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|patch| patch.expected_version = Some(version))
    }
}

impl Write<record::Delete> {
    /// Only if the record has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// let version = ns.collection("notes").put("a").wait()?.lsn;
    /// ns.collection("notes").delete("a").if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|delete| delete.expected_version = Some(version))
    }
}
