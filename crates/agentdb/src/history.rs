//! What states and sessions were: their versions, what differs, putting it back, starting from it.

use std::time::Duration;

use agentdb_engine::modules::session::{self, message};
use agentdb_engine::modules::{retention, state};
use agentdb_engine::{HistoryNoun, Point};
use agentdb_types::Result;

use crate::{Namespace, Page, Session, State, Write};

impl State {
    /// The versions of a value, newest first, the present one included, as far as its history is kept. Of the page, limit
    /// and cursor count.
    ///
    /// # Errors
    /// [`PageTooLarge`](agentdb_types::Code::PageTooLarge), [`InvalidCursor`](agentdb_types::Code::InvalidCursor),
    /// [`NoHistory`](agentdb_types::Code::NoHistory).
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// state.put("plan", json!("draft")).wait()?;
    /// state.put("plan", json!("final")).wait()?;
    /// let versions = state.history("plan", Page::default())?.items;
    /// assert_eq!((&versions[0].value, &versions[1].value), (&json!("final"), &json!("draft")));
    /// assert_eq!(versions[1].ended, Some(versions[0].version));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn history(&self, key: impl Into<String>, page: Page) -> Result<state::Versions> {
        let (owner, Page { limit, cursor, .. }) = (self.owner.clone(), page);
        self.namespace.read(state::History { owner, key: key.into(), limit, cursor })
    }

    /// The owner's values that differ between an earlier point and now.
    ///
    /// # Errors
    /// [`HistoryTrimmed`](agentdb_types::Code::HistoryTrimmed), [`NoHistory`](agentdb_types::Code::NoHistory), those of a
    /// list.
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// let before = state.put("plan", json!(1)).wait()?.lsn;
    /// state.put("plan", json!(2)).wait()?;
    /// let change = state.diff(before, Page::default())?.items.remove(0);
    /// assert_eq!((change.before.unwrap().value, change.after.unwrap().value), (json!(1), json!(2)));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn diff(&self, from: impl Into<Point>, page: Page) -> Result<state::Changes> {
        let Page { limit, cursor, prefix, .. } = page;
        self.namespace.read(state::Diff {
            prefix,
            limit,
            cursor,
            ..state::Diff::since(self.owner.clone(), from)
        })
    }

    /// Makes a value what it was at an earlier point: absent, if it was absent.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let state = ns.state("agent-7");
    /// let good = state.put("plan", json!("good")).wait()?.lsn;
    /// state.put("plan", json!("bad")).wait()?;
    /// state.restore("plan", good).wait()?;
    /// assert_eq!(state.get("plan")?.unwrap().value, "good");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn restore(&self, key: impl Into<String>, at: impl Into<Point>) -> Write<state::Restore> {
        self.namespace.write(state::Restore::new(self.owner.clone(), key, at))
    }
}

impl Session {
    /// Makes a session that starts from what this one is, or was; its id is generated unless it is [given](Write::to).
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let asked = ns.session("s1").append("user", "which way?").owner("agent-7").wait()?.lsn;
    /// ns.session("s1").append("assistant", "left").wait()?;
    /// let fork = ns.session("s1").fork().to("s2").at(asked).wait()?.response;
    /// assert_eq!((fork.created.session.as_str(), fork.messages), ("s2", 1));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn fork(&self) -> Write<session::Fork> {
        self.namespace.write(session::Fork::new(self.session.clone()))
    }

    /// Makes the session what it was at an earlier point; one that was deleted since comes back.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let good = ns.session("s1").append("user", "hello").owner("agent-7").wait()?.lsn;
    /// ns.session("s1").delete().wait()?;
    /// assert_eq!(ns.session("s1").restore(good).wait()?.response.messages, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn restore(&self, at: impl Into<Point>) -> Write<session::Restore> {
        self.namespace.write(session::Restore::new(self.session.clone(), at))
    }

    /// The messages that differ between an earlier point and now. Of the page, limit and cursor count.
    ///
    /// # Errors
    /// [`SessionNotFound`](agentdb_types::Code::SessionNotFound) if it is there at neither,
    /// [`HistoryTrimmed`](agentdb_types::Code::HistoryTrimmed), [`NoHistory`](agentdb_types::Code::NoHistory), those of a
    /// list.
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let before = ns.session("s1").append("user", "hello").owner("agent-7").id("m1").wait()?.lsn;
    /// ns.session("s1").delete_message("m1").wait()?;
    /// let change = ns.session("s1").diff(before, Page::default())?.items.remove(0);
    /// assert!(change.before.is_some() && change.after.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn diff(&self, from: impl Into<Point>, page: Page) -> Result<message::Changes> {
        let Page { limit, cursor, .. } = page;
        self.namespace.read(message::Diff {
            limit,
            cursor,
            ..message::Diff::since(self.session.clone(), from)
        })
    }
}

impl Write<session::Fork> {
    /// The new session's id, which must not exist.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").wait()?;
    /// assert_eq!(ns.session("s1").fork().to("s2").wait()?.response.created.session, "s2");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn to(self, session: impl Into<String>) -> Self {
        self.with(|fork| fork.to = Some(session.into()))
    }

    /// The point at which the session is looked at.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let created = ns.session("s1").create("agent-7").wait()?.lsn;
    /// ns.session("s1").append("user", "hello").wait()?;
    /// assert_eq!(ns.session("s1").fork().at(created).wait()?.response.messages, 0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn at(self, point: impl Into<Point>) -> Self {
        self.with(|fork| fork.at = Some(point.into()))
    }

    /// Only messages up to this sequence number.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").wait()?;
    /// ns.session("s1").append("assistant", "hi").wait()?;
    /// assert_eq!(ns.session("s1").fork().through(1).wait()?.response.messages, 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn through(self, sequence: u64) -> Self {
        self.with(|fork| fork.through_sequence = Some(sequence))
    }
}

impl Namespace {
    /// How long the history of each noun is kept, and how far it goes back.
    ///
    /// # Errors
    /// Errors of rows and files.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert_eq!(ns.retention()?[0].history_us, Some(Some(24 * 3_600_000_000)));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn retention(&self) -> Result<Vec<retention::Entry>> {
        Ok(self.read(retention::List {})?.items)
    }

    /// Says how long the history of a noun is kept: for ever with `None`, not at all with a duration of zero.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agentdb::HistoryNoun;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.keep_history(HistoryNoun::State, Duration::from_secs(7 * 24 * 3_600)).wait()?;
    /// assert_eq!(ns.retention()?[0].history_us, Some(Some(7 * 24 * 3_600_000_000)));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn keep_history(
        &self,
        noun: HistoryNoun,
        kept: impl Into<Option<Duration>>,
    ) -> Write<retention::Set> {
        self.retain(noun).history(kept)
    }
}
