//! An owner's state.

use std::time::Duration;

use agentdb_engine::modules::state;
use agentdb_types::{Code, Lsn, Result};
use serde_json::Value;

use crate::write::micros;
use crate::{Namespace, Page, Write, present};

/// An owner's keyed documents: what an agent would keep in Redis. Any text is an owner; none need be registered.
///
/// A value is JSON. Its version is the LSN of the write that made it; it grows with every change and never returns, so
/// that a version read once tells for ever whether the value is still the same. A value that is absent, was deleted or
/// has outlived its time to live is `None`, not an error.
#[derive(Clone)]
pub struct State {
    pub(crate) namespace: Namespace,
    pub(crate) owner: String,
}

impl State {
    pub(crate) fn new(namespace: Namespace, owner: String) -> Self {
        State { namespace, owner }
    }

    fn at(&self, key: impl Into<String>) -> (String, String) {
        (self.owner.clone(), key.into())
    }

    /// Stores a value, replacing what was there, its time to live included.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let stored = ns.state("agent-7").put("plan", json!({"step": 1})).wait()?.response;
    /// assert!(stored.created);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn put(&self, key: impl Into<String>, value: impl Into<Value>) -> Write<state::Put> {
        self.namespace.write(state::Put::new(self.owner.clone(), key, value.into()))
    }

    /// The value of a key with its version and times; `None` if there is none.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.state("agent-7").get("plan")?.is_none());
    /// let put = ns.state("agent-7").put("plan", json!({"step": 1})).wait()?;
    /// let entry = ns.state("agent-7").get("plan")?.unwrap();
    /// assert_eq!((entry.value, entry.version), (json!({"step": 1}), put.lsn));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get(&self, key: impl Into<String>) -> Result<Option<state::Entry>> {
        present(self.namespace.read(state::Get::new(self.owner.clone(), key)), Code::StateNotFound)
    }

    /// The values of several keys at one moment, in the order asked; `None` where there is none.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`] for no keys, or more than 10,000.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// let found = ns.state("agent-7").get_many(["plan", "mood"])?;
    /// assert!(found[0].is_some() && found[1].is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get_many<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<state::Entry>>> {
        let keys = keys.into_iter().map(Into::into).collect();
        Ok(self.namespace.read(state::GetMany { owner: self.owner.clone(), keys })?.items)
    }

    /// Deletes a value; it is no error if there is none.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert!(ns.state("agent-7").delete("plan").wait()?.response.deleted);
    /// assert!(!ns.state("agent-7").delete("plan").wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self, key: impl Into<String>) -> Write<state::Delete> {
        let (owner, key) = self.at(key);
        self.namespace.write(state::Delete { owner, key, expected_version: None })
    }

    /// Reads a value and deletes it in one step, so that of several callers one gets it. Without a value the write is refused
    /// with [`Code::StateNotFound`].
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("ticket", json!("t-1")).wait()?;
    /// assert_eq!(ns.state("agent-7").take("ticket").wait()?.response.value, "t-1");
    /// assert!(ns.state("agent-7").take("ticket").wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn take(&self, key: impl Into<String>) -> Write<state::Take> {
        self.namespace.write(state::Take::new(self.owner.clone(), key))
    }

    /// Stores a value if the one there still has the version that was read; `Lsn(0)` stands for absent. Otherwise the write
    /// is refused with [`Code::VersionMismatch`], and the caller reads and decides again.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// let version = state.put("plan", json!(1)).wait()?.lsn;
    /// state.compare_and_set("plan", version, json!(2)).wait()?;
    /// let late = state.compare_and_set("plan", version, json!(3)).wait();
    /// assert_eq!(late.unwrap_err().code(), agentdb::Code::VersionMismatch);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn compare_and_set(
        &self,
        key: impl Into<String>,
        expected_version: Lsn,
        value: impl Into<Value>,
    ) -> Write<state::CompareAndSet> {
        let (owner, key) = self.at(key);
        let value = value.into();
        self.namespace.write(state::CompareAndSet { owner, key, expected_version, value, ttl_us: None })
    }

    /// Merges a patch into a JSON object (RFC 7396): given fields are replaced, null removes one, the others stay. Without a
    /// value the write is refused with [`Code::StateNotFound`], unless [`create`](Write::create) allows it.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// state.put("plan", json!({"step": 1, "note": "x"})).wait()?;
    /// let patched = state.patch("plan", json!({"step": 2, "note": null})).wait()?.response;
    /// assert_eq!(patched.value, json!({"step": 2}));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn patch(&self, key: impl Into<String>, patch: impl Into<Value>) -> Write<state::Patch> {
        let (owner, key) = self.at(key);
        self.namespace.write(state::Patch {
            owner,
            key,
            patch: patch.into(),
            create: false,
            expected_version: None,
        })
    }

    /// Adds to an integer; an absent one counts as 0. The time to live stays.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert_eq!(ns.state("agent-7").increment("calls", 2).wait()?.response.value, 2);
    /// assert_eq!(ns.state("agent-7").increment("calls", -3).wait()?.response.value, -1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn increment(&self, key: impl Into<String>, by: i64) -> Write<state::Increment> {
        let (owner, key) = self.at(key);
        self.namespace.write(state::Increment { owner, key, by })
    }

    /// Gives a value a new time to live, counted from now in whole microseconds, rounded up.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// state.put("plan", json!(1)).wait()?;
    /// assert!(state.expire("plan", Duration::from_secs(60)).wait()?.response.expires.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn expire(&self, key: impl Into<String>, ttl: Duration) -> Write<state::Expire> {
        let (owner, key) = self.at(key);
        let ttl_us = Some(micros(ttl));
        self.namespace.write(state::Expire { owner, key, ttl_us, expected_version: None })
    }

    /// Takes the time to live of a value away.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// state.put("plan", json!(1)).ttl(Duration::from_secs(60)).wait()?;
    /// assert!(state.persist("plan").wait()?.response.expires.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn persist(&self, key: impl Into<String>) -> Write<state::Expire> {
        let (owner, key) = self.at(key);
        self.namespace.write(state::Expire { owner, key, ttl_us: None, expected_version: None })
    }

    /// Deletes the owner's values, up to 1,000 at once or the [`limit`](Write::limit) given; `more` in the answer tells
    /// whether to call again. A call that meets many values that have expired may delete fewer, even none, before the
    /// last one.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// for key in ["task/1", "task/2", "mood"] {
    ///     state.put(key, json!(0)).wait()?;
    /// }
    /// let cleared = state.clear().prefix("task/").wait()?.response;
    /// assert_eq!((cleared.deleted, cleared.more), (2, false));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn clear(&self) -> Write<state::Clear> {
        self.namespace.write(state::Clear::new(self.owner.clone()))
    }

    /// A page of the owner's values in the byte order of their keys.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("task/1", json!("write")).wait()?;
    /// let listed = ns.state("agent-7").list(Page::default().prefix("task/"))?;
    /// assert_eq!(listed.items[0].value, "write");
    /// assert!(listed.cursor.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, page: Page) -> Result<state::Listed> {
        let Page { limit, cursor, reverse, prefix } = page;
        self.namespace.read(state::List { owner: self.owner.clone(), prefix, limit, cursor, reverse })
    }

    /// How many of the owner's keys start with a prefix, by reading them; all with an empty one.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("plan", json!(1)).wait()?;
    /// assert_eq!((ns.state("agent-7").count("")?, ns.state("agent-7").count("task/")?), (1, 0));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn count(&self, prefix: impl Into<String>) -> Result<u64> {
        let count = state::Count { owner: self.owner.clone(), prefix: prefix.into() };
        Ok(self.namespace.read(count)?.count)
    }
}

impl Write<state::Put> {
    /// The value expires after this time, counted in whole microseconds, rounded up.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let stored = ns.state("agent-7").put("mood", json!("calm")).ttl(Duration::from_secs(60)).wait()?;
    /// assert!(stored.response.expires.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|put| put.ttl_us = Some(micros(ttl)))
    }

    /// Only inserts: refused with [`Code::VersionMismatch`] if there is a value.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("lock", json!("me")).if_absent().wait()?;
    /// assert!(ns.state("agent-7").put("lock", json!("you")).if_absent().wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_absent(self) -> Self {
        self.if_version(Lsn::ZERO)
    }

    /// Only if the value has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let version = ns.state("agent-7").put("plan", json!(1)).wait()?.lsn;
    /// ns.state("agent-7").put("plan", json!(2)).if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|put| put.expected_version = Some(version))
    }
}

impl Write<state::CompareAndSet> {
    /// The value expires after this time, counted in whole microseconds, rounded up.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentdb::{Lsn, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let write = ns.state("agent-7").compare_and_set("lease", Lsn(0), json!("me")).ttl(Duration::from_secs(5));
    /// assert!(write.wait()?.response.expires.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|set| set.ttl_us = Some(micros(ttl)))
    }
}

impl Write<state::Patch> {
    /// An absent value counts as an empty object.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let patched = ns.state("agent-7").patch("plan", json!({"step": 1})).create().wait()?.response;
    /// assert_eq!(patched.value, json!({"step": 1}));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn create(self) -> Self {
        self.with(|patch| patch.create = true)
    }

    /// Only if the value has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let version = ns.state("agent-7").put("plan", json!({"step": 1})).wait()?.lsn;
    /// ns.state("agent-7").patch("plan", json!({"step": 2})).if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|patch| patch.expected_version = Some(version))
    }
}

impl Write<state::Delete> {
    /// Only if the value has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let version = ns.state("agent-7").put("plan", json!(1)).wait()?.lsn;
    /// assert!(ns.state("agent-7").delete("plan").if_version(version).wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|delete| delete.expected_version = Some(version))
    }
}

impl Write<state::Take> {
    /// Only if the value has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let version = ns.state("agent-7").put("ticket", json!(1)).wait()?.lsn;
    /// assert_eq!(ns.state("agent-7").take("ticket").if_version(version).wait()?.response.value, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|take| take.expected_version = Some(version))
    }
}

impl Write<state::Expire> {
    /// Only if the value has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let version = ns.state("agent-7").put("plan", json!(1)).wait()?.lsn;
    /// ns.state("agent-7").persist("plan").if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|expire| expire.expected_version = Some(version))
    }
}

impl Write<state::Clear> {
    /// Only keys that start so.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("task/1", json!(0)).wait()?;
    /// assert_eq!(ns.state("agent-7").clear().prefix("task/").wait()?.response.deleted, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with(|clear| clear.prefix = prefix.into())
    }

    /// How many at most, up to 10,000.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for key in ["a", "b"] {
    ///     ns.state("agent-7").put(key, json!(0)).wait()?;
    /// }
    /// assert!(ns.state("agent-7").clear().limit(1).wait()?.response.more);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn limit(self, limit: usize) -> Self {
        self.with(|clear| clear.limit = Some(limit))
    }
}
