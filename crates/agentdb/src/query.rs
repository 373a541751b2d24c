//! What to search a collection for.

use agentdb_engine::modules::record::{
    Diversity, Feedback, Fusion, GroupBy, Highlight, Rerank, Search, SubQuery,
};
use agentdb_engine::{SparseVector, Words};
use serde_json::Value;

/// What a [`Collection`](crate::Collection) is searched for: a vector or a text, and which of the hits are wanted. A
/// vector or a text alone is a query for the ten best.
#[derive(Clone, Debug)]
pub struct Query {
    search: Search,
}

impl Query {
    /// The records nearest to a vector.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"stars": 3})).wait()?;
    /// docs.put("b").vector([1.0, 0.0]).payload(json!({"stars": 5})).wait()?;
    /// assert_eq!(docs.search(Query::vector([0.0, 2.0]))?[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn vector(vector: impl Into<Vec<f32>>) -> Self {
        Query { search: Search { vector: Some(vector.into()), ..Search::new(String::new()) } }
    }

    /// The records nearest to a text, which is encoded by the collection's encoder.
    ///
    /// ```
    /// # use agentdb::Query;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let refused = ns.collection("docs").search(Query::text("what do agents know"));
    /// assert_eq!(refused.unwrap_err().code(), agentdb::Code::CollectionWithoutEncoder);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Query { search: Search { text: Some(text.into()), ..Search::new(String::new()) } }
    }

    /// The records that have the words of a text, by BM25; or what a query with phrases, prefixes and more asks for.
    ///
    /// ```
    /// # use agentdb::Query;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// docs.put("a").text("Agents remember what was said.").wait()?;
    /// docs.put("b").text("Databases remember everything.").wait()?;
    /// assert_eq!(docs.search(Query::words("what agents said"))?[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn words(words: impl Into<Words>) -> Self {
        Query { search: Search { words: Some(words.into()), ..Search::new(String::new()) } }
    }

    /// The records whose sparse vectors of this name have the greatest dot products with a vector.
    ///
    /// ```
    /// # use agentdb::{Query, SparseVector};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().sparse_vector("words").wait()?;
    /// docs.put("a").sparse_vector("words", SparseVector::new([(17, 1.5)])).wait()?;
    /// let hits = docs.search(Query::sparse("words", SparseVector::new([(17, 2.0), (99, 1.0)])))?;
    /// assert_eq!((&hits[0].record[..], hits[0].score), ("a", 3.0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn sparse(name: impl Into<String>, vector: SparseVector) -> Self {
        let search = Search { sparse: Some(vector), using: Some(name.into()), ..Search::new(String::new()) };
        Query { search }
    }

    /// The records that several queries find, their rankings fused into one: by reciprocal ranks, unless it is told
    /// [otherwise](Query::fusion).
    ///
    /// ```
    /// # use agentdb::Query;
    /// # use agentdb::modules::record::SubQuery;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// docs.put("a").vector([0.0, 1.0]).text("a plan").wait()?;
    /// docs.put("b").vector([1.0, 0.0]).text("another plan, and a note").wait()?;
    /// let both = Query::several([SubQuery::vector([0.9, 0.1]), SubQuery::words("note")]);
    /// let hits = docs.search(both)?;
    /// assert_eq!((&hits[0].record[..], hits[0].shares.len()), ("b", 2));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn several(queries: impl IntoIterator<Item = SubQuery>) -> Self {
        let queries = queries.into_iter().collect();
        Query { search: Search { queries, ..Search::new(String::new()) } }
    }

    /// How the rankings of several queries become one.
    ///
    /// ```
    /// # use agentdb::Query;
    /// # use agentdb::modules::record::{Fusion, Normalize, SubQuery};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// docs.put("a").text("a plan").wait()?;
    /// let queries = [SubQuery::words("plan"), SubQuery::words("note")];
    /// let fusion = Fusion::Weighted { normalize: Normalize::MinMax };
    /// assert_eq!(docs.search(Query::several(queries).fusion(fusion))?[0].score, 1.0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn fusion(mut self, fusion: Fusion) -> Self {
        self.search.fusion = Some(fusion);
        self
    }

    /// Searches twice, the second time for the best hits of the first, too: what they have in common with others is found though the
    /// query does not say it. It is for [several](Query::several) queries, of those that compare vectors.
    ///
    /// ```
    /// # use agentdb::Query;
    /// # use agentdb::modules::record::{Feedback, SubQuery};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// docs.put("a").vector([0.0, 1.0]).text("a plan").wait()?;
    /// docs.put("b").vector([0.1, 0.9]).text("what comes next").wait()?;
    /// let queries = [SubQuery::words("plan"), SubQuery::vector([0.2, 1.0])];
    /// let hits = docs.search(Query::several(queries).feedback(Feedback::default()))?;
    /// assert!(hits.iter().any(|hit| hit.shares.iter().any(|share| share.feedback.is_some())));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn feedback(mut self, feedback: Feedback) -> Self {
        self.search.feedback = Some(feedback);
        self
    }

    /// Which of the named vectors to compare with, rather than the one without a name.
    ///
    /// ```
    /// # use agentdb::{Metric, Query};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().named_vector("image", 2, Metric::Cosine).wait()?;
    /// docs.put("a").named_vector("image", [0.0, 1.0]).wait()?;
    /// assert_eq!(docs.search(Query::vector([0.0, 2.0]).using("image"))?[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn using(mut self, name: impl Into<String>) -> Self {
        self.search.using = Some(name.into());
        self
    }

    /// How many hits at most; 10 if not said.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"stars": 3})).wait()?;
    /// docs.put("b").vector([1.0, 0.0]).payload(json!({"stars": 5})).wait()?;
    /// assert_eq!(docs.search(Query::vector([0.0, 2.0]).limit(1))?.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.search.limit = Some(limit);
        self
    }

    /// Only records whose payload matches. The filter works inside the search, so that the limit counts matches.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"stars": 3})).wait()?;
    /// docs.put("b").vector([1.0, 0.0]).payload(json!({"stars": 5})).wait()?;
    /// let best = docs.search(Query::vector([0.0, 1.0]).filter(json!({"stars": {"$gte": 4}})).limit(1))?;
    /// assert_eq!(best[0].record, "b");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn filter(mut self, filter: impl Into<Value>) -> Self {
        self.search.filter = Some(filter.into());
        self
    }

    /// Only hits at least this good: a least score for cosine and dot product, a greatest distance for Euclidean.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"stars": 3})).wait()?;
    /// docs.put("b").vector([1.0, 0.0]).payload(json!({"stars": 5})).wait()?;
    /// assert_eq!(docs.search(Query::vector([0.0, 1.0]).threshold(0.5))?.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.search.threshold = Some(threshold);
        self
    }

    /// Gives back the vectors too.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// let docs = ns.collection("docs");
    /// docs.put("a").vector([0.0, 1.0]).payload(json!({"stars": 3})).wait()?;
    /// docs.put("b").vector([1.0, 0.0]).payload(json!({"stars": 5})).wait()?;
    /// let hits = docs.search(Query::vector([0.0, 1.0]).with_vectors())?;
    /// assert_eq!(hits[0].vector, Some(vec![0.0, 1.0]));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn with_vectors(mut self) -> Self {
        self.search.include_vector = true;
        self
    }

    /// Gives back these fields of payloads alone, by their paths.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let pieces = ns.collection("pieces");
    /// pieces.create().wait()?;
    /// pieces.put("a1").text("a plan").payload(json!({"page": {"of": "a", "at": 7}, "kind": "note"})).wait()?;
    /// let hits = pieces.search(Query::words("plan").fields(["page.of"]))?;
    /// assert_eq!(json!(hits[0].payload), json!({"page": {"of": "a"}}));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn fields(mut self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.search.fields = Some(paths.into_iter().map(Into::into).collect());
        self
    }

    /// Gives back ids, scores and versions alone: records need not be read for them.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let pieces = ns.collection("pieces");
    /// pieces.create().wait()?;
    /// pieces.put("a1").text("a plan").payload(json!({"kind": "note"})).wait()?;
    /// let hits = pieces.search(Query::words("plan").ids_only())?;
    /// assert_eq!((&hits[0].record[..], &hits[0].text, hits[0].payload.len()), ("a1", &None, 0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn ids_only(mut self) -> Self {
        self.search.fields = Some(Vec::new());
        self.search.omit_text = true;
        self
    }

    /// Groups hits by a field of the payload: the best of each group, or the best few. The limit counts groups then.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # use agentdb::modules::record::GroupBy;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let pieces = ns.collection("pieces");
    /// pieces.create().wait()?;
    /// for (id, page) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
    ///     pieces.put(id).text("a plan").payload(json!({"page": page})).wait()?;
    /// }
    /// let pages = pieces.search(Query::words("plan").group_by(GroupBy::new("page")))?;
    /// assert_eq!(pages.iter().map(|hit| &hit.record[..]).collect::<Vec<_>>(), ["a1", "b1"]);
    /// assert_eq!(pages[1].group, Some(json!("b")));
    /// let few = GroupBy { size: Some(5), ..GroupBy::new("page") };
    /// assert_eq!(pieces.search(Query::words("plan").group_by(few).limit(1))?.len(), 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn group_by(mut self, by: GroupBy) -> Self {
        self.search.group_by = Some(by);
        self
    }

    /// Chooses hits that are not all alike, by maximal marginal relevance, in place of the best.
    ///
    /// ```
    /// # use agentdb::Query;
    /// # use agentdb::modules::record::Diversity;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().dimension(2).wait()?;
    /// for (id, vector) in [("a", [1.0, 0.0]), ("again", [1.0, 0.01]), ("other", [1.0, 1.0])] {
    ///     docs.put(id).vector(vector).wait()?;
    /// }
    /// let diversity = Diversity { lambda: Some(0.1), ..Diversity::default() };
    /// let diverse = Query::vector([1.0, 0.0]).diversity(diversity).limit(2);
    /// let hits = docs.search(diverse)?;
    /// assert_eq!(hits.iter().map(|hit| &hit.record[..]).collect::<Vec<_>>(), ["a", "other"]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn diversity(mut self, diversity: Diversity) -> Self {
        self.search.diversity = Some(diversity);
        self
    }

    /// Scores the best records anew, in a second stage.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # use agentdb::modules::record::{FieldValue, Formula, Rerank};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// docs.put("a").text("a plan, a plan").payload(json!({"stars": 1})).wait()?;
    /// docs.put("b").text("a plan").payload(json!({"stars": 3})).wait()?;
    /// let stars = Formula::Field(FieldValue { path: "stars".into(), default: 0.0 });
    /// let rerank = Rerank { formula: Some(Formula::Product(vec![Formula::Score, stars])), ..Rerank::default() };
    /// let hits = docs.search(Query::words("plan").rerank(rerank))?;
    /// assert_eq!(hits[0].record, "b");
    /// assert_eq!(f64::from(hits[0].score), f64::from(hits[0].stages.unwrap().second.unwrap() as f32));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn rerank(mut self, rerank: Rerank) -> Self {
        self.search.rerank = Some(rerank);
        self
    }

    /// Shows the pieces of texts in which words were found, in [`Hit::highlights`](agentdb_engine::modules::record::Hit::highlights).
    ///
    /// ```
    /// # use agentdb::Query;
    /// # use agentdb::modules::record::Highlight;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// docs.put("a").text("What the agent planned, and what it remembered of that.").wait()?;
    /// let highlight = Highlight { fragment_size: Some(20), fragments: Some(1), ..Highlight::default() };
    /// let hits = docs.search(Query::words("planned").highlight(highlight))?;
    /// assert_eq!(hits[0].highlights["text"], ["<em>planned</em>, and"]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn highlight(mut self, highlight: Highlight) -> Self {
        self.search.highlight = Some(highlight);
        self
    }

    /// Tells how the search is answered, in the `plan` of [`Collection::search_page`], and what scores by words are made of.
    ///
    /// ```
    /// # use agentdb::{Query, json};
    /// # use agentdb::modules::record::Method;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// docs.put("a").text("a plan").payload(json!({"stars": 3})).wait()?;
    /// let page = docs.search_page(Query::words("plan").filter(json!({"stars": 3})).explain())?;
    /// let plan = &page.plan.unwrap().queries[0];
    /// assert_eq!((plan.method, plan.records.as_ref().unwrap().matching), (Method::Words, Some(1)));
    /// let explanation = page.hits[0].explanation.as_ref().unwrap();
    /// assert_eq!(explanation.shares[0].term, "plan");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    ///
    /// [`Collection::search_page`]: crate::Collection::search_page
    #[must_use]
    pub fn explain(mut self) -> Self {
        self.search.explain = true;
        self
    }

    /// The hits behind those of the page that ended with this cursor ([`Collection::search_page`]), as of the same LSN. All else
    /// must be asked as for that page; only the limit may differ.
    ///
    /// ```
    /// # use agentdb::Query;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let docs = ns.collection("docs");
    /// docs.create().wait()?;
    /// for id in ["a", "b", "c"] {
    ///     docs.put(id).text("a plan").wait()?;
    /// }
    /// let mut cursor = docs.search_page(Query::words("plan").limit(2))?.cursor;
    /// docs.delete("c").wait()?;
    /// while let Some(after) = cursor {
    ///     let page = docs.search_page(Query::words("plan").limit(2).after(after))?;
    ///     assert_eq!(page.hits[0].record, "c");
    ///     cursor = page.cursor;
    /// }
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    ///
    /// [`Collection::search_page`]: crate::Collection::search_page
    #[must_use]
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.search.cursor = Some(cursor.into());
        self
    }

    pub(crate) fn of(self, collection: String) -> Search {
        Search { collection, ..self.search }
    }
}

impl From<&str> for Query {
    fn from(text: &str) -> Self {
        Query::text(text)
    }
}

impl From<String> for Query {
    fn from(text: String) -> Self {
        Query::text(text)
    }
}

impl From<Vec<f32>> for Query {
    fn from(vector: Vec<f32>) -> Self {
        Query::vector(vector)
    }
}
