//! Which page of a list.

use agentdb_types::{Code, Error, Result};

/// Which page of a list is asked for: how many items, from which end, and after which page.
///
/// A list answers with its items and, unless it was the last page, a cursor for the next one.
///
/// ```
/// # use agentdb::{Page, json};
/// # let dir = tempfile::tempdir().unwrap();
/// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
/// # for key in ["a", "b", "c"] { ns.state("agent-7").put(key, json!(0)).wait()?; }
/// let mut page = Page::first(2);
/// let mut keys = Vec::new();
/// loop {
///     let listed = ns.state("agent-7").list(page.clone())?;
///     keys.extend(listed.items.into_iter().map(|entry| entry.key));
///     match listed.cursor {
///         Some(cursor) => page = page.after(cursor),
///         None => break,
///     }
/// }
/// assert_eq!(keys, ["a", "b", "c"]);
/// # Ok::<(), agentdb::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<String>,
    pub(crate) reverse: bool,
    pub(crate) prefix: String,
}

impl Page {
    /// The first items, `limit` of them at most, in order. [`Page::default`] asks for 100.
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for key in ["a", "b", "c"] {
    ///     ns.state("agent-7").put(key, json!(0)).wait()?;
    /// }
    /// assert_eq!(ns.state("agent-7").list(Page::first(2))?.items[1].key, "b");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Page { limit: Some(limit), ..Self::default() }
    }

    /// The last items, `limit` of them at most, from the end backwards.
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for key in ["a", "b", "c"] {
    ///     ns.state("agent-7").put(key, json!(0)).wait()?;
    /// }
    /// assert_eq!(ns.state("agent-7").list(Page::last(2))?.items[0].key, "c");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn last(limit: usize) -> Self {
        Page { limit: Some(limit), reverse: true, ..Self::default() }
    }

    /// The page after the one that ended with this cursor; everything else must be asked as for that one.
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for key in ["a", "b", "c"] {
    ///     ns.state("agent-7").put(key, json!(0)).wait()?;
    /// }
    /// let first = ns.state("agent-7").list(Page::first(2))?;
    /// let second = Page::first(2).after(first.cursor.unwrap());
    /// assert_eq!(ns.state("agent-7").list(second)?.items[0].key, "c");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Only items whose key, or address, starts so. Lists of sessions, messages, records, collections and namespaces have no
    /// prefixes and refuse one.
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.state("agent-7").put("task/1", json!("write")).wait()?;
    /// ns.state("agent-7").put("mood", json!("calm")).wait()?;
    /// assert_eq!(ns.state("agent-7").list(Page::default().prefix("task/"))?.items.len(), 1);
    /// assert!(ns.sessions().list(Page::default().prefix("s")).is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }
}

impl Page {
    /// The page of a list that has no prefixes: one that was given must not be ignored.
    pub(crate) fn without_prefix(self) -> Result<Self> {
        if self.prefix.is_empty() {
            return Ok(self);
        }
        Err(Error::new(Code::InvalidValue)
            .with("field", "prefix")
            .with("reason", "this list has no prefixes"))
    }

    /// The page of a list that goes one way only.
    pub(crate) fn forwards(self) -> Result<Self> {
        if !self.reverse {
            return Ok(self);
        }
        Err(Error::new(Code::InvalidValue)
            .with("field", "reverse")
            .with("reason", "this list goes forwards only"))
    }
}
