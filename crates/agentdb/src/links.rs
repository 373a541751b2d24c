//! Links between records: putting, listing and following them.

use agentdb_engine::modules::link::{Delete, Direction, Entry, Get, List, Listed, Put, Traverse, Traversed};
use agentdb_types::{Code, Result};
use serde_json::Value;

use crate::collection::Collection;
use crate::write::object;
use crate::{Namespace, Page, Write, present};

/// The record that a link goes to: its id in the same collection, or a collection and an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEnd {
    collection: Option<String>,
    record: String,
}

impl From<&str> for LinkEnd {
    fn from(record: &str) -> Self {
        LinkEnd { collection: None, record: record.to_owned() }
    }
}

impl From<String> for LinkEnd {
    fn from(record: String) -> Self {
        LinkEnd { collection: None, record }
    }
}

impl<C: Into<String>, R: Into<String>> From<(C, R)> for LinkEnd {
    fn from((collection, record): (C, R)) -> Self {
        LinkEnd { collection: Some(collection.into()), record: record.into() }
    }
}

/// Links of records.
impl Collection {
    /// Links a record to a record, of this collection or of another one, under a type. Both must be there. The link goes with
    /// either of them.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # for (collection, record) in [("docs", "a"), ("docs", "b"), ("tags", "t")] {
    /// #     let _ = ns.collection(collection).create().wait();
    /// #     ns.collection(collection).put(record).wait()?;
    /// # }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").payload(json!({"page": 3})).wait()?;
    /// docs.link("a", "about", ("tags", "t")).wait()?;
    /// assert!(docs.link("a", "cites", "nobody").wait().is_err());
    /// docs.delete("b").wait()?;
    /// assert!(docs.get_link("a", "cites", "b")?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn link(
        &self,
        record: impl Into<String>,
        link_type: impl Into<String>,
        to: impl Into<LinkEnd>,
    ) -> Write<Put> {
        let LinkEnd { collection, record: to } = to.into();
        let put = Put::new(self.name(), record, link_type, to);
        self.namespace().write(Put { to_collection: collection, ..put })
    }

    /// Deletes a link; the answer tells whether there was one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// assert!(docs.unlink("a", "cites", "b").wait()?.response.deleted);
    /// assert!(!docs.unlink("a", "cites", "b").wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn unlink(
        &self,
        record: impl Into<String>,
        link_type: impl Into<String>,
        to: impl Into<LinkEnd>,
    ) -> Write<Delete> {
        let LinkEnd { collection: to_collection, record: to } = to.into();
        let (collection, record, link_type) = (self.name().to_owned(), record.into(), link_type.into());
        self.namespace().write(Delete { collection, record, link_type, to, to_collection })
    }

    /// A link; `None` if there is none.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`].
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").payload(json!({"page": 3})).wait()?;
    /// assert_eq!(docs.get_link("a", "cites", "b")?.unwrap().payload["page"], 3);
    /// assert!(docs.get_link("b", "cites", "a")?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get_link(
        &self,
        record: impl Into<String>,
        link_type: impl Into<String>,
        to: impl Into<LinkEnd>,
    ) -> Result<Option<Entry>> {
        let LinkEnd { collection: to_collection, record: to } = to.into();
        let (collection, record, link_type) = (self.name().to_owned(), record.into(), link_type.into());
        let get = Get { collection, record, link_type, to, to_collection };
        present(self.namespace().read(get), Code::LinkNotFound)
    }

    /// The links of a record: those that go from it, unless told otherwise.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// assert_eq!(docs.links("a").list(Page::default())?.items[0].record, "b");
    /// assert_eq!(docs.links("b").incoming().list(Page::default())?.items[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn links(&self, record: impl Into<String>) -> Links {
        Links { namespace: self.namespace().clone(), list: List::new(self.name(), record) }
    }

    /// Follows links from records of this collection, up to a hundred.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b", "c"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// docs.link("b", "cites", "c").wait()?;
    /// let reached = docs.traverse(["a"]).depth(2).run()?.items;
    /// assert_eq!((&reached[1].record[..], reached[1].depth), ("c", 2));
    /// assert_eq!(reached[1].path[1].record, "b");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn traverse(&self, records: impl IntoIterator<Item = impl Into<String>>) -> Traversal {
        let traverse = Traverse::new(self.name(), records);
        Traversal { namespace: self.namespace().clone(), traverse }
    }
}

impl Write<Put> {
    /// What is known of the link: a JSON object.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").payload(json!({"page": 3})).wait()?;
    /// assert!(docs.link("a", "cites", "b").payload(json!([3])).wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn payload(self, payload: impl Into<Value>) -> Self {
        self.try_with(|put| object("payload", payload.into()).map(|map| put.payload = map))
    }
}

/// The links of a record that are asked for.
#[derive(Clone)]
#[must_use = "nothing is read until it is listed"]
pub struct Links {
    namespace: Namespace,
    list: List,
}

impl Links {
    /// Those that go to the record.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # ns.collection("docs").put("a").wait()?;
    /// assert!(ns.collection("docs").links("a").incoming().list(Page::default())?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn incoming(mut self) -> Self {
        self.list.direction = Direction::In;
        self
    }

    /// Those that go from the record, then those that go to it.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # ns.collection("docs").put("a").wait()?;
    /// let docs = ns.collection("docs");
    /// docs.link("a", "is", "a").wait()?;
    /// assert_eq!(docs.links("a").both_ways().list(Page::default())?.items.len(), 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn both_ways(mut self) -> Self {
        self.list.direction = Direction::Both;
        self
    }

    /// Only of this type, or also of this one.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # ns.collection("docs").put("a").wait()?;
    /// let docs = ns.collection("docs");
    /// docs.link("a", "is", "a").wait()?;
    /// assert!(docs.links("a").of_type("cites").list(Page::default())?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn of_type(mut self, link_type: impl Into<String>) -> Self {
        self.list.types.push(link_type.into());
        self
    }

    /// Only links to and from records whose payload matches.
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b"] { ns.collection("docs").put(record).payload(json!({"kind": "note"})).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// assert_eq!(docs.links("a").filter(json!({"kind": "note"})).list(Page::default())?.items.len(), 1);
    /// assert!(docs.links("a").filter(json!({"kind": "plan"})).list(Page::default())?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn filter(mut self, filter: impl Into<Value>) -> Self {
        self.list.filter = Some(filter.into());
        self
    }

    /// A page of them.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`], [`Code::RecordNotFound`], [`Code::PageTooLarge`], [`Code::InvalidCursor`]; those of
    /// filters.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// docs.link("a", "cites", "a").wait()?;
    /// let first = docs.links("a").list(Page::first(1))?;
    /// let second = docs.links("a").list(Page::first(1).after(first.cursor.unwrap()))?;
    /// assert_eq!((&second.items[0].record[..], second.cursor), ("b", None));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(self, page: Page) -> Result<Listed> {
        let Page { limit, cursor, .. } = page.without_prefix()?.forwards()?;
        self.namespace.read(List { limit, cursor, ..self.list })
    }
}

/// A traversal that is asked for.
#[derive(Clone)]
#[must_use = "nothing is read until it is run"]
pub struct Traversal {
    namespace: Namespace,
    traverse: Traverse,
}

impl Traversal {
    /// Against the links’ direction.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// assert_eq!(docs.traverse(["b"]).incoming().run()?.items[0].record, "a");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn incoming(mut self) -> Self {
        self.traverse.direction = Direction::In;
        self
    }

    /// Whichever way links go.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b", "c"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// docs.link("c", "cites", "b").wait()?;
    /// assert_eq!(docs.traverse(["a"]).both_ways().depth(2).run()?.items[1].record, "c");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn both_ways(mut self) -> Self {
        self.traverse.direction = Direction::Both;
        self
    }

    /// Only along links of this type, or also of this one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// assert!(docs.traverse(["a"]).of_type("quotes").run()?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn of_type(mut self, link_type: impl Into<String>) -> Self {
        self.traverse.types.push(link_type.into());
        self
    }

    /// How many links a path has at most, up to ten; one if not said.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b", "c"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// docs.link("b", "cites", "c").wait()?;
    /// assert_eq!(docs.traverse(["a"]).run()?.items.len(), 1);
    /// assert_eq!(docs.traverse(["a"]).depth(2).run()?.items.len(), 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn depth(mut self, depth: usize) -> Self {
        self.traverse.depth = Some(depth);
        self
    }

    /// Which records are told: those whose payload matches. Others are passed through all the same.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// let docs = ns.collection("docs");
    /// for (record, kind) in [("a", "note"), ("b", "note"), ("c", "plan")] {
    ///     docs.put(record).payload(json!({"kind": kind})).wait()?;
    /// }
    /// docs.link("a", "cites", "b").wait()?;
    /// docs.link("b", "cites", "c").wait()?;
    /// let plans = docs.traverse(["a"]).depth(2).filter(json!({"kind": "plan"})).run()?;
    /// assert_eq!((plans.items.len(), &plans.items[0].record[..]), (1, "c"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn filter(mut self, filter: impl Into<Value>) -> Self {
        self.traverse.filter = Some(filter.into());
        self
    }

    /// Which records are passed through: those whose payload matches. Others may be told, and nothing behind them is.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// let docs = ns.collection("docs");
    /// for (record, open) in [("a", true), ("b", false), ("c", true)] {
    ///     docs.put(record).payload(json!({"open": open})).wait()?;
    /// }
    /// docs.link("a", "leads to", "b").wait()?;
    /// docs.link("b", "leads to", "c").wait()?;
    /// let reached = docs.traverse(["a"]).depth(2).through(json!({"open": true})).run()?;
    /// assert_eq!((reached.items.len(), &reached.items[0].record[..]), (1, "b"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn through(mut self, through: impl Into<Value>) -> Self {
        self.traverse.through = Some(through.into());
        self
    }

    /// How many records are told at most, up to 1,000; 100 if not said.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # for record in ["a", "b", "c"] { ns.collection("docs").put(record).wait()?; }
    /// let docs = ns.collection("docs");
    /// docs.link("a", "cites", "b").wait()?;
    /// docs.link("a", "cites", "c").wait()?;
    /// let reached = docs.traverse(["a"]).limit(1).run()?;
    /// assert_eq!((reached.items.len(), reached.more), (1, true));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn limit(mut self, limit: usize) -> Self {
        self.traverse.limit = Some(limit);
        self
    }

    /// Follows the links, as they are now.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`], [`Code::RecordNotFound`] for one of those that it starts from, [`Code::InvalidValue`] for
    /// what is out of range; those of filters.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// # ns.collection("docs").create().wait()?;
    /// # ns.collection("docs").put("a").wait()?;
    /// let docs = ns.collection("docs");
    /// assert!(docs.traverse(["a"]).run()?.items.is_empty());
    /// assert!(docs.traverse(["nobody"]).run().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn run(self) -> Result<Traversed> {
        self.namespace.read(self.traverse)
    }
}
