//! What writes of records can be told.

use std::time::Duration;

use agentdb_engine::SparseVector;
use agentdb_engine::modules::record;
use agentdb_types::Lsn;
use serde_json::Value;

use crate::Write;
use crate::write::{micros, object};

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

    /// A sparse vector, under a name that the collection has.
    ///
    /// ```
    /// # use agentdb::SparseVector;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().sparse_vector("words").wait()?;
    /// ns.collection("docs").put("a").sparse_vector("words", SparseVector::new([(2045, 0.8), (17, 1.5)])).wait()?;
    /// assert_eq!(ns.collection("docs").get_with_vector("a")?.unwrap().sparse["words"].indices, [17, 2045]);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn sparse_vector(self, name: impl Into<String>, vector: SparseVector) -> Self {
        self.with(|put| put.sparse.extend([(name.into(), vector)]))
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

    /// A sparse vector to replace or add, or with `None` to remove.
    ///
    /// ```
    /// # use agentdb::SparseVector;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().sparse_vector("words").wait()?;
    /// ns.collection("docs").put("a").sparse_vector("words", SparseVector::new([(17, 1.5)])).wait()?;
    /// ns.collection("docs").patch("a").sparse_vector("words", None).wait()?;
    /// assert!(ns.collection("docs").get_with_vector("a")?.unwrap().sparse.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn sparse_vector(self, name: impl Into<String>, vector: impl Into<Option<SparseVector>>) -> Self {
        self.with(|patch| patch.sparse.extend([(name.into(), vector.into())]))
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
        self.with(|patch| patch.text = Some(Some(text.into())))
    }

    /// No text any more. The vector stays.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("notes").create().wait()?;
    /// ns.collection("notes").put("a").text("old").wait()?;
    /// ns.collection("notes").patch("a").without_text().wait()?;
    /// assert_eq!(ns.collection("notes").get("a")?.unwrap().text, None);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn without_text(self) -> Self {
        self.with(|patch| patch.text = Some(None))
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
        self.with(|patch| patch.vector = Some(Some(vector.into())))
    }

    /// No vector any more, whatever the text.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.collection("docs").create().dimension(2).wait()?;
    /// ns.collection("docs").put("a").vector([0.0, 1.0]).wait()?;
    /// ns.collection("docs").patch("a").without_vector().wait()?;
    /// assert!(ns.collection("docs").search(vec![0.0, 1.0])?.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn without_vector(self) -> Self {
        self.with(|patch| patch.vector = Some(None))
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
