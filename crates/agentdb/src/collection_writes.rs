//! What writes of collections can be told: what a collection is.

use agentdb_engine::modules::collection;
use agentdb_engine::{Field, FieldType, Metric};

use crate::Write;

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

    /// A sparse vector of each record, under a name.
    ///
    /// ```
    /// # use agentdb::{Query, SparseVector};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().sparse_vector("words").wait()?;
    /// docs.put("a").sparse_vector("words", SparseVector::new([(17, 1.5)])).wait()?;
    /// docs.put("b").sparse_vector("words", SparseVector::new([(17, 2.0), (3, 1.0)])).wait()?;
    /// assert_eq!(docs.search(Query::sparse("words", SparseVector::new([(17, 1.0)])))?[0].record, "b");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn sparse_vector(self, name: impl Into<String>) -> Self {
        self.with(|create| create.sparse.extend([(name.into(), collection::SparseSettings {})]))
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

    /// Adds a sparse vector of each record, under a name.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().wait()?;
    /// ns.collection("docs").alter().add_sparse_vector("words").wait()?;
    /// assert!(ns.collection("docs").info()?.unwrap().sparse.contains_key("words"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn add_sparse_vector(self, name: impl Into<String>) -> Self {
        self.with(|alter| alter.sparse.extend([(name.into(), Some(collection::SparseSettings {}))]))
    }

    /// Drops a sparse vector from all records.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().sparse_vector("words").wait()?;
    /// ns.collection("docs").alter().drop_sparse_vector("words").wait()?;
    /// assert!(ns.collection("docs").info()?.unwrap().sparse.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn drop_sparse_vector(self, name: impl Into<String>) -> Self {
        self.with(|alter| alter.sparse.extend([(name.into(), None)]))
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
